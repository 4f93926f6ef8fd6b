"""What the report of a failed test shows of its network."""
