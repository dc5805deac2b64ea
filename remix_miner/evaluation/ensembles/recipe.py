"""Ensemble recipes (TOML): members, and the stages in which their estimates are averaged with weights."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remix_miner.config import from_mapping
from remix_miner.errors import UsageError
from remix_miner.settings_files import RECIPES, find_config, read_toml

PREFIX = "ensemble_"

Weights = Mapping[str, float]
"""Member -> its share of one source; shares are divided by their sum, unless the stage sets another rule."""


@dataclass(frozen=True)
class Member:
    """A model of an ensemble and how it is applied."""

    model: str | None = None
    """Path or built-in name; usually given on the command line."""
    invert: bool = False
    """Apply it to the inverted input, and invert its estimates back."""
    polarity: bool = False
    """Average over the input and the inverted input."""
    shifts: int = 0
    overlap: float = 0.25
    sums: dict[str, list[str]] = field(default_factory=dict)
    """Source of the ensemble -> the model's sources whose sum it is; others are taken by their own name."""
    complements: dict[str, list[str]] = field(default_factory=dict)
    """Source of the ensemble -> the model's sources which, subtracted from the input, leave it."""


@dataclass(frozen=True)
class Stage:
    """Sources that are estimated from one input: the mixture, less what earlier stages found."""

    weights: dict[str, dict[str, float]]
    subtract: tuple[str, ...] = ()
    normalize: bool = True
    """Divide each source's weights by their sum; off for fitted weights, whose sum is part of the fit."""
    residual_shares: dict[str, float] = field(default_factory=dict)
    """Share with which 'input minus the other sources' is averaged into each source; see `refine_with_residuals`."""

    def __post_init__(self) -> None:
        for source, weights in self.weights.items():
            if not all(map(math.isfinite, weights.values())):
                raise UsageError(f"the weights of {source} are {weights}; they must be finite numbers")
            if not weights or (self.normalize and not sum(weights.values()) > 0):
                raise UsageError(f"the weights of {source} sum to {sum(weights.values())}; they must be above 0")
        if not all(0 <= share <= 1 for share in self.residual_shares.values()):
            raise UsageError(f"residual_shares are between 0 and 1, got {self.residual_shares}")
        if self.residual_shares and set(self.residual_shares) != set(self.weights):
            raise UsageError("residual_shares names one share for each source of its stage")

    def shares(self, source: str) -> dict[str, float]:
        """Return the weights of the members for one source, as they are applied."""
        weights = self.weights[source]
        total = sum(weights.values()) if self.normalize else 1.0
        return {member: weight / total for member, weight in weights.items()}


@dataclass(frozen=True)
class EnsembleRecipe:
    """Stages in order; every source belongs to one stage, and a stage may subtract only what came before it."""

    title: str
    members: dict[str, Any]
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        known: set[str] = set()
        for stage in self.stages:
            unknown = {member for weights in stage.weights.values() for member in weights} - set(self.members)
            if unknown:
                raise UsageError(f"{self.title}: weights for {', '.join(sorted(unknown))}, which are no members")
            early = set(stage.subtract) - known
            if early:
                raise UsageError(f"{self.title}: {', '.join(sorted(early))} is subtracted before a stage estimates it")
            twice = known & set(stage.weights)
            if twice:
                raise UsageError(f"{self.title}: {', '.join(sorted(twice))} is estimated by two stages")
            known |= set(stage.weights)

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(source for stage in self.stages for source in stage.weights)

    def member(self, name: str) -> Member:
        return from_mapping(Member, self.members[name], where=f"members.{name}.")


def load_recipe(name: str | Path) -> EnsembleRecipe:
    """Load a recipe file, or a built-in recipe by name ('mvsep_2023')."""
    path = Path(name)
    if not path.is_file() and (RECIPES / f"{PREFIX}{path.stem}.toml").is_file():
        path = RECIPES / f"{PREFIX}{path.stem}.toml"
    recipe = from_mapping(EnsembleRecipe, read_toml(find_config(path)))
    for member in recipe.members:
        recipe.member(member)
    return recipe


def built_in_recipes() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem.removeprefix(PREFIX) for path in RECIPES.glob(f"{PREFIX}*.toml"))


def recipe_text(title: str, weights: Mapping[str, Weights], members: Iterable[str]) -> str:
    """Return the TOML of a one-stage recipe with fitted weights."""
    lines = [f'title = "{title}"', ""]
    lines += [f"[members.{_key(member)}]" for member in members]
    lines += ["", "[[stages]]", "normalize = false", "", "[stages.weights]"]
    for source, shares in weights.items():
        inside = ", ".join(f"{_key(member)} = {weight:.6f}" for member, weight in shares.items())
        lines.append(f"{source} = {{ {inside} }}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    """Return a TOML key, quoted where it must be."""
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else f'"{name}"'
