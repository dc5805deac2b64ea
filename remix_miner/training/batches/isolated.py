"""Levels of isolated files: each is brought to the level that its source has in the songs.

Loops and sample packs are often normalised, and stems of songs are not. With isolated drums 7 dB louder than those of
the songs, a model was 2 dB worse than without them, see docs/guide/does_it_help.md.
"""

import math
from statistics import median

import numpy as np

from remix_miner.audio import Audio
from remix_miner.datasets.segments import SegmentReader
from remix_miner.progress import track as progress
from remix_miner.volume import active_rms

WINDOW_SECONDS = 0.5
PIECE_SECONDS = 4.0
PIECES = 16
"""At most so many pieces of a file are read, evenly spread over it."""

LARGEST_GAIN_DB = 24.0


def active_level_db(audio: Audio, sample_rate: int) -> float:
    """Return the level in dB re full scale while ``audio`` (..., T) plays, in windows of half a second.

    See `active_rms`; -inf where all is silent. Audio shorter than a window is one window.

    >>> active_level_db(np.concatenate([np.full(400, 0.1), np.zeros(4000)])[None].astype(np.float32), 100)
    -20.0
    """
    window = max(min(round(WINDOW_SECONDS * sample_rate), audio.shape[-1]), 1)
    count = audio.shape[-1] // window
    windows = audio[..., : count * window].astype(np.float64).reshape(-1, count, window).swapaxes(0, 1)
    level = active_rms(windows.ravel(), windows.shape[1] * window)
    return round(20 * math.log10(level), 4) if level > 0 else -math.inf


def isolated_gains(reader: SegmentReader) -> dict[int, float]:
    """Return the factor of each isolated file of ``reader``, by its number among the tracks.

    It gives the file the median level that its source has in the songs, as far as `LARGEST_GAIN_DB` allows. A file that
    is silent, or whose source no song has, keeps its level: it is left out.
    """
    files = {number: track.isolated for number, track in enumerate(reader.tracks) if track.isolated is not None}
    sources = set(files.values())
    needed = [
        (number, source)
        for number, track in enumerate(reader.tracks)
        for source in sorted(sources)
        if track.isolated in (None, source)
    ]
    levels = {place: _level_db(reader, *place) for place in progress(needed, "levels of stems")} if files else {}
    gains = {}
    for number, source in files.items():
        in_songs = [level for (song, of), level in levels.items() if of == source and song not in files]
        sounding = [level for level in in_songs if math.isfinite(level)]
        if sounding and math.isfinite(own := levels[number, source]):
            change = median(sounding) - own
            gains[number] = 10 ** (min(max(change, -LARGEST_GAIN_DB), LARGEST_GAIN_DB) / 20)
    return gains


def _level_db(reader: SegmentReader, number: int, source: str) -> float:
    frames = min(round(PIECE_SECONDS * reader.sample_rate), reader.frames[number])
    count = min(PIECES, max(reader.frames[number] // max(frames, 1), 1))
    starts = np.linspace(0, reader.frames[number] - frames, count).astype(int)
    pieces = [reader.read(number, source, int(start), frames) for start in starts]
    return active_level_db(np.concatenate(pieces, axis=-1), reader.sample_rate)
