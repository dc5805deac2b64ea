"""The verbs of ``remix-miner``, one a file."""
