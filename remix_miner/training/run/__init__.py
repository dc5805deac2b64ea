"""A training run: its folder, its data, its processes."""
