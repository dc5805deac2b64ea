"""References by name: a stem of the track, or the sum of stems that a name stands for.

``rest`` is everything but the other sources that are scored; ``no_drums`` everything but the drums;
``instrumental``, ``instrum`` and ``accompaniment`` everything but the vocals. So a model of a target and its rest, and
pairs of vocals and instrumental, are scored on songs with four stems.
"""

from collections.abc import Iterable, Sequence
from os import PathLike

from remix_miner.audio import Audio
from remix_miner.datasets.corpora import load_stem_tracks, load_target_tracks
from remix_miner.datasets.named_stems import load_named_tracks
from remix_miner.datasets.tracks import StemTrack, Track
from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES

WITHOUT_VOCALS = ("instrumental", "instrum", "accompaniment")
VOCALS_AND_REST = {"vocals", "no_vocals", "rest", *WITHOUT_VOCALS}


def reference_parts(track: Track, source: str, sources: Sequence[str]) -> tuple[str, ...]:
    """Return the stems of ``track`` whose sum is the reference of ``source``; empty if its stems do not determine it.

    ``sources``: all names that are scored together; 'rest' is relative to them.
    """
    return _parts(track.sources, source, sources)


def _parts(stems: Sequence[str], source: str, sources: Sequence[str]) -> tuple[str, ...]:
    if source in stems:
        return (source,)
    if source == "rest":
        removed = {each for each in sources if each != source}
    elif source in WITHOUT_VOCALS:
        removed = {"vocals"}
    elif source.startswith("no_"):
        removed = {source.removeprefix("no_")}
    else:
        return ()
    return tuple(each for each in stems if each not in removed) if removed <= set(stems) else ()


def with_reference(track: Track, sources: Sequence[str]) -> list[str]:
    """Return those of ``sources`` that ``track`` has a reference for."""
    return [source for source in sources if reference_parts(track, source, sources)]


def read_reference(track: Track, source: str, sources: Sequence[str]) -> Audio:
    """Return (C, T) of the reference of ``source``: zeros where its stems are absent."""
    first, *others = reference_parts(track, source, sources)
    total = track.read_source(first)
    for part in others:
        total = total + track.read_source(part)
    return total


def load_reference_tracks(
    paths: Iterable[str | PathLike[str]], sources: Sequence[str], split: str | None = None, *, absent_ok: bool = False
) -> list[StemTrack]:
    """Return the songs of corpora that have references for ``sources``.

    Names that the four stems make up ('vocals', 'rest', 'no_drums', 'instrumental') are read from corpora of four
    stems, and where they are the vocals and their rest alone, also from pairs; others ('guitar', 'dialogue') from
    folders ``<track>/<source>.wav``.
    """
    paths = list(paths)
    if set(sources) <= VOCALS_AND_REST:
        return load_target_tracks(paths, "vocals", split, absent_ok=absent_ok)
    if all(source in SOURCES or _made_of_four(source, sources) for source in sources):
        return load_stem_tracks(paths, split, absent_ok=absent_ok)
    if set(sources) & {"rest", *WITHOUT_VOCALS} or any(source.startswith("no_") for source in sources):
        raise UsageError(f"{', '.join(sources)}: names of sums go with the four stems {', '.join(SOURCES)} alone")
    return load_named_tracks(paths, sources, split, absent_ok=absent_ok)


def scorable(names: Sequence[str]) -> list[str]:
    """Return the names of a model's sources that corpora of four stems have references for; all where none has."""
    of_four = [name for name in names if name in SOURCES or _made_of_four(name, names)]
    return of_four or list(names)


def _made_of_four(source: str, sources: Sequence[str]) -> bool:
    return bool(_parts(SOURCES, source, sources))
