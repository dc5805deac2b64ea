"""The scan of a library: tracks to shards."""
