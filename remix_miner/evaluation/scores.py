"""Scores of one track: every metric by name, and the rules for silence.

A reference that is digital silence has no SDR of any kind. It is excluded from them, its row has ``silent`` true, and
`leakage_db` is the level of the estimate there. For BSSEval the other sources of such a track are scored among
themselves (museval refuses the whole track); frames in which one of them is silent are nan for all, and counted.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from remix_miner.errors import UsageError
from remix_miner.evaluation.metrics.whole_track import leakage_db, si_sdr, usdr

Stems = Float32[np.ndarray, "S C T"]

METRICS = ("usdr", "csdr", "si_sdr")
FRAMEWISE = {"sdr": "csdr", "isr": "isr", "sir": "sir", "sar": "sar"}
"""Per track, `csdr`, `isr`, `sir` and `sar` are medians over frames; `csdr_mean` is the mean over frames of SDR."""


def parse_metrics(text: str) -> tuple[str, ...]:
    """Return the metrics named in ``text`` ('usdr,csdr'), in a fixed order."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UsageError(f"unknown metrics {', '.join(unknown) or text!r}; choose among {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in names)


def score_track(
    references: Stems,
    estimates: Stems,
    mixture: Float32[np.ndarray, "C T"],
    sources: Sequence[str],
    sample_rate: int,
    metrics: Sequence[str] = METRICS,
) -> dict[str, dict[str, Any]]:
    """Return ``silent``, ``leakage_db`` and the given metrics per source; None where a value does not exist.

    ``infinite`` names metrics whose value is infinite (an estimate without error), which are excluded as well.
    ``silent_estimate``: the estimate is digital silence where the reference is not, so that it has no SI-SDR.
    """
    silent = [not reference.any() for reference in references]
    leaks = leakage_db(estimates, mixture)
    rows: dict[str, dict[str, Any]] = {
        source: {"silent": is_silent, "leakage_db": float(leak) if is_silent else None}
        for source, is_silent, leak in zip(sources, silent, leaks, strict=True)
    }
    for row, is_silent, estimate in zip(rows.values(), silent, estimates, strict=True):
        if not is_silent and not estimate.any():
            row["silent_estimate"] = True
    sounding = [index for index, is_silent in enumerate(silent) if not is_silent]
    for name, metric in (("usdr", usdr), ("si_sdr", si_sdr)):
        if name in metrics:
            for source, value in zip(sources, metric(references, estimates), strict=True):
                rows[source][name] = float(value)
    if "csdr" in metrics:
        for row in rows.values():
            row.update({**dict.fromkeys([*FRAMEWISE.values(), "csdr_mean"]), "frames": 0, "frames_scored": 0})
        if sounding:
            _add_framewise(
                rows, [sources[index] for index in sounding], references[sounding], estimates[sounding], sample_rate
            )
    return {source: _finite(row) for source, row in rows.items()}


def _add_framewise(
    rows: dict[str, dict[str, Any]], sources: Sequence[str], references: Stems, estimates: Stems, sample_rate: int
) -> None:
    from remix_miner.evaluation.metrics.bsseval import bsseval

    frames = bsseval(references, estimates, sample_rate)
    for index, source in enumerate(sources):
        sdr = frames.sdr[index]
        scored = ~np.isnan(sdr)
        rows[source].update(frames=len(sdr), frames_scored=int(scored.sum()))
        if scored.any():
            for name, column in FRAMEWISE.items():
                rows[source][column] = float(np.median(getattr(frames, name)[index][scored]))
            rows[source]["csdr_mean"] = float(sdr[scored].mean())


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """Replace nan and infinity, which JSON lacks, by None, and name infinities. No leakage at all is None too."""
    infinite = [name for name, value in row.items() if value == np.inf]
    clean = {
        name: None if isinstance(value, float) and not np.isfinite(value) else value for name, value in row.items()
    }
    return {**clean, "infinite": infinite} if infinite else clean
