"""Array types of audio: float32, full scale 1."""

import numpy as np
from jaxtyping import Float32

Audio = Float32[np.ndarray, "C T"]
"""A signal, (channels, frames)."""

Block = Float32[np.ndarray, "T C"]
"""A part of a file, (frames, channels), as decoders and HDF5 have it."""
