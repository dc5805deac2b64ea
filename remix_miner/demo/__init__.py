"""The demo: every stage on generated songs, and one page with what came out of it."""
