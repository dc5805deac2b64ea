"""``remix-miner study``: an experiment of a paper, with a verdict on each of its claims."""

from pathlib import Path

import click

from remix_miner.commands._options.common import device_option, paragraph, show, verb
from remix_miner.errors import UsageError


@verb(
    "Repeat an experiment of a paper on your songs: train every arm, score the test songs, and state for each claim of "
    "the paper whether the result agrees, disagrees or is undecided (95% interval over artists and seeds). A rerun "
    "resumes. Without NAME the studies are listed.",
    "remix-miner study random-mix-share --stems musdb18hq --out studies/random-mix-share",
)
@click.argument("name", required=False)
@click.option("--stems", multiple=True, metavar="STEMS", help="Songs with stems; repeatable.")
@click.option("--scale", default="cpu", show_default=True, metavar="cpu|gpu|FILE", help="Model and length of training.")
@click.option("--out", default=None, metavar="DIR", help="Runs, results, study.json, study.txt and study.png.")
@device_option
def command(name: str | None, stems: tuple[str, ...], scale: str, out: str | None, device: str, as_json: bool) -> None:
    from remix_miner.studies.catalogue import STUDIES, find_study

    if name is None:
        plans = [make() for make in STUDIES.values()]
        lines = [paragraph(plan.name, f"{plan.question} {len(plan.arms)} arms. {plan.paper}.", 18) for plan in plans]
        listed = [{"name": plan.name, "paper": plan.paper, "question": plan.question} for plan in plans]
        show(listed, as_json, "\n".join(lines))
        return
    study = find_study(name)
    if not stems or out is None:
        raise UsageError(f"study {name} needs songs and a folder: --stems STEMS --out DIR")
    from remix_miner.outputs import check_output_folder
    from remix_miner.studies.report import document, text, write_report
    from remix_miner.studies.runner import run_study
    from remix_miner.studies.scale import load_scale
    from remix_miner.studies.songs import prepare_songs
    from remix_miner.studies.verdict import judge

    folder, chosen = check_output_folder(out), load_scale(scale)
    for arm in study.arms:
        chosen.settings_of(arm, chosen.seeds[0])  # wrong settings are reported before any work
    songs = prepare_songs([Path(path) for path in stems], folder / "songs", chosen)
    runs = run_study(study, chosen, songs, folder, device)
    result = document(study, chosen, runs, [judge(claim, runs, songs.artists) for claim in study.claims])
    write_report(result, folder)
    show(result, as_json, f"{text(result)}\ndetails and figure: {folder}")
