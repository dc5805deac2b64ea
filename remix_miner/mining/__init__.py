"""Library to shards: the scan of one file, workers, the catalogue."""
