"""Metrics of estimates against references, and their aggregates over tracks."""
