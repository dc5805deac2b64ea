"""The leaderboard: rows, published results, submissions, and one static page."""
