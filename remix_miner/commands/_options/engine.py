"""The options of the engine that scans a library."""

import click

from remix_miner.commands._options.common import options

engine_options = options(
    click.option("--workers", default=None, type=int, help="Processes; one per CPU core if left out, 0: this process."),
    click.option(
        "--engine",
        "name",
        default="local",
        show_default=True,
        type=click.Choice(["local", "ray"]),
        help="Processes of this machine, or actors of a Ray cluster.",
    ),
    click.option("--address", default=None, help="Of a Ray cluster; a local one is started if left out."),
    click.option(
        "--gpus-per-worker", default=None, type=float, help="Share of a GPU that a Ray actor holds, e.g. 0.25."
    ),
    click.option(
        "--device", default="cpu", show_default=True, help="'cpu', 'cuda', 'cuda:1'; auto takes a GPU if any."
    ),
)
"""Adds the choice of an engine to a verb, which takes the values as ``**engine``, the fields of `Engine`."""
