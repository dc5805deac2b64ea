"""Synthetic songs with known stems."""
