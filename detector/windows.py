"""Window grid of the detector: 0.64 s long, every 64 ms, window w centred at sample 1024 w of mono audio at 16 kHz.

Scattering gives one coefficient per 256 samples; two pools of stride 2 leave one output per 1024 samples, each with a
receptive field of 37 coefficients: the 0.64 s window and 64 ms stride of Défossez et al. 2019, section 4.1.
"""

import math

SAMPLE_RATE = 16_000
SCATTERING_HOP_FRAMES = 256
WINDOW_FRAMES = 10_240
HOP_FRAMES = 1_024
WINDOW_SECONDS = WINDOW_FRAMES / SAMPLE_RATE
HOP_SECONDS = HOP_FRAMES / SAMPLE_RATE


def window_count(frames: int) -> int:
    """Return the number of windows for ``frames`` samples at 16 kHz: one for every 1024, rounded up.

    >>> window_count(80_000)
    79
    """
    coefficients = math.ceil(frames / SCATTERING_HOP_FRAMES)
    return math.ceil(math.ceil(coefficients / 2) / 2)
