"""Lower confidence bound over artists of the share of silent windows.

Windows of one artist are correlated. The windows with P >= p are therefore counted per artist, and the artists are the
independent draws. The bound is the Bayesian bootstrap over artists (Rubin 1981: weights uniform on the simplex) with
one added artist: a copy of the worst one in the data, or one with the share ``worst_artist``, whichever is worse. With
``worst_artist=0`` and artists whose windows are all silent or all sounding it is the exact binomial bound of Clopper
and Pearson, and after K artists without an error it gives (1 - confidence)^(1 / K), the 'rule of three'; the general
form is the bound of Gaffke (2005) that Learned-Miller and Thomas (2019) found never to fall below its stated rate. A
plain bootstrap over few artists has no such limit: without an error in the data its bound is 100%.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from remix_miner.calibration.intervals import ratio
from remix_miner.errors import UsageError

DRAWS = 10_000


@dataclass(frozen=True)
class Acceptance:
    """Counts of accepted and of silent windows for each artist (row) and candidate threshold (column, ascending).

    ``accepted``: weighted number of windows with P >= threshold. ``silent``: those of them that are silent.
    """

    thresholds: Float[np.ndarray, " J"]
    accepted: Float[np.ndarray, "K J"]
    silent: Float[np.ndarray, "K J"]
    artists: tuple[str, ...]

    @property
    def share(self) -> Float[np.ndarray, " J"]:
        """Share of silent windows among all accepted ones; nan where none is accepted."""
        return ratio(self.silent.sum(0), self.accepted.sum(0))

    @property
    def artists_accepted(self) -> np.ndarray:
        """Number of artists with at least one accepted window, per threshold."""
        counts: np.ndarray = (self.accepted > 0).sum(0)
        return counts


def count_accepted(
    probabilities: Float[np.ndarray, " N"],
    silent: Bool[np.ndarray, " N"],
    artists: np.ndarray,
    thresholds: Float[np.ndarray, " J"] | None = None,
    weights: Float[np.ndarray, " N"] | None = None,
) -> Acceptance:
    """Count windows per artist and threshold, by default at `candidate_thresholds`.

    >>> table = count_accepted(np.array([0.2, 0.9, 0.8]), np.array([False, True, True]), np.array(["a", "a", "b"]))
    >>> table.thresholds.tolist(), table.accepted.tolist(), table.share.round(2).tolist()
    ([0.2, 0.8, 0.9], [[2.0, 1.0, 1.0], [1.0, 1.0, 0.0]], [0.67, 1.0, 1.0])
    """
    if thresholds is None:
        thresholds = candidate_thresholds(probabilities)
    weights = np.ones(len(probabilities)) if weights is None else weights
    names, rows = np.unique(artists, return_inverse=True)
    # A window counts for every threshold up to its P: bins between thresholds (K, J + 1), then a sum from the top.
    bins = np.searchsorted(thresholds, probabilities, side="right")
    shape = (len(names), len(thresholds) + 1)
    cells = rows * shape[1] + bins
    accepted = np.bincount(cells, weights, minlength=math.prod(shape)).reshape(shape)
    right = np.bincount(cells, weights * silent, minlength=math.prod(shape)).reshape(shape)
    return Acceptance(thresholds, _from_above(accepted), _from_above(right), tuple(map(str, names)))


def candidate_thresholds(probabilities: Float[np.ndarray, " N"], count: int = 400) -> Float[np.ndarray, " J"]:
    """Return at most ``count`` values of P, ascending, in steps of a few per cent of the accepted windows."""
    descending = np.sort(np.asarray(probabilities, dtype=np.float64))[::-1]
    if not len(descending):
        return descending
    return np.unique(descending[np.geomspace(1, len(descending), count).round().astype(int) - 1])


def lower_bound(
    table: Acceptance,
    target: float,
    confidence: float = 0.95,
    worst_artist: float = 0.5,
    seed: int = 0,
    draws: int = DRAWS,
) -> Float[np.ndarray, " J"]:
    """Return the lower confidence bound of the share of silent windows, per threshold; 0 where nothing is accepted.

    ``worst_artist``: assumed share of an artist unlike those in the data, with an average number of accepted windows.
    The worst artist in the data is the one whose windows lower the share most below ``target``. The bound of 10,000
    ``draws`` of the weights is accurate to about 0.003.
    """
    accepted, silent = _with_unseen_artist(table, target, worst_artist)
    # Exponential draws are Dirichlet weights up to a factor that cancels in the ratio.
    weights = np.random.default_rng(seed).exponential(size=(draws, len(accepted)))
    shares = ratio(weights @ silent, weights @ accepted)
    bound: np.ndarray = np.nan_to_num(np.quantile(shares, 1 - confidence, axis=0), nan=0.0)
    return bound


def artists_needed(target: float, confidence: float = 0.95, worst_artist: float = 0.5) -> int:
    """Return the number of artists of equal length that bring `lower_bound` to ``target`` without an error.

    >>> artists_needed(0.95, worst_artist=0.0), artists_needed(0.95), artists_needed(0.95, worst_artist=0.8)
    (59, 29, 11)
    """
    for name, value in (("precision", target), ("confidence", confidence)):
        if not 0 < value < 1:
            raise UsageError(f"{name} is a share between 0 and 1 (both excluded), got {value}")
    if not 0 <= worst_artist <= 1:
        raise UsageError(f"worst-artist is a share between 0 and 1, got {worst_artist}")
    if worst_artist >= target:
        return 1
    return math.ceil(math.log(1 - confidence) / math.log((target - worst_artist) / (1 - worst_artist)))


def _with_unseen_artist(table: Acceptance, target: float, worst_artist: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts (K + 1, J) with the added artist in the last row."""
    accepted, silent = table.accepted, table.silent
    average = accepted.sum(0) / np.maximum(table.artists_accepted, 1)
    balance = silent - target * accepted
    worst = balance.argmin(0)[None]
    seen_is_worse = np.take_along_axis(balance, worst, 0)[0] < (worst_artist - target) * average
    added_accepted = np.where(seen_is_worse, np.take_along_axis(accepted, worst, 0)[0], average)
    added_silent = np.where(seen_is_worse, np.take_along_axis(silent, worst, 0)[0], worst_artist * average)
    return np.vstack([accepted, added_accepted]), np.vstack([silent, added_silent])


def _from_above(counts: np.ndarray) -> np.ndarray:
    total: np.ndarray = counts[:, ::-1].cumsum(1)[:, ::-1][:, 1:]
    return total
