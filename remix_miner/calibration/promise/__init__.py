"""Purity bound of a harvest over artists: the curve, what songs support, and artists left out of the choice."""
