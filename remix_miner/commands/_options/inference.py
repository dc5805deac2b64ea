"""The options of verbs that apply a separator, and what they share."""

from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import options

if TYPE_CHECKING:
    from remix_miner.separators.overlap_add import InferenceSettings

inference_options = options(
    click.option("--segment-seconds", type=float, default=None, help="Length of a segment; default: the model's own."),
    click.option("--overlap", type=float, default=0.25, show_default=True, help="Share of a segment computed twice."),
    click.option("--shifts", type=int, default=0, show_default=True, help="Average over this many random time shifts."),
    click.option("--polarity", is_flag=True, help="Average with the estimate from the inverted mixture."),
    click.option("--consistency", is_flag=True, help="Make the estimates sum to the mixture."),
    click.option("--batch-size", type=int, default=4, show_default=True, help="Segments computed at once."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the random shifts."),
)
"""Adds the settings of overlap-add inference to a verb, which takes the values as ``**inference``."""


def inference_settings(values: dict[str, Any]) -> "InferenceSettings":
    """Return the settings that `inference_options` parsed."""
    from remix_miner.separators.overlap_add import InferenceSettings

    return InferenceSettings(**values)
