"""``remix-miner merge``: one mined folder from the parts that ``detect --shard i/n`` made."""

import dataclasses
from pathlib import Path

import click

from remix_miner.commands._options.common import show, verb
from remix_miner.errors import UsageError


@verb(
    "Join mined folders, for example those of detect --shard i/n, into OUT. Of the copies of a recording that several "
    "parts mined, one is taken. Shards are linked where the file system can, else copied; the parts stay as they are. "
    "Resumes where an earlier run stopped.",
    "remix-miner merge part-1/ part-2/ part-3/ --out mined/",
)
@click.argument("parts", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", default=None, type=click.Path(path_type=Path, file_okay=False), help="The folder to join into.")
@click.option("--copy", is_flag=True, help="Copy every shard and compare its SHA-256, even where it could be linked.")
@click.option("--keep-duplicates", is_flag=True, help="Take every copy of a recording; without it, one.")
def command(parts: tuple[Path, ...], out: Path | None, copy: bool, keep_duplicates: bool, as_json: bool) -> int:
    if out is None:
        first, *others = map(str, parts)
        raise UsageError(
            f"merge needs --out: to join into {first}, as the first argument did before, type\n"
            f"  remix-miner merge {' '.join(others) or 'PARTS...'} --out {first}"
        )
    from remix_miner.mining.merge import merge

    merged = merge(out, parts, copy=copy, duplicates=not keep_duplicates)
    text = (
        f"{merged.parts} parts: {merged.tracks:,} tracks, {merged.excerpts:,} excerpts and {merged.shards:,} shards "
        f"added to {out}"
    )
    if merged.repeated:
        text += f"; {merged.repeated:,} tracks were there already"
    if merged.left_out:
        text += f"; {merged.left_out:,} tracks left out as duplicates or excluded (skipped in report.json)"
    if merged.without_fingerprint:
        text += f"; {merged.without_fingerprint:,} tracks without a fingerprint were compared by their bytes only"
    show(dataclasses.asdict(merged), as_json, text)
    return 0
