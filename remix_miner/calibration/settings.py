"""Settings of a calibration: target, bound and confidence."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from remix_miner.calibration.bounds import artists_needed
from remix_miner.calibration.thresholds import RULES, Rule
from remix_miner.config import AN_HOUR, PROBABILITY, Bounds, Seed, Settings
from remix_miner.detector.evidence import Fusion
from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB


@dataclass(frozen=True)
class CalibrationSettings(Settings):
    """Settings of the choice of thresholds. Défossez et al. 2019, section 4.2, with ``bound="none"``.

    ``volume_db``: a source is silent at or below this relative volume; ``precision``: the target share of silent
    windows, and ``precisions`` that of single sources; ``bound``: see `thresholds`; ``confidence`` and
    ``worst_artist``: see `bounds.lower_bound`; ``artist_floor``: share that each calibration artist with 20 s or more
    of harvest must reach (bound "harvest"); ``min_seconds``: of the span rule that is measured; ``silence_rates``:
    share of silent windows per source that precision is referred to (a source not named: the data's own);
    ``evidence_gate``, ``evidence_sure``: ``gate`` and ``sure`` of a `Fusion` that is fitted.
    """

    volume_db: Annotated[float, Bounds(-200, below=0)] = SILENT_MINING_DB
    precision: Annotated[float, Bounds(most=1)] = 0.95
    bound: Rule = "harvest"
    confidence: Annotated[float, Bounds(most=1)] = 0.95
    worst_artist: Annotated[float, Bounds(most=1)] = 0.5
    artist_floor: Annotated[float, PROBABILITY] = 0.8
    min_seconds: Annotated[float, AN_HOUR] = 5.0
    silence_rates: Mapping[str, float] = field(default_factory=dict)
    seed: Seed = 0
    evidence_gate: Annotated[float, PROBABILITY] = Fusion.gate
    evidence_sure: Annotated[float, PROBABILITY] = Fusion.sure
    precisions: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bound not in RULES:
            raise UsageError(f"bound is one of {', '.join(RULES)}, got {self.bound!r}")
        if not 0 < self.evidence_gate < self.evidence_sure <= 1:
            raise UsageError(
                f"the second network is computed for LOW <= P < HIGH with 0 < LOW < HIGH <= 1, got "
                f"{self.evidence_gate} and {self.evidence_sure}"
            )
        self.artists_needed()  # checks precision, confidence and worst_artist
        for source in self.precisions:
            if source not in SOURCES:
                raise UsageError(f"precision of {source!r}: name one of {', '.join(SOURCES)}")
        super().__post_init__()
        for source, rate in self.silence_rates.items():
            if source not in SOURCES or not 0 < rate < 1:
                raise UsageError(
                    f"silence rate {source}={rate}: name one of {', '.join(SOURCES)} and a share in (0, 1)"
                )

    def of_source(self, source: str) -> "CalibrationSettings":
        """Return the settings of one source, whose ``precision`` is that of the source."""
        return dataclasses.replace(self, precision=self.precisions.get(source, self.precision), precisions={})

    def artists_needed(self) -> int:
        """Return the number of artists that the bound needs for the highest target (`bounds.artists_needed`)."""
        targets = {self.precision, *self.precisions.values()}
        return max(artists_needed(target, self.confidence, self.worst_artist) for target in targets)
