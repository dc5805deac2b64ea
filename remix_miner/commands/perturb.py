"""``remix-miner perturb``: a test set whose stems are shifted in time and pitch."""

from pathlib import Path

import click

from remix_miner.commands._options.common import show, verb


@verb(
    "Write a copy of a stem corpus in which each stem of each song is shifted in time and pitch by a draw of its own: "
    "test songs of inconsistent beat and key (Jeon et al. 2024, figure 4). A rerun writes what is missing.",
    "remix-miner perturb musdb18hq --split test --time-shift 1 --out shifted/1s",
)
@click.argument("stems", nargs=-1, required=True, metavar="STEMS...")
@click.option("--split", default=None, help="Only 'train', 'valid' or 'test' of corpora that have splits.")
@click.option("--time-shift", "seconds", default=0.0, show_default=True, help="Largest shift in time, in seconds.")
@click.option("--pitch-shift", "semitones", default=0, show_default=True, help="Largest shift in pitch, in semitones.")
@click.option("--seed", default=0, show_default=True, help="Other seeds give other shifts.")
@click.option("--out", required=True, metavar="DIR", help="Folder of the new corpus.")
def command(
    stems: tuple[str, ...], split: str | None, seconds: float, semitones: int, seed: int, out: str, as_json: bool
) -> None:
    from remix_miner.datasets.corpora import load_stem_tracks
    from remix_miner.outputs import check_output_folder
    from remix_miner.studies.perturbation import Perturbation
    from remix_miner.studies.perturbed_corpus import write_perturbed

    perturbation, folder = Perturbation(seconds, semitones), check_output_folder(out)
    perturbation.require_extra()
    tracks = load_stem_tracks([Path(path) for path in stems], split)
    folders = write_perturbed(tracks, folder, perturbation, seed)
    result = {"songs": [str(path) for path in folders], "time_shift_seconds": seconds, "semitones": semitones}
    show(result, as_json, f"{len(folders)} songs in {out}: stems up to {seconds:g} s and {semitones} semitones apart")
