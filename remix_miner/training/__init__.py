"""Training a separator."""
