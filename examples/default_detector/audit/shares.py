"""Share of truly silent pieces from judgements, corrected by the judgements of labelled pieces."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

JUDGEMENTS = ("clean", "unsure", "sounds")

DRAWS = 4000
STEPS = 1001
"""Points of the grid on which the posterior of a share is computed."""

PRIOR = 0.5
"""Pseudo-count of each judgement on the labelled pieces (Jeffreys' prior of a multinomial)."""


def counts_of(judgements: Sequence[str]) -> tuple[int, int, int]:
    """Return the numbers of clean, unsure and sounding pieces.

    >>> counts_of(["clean", "sounds", "clean"])
    (2, 0, 1)
    """
    clean, unsure, sounds = (sum(one == name for one in judgements) for name in JUDGEMENTS)
    return clean, unsure, sounds


def posterior_of_share(
    observed: Sequence[int], silent: Sequence[int], sounding: Sequence[int], rng: np.random.Generator
) -> Float[np.ndarray, " D"]:
    """Return draws of the share of pieces that are truly silent, given counts of the three judgements.

    ``observed`` are the judgements of the pieces in question, ``silent`` and ``sounding`` those of labelled pieces
    without and with the source. A piece is judged j with probability pi a_j + (1 - pi) b_j. The share pi has a uniform
    prior; a and b have the Dirichlet posteriors of the labelled pieces, so that few labelled pieces widen the result.
    """
    a = rng.dirichlet(np.asarray(silent) + PRIOR, DRAWS)[:, None]  # (D, 1, 3)
    b = rng.dirichlet(np.asarray(sounding) + PRIOR, DRAWS)[:, None]
    grid = np.linspace(0, 1, STEPS)
    pi = grid[:, None]  # (G, 1)
    with np.errstate(divide="ignore"):
        logs = np.log(pi * a + (1 - pi) * b)  # (D, G, 3)
    seen = np.asarray(observed) > 0
    likelihood = (logs[..., seen] * np.asarray(observed)[seen]).sum(-1)  # (D, G)
    weight = np.exp(likelihood - likelihood.max()).mean(0)
    jitter = rng.uniform(-0.5, 0.5, DRAWS) / (STEPS - 1)
    drawn: np.ndarray = np.clip(rng.choice(grid, DRAWS, p=weight / weight.sum()) + jitter, 0, 1)
    return drawn


def interval(draws: Float[np.ndarray, " D"]) -> tuple[float, float, float]:
    """Return the median and the central 95% of draws."""
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return float(middle), float(low), float(high)
