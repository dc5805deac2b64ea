"""Which files of a library a scan leaves out: other copies of a recording that is mined, and recordings of test sets.

A `Chooser` for `remix_miner.mining.detect.mine`: it decides before the scan, by the files alone, so the choice does
not depend on engines or workers.
"""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.catalog import find_layout, load_pair_tracks, load_stem_tracks
from remix_miner.datasets.folders import find_pairs
from remix_miner.datasets.library import LibraryFile, Skipped, content_hash, find_audio
from remix_miner.errors import AudioError, DataError
from remix_miner.mining.catalogue_view import CatalogueView
from remix_miner.mining.fingerprint_store import STORE_NAME, Fingerprint, FingerprintStore, Recording
from remix_miner.mining.interrupts import Interrupts
from remix_miner.mining.recordings import COPY_SHARE, Match, match, proposed_pairs
from remix_miner.progress import track

LEAST_SHARE = 0.4
"""Of the shorter of two files, in seconds that match: so much makes the two duplicates, less a sample or a medley. Of
a whole copy at least half matched, whatever was done to it, and most often 90% (docs/duplicates.md)."""
CROPPED_SHARE = 0.97
"""A file shorter than this part of the longest copy is a crop, and not kept where there is a whole one."""
LOSSLESS = (".wav", ".flac", ".aif", ".aiff")


