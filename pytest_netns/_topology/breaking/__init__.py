"""Networks that break, and that are made whole again."""
