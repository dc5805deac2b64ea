"""Window grid of the detector: 0.64 s long, every 64 ms, window w centred at sample 1024 w of mono audio at 16 kHz.

Scattering gives one coefficient per 256 samples; two pools of stride 2 leave one output per 1024 samples, each with a
receptive field of 37 coefficients: the 0.64 s window and 64 ms stride of Défossez et al. 2019, section 4.1.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from remix_miner.volume import energy_ratio_db, window_energies

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


def centred_energies(signal: Float[Tensor, "*B T"]) -> Float[Tensor, "*B W"]:
    """Return the energy of the 0.64 s window around each output of the networks; zeros beyond the ends."""
    frames = signal.shape[-1]
    half = WINDOW_FRAMES // 2
    right = (window_count(frames) - 1) * HOP_FRAMES + half - frames
    return window_energies(F.pad(signal, (half, max(right, 0))), WINDOW_FRAMES, HOP_FRAMES)[..., : window_count(frames)]


def window_volumes_db(stems: Float[Tensor, "*B S T"]) -> Float[Tensor, "*B S W"]:
    """Return the relative volume V_i of each source per window, aligned with the networks' outputs.

    ``stems`` are mono at 16 kHz and their sum is the mixture. The volume is -inf where a source is digital
    silence and nan where the mixture is, which leaves the window without a label. Défossez et al. 2019, section 4.1.

    >>> window_volumes_db(torch.ones(2, 2048)).shape
    torch.Size([2, 2])
    """
    return energy_ratio_db(centred_energies(stems), centred_energies(stems.sum(dim=-2))[..., None, :])


def silent_mixture_windows(mixture: Float[Tensor, "*B T"]) -> torch.Tensor:
    """Return True for windows in which the mixture is digital silence."""
    return centred_energies(mixture) == 0
