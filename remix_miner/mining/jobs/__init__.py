"""Jobs of a scan: their queue, the batch of one job with its open shards, and the loop that runs them."""
