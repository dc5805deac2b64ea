"""Filter of a scan: leaves out further copies of a mined recording, and recordings of test sets.

A `FileFilter` for `remix_miner.mining.detect.mine`. It runs before the scan and depends only on the files, not on
engines or workers.
"""

from collections.abc import Sequence
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.corpora import find_layout, load_pair_tracks, load_stem_tracks
from remix_miner.datasets.layouts.folders import find_pairs
from remix_miner.datasets.library import LibraryFile, Skipped, content_hash, find_audio
from remix_miner.duplicates.choice import identical, same_recordings
from remix_miner.duplicates.recordings import NO_FINGERPRINT, Recording
from remix_miner.duplicates.store import STORE_NAME, FingerprintStore
from remix_miner.errors import DataError
from remix_miner.interrupts import Interrupts
from remix_miner.mined.catalogue_view import CatalogueView


class ScanFilter:
    """Filter that returns the files that a scan into ``out`` leaves out, each with the reason.

    ``exclude``: stem corpora, folders of audio, or files. A file with five seconds of any recording in them is left
    out. Their fingerprints are stored in ``out``, so that this holds for every later run until ``restart``.
    ``duplicates``: mine one copy of each recording. A whole copy is preferred to a crop, lossless to lossy, more bytes
    per second to fewer, then the first by name. A file that the catalogue has as done stays.
    Raises `DataError` if ``out`` already holds excerpts of an excluded recording.
    """

    def __init__(
        self,
        out: Path,
        *,
        exclude: Sequence[Path] = (),
        duplicates: bool = True,
        workers: int = 0,
        restart: bool = False,
    ) -> None:
        self.out = out
        self.duplicates = duplicates
        self.workers = workers
        self.restart = restart
        self.excluded = [recording for path in exclude for recording in recordings_in(path)]

    def __call__(self, files: Sequence[LibraryFile]) -> list[Skipped]:
        if not (self.duplicates or self.excluded or (self.out / STORE_NAME).exists()):
            return []
        here, elsewhere = _done(self.out, files)
        done = here | elsewhere.keys()
        # Recordings that are done stay the ones that are mined, wherever their files are now.
        known = [*files, *elsewhere]

        def digest(file: LibraryFile) -> str:
            return elsewhere.get(file) or content_hash(file.path)

        left_out = identical(known, done, digest) if self.duplicates else {}
        rest = [file for file in files if file not in left_out]
        with FingerprintStore(self.out) as store, Interrupts() as interrupts:
            if self.restart:
                store.forget_excluded()
            store.keeps_copies = not self.duplicates
            store.fingerprints(self.excluded, self.workers, lambda: interrupts.requested)
            excluded = store.excluded()
            if (rest or elsewhere) and (self.duplicates or excluded):
                recordings = [Recording.of_file(file) for file in rest]
                made = store.fingerprints(recordings, self.workers, lambda: interrupts.requested)
                stored = store.known() if elsewhere else {}
                made += [stored.get((file.name, file.size, file.mtime_ns, False), NO_FINGERPRINT) for file in elsewhere]
                compared = [*rest, *elsewhere]
                left_out |= same_recordings(
                    compared, made, excluded, done, once=set(compared) if self.duplicates else ()
                )
            if interrupts.requested:
                raise KeyboardInterrupt
        for file, reason in left_out.items():
            if file in done:
                raise DataError(
                    f"{display_name(self.out)} already holds excerpts of {display_name(file.name)}, which is to be "
                    f"left out now ({display_name(reason)}): mine into another folder with --out, or begin anew with "
                    "--restart"
                )
        return [Skipped(file.path, left_out[file]) for file in files if file in left_out]


def recordings_in(path: Path) -> list[Recording]:
    """Return the recordings of a stem corpus (each song's mixture), of pairs, or of a folder or file of audio."""
    if path.is_dir() and find_layout(path) is not None:
        return [Recording.of_track(track) for track in load_stem_tracks(path, absent_ok=True, allow_unequal=True)]
    if path.is_dir() and next(iter(find_pairs(path)), None) is not None:
        return [Recording.of_track(track) for track in load_pair_tracks(path, allow_unequal=True)]
    files, _ = find_audio(path)
    if not files:
        raise DataError(f"--exclude: {display_name(path)} holds no audio; name stems, or a folder or file of audio")
    return [Recording.of_file(file, excluded=True) for file in files]


def _done(out: Path, files: Sequence[LibraryFile]) -> tuple[set[LibraryFile], dict[LibraryFile, str]]:
    """Return the ``files`` that are done in the catalogue, and its other tracks that are done, with their SHA-256."""
    names = {file.name for file in files}
    with CatalogueView.read(out) as catalogue:
        rows = catalogue.database.execute(
            "SELECT path, size, mtime_ns, sha256 FROM tracks WHERE status = 'done' ORDER BY path"
        ).fetchall()
    known = {(name, size, mtime_ns) for name, size, mtime_ns, _ in rows}
    here = {file for file in files if (file.name, file.size, file.mtime_ns) in known}
    elsewhere = {
        LibraryFile(Path(name), name, size, mtime_ns): str(sha256)
        for name, size, mtime_ns, sha256 in rows
        if name not in names
    }
    return here, elsewhere
