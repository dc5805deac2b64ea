"""Separate, score, ensemble, compare."""
