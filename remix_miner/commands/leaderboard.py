"""``remix-miner leaderboard``: rows, tables, one static page, comparisons, and scored submissions."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from remix_miner.commands._options.common import note, show, verb, warn
from remix_miner.commands._options.source_names import parse_names, sources_option
from remix_miner.errors import UsageError

if TYPE_CHECKING:
    from remix_miner.evaluation.results import Result

board_option = click.option(
    "--board",
    default="leaderboard",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The leaderboard's folder.",
)


@click.group(
    help="A local leaderboard: a folder of results that are never altered, with the published rows beside them.",
    epilog="\b\nExample:\n  remix-miner leaderboard add result.json && remix-miner leaderboard page --out board.html",
)
def command() -> None:
    pass


@verb("Append results of evaluate.", "remix-miner leaderboard add result.json --board leaderboard")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", default=None, help="Name of the row (one result only); default: the result's.")
@click.option(
    "--estimates",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the scored audio, for players on the page (one result only).",
)
@board_option
def add(results: tuple[Path, ...], name: str | None, estimates: Path | None, board: Path, as_json: bool) -> int:
    from dataclasses import replace

    from remix_miner.evaluation.leaderboard.board import Leaderboard
    from remix_miner.evaluation.results import Result

    if (name is not None or estimates is not None) and len(results) > 1:
        raise UsageError("--name and --estimates are for one result; add the others one by one")
    # The folder in the result's own field may be anybody's: only the one that is given here is played or copied.
    loaded = [replace(Result.load(path), estimates=None) for path in results]
    if name is not None:
        loaded = [replace(loaded[0], name=name)]
    if estimates is not None:
        loaded = [replace(loaded[0], estimates=str(estimates.resolve()))]
    leaderboard = Leaderboard(board)
    for result in loaded:
        _note_training_songs(result)
    rows = [leaderboard.add(result) for result in loaded]
    show(
        {"board": str(board), "added": [row.id for row in rows]}, as_json, "\n".join(f"added {row.id}" for row in rows)
    )
    return 0


def _note_training_songs(result: "Result") -> None:
    from remix_miner.evaluation.evaluate import TRAINED_ON

    for text in result.notes:
        if text.startswith(TRAINED_ON):
            warn(f"{result.name}: {text}")


@verb("Print the board: one table per corpus.", "remix-miner leaderboard show --metric csdr")
@click.option(
    "--metric",
    default="usdr",
    show_default=True,
    type=click.Choice(["usdr", "csdr", "si_sdr", "isr", "sir", "sar"]),
    help="Metric of the tables.",
)
@board_option
def show_board(metric: str, board: Path, as_json: bool) -> int:
    from remix_miner.evaluation.leaderboard.board import Leaderboard
    from remix_miner.evaluation.leaderboard.published import published_rows
    from remix_miner.evaluation.leaderboard.text_tables import text_tables

    rows = Leaderboard(board).rows()
    document = {
        "measured": [{"id": row.id, "added": row.added, "result": row.document} for row in rows],
        "published": [{**vars(row)} for row in published_rows()],
    }
    show(document, as_json, text_tables(rows, metric) or f"no {metric} rows yet")
    return 0


@verb("Write the board as one HTML file that opens from disk.", "remix-miner leaderboard page --out leaderboard.html")
@click.option(
    "--out", default="leaderboard.html", show_default=True, type=click.Path(path_type=Path), help="The HTML file."
)
@click.option(
    "--audio-seconds",
    type=float,
    default=None,
    help="Copy this much of each kept estimate beside the page (Ogg Vorbis), so that both can be moved; default: link.",
)
@board_option
def page(out: Path, audio_seconds: float | None, board: Path, as_json: bool) -> int:
    from remix_miner.evaluation.leaderboard.board import Leaderboard
    from remix_miner.evaluation.leaderboard.page import write_page
    from remix_miner.outputs import check_output_file

    check_output_file(out)
    write_page(Leaderboard(board), out, copy_audio_seconds=audio_seconds)
    show({"page": str(out)}, as_json, f"open {out} in a browser")
    return 0


@verb(
    "Compare two results song by song: differences with 95% intervals from a paired bootstrap over songs.",
    "remix-miner leaderboard compare with_remix.json without_remix.json",
)
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help="Of the resampling.")
def compare(first: Path, second: Path, seed: int, as_json: bool) -> int:
    from remix_miner.evaluation.leaderboard.compare import compare as compare_results
    from remix_miner.evaluation.leaderboard.compare import differences_document
    from remix_miner.evaluation.results import Result
    from remix_miner.evaluation.tables import COLUMN_NAMES, NAMES, format_table

    left, right = Result.load(first), Result.load(second)
    differences = compare_results(left, right, seed)
    rows = [
        [
            f"{NAMES[each.metric]} {each.aggregate.replace('_', ' ')}",
            COLUMN_NAMES.get(each.column, each.column),
            f"{each.value:+.2f}",
            "-" if each.low is None else f"[{each.low:+.2f}, {each.high:+.2f}]",
            "yes" if each.clear else "no",
            f"{each.wins} of {each.tracks}",
        ]
        for each in differences
    ]
    header = ["dB", "source", "difference", "95% interval", "clear", "better in"]
    text = f"{left.name} minus {right.name}\n\n" + format_table(header, rows)
    show({"first": left.name, "second": right.name, "differences": differences_document(differences)}, as_json, text)
    return 0


@verb(
    "Score a zip of estimates against stems that only you have, and append the row. The zip holds one wav or flac for "
    "each source of every song, <track>/<source>.wav or <track>_<source>.wav, and nothing else.",
    "remix-miner leaderboard submit upload.zip --stems private/stems --name 'Team A' --board leaderboard",
)
@click.argument("upload", type=click.Path(path_type=Path))
@click.option("--stems", required=True, multiple=True, type=click.Path(path_type=Path), help="The private references.")
@click.option("--split", default=None, help="Of --stems: train, valid or test.")
@click.option("--name", required=True, help="Name of the row.")
@click.option("--corpus", default="private set", show_default=True, help="What the set is called on the board.")
@sources_option
@click.option("--metrics", default="usdr", show_default=True, help="Which scores.")
@click.option("--workers", type=int, default=None, help="Scoring processes; default: one per CPU core.")
@board_option
def submit(
    upload: Path,
    stems: tuple[Path, ...],
    split: str | None,
    name: str,
    corpus: str,
    sources: str | None,
    metrics: str,
    workers: int | None,
    board: Path,
    as_json: bool,
) -> int:
    from remix_miner.evaluation.leaderboard.board import Leaderboard
    from remix_miner.evaluation.leaderboard.submission import score_submission
    from remix_miner.evaluation.references import load_reference_tracks
    from remix_miner.evaluation.scores import parse_metrics
    from remix_miner.evaluation.tables import result_text
    from remix_miner.sources import SOURCES

    leaderboard = Leaderboard(board)
    if any(row.document["name"] == name and row.document["corpus"]["name"] == corpus for row in leaderboard.rows()):
        raise UsageError(f"{name!r} is on the board already; choose another --name")
    if not upload.is_file():
        raise UsageError(f"{upload} is no file; give a zip")
    wanted = SOURCES if sources is None else tuple(parse_names(sources))
    result = score_submission(
        upload,
        load_reference_tracks(stems, wanted, split),
        parse_metrics(metrics),
        name=name,
        corpus=corpus,
        sources=wanted,
        workers=(os.cpu_count() or 1) if workers is None else workers,
    )
    row = leaderboard.add(result)
    note(f"added {row.id}")
    show({"added": row.id, "result": row.document}, as_json, result_text(result, row.document, per_track=False))
    return 0


for _name, _command in (("add", add), ("show", show_board), ("page", page), ("compare", compare), ("submit", submit)):
    command.add_command(_command, _name)
