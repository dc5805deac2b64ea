"""Mined folder: shards of excerpts and their catalogue. Mining writes it, training reads it."""
