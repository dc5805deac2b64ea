"""``remix-miner synthesize``: generated songs with known stems."""

import click

from remix_miner.commands._options.common import show, verb


@verb(
    "Write generated songs: OUT/stems/{train,valid,test}/TRACK/{mixture,drums,bass,other,vocals}.wav, an unlabelled "
    "OUT/library in wav, flac, ogg and mp3, and the library's stems in OUT/library_truth. Nothing is downloaded; the "
    "same seed gives the same songs. A rerun writes what is missing.",
    "remix-miner synthesize songs --songs 12 --seconds 60 --seed 1",
)
@click.argument("out", type=click.Path())
@click.option("--songs", default=12, show_default=True, help="Songs with stems; the library gets as many others.")
@click.option("--seconds", default=30.0, show_default=True, help="Length of each song.")
@click.option("--seed", default=0, show_default=True, help="Other seeds give other songs.")
def command(out: str, songs: int, seconds: float, seed: int, as_json: bool) -> None:
    from remix_miner.outputs import check_output_folder
    from remix_miner.synthesis.corpus import write_corpus

    check_output_folder(out, "OUT")
    summary = write_corpus(out, songs, seconds, seed)
    stems = sum(name.startswith("stems/") for name in summary["files"])
    minutes = 2 * songs * seconds / 60
    text = (
        f"{stems} songs with stems in {out}/stems, {songs} others in {out}/library (their stems: {out}/library_truth), "
        f"{minutes:.1f} minutes in all"
    )
    show(summary, as_json, text)
