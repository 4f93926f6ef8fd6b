"""What crosses links: frames, and what is in them."""
