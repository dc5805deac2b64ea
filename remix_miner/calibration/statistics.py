"""Statistics of a calibrated source: the effect of the span rule, and tables from P to V."""

import numpy as np
from jaxtyping import Bool

from remix_miner.calibration.bounds import candidate_thresholds
from remix_miner.calibration.harvest import HarvestRule, harvest
from remix_miner.calibration.window_table import SourceWindows, percentiles
from remix_miner.detector.calibration import Percentiles, SpanRule

TABLE_POINTS = 48


def span_rule(windows: SourceWindows, rule: HarvestRule) -> SpanRule:
    """Return the effect of the minimum span length on the accepted windows (paper, section 4.2: about half is kept)."""
    found = harvest(windows, rule)
    before = windows.probabilities >= rule.threshold
    kept = windows.weights[found.kept].sum()
    # Muted variants have more silence than music: scale the seconds to the assumed silence rate.
    natural = (kept / windows.weights.sum()) / found.kept.mean() if found.kept.any() else 1.0
    return SpanRule(
        min_seconds=rule.min_seconds,
        kept=float(kept / windows.weights[before].sum()),
        precision=found.purity,
        seconds=float(found.seconds.sum() * natural),
        labelled_seconds=sum(song.seconds for song in windows.songs),
        before=_percentiles(windows, before),
        after=_percentiles(windows, found.kept),
    )


def _percentiles(windows: SourceWindows, mask: Bool[np.ndarray, " N"]) -> Percentiles:
    """Return percentiles of V over the windows in ``mask`` whose level is known."""
    mask = mask & windows.levels_known
    return percentiles(windows.volumes[mask], windows.weights[mask])


def isotonic_tables(windows: SourceWindows) -> tuple[list[float], list[float], list[float]]:
    """Return (probabilities, expected V in dB, expected share of silent windows): isotonic regressions on P.

    Only windows whose level is known count; without one the tables are empty.
    """
    known = windows.levels_known
    if not known.any():
        return [], [], []
    from sklearn.isotonic import IsotonicRegression

    probabilities, silent = windows.probabilities[known], windows.silent[known].astype(float)
    points = np.union1d(
        candidate_thresholds(probabilities, TABLE_POINTS // 2),
        np.quantile(probabilities, np.linspace(0, 1, TABLE_POINTS // 2)),
    )
    tables = []
    for values, increasing in ((windows.volumes[known], False), (silent, True)):
        fit = IsotonicRegression(increasing=increasing, out_of_bounds="clip")
        fit.fit(probabilities, values, sample_weight=windows.weights[known])
        tables.append([float(value) for value in fit.predict(points)])
    return [float(point) for point in points], tables[0], tables[1]
