"""``remix-miner merge``: one mined folder from the parts that ``detect --shard i/n`` made."""

import dataclasses
from pathlib import Path

import click

from remix_miner.commands.options import show, verb


@verb(
    "Join mined folders, for example those of detect --shard i/n, into OUT. Shards are linked where the file system "
    "can, else copied; the parts stay as they are. Run again, it goes on where it stopped.",
    "remix-miner merge mined/ part-1/ part-2/ part-3/",
)
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.argument("parts", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--copy", is_flag=True, help="Copy every shard and compare its SHA-256, even where it could be linked.")
def command(out: Path, parts: tuple[Path, ...], copy: bool, as_json: bool) -> int:
    from remix_miner.mining.merge import merge
    from remix_miner.progress import Progress

    with Progress("merging", len(parts), unit="parts") as progress:
        merged = merge(out, parts, copy=copy, on_part=progress.advance)
    text = (
        f"{merged.parts} parts: {merged.tracks:,} tracks, {merged.excerpts:,} excerpts and {merged.shards:,} shards "
        f"added to {out}"
    )
    if merged.repeated:
        text += f"; {merged.repeated:,} tracks were there already"
    show(dataclasses.asdict(merged), as_json, text)
    return 0
