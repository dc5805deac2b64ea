"""Arms of the experiment: what half of a run's examples are made of."""

import re
from dataclasses import dataclass

MINED = re.compile(r"mined(-by-track)?(?:-([\d.]+)min)?(?:-(\d+)percent-impure)?")

MEANINGS = {
    "supervised": "the labelled song alone",
    "control": "as mined, but the excerpts are the labelled song's own rest: no new music",
    "mined": "excerpts that the detector mined from a library, every second of them equally often",
    "mined-by-track": "the same excerpts, every track of the library equally often",
    "mined-3min": "3 minutes of the excerpts, of randomly drawn tracks, which differ from fold to fold",
    "mined-50percent-impure": "the target sounds in that share of the excerpts",
    "true": "the rests of the half's other songs: no detector",
    "ceiling": "all songs of the half labelled",
}


@dataclass(frozen=True)
class Arm:
    """An arm by its name. ``minutes``: of a smaller library. ``impure``: share of excerpts in which the target sounds.

    >>> Arm.parse("mined-by-track-50percent-impure")
    Arm(name='mined-by-track-50percent-impure', by_track=True, minutes=None, impure=0.5)
    """

    name: str
    by_track: bool = False
    minutes: float | None = None
    impure: float = 0.0

    @property
    def mined(self) -> bool:
        return self.name.startswith("mined")

    @classmethod
    def parse(cls, name: str) -> "Arm":
        if name in ("supervised", "control", "true", "ceiling"):
            return cls(name)
        found = MINED.fullmatch(name)
        if found is None:
            raise SystemExit(f"unknown arm {name!r}; arms are {', '.join(MEANINGS)}")
        by_track, minutes, percent = found.groups()
        return cls(name, by_track is not None, float(minutes) if minutes else None, float(percent or 0) / 100)


@dataclass(frozen=True)
class Job:
    """One run. ``fold``: the labelled song, or the half of a ceiling; ``number``: of the fold.

    ``epochs``: multiples of the scale's updates.
    """

    target: str
    arm: str
    fold: str
    number: int
    half: int
    seed: int
    epochs: int = 1

    @property
    def name(self) -> str:
        ending = f"-{self.epochs}" if self.arm == "ceiling" else ""
        return f"{self.run}{ending}"

    @property
    def run(self) -> str:
        """Folder of the run: a ceiling's next length resumes the one before."""
        return f"{self.arm}-{self.fold}-seed{self.seed}"
