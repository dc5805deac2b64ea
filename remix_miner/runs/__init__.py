"""Run folders, checkpoints, weight averages and precision, shared by detector and separator training."""
