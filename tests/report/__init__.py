"""Tests of what is said of a test that failed."""
