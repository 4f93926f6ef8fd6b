"""The text form of networks: reading it, and writing it."""
