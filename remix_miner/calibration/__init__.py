"""Thresholds of a detector, their confidence bounds, and the harvest that they give."""
