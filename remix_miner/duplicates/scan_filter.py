"""Filter of a scan: leaves out further copies of a mined recording, and recordings of test sets.

Each file is decoded once. Before the scan, the filter leaves out what needs no decoding: files equal in bytes, and
files whose fingerprint an earlier scan stored. The scan takes the fingerprints of the others with their excerpts; a
track that holds an excluded recording is not stored. When the scan is complete, one copy of each recording is chosen
among the tracks that it added. The choice depends on files and fingerprints alone, not on engines, workers or
interruptions.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.corpora import find_layout, load_pair_tracks, load_stem_tracks
from remix_miner.datasets.layouts.folders import find_pairs
from remix_miner.datasets.library import LibraryFile, Skipped, content_hash, find_audio
from remix_miner.duplicates.choice import LeftOut, identical, same_recordings
from remix_miner.duplicates.excluded import ExcludedRecordings
from remix_miner.duplicates.recordings import NO_FINGERPRINT, Fingerprint, Recording
from remix_miner.duplicates.store import STORE_NAME, FingerprintStore
from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.uncompared import drop_tracks, end_comparison, judged_tracks, uncompared_tracks
from remix_miner.processes.interrupts import Interrupts


class ScanFilter:
    """Filter of a scan into ``out``.

    ``exclude``: stem corpora, folders of audio, or files. A file with five seconds of any recording in them is left
    out. Their fingerprints are stored in ``out``, so that this holds for every later run until ``restart``.
    ``duplicates``: mine one copy of each recording. A whole copy is preferred to a crop, lossless to lossy, more bytes
    per second to fewer, then the first by name. A copy that an earlier complete scan mined stays.
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
        self.excluded: ExcludedRecordings | None = None
        """What is excluded from ``out``, once the filter was called."""
        self._exclude = [recording for path in exclude for recording in recordings_in(path)]

    @property
    def needs_fingerprints(self) -> bool:
        """Whether the scan has to take fingerprints."""
        return self.duplicates or self.excluded is not None

    def __call__(self, files: Sequence[LibraryFile]) -> list[Skipped]:
        """Return the files to leave out that need no decoding, each with the reason.

        Raises `DataError` if ``out`` already holds excerpts of an excluded recording.
        """
        if not (self.duplicates or self._exclude or (self.out / STORE_NAME).exists()):
            return []
        with CatalogueView.read(self.out) as catalogue:
            done = _done(catalogue, files)
            new = uncompared_tracks(catalogue.database)
        everything = [*files, *(done.keys() - set(files))]
        left_out: dict[LibraryFile, LeftOut] = {}
        if self.duplicates:
            left_out |= identical(everything, done, lambda file: done.get(file) or content_hash(file.path))
        with FingerprintStore(self.out) as store, Interrupts() as interrupts:
            if self.restart:
                store.delete_excluded()
            store.keeps_copies = not self.duplicates
            store.fingerprints(self._exclude, self.workers, lambda: interrupts.requested)
            excluded = store.excluded()
            self.excluded = ExcludedRecordings(excluded) if excluded else None
            if self.needs_fingerprints:
                scanned_without = [Recording.of_file(file) for file in files if file in done]
                store.fingerprints(scanned_without, self.workers, lambda: interrupts.requested)
                self._refuse_excluded(store, list(done))
                waiting = [file for file in files if file not in done and file not in left_out]
                left_out |= self._known_copies(store, waiting, [file for file in done if file.name not in new])
            if interrupts.requested:
                raise KeyboardInterrupt
        return [Skipped(file.path, left_out[file].reason) for file in files if file in left_out]

    def write(self, made: Iterable[tuple[LibraryFile, Fingerprint]]) -> None:
        """Store fingerprints that the scan has taken. It must come before the catalogue records the tracks as done."""
        with FingerprintStore(self.out) as store:
            store.write((Recording.of_file(file), fingerprint) for file, fingerprint in made)

    def choose(self, catalogue: Catalogue) -> list[Skipped]:
        """Keep one copy of each recording among the tracks scanned since the last choice; return the others.

        Those are removed from the catalogue with their excerpts, in one transaction.
        """
        left_out = uncompared_copies(catalogue) if self.duplicates else {}
        if left_out or uncompared_tracks(catalogue.database):
            with catalogue.transaction() as database:
                drop_tracks(database, left_out)
                end_comparison(database)
        folders = LibraryFolders.of(catalogue.database)
        return [Skipped(folders.path_of(name) or Path(name), reason) for name, reason in left_out.items()]

    def _refuse_excluded(self, store: FingerprintStore, done: Sequence[LibraryFile]) -> None:
        """Raise `DataError` if a track that is done holds an excluded recording."""
        if self.excluded is None or not done:
            return
        for file, made in zip(done, _stored(store, done), strict=True):
            if (reason := self.excluded.reason(made)) is not None:
                raise DataError(
                    f"{display_name(self.out)} already holds excerpts of {display_name(file.name)}, which is to be "
                    f"left out now ({display_name(reason)}): mine into another folder with --out, or begin anew with "
                    "--restart"
                )

    def _known_copies(
        self, store: FingerprintStore, waiting: Sequence[LibraryFile], compared: Sequence[LibraryFile]
    ) -> dict[LibraryFile, LeftOut]:
        """Return those of ``waiting`` whose stored fingerprint is of an excluded recording or of one in ``compared``.

        A later `choose` leaves out every copy of a ``compared`` track, too, so nothing is lost by not scanning it.
        """
        stored = store.keys()
        known = [file for file in waiting if (file.name, file.size, file.mtime_ns) in stored]
        left_out: dict[LibraryFile, LeftOut] = {}
        if self.excluded is not None:
            for file, made in zip(known, _stored(store, known), strict=True):
                if (reason := self.excluded.reason(made)) is not None:
                    left_out[file] = LeftOut(reason)
        candidates = [file for file in known if file not in left_out]
        if self.duplicates and candidates:
            files = sorted([*candidates, *compared], key=lambda file: file.name)
            kept = set(compared)
            copies = same_recordings(files, _stored(store, files), (), kept, set(files))
            left_out |= {file: why for file, why in copies.items() if why.kept in kept}
        return left_out


