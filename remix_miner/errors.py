"""Errors that a user can act on: each message states what was found, where, and what to do."""


class RemixMinerError(Exception):
    """Base of all errors that a user can mend. Commands print the message and exit with ``exit_status``."""

    exit_status = 2


class UsageError(RemixMinerError, ValueError):
    """An option, setting or argument that cannot be used."""


class AudioError(RemixMinerError):
    """A file that cannot be decoded or holds unusable audio."""


class DataError(RemixMinerError):
    """A corpus, library, shard, checkpoint or catalogue that cannot be used as it is."""


class WriteError(DataError):
    """A file that could not be written: a full disk, a quota, missing permissions."""

    exit_status = 1
