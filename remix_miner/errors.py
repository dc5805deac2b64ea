"""Errors that a user can act on: each message says what was found, where, and what to do."""


class RemixMinerError(Exception):
    """Base of all errors that are the input's fault, not ours. Commands print the message and exit with status 2."""


class UsageError(RemixMinerError, ValueError):
    """An option, setting or argument that cannot be used."""


class AudioError(RemixMinerError):
    """A file that cannot be decoded or holds unusable audio."""


class DataError(RemixMinerError):
    """A corpus, library, shard, checkpoint or catalogue that cannot be used as it is."""
