"""Settings of a calibration: target, bound and confidence."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from remix_miner.calibration.bounds import artists_needed
from remix_miner.calibration.thresholds import RULES, Rule
from remix_miner.detector.evidence import Fusion
from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB


@dataclass(frozen=True)
class CalibrationSettings:
    """Settings of the choice of thresholds. Défossez et al. 2019, section 4.2, with ``bound="none"``.

    ``volume_db``: a source is silent at or below this relative volume; ``precision``: the target share of silent
    windows, and ``precisions`` that of single sources; ``bound``: see `thresholds`; ``confidence`` and
    ``worst_artist``: see `bounds.lower_bound`; ``artist_floor``: share that each calibration artist with 20 s or more
    of harvest must reach (bound "harvest"); ``min_seconds``: of the span rule that is measured; ``silence_rates``:
    share of silent windows per source that precision is referred to (a source not named: the data's own);
    ``evidence_gate``, ``evidence_sure``: ``gate`` and ``sure`` of a `Fusion` that is fitted.
    """

    volume_db: float = SILENT_MINING_DB
    precision: float = 0.95
    bound: Rule = "harvest"
    confidence: float = 0.95
    worst_artist: float = 0.5
    artist_floor: float = 0.8
    min_seconds: float = 5.0
    silence_rates: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    evidence_gate: float = Fusion.gate
    evidence_sure: float = Fusion.sure
    precisions: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bound not in RULES:
            raise UsageError(f"bound is one of {', '.join(RULES)}, got {self.bound!r}")
        if not -200 <= self.volume_db < 0:
            raise UsageError(
                f"volume-db must be below 0 dB (the level of the mixture) and above -200, got {self.volume_db}"
            )
        if not 0 < self.min_seconds <= 3600:
            raise UsageError(f"min-seconds must be positive and an hour at most, got {self.min_seconds}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative, got {self.seed}")
        if not 0 <= self.artist_floor <= 1:
            raise UsageError(f"artist-floor is a share between 0 and 1, got {self.artist_floor}")
        if not 0 < self.evidence_gate < self.evidence_sure <= 1:
            raise UsageError(
                f"the second network is computed for LOW <= P < HIGH with 0 < LOW < HIGH <= 1, got "
                f"{self.evidence_gate} and {self.evidence_sure}"
            )
        self.artists_needed()  # checks precision, confidence and worst_artist
        for source in self.precisions:
            if source not in SOURCES:
                raise UsageError(f"precision of {source!r}: name one of {', '.join(SOURCES)}")
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
