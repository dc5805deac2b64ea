"""Threshold p_i of one source: the lowest p at which the share of silent windows reaches a target.

Four rules define the share:

``harvest``     a lower confidence bound, over artists, of the share of the harvested seconds (`promise`).

``none``        the paper's: the share measured on the labelled windows themselves. The windows that choose p also
                judge it, and windows of one song count as independent. About half of these thresholds are too low.
``crossval``    the share measured on artists left out of the choice of p: the mean share of a new artist, without
                a confidence level.
``bootstrap``   a lower confidence bound of the share of windows, over artists (`bounds.lower_bound`).
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from remix_miner.calibration.bounds import DRAWS, Acceptance, artists_needed, count_accepted, lower_bound
from remix_miner.errors import UsageError

Rule = Literal["harvest", "bootstrap", "crossval", "none"]
RULES: tuple[Rule, ...] = ("harvest", "bootstrap", "crossval", "none")
MINIMUM_FOLDS = 5
"""Least number of artists for `crossval`."""


@dataclass(frozen=True)
class Threshold:
    """A chosen threshold, or None and the reason.

    ``precision``: share of silent windows among those accepted; ``lower_bound``: its bound (rule ``bootstrap``);
    ``held_out``: its value over artists left out of choosing (rule ``crossval``); ``artists``: with accepted windows.
    """

    value: float | None
    reason: str | None = None
    precision: float | None = None
    lower_bound: float | None = None
    held_out: float | None = None
    artists: int = 0


def choose_threshold(
    probabilities: Float[np.ndarray, " N"],
    silent: Bool[np.ndarray, " N"],
    artists: np.ndarray,
    *,
    target: float = 0.95,
    rule: Rule = "bootstrap",
    confidence: float = 0.95,
    worst_artist: float = 0.5,
    weights: Float[np.ndarray, " N"] | None = None,
    seed: int = 0,
) -> Threshold:
    """Return the lowest p at which the share of ``rule`` among windows with P >= p is at least ``target``.

    Rule ``harvest`` needs whole songs (`fit.calibrate`) and raises `UsageError`.
    """
    if rule == "harvest":
        raise UsageError("the bound 'harvest' needs songs; windows alone take bootstrap, crossval or none")
    if rule == "none":
        return plain_threshold(probabilities, silent, artists, target, weights)
    table = count_accepted(probabilities, silent, artists, weights=weights)
    if rule == "crossval":
        return cross_validated_threshold(table, target)
    return bounded_threshold(table, target, confidence, worst_artist, seed)


def plain_threshold(
    probabilities: Float[np.ndarray, " N"],
    silent: Bool[np.ndarray, " N"],
    artists: np.ndarray,
    target: float,
    weights: Float[np.ndarray, " N"] | None = None,
) -> Threshold:
    """Return the lowest p with at least ``target`` of the windows above it silent. Défossez et al. 2019, section 4.2.

    >>> p, silent = np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, True, False, True])
    >>> plain_threshold(p, silent, np.array(["a", "a", "b", "b"]), target=0.75).value
    0.6
    """
    values = np.unique(probabilities.astype(np.float64))
    chosen = plain_of_table(count_accepted(probabilities, silent, np.zeros_like(artists), values, weights), target)
    if chosen.value is None:
        return chosen
    return replace(chosen, artists=len(np.unique(artists[probabilities >= chosen.value])))


def plain_of_table(table: Acceptance, target: float) -> Threshold:
    """Return the plain threshold among those of ``table``."""
    enough = np.flatnonzero(table.share >= target)
    if not len(enough):
        return Threshold(None, f"at most {_percent(table.share)} of the accepted windows are silent, at any threshold")
    return _chosen(table, int(enough[0]))


def bounded_threshold(
    table: Acceptance, target: float, confidence: float, worst_artist: float, seed: int = 0, draws: int = DRAWS
) -> Threshold:
    """Return the lowest p at which the bound over artists reaches ``target``."""
    needed = artists_needed(target, confidence, worst_artist)
    most = int(table.artists_accepted.max(initial=0))
    if most < needed:
        return Threshold(
            None,
            f"{most} artists have such windows; a {confidence:.0%} bound of {target:.0%} takes at least {needed} even "
            f"without an error (if an unseen artist may reach only {worst_artist:.0%}): add songs by other artists, or "
            "choose another bound",
        )
    bound = lower_bound(table, target, confidence, worst_artist, seed, draws)
    enough = np.flatnonzero(bound >= target)
    if not len(enough):
        best = int(bound.argmax())
        return Threshold(
            None,
            f"the {confidence:.0%} lower bound reaches {_percent(bound)} at most, at p = {table.thresholds[best]:.4g}, "
            f"where {_percent(table.share[best])} of the windows of {table.artists_accepted[best]} artists are silent",
        )
    return _chosen(table, int(enough[0]), lower=float(bound[enough[0]]))


def cross_validated_threshold(table: Acceptance, target: float) -> Threshold:
    """Return the plain threshold at the smallest inner target that reaches ``target`` on left-out artists.

    Each artist is measured at the threshold of the other artists. The inner target rises until the share over all
    artists reaches ``target``. The result is the threshold of all artists at that inner target.
    """
    artists = int((table.accepted[:, 0] > 0).sum()) if table.accepted.size else 0
    if artists < MINIMUM_FOLDS:
        return Threshold(None, f"{artists} artists are too few to leave one out; at least {MINIMUM_FOLDS} are needed")
    accepted_by_others = table.accepted.sum(0) - table.accepted
    share_of_others = np.divide(
        table.silent.sum(0) - table.silent,
        accepted_by_others,
        out=np.zeros_like(table.accepted),
        where=accepted_by_others > 0,
    )
    best = 0.0
    for inner in 1 - (1 - target) * np.geomspace(1, 0.01, 40):
        column = _lowest(share_of_others >= inner)
        rows = np.flatnonzero(column >= 0)
        accepted = table.accepted[rows, column[rows]].sum()
        held_out = float(table.silent[rows, column[rows]].sum() / accepted) if accepted else 0.0
        best = max(best, held_out)
        of_all = np.flatnonzero(table.share >= inner)
        if held_out >= target and len(of_all):
            return _chosen(table, int(of_all[0]), held_out=held_out)
    if not (table.share >= target).any():
        return plain_of_table(table, target)
    return Threshold(None, f"at most {_percent(best)} of the windows accepted from artists left out are silent")


def _chosen(table: Acceptance, column: int, lower: float | None = None, held_out: float | None = None) -> Threshold:
    return Threshold(
        value=float(table.thresholds[column]),
        precision=float(table.share[column]),
        lower_bound=lower,
        held_out=held_out,
        artists=int(table.artists_accepted[column]),
    )


def _lowest(passes: np.ndarray) -> np.ndarray:
    """Return the first True of each row, -1 where there is none."""
    return np.where(passes.any(1), passes.argmax(1), -1)


def _percent(share: np.ndarray | float) -> str:
    return f"{float(np.nanmax(share, initial=0.0)):.1%}" if np.size(share) else "0%"
