"""References by name: a stem of the track, or the sum of stems that a name stands for.

``rest`` is everything but the other sources that are scored; ``no_drums`` everything but the drums;
``instrumental``, ``instrum`` and ``accompaniment`` everything but the vocals. So a model of a target and its rest, and
pairs of vocals and instrumental, are scored on songs with four stems.
"""

from collections.abc import Sequence

from remix_miner.audio import Audio
from remix_miner.datasets.tracks import Track

WITHOUT_VOCALS = ("instrumental", "instrum", "accompaniment")


def reference_parts(track: Track, source: str, sources: Sequence[str]) -> tuple[str, ...]:
    """Return the stems of ``track`` whose sum is the reference of ``source``; none where the track cannot tell.

    ``sources``: all names that are scored together; 'rest' is relative to them.
    """
    if source in track.sources:
        return (source,)
    if source == "rest":
        removed = {each for each in sources if each != source}
    elif source in WITHOUT_VOCALS:
        removed = {"vocals"}
    elif source.startswith("no_"):
        removed = {source.removeprefix("no_")}
    else:
        return ()
    return tuple(each for each in track.sources if each not in removed) if removed <= set(track.sources) else ()


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
