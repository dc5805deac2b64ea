"""Losses of estimates against targets (B, S, C, T): one number per item and source, then a mean, whole or truncated.

All raise an error for shapes that differ, since broadcasting would hide the mistake.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from remix_miner.errors import UsageError

Signals = Float[Tensor, "B S C T"]
Losses = Float[Tensor, "B S"]

SPECTRAL_SIZES = (512, 1024, 2048)


def l1(estimates: Signals, target: Signals) -> Losses:
    """Mean absolute error: the paper's choice (Défossez et al. 2019, section 5.2)."""
    return (_same_shape(estimates, target) - target).abs().mean(dim=(-2, -1))


def mse(estimates: Signals, target: Signals) -> Losses:
    """Mean squared error (Table 2 of the paper; every public branch of KUIELab-MDX-Net)."""
    return (_same_shape(estimates, target) - target).square().mean(dim=(-2, -1))


def spectral_l1(estimates: Signals, target: Signals) -> Losses:
    """`l1` plus the mean absolute difference of magnitude spectrograms at three resolutions (Hann, 75% overlap).

    The 2019 paper tried a spectral term and lost SDR by it (section 5.2). Magnitudes are those of `torch.stft` divided
    by sqrt(size), so that the terms have comparable levels.
    """
    total = l1(estimates, target)
    for size in SPECTRAL_SIZES:
        window = torch.hann_window(size, device=target.device)
        spectra = [_magnitude(signals, size, window) for signals in (estimates, target)]
        total = total + (spectra[0] - spectra[1]).abs().mean(dim=(-3, -2, -1)) / len(SPECTRAL_SIZES)
    return total


def log_sdr(estimates: Signals, target: Signals, floor: float = 1e-7) -> Losses:
    """10 log10 of the error's energy relative to the target's: minus the SDR, in dB.

    ``floor`` (mean square) is added to both, so a silent target gives a finite loss, which falls until the estimate is
    some -70 dB quiet.
    """
    error = (_same_shape(estimates, target) - target).square().mean(dim=(-2, -1))
    return 10 * torch.log10((error + floor) / (target.square().mean(dim=(-2, -1)) + floor))


LOSSES: dict[str, Callable[[Signals, Signals], Losses]] = {
    "l1": l1,
    "mse": mse,
    "spectral_l1": spectral_l1,
    "log_sdr": log_sdr,
}
"""Name -> loss. A new loss is a function above and a line here; the shared tests include it."""


def loss_function(name: str) -> Callable[[Signals, Signals], Losses]:
    """Return the loss of that name; raise `UsageError` if there is none."""
    if name not in LOSSES:
        raise UsageError(f"unknown loss {name!r}; choose among {', '.join(LOSSES)}")
    return LOSSES[name]


def truncated_mean(losses: Float[Tensor, "B *S"], quantile: float = 1.0) -> Float[Tensor, ""]:
    """Mean over items and sources; with ``quantile`` < 1, per source only over items at or below that quantile.

    Leaves out what fits worst in the batch, which is where mislabelled material is (KUIELab's SDX23 loss, which keeps
    items strictly below: there, a batch of one trains nothing).

    >>> truncated_mean(torch.tensor([1.0, 2.0, 9.0]), quantile=0.5).item()
    1.5
    """
    if quantile >= 1:
        return losses.mean()
    limit = torch.quantile(losses.detach().float(), quantile, dim=0, keepdim=True)
    kept = losses.detach() <= limit
    return torch.where(kept, losses, 0).sum() / kept.sum()


def _same_shape(estimates: Tensor, target: Tensor) -> Tensor:
    if estimates.shape != target.shape:
        raise ValueError(f"estimates have shape {tuple(estimates.shape)}, the target {tuple(target.shape)}")
    return estimates.float()


def _magnitude(signals: Tensor, size: int, window: Tensor) -> Tensor:
    flat = signals.float().flatten(0, -2)
    spectra = torch.stft(flat, size, size // 4, window=window, normalized=False, return_complex=True)
    magnitudes: Tensor = spectra.abs() / size**0.5
    return magnitudes.reshape(*signals.shape[:-1], *spectra.shape[-2:])
