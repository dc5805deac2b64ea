"""``remix-miner study``: an experiment of a paper, with a verdict on each of its claims."""

from pathlib import Path
from typing import Any

import click

from remix_miner.commands._options.common import device_option, note, paragraph, show, verb
from remix_miner.errors import UsageError


@verb(
    "Repeat an experiment of a paper on your songs: train every arm, score the test songs, and state for each claim of "
    "the paper whether the result agrees, disagrees or is undecided (95% interval over artists and seeds). A rerun "
    "resumes. Without NAME the studies are listed.",
    "remix-miner study random-mix-share --stems musdb18hq --out studies/random-mix-share",
)
@click.argument("name", required=False)
@click.option("--stems", multiple=True, metavar="STEMS", help="Songs with stems; repeatable.")
@click.option(
    "--scale",
    default=None,
    metavar="cpu|gpu|FILE",
    help="Model and length of training; not for harvest, which trains nothing.  [default: cpu]",
)
@click.option("--out", default=None, metavar="DIR", help="Results, study.json, study.txt and study.png.")
@click.option(
    "--work",
    default=None,
    metavar="DIR",
    help="Songs and trained models; studies that share it train a common arm once. Default: --out. Not for harvest.",
)
@click.option("--mined", default=None, metavar="MINED", help="Excerpts, for remixed arms and the hours of a harvest.")
@click.option("--library", multiple=True, metavar="LIBRARY", help="harvest: music to mine into --out; repeatable.")
@click.option("--detector", default=None, help="harvest: the detector that is measured.  [default: default]")
@click.option(
    "--mute",
    "muted_variants",
    default=None,
    type=click.IntRange(0),
    help="harvest: variants of each song with muted sources.  [default: 2]",
)
@device_option
def command(
    name: str | None,
    stems: tuple[str, ...],
    scale: str | None,
    out: str | None,
    work: str | None,
    mined: str | None,
    library: tuple[str, ...],
    detector: str | None,
    muted_variants: int | None,
    device: str,
    as_json: bool,
) -> None:
    from remix_miner.studies.catalogue import STUDIES, find_study
    from remix_miner.studies.harvest_report import harvest_text
    from remix_miner.studies.papers.harvest import NAME as HARVEST
    from remix_miner.studies.papers.harvest import PAPER, QUESTION

    if name is None:
        plans = [make() for make in STUDIES.values()]
        lines = [paragraph(plan.name, f"{plan.question} {len(plan.arms)} arms. {plan.paper}.", 18) for plan in plans]
        lines.append(paragraph(HARVEST, f"{QUESTION} {PAPER}.", 18))
        listed = [{"name": plan.name, "paper": plan.paper, "question": plan.question} for plan in plans]
        listed.append({"name": HARVEST, "paper": PAPER, "question": QUESTION})
        show(listed, as_json, "\n".join(lines))
        return
    if name != HARVEST:
        study = find_study(name)
    if not stems or out is None:
        raise UsageError(f"study {name} needs songs and a folder: --stems STEMS --out DIR")
    if name == HARVEST:
        _refuse({"--scale": scale, "--work": work}, "harvest trains nothing: it takes no {option}")
        variants = 2 if muted_variants is None else muted_variants
        result = _harvest(stems, out, (mined, library), (detector or "default", variants), device)
        show(result, as_json, f"{harvest_text(result)}\ndetails and figure: {out}")
        return
    _refuse(
        {"--library": library or None, "--detector": detector, "--mute": muted_variants},
        f"{{option}} is an option of the study harvest; {name} does not take it",
    )
    from remix_miner.outputs import check_output_folder
    from remix_miner.studies.bench import Bench
    from remix_miner.studies.report import document, text, write_report
    from remix_miner.studies.runner import MIXTURE, run_study
    from remix_miner.studies.scale import load_scale
    from remix_miner.studies.songs import prepare_songs
    from remix_miner.studies.verdict import judge

    folder, chosen = check_output_folder(out), load_scale(scale or "cpu").for_study(name)
    place = folder if work is None else check_output_folder(work)
    remixed = {arm.name for arm in study.arms if arm.remixed and mined is None}
    if remixed:
        note(f"left out, since they need --mined: {', '.join(sorted(remixed))}")
        study = study.without(remixed)
    for perturbation in study.test_sets.values():
        perturbation.require_extra()
    for arm in study.arms:
        chosen.settings_of(arm, chosen.seeds[0])  # wrong settings are reported before any work
    at = place / f"songs-{chosen.sample_rate}-{chosen.channels}"
    songs = prepare_songs([Path(path) for path in stems], at, chosen)
    bench = Bench(chosen, songs, place, chosen.seeds[0], device, None if mined is None else Path(mined))
    runs = run_study(study, bench, folder)
    verdicts = [judge(claim, runs, songs.artists, floor=MIXTURE) for claim in study.claims]
    result = document(study, chosen, runs, verdicts, songs.artists)
    write_report(result, folder)
    show(result, as_json, f"{text(result)}\ndetails and figure: {folder}")


def _refuse(options: dict[str, object], why: str) -> None:
    """Raise `UsageError` for the first option that was given a value; ``why`` states the reason, with {option}."""
    for option, given in options.items():
        if given is not None:
            raise UsageError(why.format(option=option))


def _harvest(
    stems: tuple[str, ...],
    out: str,
    music: tuple[str | None, tuple[str, ...]],
    measured: tuple[str, int],
    device: str,
) -> dict[str, Any]:
    """Return the harvest study's document. ``music``: mined folder, library; ``measured``: detector, muted variants."""
    from remix_miner.api.scan import scan
    from remix_miner.commands._options.labelled import SongChoice, label_and_predict_songs, warn_of_training_songs
    from remix_miner.detector.loading import load_detector
    from remix_miner.device import resolve_device
    from remix_miner.outputs import check_output_folder
    from remix_miner.studies.harvest_report import write_harvest
    from remix_miner.studies.papers.harvest import measure

    (mined, library), (detector, variants) = music, measured
    if mined is not None and library:
        raise UsageError("--library is mined, --mined is there already: name one of them")
    folder = check_output_folder(out)
    loaded = load_detector(detector, device=resolve_device(device))
    songs = label_and_predict_songs(loaded, SongChoice([Path(path) for path in stems], muted_variants=variants))
    warn_of_training_songs(loaded, songs)
    if library:
        mined = str(scan(library, folder / "mined", detector=detector).folder)
    result = {**measure(songs, None if mined is None else Path(mined)), "detector": loaded.name, "mute": variants}
    write_harvest(result, folder)
    return result
