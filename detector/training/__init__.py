"""Training of the silent-source detector."""
