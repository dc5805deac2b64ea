"""Content of the picture of a song: probabilities, spans, and true volumes where its stems are available."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from remix_miner.calibration.songs.labelled import Windows, mono_stems, true_volumes
from remix_miner.datasets.tracks import PairTrack, StemTrack
from remix_miner.detector.spans import Span
from remix_miner.detector.windows import SAMPLE_RATE


@dataclass(frozen=True)
class PredictedSong:
    """A song with the detector's probabilities.

    ``mono``: the mixture at 16 kHz. ``probabilities`` and ``volumes`` in dB: (S, W); volumes are nan where unknown, and
    None without stems. ``thresholds``: None for a source that is not mined. ``spans``: of each source with a threshold.
    """

    name: str
    mono: Float32[np.ndarray, " T"]
    probabilities: Windows
    thresholds: Mapping[str, float | None]
    spans: Mapping[str, Sequence[Span]]
    volumes: Windows | None = None

    @property
    def seconds(self) -> float:
        return len(self.mono) / SAMPLE_RATE


def song_volumes(track: StemTrack | PairTrack, windows: int) -> Windows:
    """Return the true volumes (S, W) in dB of the first ``windows`` windows; nan behind the stems' end."""
    known = true_volumes(track, mono_stems(track))[:, :windows]
    volumes = np.full((len(known), windows), np.nan, dtype=np.float32)
    volumes[:, : known.shape[1]] = known
    return volumes
