"""Functions for notebooks and scripts: detector, scan, separation and evaluation in a few lines each."""