class LeaveOut:
    """Names the files that a scan into ``out`` leaves out, each with its reason.

    ``exclude``: stem corpora, folders of audio, or files; a file that holds five seconds of any recording in them is
    left out, in this run and, since ``out`` remembers their fingerprints, in every later one until ``restart``.
    ``duplicates``: of the copies of one recording, one is mined: a whole one before a crop, lossless before lossy, more
    bytes per second before fewer, the first by name; but what the catalogue has as done stays.
    Raises `DataError` when ``out`` already holds excerpts of what is now excluded.
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
        done = _done(self.out, files)
        left_out = _identical(files, done) if self.duplicates else {}
        rest = [file for file in files if file not in left_out]
        with FingerprintStore(self.out) as store, Interrupts() as interrupts:
            if self.restart:
                store.forget_excluded()
            store.fingerprints(self.excluded, self.workers, lambda: interrupts.asked)
            excluded = store.excluded()
            if rest and (self.duplicates or excluded):
                recordings = [Recording.of_file(file) for file in rest]
                made = store.fingerprints(recordings, self.workers, lambda: interrupts.asked)
                left_out |= self._compared(rest, made, excluded, done)
            if interrupts.asked:
                raise KeyboardInterrupt
        return [Skipped(file.path, left_out[file]) for file in files if file in left_out]

    def _compared(
        self,
        files: Sequence[LibraryFile],
        made: Sequence[Fingerprint],
        excluded: Sequence[tuple[str, Fingerprint]],
        done: Container[LibraryFile],
    ) -> dict[LibraryFile, str]:
        """Files to leave out by their fingerprints, and why."""
        first_file = len(excluded)
        everything = [one for _, one in excluded] + list(made)
        left_out: dict[LibraryFile, str] = {}
        alike: dict[int, dict[int, Match]] = defaultdict(dict)
        # Pairs come in order, so that every file has met all that is excluded before it meets another file.
        pairs, shares = proposed_pairs([one.peaks for one in everything])
        worth_it = (pairs[:, 1] >= first_file) & ((pairs[:, 0] < first_file) | (shares >= COPY_SHARE))
        for one, other in track(pairs[worth_it].tolist(), "comparing recordings"):
            file = files[other - first_file]
            if one < first_file:
                if file in left_out:
                    continue
                found = match(everything[other].peaks, everything[one].peaks)
                if found.same_recording:
                    left_out[file] = f"excluded: {_where(found)} is of {excluded[one][0]}"
                    if file in done:
                        raise DataError(
                            f"{display_name(self.out)} already holds excerpts of {display_name(file.name)}, of which "
                            f"{_where(found)} is of {display_name(excluded[one][0])}, which is excluded: mine into "
                            "another folder with --out, or begin anew with --restart"
                        )
            elif self.duplicates and not {file, files[one - first_file]} & left_out.keys():
                shorter, longer = sorted((one, other), key=lambda at: everything[at].seconds)
                found = match(everything[shorter].peaks, everything[longer].peaks)
                if found.same_recording and found.matched_seconds >= LEAST_SHARE * everything[shorter].seconds:
                    alike[one - first_file][other - first_file] = alike[other - first_file][one - first_file] = found
        return left_out | _duplicates(files, [one.seconds for one in made], alike, done)


def recordings_in(path: Path) -> list[Recording]:
    """The recordings of a stem corpus (each song's mixture), of pairs, or of a folder or file of audio."""
    if path.is_dir() and find_layout(path) is not None:
        return [Recording.of_track(track) for track in load_stem_tracks(path, absent_ok=True, allow_unequal=True)]
    if path.is_dir() and next(iter(find_pairs(path)), None) is not None:
        return [Recording.of_track(track) for track in load_pair_tracks(path, allow_unequal=True)]
    files, _ = find_audio(path)
    if not files:
        raise DataError(f"--exclude: {display_name(path)} holds no audio; name stems, or a folder or file of audio")
    return [Recording.of_file(file, excluded=True) for file in files]


def _identical(files: Sequence[LibraryFile], done: Container[LibraryFile]) -> dict[LibraryFile, str]:
    """Files with the same bytes as another one. Only files of one size are read."""
    by_size: dict[int, list[LibraryFile]] = defaultdict(list)
    for file in files:
        by_size[file.size].append(file)
    first: dict[str, LibraryFile] = {}
    left_out = {}
    for same_size in (group for group in by_size.values() if len(group) > 1):
        for file in sorted(same_size, key=lambda file: (file not in done, file.name)):
            try:
                kept = first.setdefault(content_hash(file.path), file)
            except AudioError:
                continue
            if kept is not file and file not in done:
                left_out[file] = f"duplicate of {kept.name}; the files are identical"
    return left_out


def _duplicates(
    files: Sequence[LibraryFile],
    seconds: Sequence[float],
    alike: Mapping[int, Mapping[int, Match]],
    done: Container[LibraryFile],
) -> dict[LibraryFile, str]:
    """Keep one file of each family, and those that are alike to others of it but not to a kept one."""
    left_out = {}
    met: set[int] = set()
    for start in sorted(alike):
        family, fresh = set(), [start]
        while fresh:
            family.update(fresh)
            fresh = sorted({other for one in fresh for other in alike[one]} - family)
        family -= met
        met |= family
        while family:
            whole = CROPPED_SHARE * max(seconds[at] for at in family)
            kept = min(
                family,
                key=lambda at: (
                    files[at] not in done,
                    seconds[at] < whole,
                    files[at].path.suffix.lower() not in LOSSLESS,
                    -files[at].size / seconds[at],
                    files[at].name,
                ),
            )
            family.remove(kept)
            for copy in sorted(family & alike[kept].keys()):
                if files[copy] not in done:
                    found = alike[kept][copy]
                    left_out[files[copy]] = f"duplicate of {files[kept].name}; {found.matched_seconds} s match"
                    family.remove(copy)
    return left_out


def _done(out: Path, files: Sequence[LibraryFile]) -> set[LibraryFile]:
    """The files that the catalogue has as done."""
    with CatalogueView.read(out) as catalogue:
        known = set(catalogue.database.execute("SELECT path, size, mtime_ns FROM tracks WHERE status = 'done'"))
    return {file for file in files if (file.name, file.size, file.mtime_ns) in known}


def _where(found: Match) -> str:
    return f"what lies from {found.start_seconds:.0f} to {found.end_seconds:.0f} s"
