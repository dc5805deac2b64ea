"""Listening to what was mined: the review page, its server, audits of purity, and one static page."""
