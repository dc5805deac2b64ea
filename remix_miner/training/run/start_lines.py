"""Lines that a run shows before its first step: songs, how they are split, minutes of excerpts."""

import math
from collections.abc import Iterable, Sequence
from statistics import median

from remix_miner.datasets.tracks import StemTrack
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.sources import SOURCES
from remix_miner.training.batches.rests import source_shares
from remix_miner.training.run.data import TrainingData
from remix_miner.training.settings import TrainingSettings

NAMES_SHOWN = 8

MAY_HARM = ("drums",)
"""Targets for which mined music lowered the score of most test songs: docs/guide/does_it_help.md."""

HARM = (
    "WARNING: for {target}, mined music lowered the score of most test songs in the measurement so far (see the page "
    "'Does it help?'); train once without --mined as well and keep the better model"
)

VARIETY_GAINS = ("vocals", "bass")
"""Targets that random pitch and tempo made better, with one labelled song: the same page."""

ENOUGH_SONGS = 4
"""Labelled songs with which neither mined music nor varied pitch and tempo gained, for vocals: the same page."""

VARY = (
    "with one labelled song, random pitch and tempo made {target} better in the measurement so far (see the page "
    "'Does it help?'): --config few_songs"
)

NOT_SHOWN = (
    "with four labelled songs or more, no gain of mined music for vocals has been measured (see the page "
    "'Does it help?'); compare with a run without --mined"
)

ISOLATED_GAINS = ("vocals", "drums")
"""Targets for which mined music gained beside isolated recordings, drums with one of two models: the same page."""

ADD_ISOLATED = (
    "mined music gained most beside isolated recordings of {target} (see the page 'Does it help?'): name a folder of "
    "them, DIR/{target}/*.wav, as another --stems"
)

NO_EXCERPTS = (
    "no remix steps: they need excerpts, see --mined. The settings ask for one after {probability:.0%} of the steps; "
    "--set remix.probability=0 trains on the stems alone, without this line"
)


def start_lines(data: TrainingData, settings: TrainingSettings) -> list[str]:
    """Return the lines that a run shows before its first step: songs, how they are split, minutes of excerpts."""
    songs = [track for track in data.reader.tracks if track.isolated is None]
    lines = [f"training on {len(songs)} songs ({_hours(songs):.2f} h){_isolated_files(data.reader.tracks)}"]
    lines += _gains_line(data.reader.gains.values())
    if data.left_out:
        lines[0] += f"; {data.left_out} songs of --stems are in --valid and not trained on"
    if data.valid:
        names = _shorten([track.name for track in data.valid])
        lines.append(f"validating on {len(data.valid)} songs, {data.valid_from}: {names}")
    if data.excerpts is not None:
        lines += _mined_lines(data.excerpts, settings)
    elif settings.remix.probability and settings.target is None:
        lines.append(NO_EXCERPTS.format(probability=settings.remix.probability))
    if settings.target is not None and len(songs) == len(data.reader):  # the advice is for songs alone
        mined, varied = data.excerpts is not None, settings.mixing.pitch_tempo.active
        lines += _advice(settings.target, len(songs), mined, varied)
    return lines


def _advice(target: str, songs: int, mined: bool, varied: bool) -> list[str]:
    """Return what the measurements let expect of a model of ``target`` with so many labelled songs."""
    if songs >= ENOUGH_SONGS:
        return [NOT_SHOWN] if mined and target == "vocals" else []
    vary = [VARY.format(target=target)] if target in VARIETY_GAINS and not varied else []
    return vary + [ADD_ISOLATED.format(target=target)] * (mined and target in ISOLATED_GAINS)


def _hours(tracks: Sequence[StemTrack]) -> float:
    return sum(track.seconds for track in tracks) / 3600


def _isolated_files(tracks: Sequence[StemTrack]) -> str:
    """Return the count and hours of isolated files per source, to be put behind the songs; '' without any."""
    found = {source: [track for track in tracks if track.isolated == source] for source in SOURCES}
    counts = [f"{source} {len(files)} ({_hours(files):.2f} h)" for source, files in found.items() if files]
    return f" and isolated files: {', '.join(counts)}" if counts else ""


def _gains_line(gains: Iterable[float]) -> list[str]:
    """Return the line on the gains of isolated files; none where nothing is changed."""
    decibels = sorted(20 * math.log10(gain) for gain in gains)
    if not decibels:
        return []
    low, middle, high = decibels[0], median(decibels), decibels[-1]
    return [
        f"isolated files get the level of their source in the songs: {middle:+.1f} dB in the median, from {low:+.1f} "
        f"to {high:+.1f} dB"
    ]


def _shorten(names: Sequence[str]) -> str:
    rest = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + rest


def _mined_lines(excerpts: MinedExcerpts, settings: TrainingSettings) -> list[str]:
    minutes = {source: excerpts.seconds_of(source) / 60 for source in excerpts.sources}
    found = ", ".join(f"{source} {got:.1f} min" for source, got in minutes.items())
    lines = [f"{len(excerpts)} mined excerpts without: {found}"]
    lines += _weighted_lines(excerpts, settings)
    if settings.target is not None:  # the share of examples follows from the seconds
        return lines + [HARM.format(target=settings.target)] * (settings.target in MAY_HARM)
    shares = source_shares(excerpts, settings.excerpts.enough_minutes)
    few = [f"{source} {share:.1%}" for source, share in shares.items() if share < 1]
    if few:
        lines.append(
            f"WARNING: remix steps on less than {settings.excerpts.enough_minutes:g} min of excerpts over-fit them. "
            f"Share of the remix steps kept: {', '.join(few)}. Mine more, or keep all with "
            "--set excerpts.enough_minutes=0"
        )
    return lines


def _weighted_lines(excerpts: MinedExcerpts, settings: TrainingSettings) -> list[str]:
    by, weight = settings.excerpts.draw_by, settings.excerpts.probability_weight
    if not weight:
        return []
    means = [
        f"{source} {excerpts.mean_probability(source, by):.3f} -> {excerpts.mean_probability(source, by, weight):.3f}"
        for source in excerpts.sources
    ]
    return [f"excerpts are drawn by probability^{weight:g}; its mean over draws: {', '.join(means)}"]
