"""Suites that no one here wrote, from the package index: what passes alone is to pass in parallel, isolated."""
