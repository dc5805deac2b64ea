"""Format of a shard: its version, its table of excerpts, and samples as int16 with a scale for each excerpt."""

import h5py
import numpy as np
from jaxtyping import Float32, Int16

FORMAT = "remix-miner/excerpts"
FORMAT_VERSION = 1
FULL_SCALE = 32767
LEAST_PEAK = FULL_SCALE * float(np.finfo(np.float32).tiny)

PIECE_FRAMES = 1 << 14

EXCERPT_DTYPE = np.dtype(
    [
        ("track", h5py.string_dtype()),
        ("track_sha256", h5py.string_dtype("ascii", 64)),
        ("start_seconds", "<f8"),
        ("start_frame", "<i8"),
        ("frames", "<i8"),
        ("scale", "<f4"),
        ("probability_mean", "<f4"),
        ("probability_min", "<f4"),
    ]
)


def quantise(audio: Float32[np.ndarray, "T C"], peak: float) -> tuple[Int16[np.ndarray, "T C"], np.float32]:
    """Return samples and scale with ``audio`` = samples * scale, rounded. ``peak``: the greatest magnitude in it.

    The scale is the peak's share of full scale, so no rounded value exceeds full scale. The samples are computed in
    blocks that fit in the processor's cache.
    """
    scale = np.float32(max(peak, LEAST_PEAK) / FULL_SCALE)
    samples = np.empty(audio.shape, dtype="<i2")
    for start in range(0, len(audio), PIECE_FRAMES):
        piece = audio[start : start + PIECE_FRAMES] / scale
        samples[start : start + PIECE_FRAMES] = np.rint(piece, out=piece)
    return samples, scale
