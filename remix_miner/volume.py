"""Relative volume V_i of a source in a mixture, the definition of 'silent'; level of a part while it plays."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

SILENT_TRAINING_DB = -13.0
"""A source at or below this relative volume is labelled silent in training (Défossez et al. 2019, section 4.1)."""

SILENT_MINING_DB = -20.0
"""Mined excerpts are promised to hold their source at or below this relative volume (section 4.2)."""


def relative_volume_db(stems: Float[Tensor, "*B S C T"], window: int, hop: int) -> Float[Tensor, "*B S W"]:
    """Return the level of each source relative to the mixture, in dB, per window.

    The mixture is the sum of the stems over the source axis; windows start at 0, ``hop``, 2 ``hop``, ... and lie
    wholly inside the signal, so W = (T - window) // hop + 1. A silent source gives -inf; a silent mixture gives nan,
    since no level is defined. Défossez et al. 2019, section 4.1:
    V_i(s) = 10 log10(||s_i||^2 / ||s||^2).

    >>> stems = torch.ones(2, 1, 8, dtype=torch.float64)
    >>> relative_volume_db(stems, window=8, hop=8).round(decimals=2).tolist()
    [[-6.02], [-6.02]]
    """
    if stems.shape[-1] < window:
        raise ValueError(f"{stems.shape[-1]} frames are fewer than one window of {window}")
    energies = window_energies(stems, window, hop).sum(dim=-2)
    mixture = window_energies(stems.sum(dim=-3), window, hop).sum(dim=-2)
    return energy_ratio_db(energies, mixture[..., None, :])


def energy_ratio_db(energy: Tensor, mixture_energy: Tensor) -> Tensor:
    """Return 10 log10(energy / mixture_energy), with -inf for a silent source and nan for a silent mixture."""
    ratio = energy / mixture_energy
    return torch.where(mixture_energy > 0, 10 * torch.log10(ratio), torch.full_like(ratio, torch.nan))


def window_energies(signal: Float[Tensor, "*B T"], window: int, hop: int) -> Float[Tensor, "*B W"]:
    """Return the sum of squares over windows of ``window`` frames every ``hop`` frames, in float64 and without drift.

    >>> window_energies(torch.tensor([1.0, 2.0, 3.0, 4.0]), window=2, hop=2).tolist()
    [5.0, 25.0]
    """
    squares = signal.double().square()
    lead = squares.shape[:-1]
    step = math.gcd(window, hop)
    blocks = squares.shape[-1] // step
    sums = squares[..., : blocks * step].reshape(-1, 1, blocks, step).sum(dim=-1)
    kernel = sums.new_ones(1, 1, window // step)
    return F.conv1d(sums, kernel, stride=hop // step).reshape(*lead, -1)


def active_rms(signal: Float[np.ndarray, " T"], block: int) -> float:
    """Return the root mean square over the blocks within 30 dB of the loudest: a part's level while it plays.

    Blocks have ``block`` samples; a rest shorter than one at the end is left out. 0 where all is silent.

    >>> active_rms(np.array([0.5, 0.5, 0.0, 0.0, 0.01, 0.01]), block=2)
    0.5
    """
    blocks = signal[: len(signal) // block * block].reshape(-1, block)
    energies = np.einsum("bt,bt->b", blocks, blocks) / block
    loudest = energies.max(initial=0.0)
    return float(np.sqrt(energies[energies >= loudest * 1e-3].mean())) if loudest > 0 else 0.0
