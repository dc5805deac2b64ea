"""The silent-source detector as a function of a song."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32

from remix_miner.api.songs import Song, song_audio, song_name
from remix_miner.audio import downmix, resample
from remix_miner.calibration.labelled_songs import sounding_windows
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.loading import load_detector
from remix_miner.detector.spans import Span, silent_spans
from remix_miner.detector.stream import track_probabilities
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE
from remix_miner.errors import UsageError
from remix_miner.figures.predicted_song import PredictedSong
from remix_miner.figures.song import song_figure
from remix_miner.figures.style import Picture
from remix_miner.sources import SOURCES


class Detector:
    """A detector that is called with a song.

    ``name_or_path``: ``default``, a run folder of ``train-detector``, or a weights file. ``calibration``: a file of
    ``calibrate``; without it, the one beside the detector. ``thresholds`` maps each source to its threshold, None for a
    source that the calibration refuses. Raises `DataError` when there is no such detector or the calibration belongs
    to another one.

    >>> from remix_miner import Detector
    >>> Detector("default")
    Detector('default', mines drums, bass, vocals)
    """

    def __init__(
        self,
        name_or_path: str | Path = "default",
        calibration: str | Path | Calibration | None = None,
        device: str = "cpu",
    ) -> None:
        loaded = load_detector(name_or_path, device=device)
        if calibration is None:
            calibration = loaded.calibration
        elif not isinstance(calibration, Calibration):
            calibration = Calibration.load(calibration)
        if calibration is not None:
            calibration.check_detector(loaded.sha256)
        self.path = str(name_or_path)
        self.name = loaded.name
        self.model = loaded.model
        self.calibration = calibration
        self.thresholds: dict[str, float | None] = dict.fromkeys(SOURCES)
        if calibration is not None:
            self.thresholds |= {source: calibration.threshold(source) for source in calibration.sources}

    def __call__(self, song: Song, sample_rate: int | None = None, min_seconds: float = 5.0) -> "SongSilence":
        """Return the probabilities of silence of a song and the spans that a scan would harvest.

        ``song``: a path, or samples (T,) or (C, T) with their ``sample_rate``. ``min_seconds``: the shortest span.
        """
        audio, rate = song_audio(song, sample_rate)
        mono = resample(downmix(audio)[None], rate, SAMPLE_RATE)[0]
        if len(mono) < 2:
            raise UsageError(f"{song_name(song)} holds no audio")
        valid = sounding_windows(torch.from_numpy(mono))
        return SongSilence(
            song_name(song), mono, track_probabilities(self.model, mono), valid, dict(self.thresholds), min_seconds
        )

    def __repr__(self) -> str:
        mined = ", ".join(source for source, threshold in self.thresholds.items() if threshold is not None)
        return f"Detector({self.name!r}, {f'mines {mined}' if mined else 'without thresholds'})"


@dataclass(frozen=True, repr=False)
class SongSilence:
    """What a detector finds in a song.

    ``probabilities`` (S, W): the probability that a source (drums, bass, other, vocals) is silent in a window.
    ``valid`` (W,): False where the mixture is digital silence. ``mono``: the mixture at 16 kHz. ``thresholds``: None
    for a source that is not mined. ``min_seconds``: the shortest span.
    """

    name: str
    mono: Float32[np.ndarray, " T"]
    probabilities: Float32[np.ndarray, "S W"]
    valid: Bool[np.ndarray, " W"]
    thresholds: dict[str, float | None]
    min_seconds: float

    @property
    def seconds(self) -> float:
        """Length of the song."""
        return len(self.mono) / SAMPLE_RATE

    @property
    def times(self) -> np.ndarray:
        """The centre of each window in seconds, (W,)."""
        centres: np.ndarray = np.arange(self.probabilities.shape[1]) * HOP_SECONDS
        return centres

    @property
    def spans(self) -> dict[str, list[Span]]:
        """The spans that a scan would harvest, of each source that has a threshold."""
        return {
            source: silent_spans(
                self.probabilities[index], threshold, self.seconds, self.min_seconds, np.asarray(self.valid)
            )
            for index, source in enumerate(SOURCES)
            if (threshold := self.thresholds[source]) is not None
        }

    def probability(self, source: str) -> Float32[np.ndarray, " W"]:
        """Return the probabilities of one source."""
        if source not in SOURCES:
            raise UsageError(f"unknown source {source!r}; choose among {', '.join(SOURCES)}")
        row: np.ndarray = self.probabilities[SOURCES.index(source)]
        return row

    def plot(self) -> Picture:
        """Draw spectrogram, probabilities, thresholds and spans. A notebook shows the picture; ``save`` writes it."""
        song = PredictedSong(self.name, self.mono, self.probabilities, None, self.valid)
        return Picture(song_figure(song, self.thresholds, min_seconds=self.min_seconds))

    def __repr__(self) -> str:
        found = {source: sum(span.seconds for span in spans) for source, spans in self.spans.items()}
        harvest: Any = ", ".join(f"{seconds:.1f} s without {source}" for source, seconds in found.items() if seconds)
        return f"SongSilence({self.name!r}, {self.seconds:.1f} s: {harvest or 'nothing to harvest'})"
