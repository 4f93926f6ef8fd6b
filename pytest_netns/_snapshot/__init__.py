"""What a namespace has at one moment, and what has changed since another."""
