"""Leaderboard: rows, published results, submissions, and a static page."""
