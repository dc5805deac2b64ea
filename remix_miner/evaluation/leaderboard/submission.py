"""Submissions: zips of estimates of songs whose stems only the organiser has.

Everything is checked before the first score, and each refusal states what to change. Of the references, messages and
rows reveal only names, rates and lengths, which participants have from the mixtures.
"""

from collections.abc import Sequence
from pathlib import Path

from remix_miner.datasets.tracks import Track
from remix_miner.errors import AudioError, DataError
from remix_miner.evaluation.archive import limits_for, unpack
from remix_miner.evaluation.estimates import FoundEstimates, check_estimate, find_estimates, missing_estimates
from remix_miner.evaluation.evaluate import score_estimates
from remix_miner.evaluation.results import Result
from remix_miner.evaluation.temporary import temporary_folder
from remix_miner.sources import SOURCES


def score_submission(
    path: str | Path,
    tracks: Sequence[Track],
    metrics: Sequence[str],
    *,
    name: str,
    corpus: str,
    sources: Sequence[str] = SOURCES,
    workers: int = 1,
) -> Result:
    """Unpack, check and score a zip with one wav or flac for each of ``sources`` of every track, and nothing else."""
    with temporary_folder() as temporary:
        folder = temporary / "submission"
        unpack(path, folder, limits_for(tracks, sources))
        try:
            found = check_submission(folder, tracks, sources)
            return score_estimates(tracks, found, metrics, name=name, corpus=corpus, sources=sources, workers=workers)
        except (DataError, AudioError) as error:
            raise DataError(str(error).replace(f"{folder}/", "")) from error


def check_submission(folder: Path, tracks: Sequence[Track], sources: Sequence[str]) -> FoundEstimates:
    """Return the estimates of a folder after checking every file's name, rate, channels and length."""
    found = find_estimates(folder, sources)
    if found.unknown:
        name = found.unknown[0].relative_to(folder)
        raise DataError(
            f"{name} ({len(found.unknown)} such files) names no source; call files "
            f"<track>/<source>.wav or <track>_<source>.wav with a source among {', '.join(sources)}"
        )
    names = [track.name for track in tracks]
    strange = sorted(set(found.tracks) - set(names))
    if strange:
        raise DataError(
            f"{', '.join(strange[:3])} ({len(strange)} such) is not a track of this set; "
            f"its tracks are named like {names[0]!r}"
        )
    missing = missing_estimates(found.tracks, names, sources)
    if missing:
        raise DataError(
            f"incomplete: {len(missing)} tracks lack estimates ({'; '.join(missing[:3])}); send all of them"
        )
    for track in tracks:
        for source in sources:
            check_estimate(found.tracks[track.name][source], track.sample_rate, track.channels, track.frames)
    return found
