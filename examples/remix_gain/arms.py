"""Arms of the experiment: what half of a run's examples are made of, and with which settings."""

import re
from dataclasses import dataclass, replace

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
class Variant:
    """An arm with other settings, as a scale file states it under its name.

    ``arm``: the arm or variant that it is made from. ``baseline``: what it is compared with, if not with ``arm``.
    ``set``: settings of the run, as `remix-miner train --set` takes them. ``epochs``: multiples of the scale's updates.
    ``labelled``: songs; the fold's, and others of its half, drawn by the fold's number. ``harvest``: name of another
    mined folder, see `run.py --harvest`. ``isolated``: whether the half's isolated targets are added, see
    `songs.isolated_targets`.
    """

    arm: str
    baseline: str | None = None
    set: tuple[str, ...] = ()
    epochs: int = 1
    labelled: int = 1
    harvest: str | None = None
    isolated: bool = False


@dataclass(frozen=True)
class Arm:
    """An arm by its name. ``minutes``: of a smaller library. ``impure``: share of excerpts in which the target sounds.

    ``variant`` is None for an arm that is not one.

    >>> Arm.parse("mined-by-track-50percent-impure")
    Arm(name='mined-by-track-50percent-impure', kind='mined', by_track=True, minutes=None, impure=0.5, variant=None)
    """

    name: str
    kind: str
    by_track: bool = False
    minutes: float | None = None
    impure: float = 0.0
    variant: Variant | None = None

    @property
    def settings(self) -> Variant:
        """What the variant changes; nothing where the arm is not one."""
        return self.variant or Variant(self.name)

    @property
    def continues(self) -> str | None:
        """The arm that differs from this one in the number of epochs only: the run starts from its checkpoint."""
        variant = self.settings
        return variant.arm if variant == Variant(variant.arm, variant.baseline, epochs=variant.epochs) else None

    @classmethod
    def parse(cls, name: str) -> "Arm":
        """Return the arm that has no variant's name; `SystemExit` if there is none."""
        if name in ("supervised", "control", "true", "ceiling"):
            return cls(name, name)
        found = MINED.fullmatch(name)
        if found is None:
            raise SystemExit(f"unknown arm {name!r}; arms are {', '.join(MEANINGS)}")
        by_track, minutes, percent = found.groups()
        return cls(name, "mined", by_track is not None, float(minutes) if minutes else None, float(percent or 0) / 100)

    @classmethod
    def of(cls, name: str, variants: dict[str, Variant]) -> "Arm":
        """Return the arm with this name, which may be a variant's; its baseline must be an arm, too."""
        if name not in variants:
            return cls.parse(name)
        own = variants[name]
        if own.arm == "ceiling":
            raise SystemExit(f"arm {name!r} is made from the ceiling, which serves all folds of a half as it is")
        if own.baseline is not None:
            cls.of(own.baseline, variants)
        made_from = cls.of(own.arm, {other: each for other, each in variants.items() if other != name})
        above = made_from.settings
        variant = Variant(
            own.arm,
            own.baseline or own.arm,
            (*above.set, *own.set),
            max(above.epochs, own.epochs),
            max(above.labelled, own.labelled),
            own.harvest or above.harvest,
            own.isolated or above.isolated,
        )
        return replace(made_from, name=name, variant=variant)


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
