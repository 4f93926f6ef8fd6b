"""What was sent, and what became of it: a column for each host, and an arrow for each message."""
