"""Evaluation: scores of estimates and their averages; in folders, metrics, ensembles and the leaderboard."""
