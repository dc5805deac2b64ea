"""The silent-source detector as a function of a song."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from remix_miner.api.songs import Song, open_song, song_name
from remix_miner.audio import StreamResampler, downmix
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.loading import load_detector
from remix_miner.detector.spans import Span
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE
from remix_miner.errors import UsageError
from remix_miner.figures.predicted_song import PredictedSong
from remix_miner.figures.song import song_figure
from remix_miner.figures.style import Picture
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.thresholds import Thresholds, fusion_for, joint_thresholds
from remix_miner.mining.track.cut import spans_to_mine
from remix_miner.mining.track.held_audio import HeldAudio
from remix_miner.mining.track.scan import scan_opened
from remix_miner.sources import SOURCES

HELD_BYTES = 256 << 20
"""Decoded audio that is kept while a file is scanned; a longer file is decoded again."""


class Detector:
    """A detector that is called with a song.

    ``name_or_path``: ``default``, a run folder of ``train-detector``, or a weights file. ``calibration``: a file of
    ``calibrate``; without it, the one beside the detector. ``thresholds`` maps each source to its threshold, None for a
    source that the calibration refuses; they can be changed. Where the calibration has joint probabilities with a
    second network, they are used as in a scan; ``loss`` states the recall that is lost where that network is not
    installed, else it is None.
    Raises `DataError` when there is no such detector or the calibration belongs to another one.

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
        self._chosen: Thresholds | None = None if calibration is None else joint_thresholds(calibration, SOURCES)
        of_sources = {} if self._chosen is None else self._chosen.of_sources
        self.thresholds: dict[str, float | None] = {source: of_sources.get(source) for source in SOURCES}

    @property
    def loss(self) -> str | None:
        """The recall that is lost because the second network is not installed; None where nothing is lost."""
        return None if self._chosen is None else self._chosen.loss

    def __call__(self, song: Song, sample_rate: int | None = None, min_seconds: float = 5.0) -> "SongSilence":
        """Return the probabilities of silence of a song and the spans that a scan with these settings finds.

        ``song``: a path, or samples (T,) or (C, T) with their ``sample_rate``. ``min_seconds``: the shortest span, 1 to
        60. A damaged file is processed as far as it decodes; ``remarks`` of the result state the damage. Raises
        `AudioError` for a file of which nothing can be decoded, `UsageError` for samples that are no audio.
        """
        mined = {source: threshold for source, threshold in self.thresholds.items() if threshold is not None}
        settings = self._settings(mined, min_seconds)
        with open_song(song, sample_rate) as reader:
            held = HeldAudio(reader.path, reader.channels, reader.channels, HELD_BYTES)
            scanned = scan_opened(reader, held, self.model, settings)
        rate, remarks = scanned.sample_rate, [text for text in (self.loss, scanned.note) if text is not None]
        spans = spans_to_mine(scanned.probabilities, scanned.valid, scanned.frames, rate, settings) if mined else {}
        return SongSilence(
            name=song_name(song),
            seconds=scanned.seconds,
            mono=_mono(held, rate),
            probabilities=scanned.probabilities,
            valid=scanned.valid,
            thresholds=dict(self.thresholds),
            spans=spans,
            remarks=remarks,
        )

    def _settings(self, mined: Mapping[str, float], min_seconds: float) -> ScanSettings:
        if self._chosen is None or not mined:
            return ScanSettings(mined or dict.fromkeys(SOURCES, 1.0), float(min_seconds))
        fusion = fusion_for(replace(self._chosen, of_sources=dict(mined)), min_seconds)
        return ScanSettings(mined, float(min_seconds), fusion=fusion)

    def __repr__(self) -> str:
        mined = ", ".join(source for source, threshold in self.thresholds.items() if threshold is not None)
        return f"Detector({self.name!r}, {f'mines {mined}' if mined else 'without thresholds'})"


@dataclass(frozen=True, repr=False)
class SongSilence:
    """Result of a detector for a song.

    ``probabilities`` (S, W): the probability that a source (drums, bass, other, vocals) is silent in a window.
    ``valid`` (W,): False where the mixture is digital silence. ``mono``: the mixture at 16 kHz. ``thresholds``: None
    for a source that is not mined. ``spans``: the spans of each source with a threshold. ``remarks``: the reasons why
    more or other spans may exist: a second network that is not installed, damage of the file.
    """

    name: str
    seconds: float
    mono: Float32[np.ndarray, " T"]
    probabilities: Float32[np.ndarray, "S W"]
    valid: Bool[np.ndarray, " W"]
    thresholds: Mapping[str, float | None]
    spans: Mapping[str, Sequence[Span]]
    remarks: Sequence[str] = ()

    @property
    def times(self) -> np.ndarray:
        """The centre of each window in seconds, (W,)."""
        centres: np.ndarray = np.arange(self.probabilities.shape[1]) * HOP_SECONDS
        return centres

    def probability(self, source: str) -> Float32[np.ndarray, " W"]:
        """Return the probabilities of one source."""
        if source not in SOURCES:
            raise UsageError(f"unknown source {source!r}; choose among {', '.join(SOURCES)}")
        row: np.ndarray = self.probabilities[SOURCES.index(source)]
        return row

    def plot(self, volumes: Float32[np.ndarray, "S W"] | None = None) -> Picture:
        """Draw spectrogram, probabilities, thresholds and spans. A notebook shows the picture; ``save`` writes it.

        ``volumes``: true relative volumes in dB to draw as well; nan where unknown.
        """
        return Picture(
            song_figure(PredictedSong(self.name, self.mono, self.probabilities, self.thresholds, self.spans, volumes))
        )

    def __repr__(self) -> str:
        found = {source: sum(span.seconds for span in spans) for source, spans in self.spans.items()}
        harvest: Any = ", ".join(f"{seconds:.1f} s without {source}" for source, seconds in found.items() if seconds)
        remarks = f"; {len(self.remarks)} remark{'s' * (len(self.remarks) != 1)}" if self.remarks else ""
        return f"SongSilence({self.name!r}, {self.seconds:.1f} s: {harvest or 'nothing to harvest'}{remarks})"


def _mono(held: HeldAudio, sample_rate: int) -> Float32[np.ndarray, " T"]:
    """Return the mean of the channels at 16 kHz, which is the detector's input."""
    to_detector = StreamResampler(sample_rate, SAMPLE_RATE, 1)
    pieces = [to_detector(downmix(block.T)[:, None])[:, 0].copy() for block in held.original_blocks()]
    return np.concatenate([*pieces, to_detector(np.zeros((0, 1), dtype=np.float32), last=True)[:, 0]])
