"""Filter of a merge: leaves out copies of a recording in another part, and recordings excluded from any part.

Scans of shares find only copies within their own share. Their fingerprints are stored. The choice of
`remix_miner.duplicates.scan_filter` is therefore repeated here for all parts together, without decoding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.library import LibraryFile
from remix_miner.duplicates.choice import identical, same_recordings
from remix_miner.duplicates.recordings import NO_FINGERPRINT, Fingerprint
from remix_miner.duplicates.store import STORE_NAME, FingerprintStore
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_view import CatalogueView


@dataclass(frozen=True)
class Choice:
    """Tracks that a merge leaves out."""

    left_out: dict[str, str]
    """Names of tracks, each with the reason."""
    without_fingerprint: int
    """Number of compared tracks without a stored fingerprint. Only equal bytes show that these are copies."""


@dataclass(frozen=True)
class _Done:
    """A track that ``folder`` has scanned."""

    file: LibraryFile
    sha256: str
    folder: Path


def choose(out: Path, parts: Sequence[Path], duplicates: bool) -> Choice:
    """Choose among the tracks that are done in ``parts`` and in ``out``; those in ``out`` stay.

    ``duplicates``: find copies among the tracks of all folders that were scanned with a search for copies. A track that
    is in ``out`` and in a part counts as the part's: an interrupted merge copied it, and a repeated merge must make the
    same choice. Recordings excluded from one part are left out of every part. Raises `DataError` if ``out`` already
    holds one.
    """
    there = {track.file.name: track for track in _done_in(out)}
    tracks: dict[str, _Done] = {}
    for track in (*(track for part in parts for track in _done_in(part)), *there.values()):
        known = tracks.setdefault(track.file.name, track)
        if track.sha256 != known.sha256 and track.file.mtime_ns > known.file.mtime_ns:
            tracks[track.file.name] = track
    stored: dict[tuple[str, int, int, bool], Fingerprint] = {}
    looked_for_copies = set()
    for folder in (out, *parts):
        if (folder / STORE_NAME).is_file():
            with FingerprintStore(folder, to_read=True) as store:
                stored |= store.known()
                if not store.keeps_copies:
                    looked_for_copies.add(folder)
    excluded = sorted(((key[0], made) for key, made in stored.items() if key[-1]), key=lambda pair: pair[0])
    once = [track.file for track in tracks.values() if duplicates and track.folder in looked_for_copies]
    done = {tracks[name].file for name, track in there.items() if tracks[name].sha256 == track.sha256}
    left_out = identical(once, done, lambda file: tracks[file.name].sha256)
    rest = [tracks[name].file for name in sorted(tracks) if tracks[name].file not in left_out]
    made = [stored.get((file.name, file.size, file.mtime_ns, False), NO_FINGERPRINT) for file in rest]
    among = set(once)
    if excluded or among:
        left_out |= same_recordings(rest, made, excluded, done, among)
    for file in left_out.keys() & done:
        raise DataError(
            f"{display_name(out)} already holds excerpts of {display_name(file.name)}, which a part had to leave out "
            f"({display_name(left_out[file].reason)}): merge all parts into another folder"
        )
    unknown = sum(file in among and print_ is NO_FINGERPRINT for file, print_ in zip(rest, made, strict=True))
    return Choice({file.name: why.reason for file, why in left_out.items()}, unknown)


def take_fingerprints(out: Path, parts: Sequence[Path]) -> None:
    """Copy the parts' fingerprints to ``out``, so that later scans and merges find all copies and exclusions."""
    having = [part for part in parts if (part / STORE_NAME).is_file()]
    if having:
        with FingerprintStore(out) as store:
            for part in having:
                store.take_over(part)


def _done_in(folder: Path) -> Iterable[_Done]:
    with CatalogueView.read(folder) as catalogue:
        rows = catalogue.database.execute(
            "SELECT path, size, mtime_ns, sha256 FROM tracks WHERE status = 'done' ORDER BY path"
        ).fetchall()
    for name, size, mtime_ns, sha256 in rows:
        yield _Done(LibraryFile(Path(name), name, size, mtime_ns), sha256, folder)
