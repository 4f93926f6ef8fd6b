"""How the kernel is asked for a network, and for what it is ready."""
