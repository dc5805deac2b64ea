"""Run folders, checkpoints and weight averages, shared by detector and separator training."""
