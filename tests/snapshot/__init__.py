"""Tests of snapshots of namespaces."""
