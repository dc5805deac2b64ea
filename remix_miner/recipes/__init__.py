"""Settings of published systems; a recipe states only what differs from the defaults."""
