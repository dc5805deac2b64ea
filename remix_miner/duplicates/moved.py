"""Moved files of a library: files with the SHA-256 of a scanned track whose own file is missing."""

from collections import defaultdict
from collections.abc import Sequence

from remix_miner.datasets.library import LibraryFile, content_hash
from remix_miner.duplicates.store import STORE_NAME, FingerprintStore
from remix_miner.errors import AudioError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.probabilities import ProbabilityStore


def follow_moved(
    catalogue: Catalogue, probabilities: ProbabilityStore, files: Sequence[LibraryFile]
) -> list[tuple[str, str]]:
    """Rename tracks that are done to the present names of their files, and return (old, new) of each.

    A track has moved if its own file is missing and a file with the same bytes exists that is not in the catalogue.
    Only files of equal size are read.
    """
    found = {file.name for file in files}
    known = {name for (name,) in catalogue.database.execute("SELECT path FROM tracks")}
    folders = LibraryFolders.of(catalogue.database)
    gone: dict[int, dict[str, str]] = defaultdict(dict)
    for name, size, sha256 in catalogue.database.execute(
        "SELECT path, size, sha256 FROM tracks WHERE status = 'done' ORDER BY path"
    ):
        if name not in found and folders.path_of(name) is None:
            gone[size][str(sha256)] = name
    moved = []
    for file in files:
        if file.name in known or not gone.get(file.size):
            continue
        try:
            old = gone[file.size].pop(content_hash(file.path), None)
        except AudioError:
            continue
        if old is not None:
            moved.append((old, file))
    # The catalogue comes last: killed in between, the next scan finds the same files moved.
    renamed = [(old, file.name, file.mtime_ns) for old, file in moved]
    probabilities.rename(renamed)
    if renamed and (catalogue.folder / STORE_NAME).is_file():
        with FingerprintStore(catalogue.folder) as store:
            store.rename(renamed)
    catalogue.rename_tracks(renamed)
    return [(old, file.name) for old, file in moved]
