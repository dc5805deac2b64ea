"""Evaluation: scores of estimates and their averages, with metrics, ensembles and the leaderboard in folders."""
