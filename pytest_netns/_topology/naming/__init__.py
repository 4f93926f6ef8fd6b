"""A DNS server for tests."""
