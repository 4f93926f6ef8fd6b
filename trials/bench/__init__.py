"""What pytest-netns costs, measured side by side with pyroute2 and with the bare system calls."""
