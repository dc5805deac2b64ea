"""The study of MVSep's ensemble (Solovyev et al. 2023): vocals first, weights of the members, cost of more members."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

from remix_miner.config import Settings, from_mapping
from remix_miner.evaluation.ensembles.blend import Products, fit_weights
from remix_miner.evaluation.ensembles.ensemble import refine_with_residuals
from remix_miner.evaluation.ensembles.recipe import load_recipe
from remix_miner.sources import SOURCES
from remix_miner.studies.bench import Bench, Estimator
from remix_miner.studies.plan import Arm, Claim, Study
from remix_miner.studies.songs import read_middle

Signal = Float32[np.ndarray, "C T"]
Stems = Float32[np.ndarray, "S C T"]
ONE, TWO, THREE = "1 member", "2 members", "3 members"
AT_ONCE, FITTED = "all at once", "all at once, fitted weights"
FIRST, RESIDUALS = "vocals first", "vocals first, residuals averaged in"
VOCALS = SOURCES.index("vocals")
REST = [SOURCES.index(source) for source in SOURCES if source != "vocals"]


@dataclass(frozen=True)
class EnsembleOptions(Settings):
    """Training settings of three members with all sources, and of a model of the vocals alone."""

    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    vocals: dict[str, Any] = field(default_factory=dict)


def ensemble_order() -> Study:
    """Return the study of the ensemble: one to three members, vocals first or not, weights equal or fitted.

    'All at once' and 'vocals first' have the same vocals: the three members and the vocals' model, averaged. They
    differ in what drums, bass and other are estimated from: the mixture, or the mixture less these vocals. Weights are
    fitted by least squares on the other test songs of the fold, and judged on the song itself.
    """
    return Study(
        "ensemble-order",
        "Solovyev et al. 2023, sections on the music demixing track",
        "Do vocals first, fitted weights and more members improve an ensemble, and at which cost?",
        "ensemble",
        tuple(Arm(name) for name in (ONE, TWO, THREE, AT_ONCE, FITTED, FIRST, RESIDUALS)),
        (
            Claim(THREE, ONE, "Multisong leaderboard, MVSEP-MDX23 over HTDemucs4, mean of the sources", 0.68),
            Claim(FIRST, AT_ONCE, "method: 'separate the vocals first'", None),
            Claim(FITTED, AT_ONCE, "method: 'specific weights assigned to each model'", None),
        ),
        system=system,
    )


def system(bench: Bench, arm: Arm) -> Estimator:
    """Return the estimator of an arm; the members are trained once."""
    options = from_mapping(EnsembleOptions, bench.scale.options, where="options.")
    members = [bench.estimator(bench.train(Arm(name, values))) for name, values in options.members.items()]
    if arm.name in (ONE, TWO, THREE):
        chosen = members[: (ONE, TWO, THREE).index(arm.name) + 1]
        return lambda mixture, song: _mean([member(mixture, song) for member in chosen])
    specialist = bench.estimator(bench.train(Arm("vocals", options.vocals)))

    def all_estimates(mixture: Signal, song: str) -> list[Stems]:
        return [member(mixture, song) for member in (*members, specialist)]

    if arm.name == FITTED:
        return _fitted(bench, all_estimates)

    def at_once(mixture: Signal, song: str) -> Stems:
        *whole, vocals = all_estimates(mixture, song)
        estimates = _mean(whole)
        estimates[VOCALS] = _mean([*(each[VOCALS] for each in whole), vocals[VOCALS]])
        return estimates

    if arm.name == AT_ONCE:
        return at_once
    shares = load_recipe("mvsep_2023").stages[1].residual_shares

    def first(mixture: Signal, song: str) -> Stems:
        estimates = np.zeros((len(SOURCES), *mixture.shape), dtype=np.float32)
        estimates[VOCALS] = at_once(mixture, song)[VOCALS]
        rest = mixture - estimates[VOCALS]
        estimates[REST] = _mean([member(rest, song)[REST] for member in members])
        if arm.name == RESIDUALS:
            estimates[REST] = refine_with_residuals(rest, estimates[REST], [shares[SOURCES[row]] for row in REST])
        return estimates

    return first


def _mean(estimates: Sequence[Any]) -> Stems:
    mean: Stems = np.mean(np.stack(estimates), axis=0)
    return mean


def _fitted(bench: Bench, all_estimates: Any) -> Estimator:
    """Return the ensemble whose weights for a song are fitted on the other test songs."""
    products = {song.name: _products(bench, song, all_estimates) for song in bench.split.test}

    def estimate(mixture: Signal, song: str) -> Stems:
        found = all_estimates(mixture, song)
        estimates: Stems = np.zeros_like(found[0])
        for row in range(len(SOURCES)):
            used = found if row == VOCALS else found[:-1]
            others = [each[row] for name, each in products.items() if name != song and each[row][-1, -1] > 0]
            weights = fit_weights(others) if others else np.full(len(used), 1 / len(used))
            estimates[row] = sum(np.float32(weight) * each[row] for weight, each in zip(weights, used, strict=True))
        return estimates

    return estimate


def _products(bench: Bench, song: Any, all_estimates: Any) -> list[Products]:
    """Return the inner products of estimates and reference, as `fit_weights` takes them, for each source."""
    stems, _ = read_middle(song, bench.scale.test_seconds)
    found, products = all_estimates(stems.sum(axis=0), song.name), []
    for row, reference in enumerate(stems):
        used = found if row == VOCALS else found[:-1]
        signals: Float64[np.ndarray, "M1 T"] = np.stack([*(each[row].ravel() for each in used), reference.ravel()])
        products.append(signals.astype(np.float64) @ signals.astype(np.float64).T)
    return products
