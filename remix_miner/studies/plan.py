"""The plan of a study: arms that are trained or put together, test sets that are scored, the paper's claims."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from remix_miner.errors import UsageError
from remix_miner.studies.perturbation import Perturbation

ORIGINAL = "original"
"""Name of the test set that is not perturbed."""


@dataclass(frozen=True)
class Arm:
    """One way of training, or one system made of trained models.

    ``settings``: overrides of the scale's training settings, nested as in a recipe. ``songs``: share of the training
    songs, drawn by the run's seed. ``unique_share``: of all examples of a run, how many distinct mixes exist (R of Jeon
    et al. 2024, section 3.2). ``music_share``: share of the music that fixed extracts cover, evenly spaced. ``width``:
    factor of the scale's channels. ``shifts``: of the shift trick when the arm is scored. ``remixed``: trains with
    mined excerpts too, and is left out of a study that is given none. None leaves the settings as they are.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    songs: float = 1.0
    unique_share: float | None = None
    music_share: float | None = None
    width: float | None = None
    shifts: int = 0
    remixed: bool = False


@dataclass(frozen=True)
class Claim:
    """What a paper found: one arm (on one test set) scores above another.

    ``where``: table, figure or section. ``published_db``: the difference in the paper, None where the paper gives no
    figure. ``read_off``: the figure is read off a plot. ``source``: the source that the claim is about, None for the
    mean of all.
    """

    better: str
    worse: str
    where: str
    published_db: float | None = None
    read_off: bool = False
    better_set: str = ORIGINAL
    worse_set: str = ORIGINAL
    source: str | None = None

    @property
    def text(self) -> str:
        """The claim in words."""
        if self.better == self.worse:
            return f"{self.better}: '{self.better_set}' above '{self.worse_set}'"
        where = "" if self.better_set == ORIGINAL else f" on '{self.better_set}'"
        return f"{self.better} above {self.worse}{where}" + (f", {self.source}" if self.source else "")


@dataclass(frozen=True)
class Study:
    """An experiment of a paper. ``axis``: what distinguishes the arms, for the figure.

    ``system``: for systems made of several models, a function of bench and arm that returns the arm's estimator; None:
    an arm is one trained model. ``jobs``: for a study that scores other than test songs, a function of study, bench and
    folder that returns the jobs of `remix_miner.studies.runner`. ``stages``: the test sets are stages of training,
    named 'SET, UPDATES', and the figure shows curves.
    """

    name: str
    paper: str
    question: str
    axis: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    test_sets: Mapping[str, Perturbation] = field(default_factory=lambda: {ORIGINAL: Perturbation()})
    system: Callable[..., Any] | None = None
    jobs: Callable[..., Any] | None = None
    stages: bool = False

    def __post_init__(self) -> None:
        arms, sets = [arm.name for arm in self.arms], set(self.test_sets)
        if len(set(arms)) < len(arms):
            raise UsageError(f"{self.name}: two arms have one name")
        for claim in self.claims:
            if not {claim.better, claim.worse} <= set(arms) or not {claim.better_set, claim.worse_set} <= sets:
                raise UsageError(f"{self.name}: a claim compares {claim.text!r}, which the study does not have")

    def without(self, arms: set[str]) -> "Study":
        """Return the study without some arms and the claims about them."""
        kept = tuple(arm for arm in self.arms if arm.name not in arms)
        claims = tuple(claim for claim in self.claims if not {claim.better, claim.worse} & arms)
        return replace(self, arms=kept, claims=claims)
