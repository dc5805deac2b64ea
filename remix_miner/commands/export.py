"""``remix-miner export``: mined excerpts as data sets of other trainers, or as labels."""

from pathlib import Path

import click

from remix_miner.commands._options.common import note, show, verb


@verb(
    "Write mined excerpts as a data set that another trainer reads, or as labels of silence. Rejected excerpts are "
    "left out; beside a stretch marked as wrong the rest is taken. Run again, it keeps what is whole. manifest.csv "
    "states where each file comes from and has a column for its licence.",
    "remix-miner export mined/ --format msst --without vocals --stems musdb18hq/ --out msst/",
)
@click.argument("mined", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--format",
    "format_name",
    required=True,
    type=click.Choice(["msst", "demucs", "labels", "musdb18-hq"]),
    help="msst: Music-Source-Separation-Training, types 2 and 3; demucs: Demucs 4; labels: CSV, Audacity, RTTM, JAMS; "
    "musdb18-hq: excerpts with one source alone.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder to write.")
@click.option("--without", default="", help="Sources that are all silent, e.g. vocals or drums,bass,vocals.")
@click.option("--audio", default=None, type=click.Choice(["flac", "wav"]), help="Default: flac for msst, else wav.")
@click.option("--min-seconds", default=5.0, show_default=True, help="Shortest span.")
@click.option("--accepted-only", is_flag=True, help="Only excerpts that a listener accepted.")
@click.option(
    "--stems",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Songs with stems to add: their train split to train, their valid split to validate. Repeatable.",
)
@click.option(
    "--library",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The scanned folder where it has moved, so that labels name its files. Repeatable.",
)
@click.option(
    "--config",
    default=None,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="For msst: one of its configurations; OUT/config.yaml is a copy that fits the data.",
)
@click.option("--valid-share", default=0.1, show_default=True, help="Of the tracks, for demucs without a valid split.")
def command(
    mined: Path,
    format_name: str,
    out: Path,
    without: str,
    audio: str | None,
    min_seconds: float,
    accepted_only: bool,
    stems: tuple[Path, ...],
    library: tuple[Path, ...],
    config: Path | None,
    valid_share: float,
    as_json: bool,
) -> int:
    from remix_miner.export.run import export
    from remix_miner.export.settings import ExportSettings
    from remix_miner.sources import parse_sources

    settings = ExportSettings(
        format=format_name,
        without=tuple(parse_sources(without)) if without else (),
        audio=audio or ("wav" if format_name in ("demucs", "musdb18-hq") else "flac"),
        min_seconds=min_seconds,
        accepted_only=accepted_only,
        stems=stems,
        library=library,
        valid_share=valid_share,
        config=config,
    )
    made = export(mined, out, settings)
    for each in made.written.notes:
        note(each)
    hours, done = made.seconds / 3600, made.written
    kind = made.format if made.label == made.format else f"{made.format} ({made.label})"
    text = (
        f"{made.spans:,} spans of {made.tracks:,} tracks, {hours:.2f} h, as {kind} in {out}\n"
        + (
            ""
            if made.format == "labels"
            else f"{done.written:,} files written, {done.linked:,} linked, {done.kept:,} kept\n"
        )
        + f"use: {made.use}"
    )
    show(made.as_json(), as_json, text)
    return 0
