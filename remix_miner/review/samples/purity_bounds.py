"""Bounds of a harvest's purity from a random sample: exact intervals and the sample sizes that they need.

Excerpts are drawn with replacement, each with a probability in proportion to its seconds. The share of clean draws
therefore estimates the share of the harvest's seconds that lie in clean excerpts. The draws are independent, so the
Clopper-Pearson interval of this share is exact and makes no assumption about tracks. The purity in seconds counts the
clean share of each drawn excerpt. Its bound takes tracks as the independent units (`calibration.bounds`), so that it
also holds for further music by the same artists.
"""

import math
from collections.abc import Sequence

import numpy as np

from remix_miner.calibration.bounds import Acceptance, lower_bound
from remix_miner.errors import UsageError

MOST_DRAWS = 100_000


def clopper_pearson(clean: int, draws: int, confidence: float) -> tuple[float, float]:
    """Return the exact two-sided interval of a share, given ``clean`` successes in ``draws``.

    >>> low, high = clopper_pearson(8, 10, 0.95)
    >>> round(low, 4), round(high, 4)
    (0.4439, 0.9748)
    """
    tail = (1 - confidence) / 2
    return lower_limit(clean, draws, 1 - tail), 1 - lower_limit(draws - clean, draws, 1 - tail)


def lower_limit(clean: int, draws: int, confidence: float) -> float:
    """Return the exact one-sided lower bound.

    >>> round(lower_limit(59, 59, 0.95), 4), lower_limit(0, 5, 0.95)
    (0.9505, 0.0)
    """
    from scipy.stats import beta

    return 0.0 if clean == 0 else float(beta.ppf(1 - confidence, clean, draws - clean + 1))


def lower_limit_any_time(clean: int, draws: int, confidence: float) -> float:
    """Return an anytime-valid lower bound: it holds at every stopping time, however it is chosen.

    The mixture of likelihood ratios over a uniform prior is a martingale under the true share (Ville 1939; Robbins
    1970). Shares at which it exceeds 1 / (1 - confidence) are therefore excluded at all times simultaneously.

    >>> round(lower_limit_any_time(59, 59, 0.95), 3)
    0.887
    """
    from scipy.optimize import brentq
    from scipy.special import betaln

    if clean == 0:
        return 0.0
    wrong = draws - clean
    evidence = betaln(clean + 1, wrong + 1) - math.log(1 / (1 - confidence))

    def excess(share: float) -> float:
        return float(evidence - clean * math.log(share) - (wrong * math.log1p(-share) if wrong else 0.0))

    top = clean / draws - (1e-12 if wrong else 0.0)
    if excess(1e-12) <= 0 or excess(top) >= 0:
        return 0.0
    return float(brentq(excess, 1e-12, top))


def draws_needed(promise: float, confidence: float, wrong: int = 0) -> int:
    """Return the number of draws that show a share of at least ``promise`` when ``wrong`` of them are not clean.

    >>> draws_needed(0.95, 0.95), draws_needed(0.95, 0.95, wrong=1), draws_needed(0.9, 0.95)
    (59, 93, 29)
    """
    check_share("promise", promise)
    check_share("confidence", confidence)
    return wrong + further_clean_needed(0, wrong, promise, confidence)


def further_clean_needed(clean: int, wrong: int, promise: float, confidence: float) -> int:
    """Return the number of consecutive clean draws after which the lower bound reaches the promise.

    >>> further_clean_needed(40, 0, 0.95, 0.95), further_clean_needed(40, 1, 0.95, 0.95)
    (19, 52)
    """
    low, high = 0, 1
    while lower_limit(clean + high, clean + wrong + high, confidence) < promise:
        low, high = high, high * 2
        if high > MOST_DRAWS:
            return MOST_DRAWS
    if lower_limit(clean, clean + wrong, confidence) >= promise and clean:
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        reached = lower_limit(clean + middle, clean + wrong + middle, confidence) >= promise
        low, high = (low, middle) if reached else (middle, high)
    return high


def seconds_bound(tracks: Sequence[int], clean_shares: Sequence[float], confidence: float) -> float:
    """Return a lower bound of the purity in seconds: over all tracks, the ratio of clean to drawn audio.

    ``tracks`` and ``clean_shares`` hold one value per draw. The bound is a Bayesian bootstrap over the tracks and one
    added, unseen track that is entirely wrong: see `calibration.bounds.lower_bound` with ``worst_artist=0``.
    """
    if not len(tracks):
        return 0.0
    names, rows = np.unique(np.asarray(tracks), return_inverse=True)
    drawn = np.bincount(rows, minlength=len(names)).astype(float)[:, None]
    clean = np.bincount(rows, np.asarray(clean_shares, dtype=float), minlength=len(names))[:, None]
    table = Acceptance(np.zeros(1), drawn, clean, tuple(map(str, names)))
    return float(lower_bound(table, target=1.0, confidence=confidence, worst_artist=0.0)[0])


def check_share(name: str, value: float) -> None:
    """Raise `UsageError` unless 0 < value < 1."""
    if not 0 < value < 1:
        raise UsageError(f"{name} is a share between 0 and 1 (both excluded), got {value}")
