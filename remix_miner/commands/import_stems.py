"""``remix-miner import-stems``: raw multitracks to a corpus of four sources, by rules on names."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import show, verb

if TYPE_CHECKING:
    from remix_miner.datasets.import_stems import ImportPlan


@verb(
    "Assign the instrument files of raw multitracks to drums, bass, other and vocals by rules on their names ('Lead "
    "Guitar.wav' is other), and write a corpus of links. FOLDER holds a folder a song, also as MedleyDB lays them "
    "out. Names that the rules do not assign are listed, and nothing is written until each is mapped. Mixture files "
    "are not imported: the mixture is the sum of the sources.",
    "remix-miner import-stems multitracks --map 'room*=drums' --map click=skip --out corpus",
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The corpus to write.")
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="NAME=SOURCE",
    help="The source of an instrument name, or 'skip'; * stands for any text. Repeatable.",
)
@click.option(
    "--map-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A TOML file of NAME = SOURCE."
)
@click.option("--dry-run", is_flag=True, help="Show the assignment and write nothing.")
def command(
    folder: Path, out: Path, pairs: tuple[str, ...], map_file: Path | None, dry_run: bool, as_json: bool
) -> int:
    from remix_miner.datasets.import_stems import check_mapped, plan_import, read_mapping, write_import
    from remix_miner.datasets.multitracks import find_raw_songs
    from remix_miner.outputs import check_output_folder

    check_output_folder(out)
    plan = plan_import(find_raw_songs(folder), read_mapping(pairs, map_file))
    if not dry_run:
        check_mapped(plan)
    counts = {} if dry_run else write_import(plan, out)
    result: dict[str, Any] = {
        "out": str(out),
        "songs": len(plan.songs),
        "instruments": plan.instruments,
        "unmapped": {name: [str(path) for path in paths] for name, paths in plan.unmapped.items()},
        "skipped": [str(path) for path in plan.skipped],
        "mixtures": [str(path) for path in plan.mixtures],
        "links": counts,
    }
    show(result, as_json, _text(plan, counts, out))
    return 1 if plan.unmapped else 0


def _text(plan: "ImportPlan", counts: dict[str, int], out: Path) -> str:
    from remix_miner.sources import SOURCES

    lines = [f"{len(plan.songs)} songs"]
    for source in (*SOURCES, "skip", "mixture", "not mapped"):
        names = sorted(name for name, target in plan.instruments.items() if target == source)
        if names:
            lines.append(f"  {source:<11} {', '.join(names)}")
    if plan.skipped or plan.mixtures:
        lines.append(f"  not imported: {len(plan.skipped)} skipped files, {len(plan.mixtures)} mixtures")
    if counts:
        made = ", ".join(f"{count} {what}" for what, count in counts.items() if count and what != "songs")
        lines.append(f"{out}: {made}")
        lines.append(f"next: remix-miner check-data {out}")
    return "\n".join(lines)
