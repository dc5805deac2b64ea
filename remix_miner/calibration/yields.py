"""What harvest rules give on labelled songs: seconds against purity, also where the threshold was chosen elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from remix_miner.calibration.harvest_rules import HarvestRule, harvest
from remix_miner.calibration.labelled_songs import LabelledSong
from remix_miner.calibration.window_table import artist_numbers, silent_weight, windows_inside
from remix_miner.detector.calibration import VOLUME_FLOOR_DB
from remix_miner.errors import DataError

VOLUME_STEP_DB = 0.5


@dataclass(frozen=True)
class OperatingPoint:
    """What a rule harvests.

    ``seconds``: harvested; ``purity``: share of the harvested windows with V at most the asked volume (None where
    nothing is harvested); ``volume_p95_db``: 95th percentile of V over them; ``recall``: share of all silent windows.
    """

    rule: HarvestRule
    seconds: float
    purity: float | None
    volume_p95_db: float | None
    recall: float


@dataclass(frozen=True)
class HarvestTable:
    """Per song (rows) and rule (columns): seconds harvested, windows kept, and those of them that are silent.

    ``kept`` and ``pure`` are weighted as in `source_windows.windows_of`; ``volumes`` counts kept windows by V;
    ``silent`` is each song's (weighted) number of silent windows; ``artists`` numbers the songs' artists.
    """

    rules: tuple[HarvestRule, ...]
    seconds: Float[np.ndarray, "K R"]
    kept: Float[np.ndarray, "K R"]
    pure: Float[np.ndarray, "K R"]
    volumes: Float[np.ndarray, "R B"]
    silent: Float[np.ndarray, " K"]
    artists: np.ndarray

    def points(self) -> list[OperatingPoint]:
        """All songs together, one point a rule."""
        kept, pure, seconds = self.kept.sum(0), self.pure.sum(0), self.seconds.sum(0)
        cumulative = np.cumsum(self.volumes, axis=1)
        below = (cumulative < 0.95 * cumulative[:, -1:] * (1 - 1e-12)).sum(1)
        return [
            OperatingPoint(
                rule=rule,
                seconds=float(seconds[index]),
                purity=float(pure[index] / kept[index]) if kept[index] else None,
                volume_p95_db=float(VOLUME_FLOOR_DB + below[index] * VOLUME_STEP_DB) if kept[index] else None,
                recall=float(pure[index] / max(self.silent.sum(), 1e-12)),
            )
            for index, rule in enumerate(self.rules)
        ]

    def held_out(self, family: str, purity: float) -> tuple[float, float | None]:
        """(seconds, purity) of a rule whose threshold is, for each artist, chosen on the other artists alone.

        Chosen is the rule of ``family`` that harvests most among those that reach ``purity`` there; an artist for
        whom there is none gives nothing.
        """
        columns = np.array([index for index, rule in enumerate(self.rules) if rule.family == family])
        seconds = kept = pure = 0.0
        for artist in np.unique(self.artists):
            others, mine = self.artists != artist, self.artists == artist
            kept_by_others = self.kept[np.ix_(others, columns)].sum(0)
            pure_by_others = self.pure[np.ix_(others, columns)].sum(0)
            enough = (kept_by_others > 0) & (pure_by_others >= purity * kept_by_others)
            if not enough.any():
                continue
            gain = np.where(enough, self.seconds[np.ix_(others, columns)].sum(0), -1.0)
            best = columns[int(gain.argmax())]
            seconds += self.seconds[mine, best].sum()
            kept += self.kept[mine, best].sum()
            pure += self.pure[mine, best].sum()
        return float(seconds), float(pure / kept) if kept else None


def measure(
    songs: Sequence[LabelledSong],
    source: int,
    rules: Sequence[HarvestRule],
    volume_db: float,
    silence_rate: float | None = None,
) -> HarvestTable:
    """Apply every rule to every song that knows ``source``."""
    songs = [song for song in songs if song.known(source).any()]
    if not songs:
        raise DataError("no song knows this source, so nothing can be measured")
    known = [song.known(source) for song in songs]
    silent = [mask & (song.volumes[source] <= volume_db) for song, mask in zip(songs, known, strict=True)]
    labels = np.concatenate([one[mask] for one, mask in zip(silent, known, strict=True)])
    weight = silent_weight(labels, silence_rate)
    seconds, kept, pure = (np.zeros((len(songs), len(rules))) for _ in range(3))
    bins = round(-VOLUME_FLOOR_DB / VOLUME_STEP_DB) + 1
    volumes = np.zeros((len(rules), bins))
    for row, (song, mask) in enumerate(zip(songs, known, strict=True)):
        steps = np.ceil((np.clip(song.volumes[source], VOLUME_FLOOR_DB, 0) - VOLUME_FLOOR_DB) / VOLUME_STEP_DB)
        weights = np.where(silent[row], weight, 1.0)
        for column, rule in enumerate(rules):
            spans = harvest(song.probabilities[source], rule, song.seconds, mask)
            inside = windows_inside(spans, len(mask), song.seconds) & mask
            seconds[row, column] = sum(span.seconds for span in spans)
            kept[row, column] = weights[inside].sum()
            pure[row, column] = weights[inside & silent[row]].sum()
            volumes[column] += np.bincount(steps[inside].astype(int), weights[inside], minlength=bins)
    return HarvestTable(
        rules=tuple(rules),
        seconds=seconds,
        kept=kept,
        pure=pure,
        volumes=volumes,
        silent=np.array([weight * one.sum() for one in silent]),
        artists=np.array(artist_numbers(songs)),
    )


def best_at_purity(points: Sequence[OperatingPoint], purity: float) -> OperatingPoint | None:
    """The point that harvests most among those at least that pure; None where there is none."""
    pure = [point for point in points if point.purity is not None and point.purity >= purity]
    return max(pure, key=lambda point: point.seconds, default=None)
