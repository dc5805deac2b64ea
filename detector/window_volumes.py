"""Energies and relative volumes in the windows of the detector."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from remix_miner.detector.windows import HOP_FRAMES, WINDOW_FRAMES, window_count
from remix_miner.volume import energy_ratio_db, window_energies


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
