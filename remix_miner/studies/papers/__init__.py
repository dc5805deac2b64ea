"""The studies, one file for each paper."""
