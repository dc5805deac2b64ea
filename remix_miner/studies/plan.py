"""The plan of a study: arms that are trained, test sets that are scored, and the paper's claims about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from remix_miner.errors import UsageError
from remix_miner.studies.perturbation import Perturbation

ORIGINAL = "original"
"""Name of the test set that is not perturbed."""


@dataclass(frozen=True)
class Arm:
    """One way of training. ``settings``: overrides of the scale's training settings, nested as in a recipe.

    ``songs``: share of the training songs, drawn by the run's seed. ``unique_share``: of all examples of a run, how
    many distinct mixes exist (R of Jeon et al. 2024, section 3.2); None leaves the settings as they are.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    songs: float = 1.0
    unique_share: float | None = None


@dataclass(frozen=True)
class Claim:
    """What a paper found: one arm (on one test set) scores above another.

    ``published_db``: the difference in the paper, None where the paper gives no figure. ``read_off``: the figure is
    read off a plot. ``where``: table or figure.
    """

    better: str
    worse: str
    where: str
    published_db: float | None = None
    read_off: bool = False
    better_set: str = ORIGINAL
    worse_set: str = ORIGINAL

    @property
    def text(self) -> str:
        """The claim in words."""
        if self.better == self.worse:
            return f"{self.better}: test set '{self.better_set}' above '{self.worse_set}'"
        return f"{self.better} above {self.worse}"


@dataclass(frozen=True)
class Study:
    """An experiment of a paper. ``axis``: what distinguishes the arms, for the figure."""

    name: str
    paper: str
    question: str
    axis: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    test_sets: Mapping[str, Perturbation] = field(default_factory=lambda: {ORIGINAL: Perturbation()})

    def __post_init__(self) -> None:
        arms, sets = [arm.name for arm in self.arms], set(self.test_sets)
        if len(set(arms)) < len(arms):
            raise UsageError(f"{self.name}: two arms have one name")
        for claim in self.claims:
            if not {claim.better, claim.worse} <= set(arms) or not {claim.better_set, claim.worse_set} <= sets:
                raise UsageError(f"{self.name}: a claim compares {claim.text!r}, which the study does not have")
