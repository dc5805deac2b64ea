"""Placing of a closed shard in another mined folder: a hard link where the file system has them, or a checked copy."""

import errno
import os
import shutil
from pathlib import Path

from remix_miner.atomic import atomic_path, sync_folder
from remix_miner.checkpoint import sha256_of_file
from remix_miner.errors import DataError

CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def place_shard(source: Path, target: Path, sha256: str, size: int, copy: bool) -> None:
    """Put a shard's file in place atomically. Check its size, and its hash if it is copied."""
    if source.is_symlink() or not source.is_file():
        raise DataError(f"{source} is missing or a link; copy it, or run `remix-miner detect` on that part again")
    if source.stat().st_size != size:
        raise DataError(
            f"{source} has {source.stat().st_size} bytes, its catalogue states {size}; see `remix-miner inspect`"
        )
    target.parent.mkdir(exist_ok=True)
    if not copy:
        try:
            os.link(source, target)
            sync_folder(target.parent)
            return
        except OSError as error:
            if error.errno not in CANNOT_LINK:
                raise DataError(f"{target} cannot be made: {error.strerror}") from error
    try:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)
            if sha256_of_file(temporary) != sha256:
                raise DataError(
                    f"{source} is damaged (another SHA-256 than its catalogue states); see `remix-miner inspect`"
                )
    except OSError as error:
        raise DataError(f"{target} cannot be made: {error.strerror}; run the same command again") from error
