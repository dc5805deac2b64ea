"""Band-limited resampling of whole signals and of streams (soxr HQ)."""

import math

import numpy as np
import soxr

from remix_miner.audio.arrays import Audio, Block


def resample(audio: Audio, sample_rate: int, target_rate: int) -> Audio:
    """Band-limited resampling (soxr HQ); the result has ceil(frames * target / rate) frames."""
    if sample_rate == target_rate:
        return audio
    frames = math.ceil(audio.shape[-1] * target_rate / sample_rate)
    resampled = soxr.resample(np.ascontiguousarray(audio.T), sample_rate, target_rate, quality="HQ").T
    fitted = np.zeros((audio.shape[0], frames), dtype=np.float32)
    kept = min(frames, resampled.shape[-1])
    fitted[:, :kept] = resampled[:, :kept]
    return fitted


class StreamResampler:
    """Resample a signal that arrives in blocks (frames, channels); the result does not depend on the blocks."""

    def __init__(self, sample_rate: int, target_rate: int, channels: int) -> None:
        self._stream = (
            None
            if sample_rate == target_rate
            else soxr.ResampleStream(sample_rate, target_rate, channels, dtype="float32", quality="HQ")
        )

    def __call__(self, block: Block, last: bool = False) -> Block:
        """Return the frames that are complete; with ``last`` also the rest. Call once with ``last`` at the end."""
        if self._stream is None:
            return block
        resampled: Block = self._stream.resample_chunk(np.ascontiguousarray(block), last=last)
        return resampled
