"""Scan of one track: probabilities, fingerprint, and the spans to cut, from one pass over its file."""
