"""Separator training."""
