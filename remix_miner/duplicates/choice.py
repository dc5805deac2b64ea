"""Choice among copies of one recording, found by fingerprints or equal bytes: which copy stays."""

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass

from remix_miner.datasets.library import LibraryFile, content_hash
from remix_miner.duplicates.excluded import excluded_reason
from remix_miner.duplicates.matching import COPY_SHARE, Match, match, proposed_pairs
from remix_miner.duplicates.recordings import Fingerprint
from remix_miner.errors import AudioError
from remix_miner.progress import track

LEAST_SHARE = 0.4
"""Least share of the shorter of two duplicates, in seconds that match; less is a sample or a medley. Of whole copies at
least half matched in every test condition, and most often 90% (docs/guide/duplicates.md)."""
CROPPED_SHARE = 0.97
"""A file shorter than this share of the longest copy is a crop. It is not kept if there is a whole copy."""
LOSSLESS = (".wav", ".flac", ".aif", ".aiff")


@dataclass(frozen=True)
class LeftOut:
    """Why a file is left out; ``kept`` is the copy that is mined in its place, None for an excluded recording."""

    reason: str
    kept: LibraryFile | None = None


def identical(
    files: Collection[LibraryFile],
    done: Container[LibraryFile],
    digest: Callable[[LibraryFile], str] = lambda file: content_hash(file.path),
) -> dict[LibraryFile, LeftOut]:
    """Return the files to leave out that equal a kept file in bytes, with the reason.

    ``digest`` is called only for files of equal size. Files that are ``done`` stay.
    """
    by_size: dict[int, list[LibraryFile]] = defaultdict(list)
    for file in files:
        by_size[file.size].append(file)
    first: dict[str, LibraryFile] = {}
    left_out = {}
    for same_size in (group for group in by_size.values() if len(group) > 1):
        for file in sorted(same_size, key=lambda file: (file not in done, file.name)):
            try:
                kept = first.setdefault(digest(file), file)
            except AudioError:
                continue
            if kept is not file and file not in done:
                left_out[file] = LeftOut(f"duplicate of {kept.name}; the files are identical", kept)
    return left_out


def same_recordings(
    files: Sequence[LibraryFile],
    made: Sequence[Fingerprint],
    excluded: Sequence[tuple[str, Fingerprint]],
    done: Container[LibraryFile],
    once: Container[LibraryFile],
) -> dict[LibraryFile, LeftOut]:
    """Return the files to leave out by their fingerprints ``made``, with the reasons.

    ``excluded``: name and fingerprint of recordings that must not be mined. ``once``: the files of which only one copy
    of each recording is kept. A file that is ``done`` is never left out as a copy, but may be left out as excluded.
    """
    first_file = len(excluded)
    everything = [made_before for _, made_before in excluded] + list(made)
    left_out: dict[LibraryFile, LeftOut] = {}
    alike: dict[int, dict[int, Match]] = defaultdict(dict)
    # Pairs come in order, so that every file has met all that is excluded before it meets another file.
    pairs, shares = proposed_pairs([fingerprint.peaks for fingerprint in everything])
    worth_it = (pairs[:, 1] >= first_file) & ((pairs[:, 0] < first_file) | (shares >= COPY_SHARE))
    for first, other in track(pairs[worth_it].tolist(), "comparing recordings"):
        file = files[other - first_file]
        if first < first_file:
            if file in left_out:
                continue
            found = match(everything[other].peaks, everything[first].peaks)
            if found.same_recording:
                left_out[file] = LeftOut(excluded_reason(found, excluded[first][0]))
        elif all(each in once and each not in left_out for each in (file, files[first - first_file])):
            shorter, longer = sorted((first, other), key=lambda at: everything[at].seconds)
            found = match(everything[shorter].peaks, everything[longer].peaks)
            if found.same_recording and found.matched_seconds >= LEAST_SHARE * everything[shorter].seconds:
                alike[first - first_file][other - first_file] = alike[other - first_file][first - first_file] = found
    return left_out | _duplicates(files, [fingerprint.seconds for fingerprint in made], alike, done)


def _duplicates(
    files: Sequence[LibraryFile],
    seconds: Sequence[float],
    alike: Mapping[int, Mapping[int, Match]],
    done: Container[LibraryFile],
) -> dict[LibraryFile, LeftOut]:
    """Keep one file of each family (connected matches), and the members that match no kept file."""
    left_out = {}
    met: set[int] = set()
    for start in sorted(alike):
        family, fresh = set(), [start]
        while fresh:
            family.update(fresh)
            fresh = sorted({other for member in fresh for other in alike[member]} - family)
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
                    reason = f"duplicate of {files[kept].name}; {found.matched_seconds} s match"
                    left_out[files[copy]] = LeftOut(reason, files[kept])
                    family.remove(copy)
    return left_out
