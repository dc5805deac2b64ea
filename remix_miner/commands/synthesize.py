"""``remix-miner synthesize``: generated songs with known stems."""

from typing import Any

import click

from remix_miner.commands._options.common import show, verb


@verb(
    "Write generated songs: OUT/stems/{train,valid,test}/TRACK/{mixture,drums,bass,other,vocals}.wav, an unlabelled "
    "OUT/library in wav, flac, ogg and mp3, and the library's stems in OUT/library_truth. Nothing is downloaded; the "
    "same seed gives the same songs. A rerun writes what is missing. With --layout mvsep: a test set of public "
    "OUT/mixtures/song_000.wav and private references in OUT/private, to be scored with evaluate.",
    "remix-miner synthesize songs --songs 12 --seconds 60 --seed 1",
)
@click.argument("out", type=click.Path())
@click.option(
    "--layout",
    type=click.Choice(["corpus", "mvsep"]),
    default="corpus",
    show_default=True,
    help="A corpus and a library, or a test set as MVSep's.",
)
@click.option(
    "--songs",
    type=int,
    default=None,
    help="Songs with stems; the library gets as many others. Default: 12; 100 with --layout mvsep.",
)
@click.option("--seconds", type=float, default=None, help="Length of each song. Default: 30; 60 with --layout mvsep.")
@click.option("--seed", default=0, show_default=True, help="Other seeds give other songs.")
def command(out: str, layout: str, songs: int | None, seconds: float | None, seed: int, as_json: bool) -> None:
    from remix_miner.outputs import check_output_folder
    from remix_miner.synthesis.corpus import write_corpus
    from remix_miner.synthesis.mvsep_set import write_test_set

    check_output_folder(out, "OUT")
    given: dict[str, Any] = {"songs": songs, "seconds": seconds}
    options = {name: value for name, value in given.items() if value is not None}
    if layout == "mvsep":
        summary = write_test_set(out, seed=seed, **options)
        minutes = summary["songs"] * summary["seconds"] / 60
        text = (
            f"{summary['songs']} mixtures in {out}/mixtures, their references in {out}/private, {minutes:.1f} minutes\n"
            f"give away the mixtures alone; score estimates with: remix-miner evaluate ESTIMATES --stems {out}/private"
        )
    else:
        summary = write_corpus(out, seed=seed, **options)
        stems = sum(name.startswith("stems/") for name in summary["files"])
        minutes = 2 * summary["songs"] * summary["seconds"] / 60
        text = (
            f"{stems} songs with stems in {out}/stems, {summary['songs']} others in {out}/library (their stems: "
            f"{out}/library_truth), {minutes:.1f} minutes in all"
        )
    show(summary, as_json, text)
