"""Figures and pages of the detector."""
