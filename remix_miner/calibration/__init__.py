"""Thresholds of a detector, their confidence bounds, and the harvest at a threshold."""
