"""Small models of the silence of bass or drums: logistic regression, or monotone boosting, on a few inputs a window."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import MUSDB_SILENCE_RATES
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB

SHAPE = ["low2", "tone", "steady", "cosine"]
ONSETS = ["flux_low", "flux_high", "percussive", "low"]
CONTEXT = ["mean", "least"]
MEASURES = ["low", *SHAPE, "voicing", "relative", "flux_low", "flux_high", "percussive"]
BOOSTED = "J boosted"
SETS = {
    "bass": {
        "A others": ["logit_drums", "logit_other", "logit_vocals"],
        "B spectrum": ["low", *SHAPE],
        "C B + relative": ["low", *SHAPE, "relative"],
        "D drums for low": ["logit_drums", *SHAPE, "relative"],
        "E context, drums": [*CONTEXT, "logit_drums"],
        "F drums, other": ["logit_drums", "logit_other", "low2", "tone", "relative"],
        "G voicing for cosine": ["logit_drums", "low2", "tone", "steady", "voicing", "relative"],
        BOOSTED: [*CONTEXT, "logit_drums", "logit_other", "logit_vocals", *MEASURES],
    },
    "drums": {
        "A others": ["logit_bass", "logit_other", "logit_vocals"],
        "E context, bass": [*CONTEXT, "logit_bass"],
        "H onsets": ONSETS,
        "I H + bass": [*ONSETS, "logit_bass"],
        BOOSTED: [*CONTEXT, "logit_bass", "logit_other", "logit_vocals", *MEASURES],
    },
}
"""Inputs beside the logit of the source itself."""

FALLING = {
    "bass": ("low", *SHAPE, "voicing", "relative"),
    "drums": ("flux_low", "flux_high", "percussive"),
}
"""Inputs with which a boosted P may only fall; with the logit of the source it may only rise."""

ARTIST_WEIGHT = 100
FITTED_STEP = 5
"""Every fifth window fits; windows overlap tenfold."""


@dataclass(frozen=True)
class Row:
    """A song or a muted variant of it, the kind of song, and its inputs (W,) by name."""

    song: LabelledSong
    kind: str
    inputs: dict[str, np.ndarray]

    def stacked(self, names: Sequence[str]) -> np.ndarray:
        """Return the inputs ``names`` (W, n)."""
        return np.stack([self.inputs[name] for name in names], axis=1)


def fitted(rows: Sequence[Row], source: str, chosen: str) -> Any:
    """Return a classifier of silence, fitted on ``rows`` with the set ``chosen``; each artist has the same weight."""
    number, names = SOURCES.index(source), inputs_of(source, chosen)
    kept = [row.song.known(number) & (np.arange(len(row.inputs["low"])) % FITTED_STEP == 0) for row in rows]
    inputs = np.concatenate([row.stacked(names)[mask] for row, mask in zip(rows, kept, strict=True)])
    volumes = np.concatenate([row.song.volumes[number][mask] for row, mask in zip(rows, kept, strict=True)])
    owner = np.concatenate([np.full(mask.sum(), row.song.artist) for row, mask in zip(rows, kept, strict=True)])
    artists, artist, windows = np.unique(owner, return_inverse=True, return_counts=True)
    silent, rate = volumes <= SILENT_MINING_DB, MUSDB_SILENCE_RATES[source]
    weights = 1 / windows[artist]
    total = ARTIST_WEIGHT * len(artists)
    weights = weights * np.where(silent, rate / weights[silent].sum(), (1 - rate) / weights[~silent].sum()) * total
    if chosen == BOOSTED:
        return _boosting(names, source).fit(inputs, silent, sample_weight=weights)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))
    return model.fit(inputs, silent, standardscaler__sample_weight=weights, logisticregression__sample_weight=weights)


def inputs_of(source: str, chosen: str) -> list[str]:
    """Return the names of all inputs of a set."""
    return [f"logit_{source}", *SETS[source][chosen]]


def _boosting(names: Sequence[str], source: str) -> HistGradientBoostingClassifier:
    signs = [1 if name == f"logit_{source}" else -1 if name in FALLING[source] else 0 for name in names]
    return HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.06,
        max_leaf_nodes=8,
        min_samples_leaf=200,
        l2_regularization=10,
        monotonic_cst=signs,
        early_stopping=False,
        random_state=0,
    )
