"""Scan of a library: tracks to shards."""
