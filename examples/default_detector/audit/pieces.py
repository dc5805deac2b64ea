"""Pieces of a mined folder and of labelled songs for an audit: drawn by seconds, read as mono audio at 16 kHz."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from remix_miner.audio import AudioReader, downmix, resample
from remix_miner.datasets.tracks import StemTrack
from remix_miner.detector.spans import silent_spans, spans_of_windows
from remix_miner.detector.windows import SAMPLE_RATE, WINDOW_SECONDS
from remix_miner.errors import AudioError, DataError
from remix_miner.mined.catalogue_db import LIVE
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.probabilities import ProbabilityStore
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB

SURE_PROBABILITY = 0.05
"""The detector is sure that a source sounds where P(silent) is at most this."""

QUIETEST_MIXTURE = 1e-3
"""Least root mean square of a labelled piece, so that it shows music."""

Mono = Float32[np.ndarray, " T"]


@dataclass(frozen=True)
class Stretch:
    """A stretch of a track, in seconds."""

    track: str
    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        return self.end_seconds - self.start_seconds


def harvest(mined: CatalogueView, source: str) -> list[Stretch]:
    """Return the excerpts without ``source`` that no review rejected, by track and start."""
    rows = mined.database.execute(
        "SELECT path, start_seconds, excerpts.seconds FROM excerpts JOIN tracks ON tracks.id = track_id "
        f"WHERE source = ? AND {LIVE} ORDER BY path, start_seconds",
        (source,),
    )
    return [Stretch(track, start, start + seconds) for track, start, seconds in rows]


def at_threshold(
    folder: Path, tracks: Iterable[str], source: str, threshold: float, min_seconds: float
) -> list[Stretch]:
    """Return the spans in which P(silent) is at least ``threshold`` in every window, from the stored probabilities."""
    found = []
    with ProbabilityStore(folder, to_read=True) as store:
        for track in sorted(set(tracks)):
            if (stored := store.stored(track)) is not None:
                row = stored.probabilities[SOURCES.index(source)]
                spans = silent_spans(row, threshold, stored.frames / stored.sample_rate, min_seconds)
                found += [Stretch(track, span.start_seconds, span.end_seconds) for span in spans]
    return found


def sounding(folder: Path, tracks: Iterable[str], source: str, min_seconds: float) -> list[Stretch]:
    """Return the spans in which P(silent) is at most `SURE_PROBABILITY` in every window."""
    found = []
    with ProbabilityStore(folder, to_read=True) as store:
        for track in sorted(set(tracks)):
            if (stored := store.stored(track)) is not None:
                row = stored.probabilities[SOURCES.index(source)]
                seconds = stored.frames / stored.sample_rate
                spans = spans_of_windows(row <= SURE_PROBABILITY, row, seconds, min_seconds)
                found += [Stretch(track, span.start_seconds, span.end_seconds) for span in spans]
    return found


def without(stretches: Sequence[Stretch], others: Sequence[Stretch], min_seconds: float) -> list[Stretch]:
    """Return the parts of ``stretches`` outside ``others`` that last at least ``min_seconds``.

    >>> without([Stretch("a", 0, 30)], [Stretch("a", 10, 20), Stretch("b", 0, 30)], min_seconds=5)
    [Stretch(track='a', start_seconds=0, end_seconds=10), Stretch(track='a', start_seconds=20, end_seconds=30)]
    """
    of_track: dict[str, list[Stretch]] = {}
    for other in others:
        of_track.setdefault(other.track, []).append(other)
    left = []
    for stretch in stretches:
        start = stretch.start_seconds
        for other in sorted(of_track.get(stretch.track, []), key=lambda one: one.start_seconds):
            if other.end_seconds <= start or other.start_seconds >= stretch.end_seconds:
                continue
            left.append(Stretch(stretch.track, start, other.start_seconds))
            start = other.end_seconds
        left.append(Stretch(stretch.track, start, stretch.end_seconds))
    return [part for part in left if part.seconds >= min_seconds]


def common(stretches: Sequence[Stretch], others: Sequence[Stretch], min_seconds: float) -> list[Stretch]:
    """Return the parts of ``stretches`` inside ``others`` that last at least ``min_seconds``."""
    return without(stretches, without(stretches, others, 0.0), min_seconds)


def draw_by_seconds(
    stretches: Sequence[Stretch], count: int, seconds: float, rng: np.random.Generator
) -> list[Stretch]:
    """Return ``count`` pieces around seconds at equal steps along all stretches, from a random start.

    Every second is equally likely. A piece lasts ``seconds``, lies inside its stretch, and is the whole stretch where
    that is shorter. Pieces are spread over the tracks, since stretches come by track.
    """
    if not stretches:
        raise DataError("there is nothing to draw from")
    ends = np.cumsum([stretch.seconds for stretch in stretches])
    places = (np.arange(count) + rng.uniform()) * ends[-1] / count
    pieces = []
    for place in places:
        index = min(int(np.searchsorted(ends, place, side="right")), len(stretches) - 1)
        stretch = stretches[index]
        at = stretch.end_seconds - (ends[index] - place)
        latest = max(stretch.end_seconds - seconds, stretch.start_seconds)
        start = min(max(at - seconds / 2, stretch.start_seconds), latest)
        pieces.append(Stretch(stretch.track, float(start), float(min(start + seconds, stretch.end_seconds))))
    return pieces


def read_piece(path: Path, piece: Stretch) -> Mono:
    """Return the mean of the channels at 16 kHz."""
    with AudioReader(path) as reader:
        rate = reader.sample_rate
        frames = math.floor(piece.seconds * rate)
        block = next(iter(reader.blocks(frames, math.ceil(piece.start_seconds * rate))), None)
        if block is None:
            raise AudioError(f"{path} ends before {piece.start_seconds:.1f} s; scan the library again")
        return resample(downmix(block.T.copy())[None], rate, SAMPLE_RATE)[0]


@dataclass(frozen=True)
class LabelledPiece:
    """A piece of a labelled song with the source left out, or mixed in at ``volume_db`` relative to the mixture."""

    stretch: Stretch
    audio: Mono
    volume_db: float


def labelled_pieces(
    songs: Sequence[StemTrack], source: str, volumes_db: Sequence[float], seconds: float, rng: np.random.Generator
) -> Iterator[LabelledPiece]:
    """Yield one piece for each of ``volumes_db`` (-inf: without the source), from songs in random order.

    A piece with the source comes from a place where the source sounds in most windows; its stem is then scaled.
    """
    order = itertools.cycle(rng.permutation(len(songs)))
    for volume in volumes_db:
        for attempt in itertools.count():
            if attempt == 100 * len(songs):
                raise DataError(f"no song has {seconds:g} s in which {source} can be {volume:.1f} dB loud")
            song = songs[next(order)]
            frames = int(seconds * song.sample_rate)
            if song.frames < frames:
                continue
            start = int(rng.integers(song.frames - frames + 1))
            stems = {name: _mono(song, name, start, frames) for name in song.sources}
            rest = sum((stem for name, stem in stems.items() if name != source), start=np.zeros_like(stems[source]))
            if math.sqrt(float(np.mean(rest**2))) < QUIETEST_MIXTURE:
                continue
            if volume == -math.inf:
                audio = rest
            elif _mostly_sounds(stems[source], rest):
                audio = rest + gain_at(stems[source], rest, volume) * stems[source]
            else:
                continue
            at = start / song.sample_rate
            yield LabelledPiece(Stretch(song.name, at, at + seconds), audio, volume)
            break


def gain_at(stem: Mono, rest: Mono, volume_db: float) -> np.float32:
    """Return the gain g >= 0 at which g ``stem`` has ``volume_db`` (below 0) relative to ``rest`` + g ``stem``.

    >>> quiet = gain_at(np.array([1, 0], np.float32), np.array([0, 3], np.float32), -10.0)
    >>> round(float(quiet), 6)  # 10 log10(1 / (1 + 9)) = -10 dB
    1.0
    """
    share = 10 ** (volume_db / 10)
    stem, rest = stem.astype(np.float64), rest.astype(np.float64)
    own, both, other = stem @ stem, stem @ rest, rest @ rest
    # g^2 own = share (g^2 own + 2 g both + other)
    root = math.sqrt((share * both) ** 2 + own * (1 - share) * share * other)
    return np.float32((share * both + root) / (own * (1 - share)))


def _mostly_sounds(stem: Mono, rest: Mono) -> bool:
    """Return whether the source is above the definition of silence in most windows as the song has it."""
    window = int(WINDOW_SECONDS * SAMPLE_RATE)
    count = len(stem) // window
    own, mixture = (np.square(one[: count * window].reshape(count, window)).sum(1) for one in (stem, stem + rest))
    return bool(np.mean(own > mixture * 10 ** (SILENT_MINING_DB / 10)) > 0.5)


def _mono(song: StemTrack, source: str, start: int, frames: int) -> Mono:
    return resample(downmix(song.read_source(source, start, frames))[None], song.sample_rate, SAMPLE_RATE)[0]


def seconds_of(groups: Mapping[str, Sequence[Stretch]]) -> dict[str, dict[str, float]]:
    """Return the seconds, stretches and tracks of each group."""
    return {
        name: {
            "seconds": round(sum(stretch.seconds for stretch in of), 2),
            "stretches": len(of),
            "tracks": len({stretch.track for stretch in of}),
        }
        for name, of in groups.items()
    }
