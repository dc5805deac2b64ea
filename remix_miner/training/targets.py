"""Training one target against the rest: what the model separates, and how often excerpts are used."""

from typing import Any

from remix_miner.errors import UsageError
from remix_miner.separators import build
from remix_miner.separators.base import Separator
from remix_miner.training.settings import TrainingSettings

LARGEST_SHARE = 0.5


def build_model(settings: TrainingSettings) -> Separator:
    """The separator of a run with random weights.

    With a target it separates the target and the rest ('vocals', 'no_vocals'), unless the separator's settings name
    the target alone. Raises `UsageError` when they name anything else.
    """
    chosen: dict[str, Any] = dict(settings.separator.settings)
    if settings.target is not None:
        both = [settings.target, f"no_{settings.target}"]
        sources = list(chosen.setdefault("sources", both))
        if sources not in (both, both[:1]):
            raise UsageError(
                f"a run with target {settings.target} trains a model of {both} or {both[:1]}, but "
                f"separator.settings.sources is {sources}; leave one of the two settings out"
            )
    return build(settings.separator.name, **chosen)


def share_of_excerpts(mined_seconds: float, labelled_seconds: float) -> float:
    """The share of examples that excerpts make where `RemixSettings.share` is None.

    A second of an excerpt is used as often as a second of labelled music without the target, and excerpts make at most
    half of the examples. They make all of them where no labelled music has a rest: ``labelled_seconds`` is 0.

    >>> share_of_excerpts(100.0, 900.0), share_of_excerpts(6 * 3600.0, 30.0), share_of_excerpts(60.0, 0.0)
    (0.1, 0.5, 1.0)
    """
    if labelled_seconds == 0:
        return 1.0
    return min(mined_seconds / (mined_seconds + labelled_seconds), LARGEST_SHARE)
