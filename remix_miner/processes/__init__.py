"""Processes of a command: workers, their environment and lifetime, and the graceful stop of the command itself."""
