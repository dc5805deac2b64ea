"""Copies of one recording: fingerprints, matching, and which copy is mined."""
