"""Duplicates, which are copies of one recording: fingerprints, matching, choice of the copy to mine."""
