"""Structure of audio files: where their samples lie, and what their headers state."""
