"""Metrics of whole tracks, by name: uSDR, SI-SDR, and the leakage of an estimate whose reference is silent.

All take (references, estimates), arrays or tensors (S, C, T), and give (S,) in dB, computed in float64 over channels
and the whole track together. The framewise metrics of BSSEval v4 (cSDR) are in
`remix_miner.evaluation.metrics.bsseval`.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from jaxtyping import Float, Float64

if TYPE_CHECKING:
    from torch import Tensor

Signals: TypeAlias = "Float[np.ndarray, 'S C T'] | Float[Tensor, 'S C T']"
Mixture: TypeAlias = "Float[np.ndarray, 'C T'] | Float[Tensor, 'C T']"
Scores: TypeAlias = Float64[np.ndarray, " S"]

USDR_DELTA = 1e-7
"""Added to both energies of `usdr`, as the Music Demixing Challenge's code does."""


def usdr(references: Signals, estimates: Signals) -> Scores:
    """Return the global ('utterance') SDR of the MDX and SDX challenges, which MVSep reports too.

    uSDR = 10 log10((sum s^2 + d) / (sum (s - s_hat)^2 + d)), d = 1e-7, sums over channels and the whole track; not
    scale-invariant; no projection. A silent reference has no uSDR and gives nan (the formula's value would be some
    -70 - 10 log10(leaked energy), which ruins any mean): see `leakage_db`. Mitsufuji et al. 2022, section 2.3.

    >>> import numpy as np
    >>> references = np.array([[[3.0, 4.0]], [[0.0, 0.0]]])
    >>> usdr(references, references + np.array([0.5, 0.0])).round(4).tolist()
    [20.0, nan]
    """
    references, estimates = _pair(references, estimates)
    energies = np.einsum("sct,sct->s", references, references)
    errors = estimates - references
    noises = np.einsum("sct,sct->s", errors, errors)
    return np.where(energies > 0, 10 * np.log10((energies + USDR_DELTA) / (noises + USDR_DELTA)), np.nan)


def si_sdr(references: Signals, estimates: Signals) -> Scores:
    """Return the scale-invariant SDR: 10 log10(||a s||^2 / ||a s - s_hat||^2) with a = <s_hat, s> / ||s||^2.

    One gain for all channels and the whole track; means are kept. nan for a silent reference or a silent estimate,
    inf for an estimate that is the reference times a number. Le Roux et al. 2019, eq. (3).

    >>> import numpy as np
    >>> si_sdr(np.array([[[1.0, 0.0]]]), np.array([[[5.0, 0.5]]])).tolist()
    [20.0]
    """
    references, estimates = _pair(references, estimates)
    energies = np.einsum("sct,sct->s", references, references)
    products = np.einsum("sct,sct->s", references, estimates)
    with np.errstate(divide="ignore", invalid="ignore"):
        targets = (products / energies)[:, None, None] * references
        noises = estimates - targets
        ratios = np.einsum("sct,sct->s", targets, targets) / np.einsum("sct,sct->s", noises, noises)
        return np.where(np.einsum("sct,sct->s", estimates, estimates) > 0, 10 * np.log10(ratios), np.nan)


def leakage_db(estimates: Signals, mixture: Mixture) -> Scores:
    """Return the energy of each estimate relative to the mixture, in dB: the leakage where the reference is silent.

    -inf for a silent estimate (nothing leaked), nan for a silent mixture.

    >>> import numpy as np
    >>> leakage_db(np.full((1, 2, 4), 0.1), np.ones((2, 4))).round(6).tolist()
    [-20.0]
    """
    estimated, mixed = _float64(estimates), _float64(mixture)
    if estimated.shape[1:] != mixed.shape:
        raise ValueError(f"estimates {estimated.shape} are not (sources, *mixture's {mixed.shape})")
    energies = np.einsum("sct,sct->s", estimated, estimated)
    mixed_energy = np.einsum("ct,ct->", mixed, mixed)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mixed_energy > 0, 10 * np.log10(energies / mixed_energy), np.nan)


def _pair(references: Signals, estimates: Signals) -> tuple[np.ndarray, np.ndarray]:
    """Return both in float64; raise ValueError unless their shapes are equal and the estimates finite."""
    pair = _float64(references), _float64(estimates)
    if pair[0].shape != pair[1].shape or pair[0].ndim != 3:
        raise ValueError(
            f"references {pair[0].shape} and estimates {pair[1].shape} must both be (sources, channels, frames)"
        )
    if not np.isfinite(pair[1]).all():
        raise ValueError("the estimates hold NaN or infinity")
    return pair


def _float64(signals: Any) -> np.ndarray:
    if not isinstance(signals, np.ndarray):  # a tensor, wherever it is; torch is not imported for arrays' sake
        signals = signals.detach().cpu().numpy()
    return np.asarray(signals, dtype=np.float64)