def uncompared_copies(catalogue: CatalogueView) -> dict[str, str]:
    """Return the names of copies among the tracks scanned since copies were last looked for, each with the reason.

    Tracks that were compared before stay, and so do tracks with reviews.
    """
    new = uncompared_tracks(catalogue.database)
    if not new or not (catalogue.folder / STORE_NAME).is_file():
        return {}
    tracks = list(_done(catalogue))
    judged = judged_tracks(catalogue.database)
    kept = {file for file in tracks if file.name not in new or file.name in judged}
    with FingerprintStore(catalogue.folder, to_read=True) as store:
        made = _stored(store, tracks)
    copies = same_recordings(tracks, made, (), kept, set(tracks))
    return {file.name: copies[file].reason for file in tracks if file in copies}


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


def _done(catalogue: CatalogueView, files: Sequence[LibraryFile] = ()) -> dict[LibraryFile, str]:
    """Return the tracks that are done with their SHA-256, by name; those of ``files`` as they are there."""
    present = {(file.name, file.size, file.mtime_ns): file for file in files}
    rows = catalogue.database.execute(
        "SELECT path, size, mtime_ns, sha256 FROM tracks WHERE status = 'done' ORDER BY path"
    )
    return {
        present.get((name, size, mtime_ns)) or LibraryFile(Path(name), name, size, mtime_ns): str(sha256)
        for name, size, mtime_ns, sha256 in rows
    }


def _stored(store: FingerprintStore, files: Sequence[LibraryFile]) -> list[Fingerprint]:
    """Return the stored fingerprint of each file, or an empty one."""
    known = store.known() if files else {}
    return [known.get((file.name, file.size, file.mtime_ns, False), NO_FINGERPRINT) for file in files]
