"""How a network is worked out: segments, addresses, routes."""
