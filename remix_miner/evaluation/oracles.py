"""Oracles for `evaluate`, in place of a model: the mixture as every estimate, and the ideal ratio mask."""

import numpy as np
import torch
from jaxtyping import Float32

Stems = Float32[np.ndarray, "S C T"]

MASK_WINDOW = 2048
MASK_HOP = 1024


def mixture_as_estimate(stems: Stems, mixture: Float32[np.ndarray, "C T"]) -> Stems:
    """Return the mixture as the estimate of every source: a lower bound for separators."""
    return np.broadcast_to(mixture, stems.shape).copy()


def ideal_ratio_mask(stems: Stems, mixture: Float32[np.ndarray, "C T"]) -> Stems:
    """Return the mixture masked by each source's share of magnitude, |S_i| / sum_j |S_j|, from the true stems.

    Short-time Fourier transform with Hann windows of 2048 samples every 1024, per channel; 'IRM1' of the SiSEC 2018
    campaign (Stöter et al. 2018, section 4.2).
    """
    window = torch.hann_window(MASK_WINDOW)
    frames = mixture.shape[-1]

    def transform(signal: np.ndarray) -> torch.Tensor:
        return torch.stft(
            torch.from_numpy(np.ascontiguousarray(signal)),
            MASK_WINDOW,
            MASK_HOP,
            window=window,
            return_complex=True,
            pad_mode="constant",
        )

    estimates = np.empty_like(stems)
    for channel in range(len(mixture)):
        mixed = transform(mixture[channel])
        magnitudes = transform(stems[:, channel]).abs()
        masked = mixed * magnitudes / magnitudes.sum(dim=0).clamp_min(1e-12)
        estimates[:, channel] = torch.istft(masked, MASK_WINDOW, MASK_HOP, window=window, length=frames).numpy()
    return estimates


ORACLES = {"mixture": mixture_as_estimate, "irm": ideal_ratio_mask}
