"""``remix-miner ensemble``: run an ensemble on songs, blend finished estimates, fit the weights of a blend."""

from pathlib import Path
from typing import Any

import click

from remix_miner.commands._options.common import device_option, note, show, verb, warn
from remix_miner.commands._options.source_names import parse_names, sources_option
from remix_miner.errors import DataError, UsageError


@click.group(
    help="Weighted ensembles of models or of finished estimates.",
    epilog="\b\nExample:\n  remix-miner ensemble blend mdx=est/a demucs=est/b --recipe kuielab_2021 --out est/blend",
)
def command() -> None:
    pass


def _named(pairs: tuple[str, ...], what: str) -> dict[str, str]:
    """Return ``name=value`` arguments as a dict, each name once."""
    named: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value or name in named:
            raise UsageError(f"{what} are given as NAME=PATH, each name once; got {pair!r}")
        named[name] = value
    return named


@verb(
    "Separate FILES with the ensemble RECIPE (a TOML file, or a built-in name: kuielab_2021, mvsep_2023), model by "
    "model in bounded memory.",
    "remix-miner ensemble run kuielab_2021 song.mp3 --model mdx=runs/mdx --model demucs=runs/demucs --out estimates",
)
@click.argument("recipe")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", "models", multiple=True, metavar="MEMBER=MODEL", help="The model of a member; repeatable.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the estimates.")
@device_option
def run(recipe: str, files: tuple[Path, ...], models: tuple[str, ...], out: Path, device: str, as_json: bool) -> int:
    from remix_miner.audio import display_name
    from remix_miner.datasets.library import find_audio
    from remix_miner.device import resolve_device
    from remix_miner.evaluation.ensembles.ensemble import run_recipe
    from remix_miner.evaluation.ensembles.recipe import load_recipe
    from remix_miner.outputs import check_output_folder
    from remix_miner.progress import Progress
    from remix_miner.separators.loading import missing_models, open_separator

    loaded = load_recipe(recipe)
    named = {name: member.get("model") for name, member in loaded.members.items()} | _named(models, "models")
    unknown = sorted(set(named) - set(loaded.members))
    lacking = sorted(name for name in loaded.members if not named[name])
    if unknown or lacking:
        problem = f"no member {', '.join(unknown)}" if unknown else f"no model for {', '.join(lacking)}"
        raise UsageError(
            f"{loaded.title}: {problem}; its members are {', '.join(loaded.members)} (--model MEMBER=MODEL)"
        )
    absent = missing_models(named)
    if absent:
        raise DataError(
            f"{loaded.title} lacks models. " + " ".join(f"{name}: {text}." for name, text in absent.items())
        )
    found, skipped = find_audio(files)
    for each in skipped:
        note(f"skipped {display_name(each.path)}: {each.reason}")
    if not found:
        raise UsageError("nothing to separate: no audio files were found")
    check_output_folder(out)
    remarks: dict[str, list[str]] = {}
    failed = {display_name(each.path): each.reason for each in skipped if each.reason != "hidden"}

    def remark(path: Path, text: str, is_failure: bool) -> None:
        note(f"{display_name(path)}: {text}")
        if is_failure:
            failed[display_name(path)] = text
        else:
            remarks.setdefault(display_name(path), []).append(text)

    steps = sum(len({name for weights in stage.weights.values() for name in weights}) + 1 for stage in loaded.stages)
    place = resolve_device(device)
    with Progress("ensemble", total=steps * len(found), unit="steps") as progress:
        folders = run_recipe(
            loaded,
            lambda name: open_separator(named[name], place).model,
            [file.path for file in found],
            out,
            models=named,
            device=place,
            advance=lambda text: progress.advance(note=text),
            remark=remark,
        )
    document = {
        "recipe": loaded.title,
        "folders": [str(folder) for folder in folders],
        "remarks": remarks,
        "failed": failed,
    }
    show(document, as_json, "\n".join(map(str, folders)))
    return 1 if failed else 0


@verb(
    "Average finished estimates, given as NAME=FOLDER, with the weights of a one-stage RECIPE, or with equal ones.",
    "remix-miner ensemble blend mdx=estimates/a demucs=estimates/b --recipe kuielab_2021 --out estimates/blend",
)
@click.argument("estimates", nargs=-1, required=True, metavar="NAME=FOLDER...")
@click.option("--recipe", default=None, help="TOML file or built-in name; default: equal weights.")
@sources_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the blended estimates.")
def blend(estimates: tuple[str, ...], recipe: str | None, sources: str | None, out: Path, as_json: bool) -> int:
    from remix_miner.evaluation.ensembles.blend import blend_files
    from remix_miner.evaluation.ensembles.recipe import load_recipe
    from remix_miner.evaluation.estimates import find_estimates
    from remix_miner.outputs import check_output_folder
    from remix_miner.progress import track
    from remix_miner.sources import SOURCES

    check_output_folder(out)
    wanted = SOURCES if sources is None else tuple(parse_names(sources))
    loaded = None if recipe is None else load_recipe(recipe)
    if loaded is not None and sources is None:
        wanted = loaded.sources
    members = {name: find_estimates(path, wanted).tracks for name, path in _named(estimates, "estimates").items()}
    shares: dict[str, dict[str, float]] = {source: dict.fromkeys(members, 1 / len(members)) for source in wanted}
    if loaded is not None:
        if len(loaded.stages) != 1 or loaded.stages[0].residual_shares:
            raise UsageError(f"{loaded.title} has stages; run it on songs with: remix-miner ensemble run")
        if set(loaded.members) != set(members):
            raise UsageError(f"{loaded.title} blends {', '.join(loaded.members)}; got {', '.join(members)}")
        shares = {source: loaded.stages[0].shares(source) for source in loaded.sources if source in wanted}
    names = sorted(set.union(*(set(tracks) for tracks in members.values())))
    done = []
    for name in track(names, "blending"):
        for source, weights in shares.items():
            files = {member: members[member].get(name, {}).get(source) for member in weights}
            if not any(files.values()):
                continue
            lacking = [member for member, path in files.items() if path is None]
            if lacking:
                raise DataError(f"{', '.join(lacking)}: no estimate of {source} of {name!r}")
            blend_files({path: weights[member] for member, path in files.items() if path}, out / name / f"{source}.wav")
        done.append(name)
    show({"out": str(out), "tracks": done}, as_json, f"{len(done)} tracks blended in {out}")
    return 0


@verb(
    "Fit blending weights per source by least squares on labelled songs, from finished estimates given as NAME=FOLDER; "
    "report what they gain on other songs: those of --check, or each song under weights fitted without it.",
    "remix-miner ensemble fit mdx=estimates/a demucs=estimates/b --stems valid --out blend.toml",
)
@click.argument("estimates", nargs=-1, required=True, metavar="NAME=FOLDER...")
@click.option("--stems", required=True, multiple=True, type=click.Path(path_type=Path), help="Songs to fit on.")
@click.option("--split", default=None, help="Of --stems: train, valid or test.")
@click.option("--check", multiple=True, type=click.Path(path_type=Path), help="Other songs to score the weights on.")
@sources_option
@click.option("--nonnegative", is_flag=True, help="No negative weights.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the weights as a recipe.")
def fit(
    estimates: tuple[str, ...],
    stems: tuple[Path, ...],
    split: str | None,
    check: tuple[Path, ...],
    sources: str | None,
    nonnegative: bool,
    out: Path | None,
    as_json: bool,
) -> int:
    from dataclasses import asdict

    from remix_miner.atomic import write_text
    from remix_miner.evaluation.ensembles.blend import study_blend
    from remix_miner.evaluation.ensembles.recipe import recipe_text
    from remix_miner.evaluation.estimates import find_estimates
    from remix_miner.evaluation.provenance import read_estimates_record, songs_in_training
    from remix_miner.evaluation.references import load_reference_tracks
    from remix_miner.evaluation.tables import format_table
    from remix_miner.outputs import check_output_file
    from remix_miner.sources import SOURCES

    if out is not None:
        check_output_file(out)
    names = SOURCES if sources is None else tuple(parse_names(sources))
    members = {name: find_estimates(path, names).tracks for name, path in _named(estimates, "estimates").items()}
    fitting = load_reference_tracks(stems, names, split)
    checking = load_reference_tracks(check, names) if check else None
    for member, folder in _named(estimates, "estimates").items():
        seen = songs_in_training(read_estimates_record(Path(folder)), [track.name for track in fitting])
        if seen:
            warn(f"{member} was trained or chosen on {len(seen)} of the songs, e.g. {seen[0]!r}")
    fitted = [source for source in names if all(_has(tracks, source) for tracks in members.values())]
    if not fitted:
        raise DataError(f"no source among {', '.join(names)} for which every member has estimates")
    studies, left_out = {}, []
    for source in fitted:
        products = _products(members, fitting, source, names)
        others = None if checking is None else _products(members, checking, source, names)
        try:
            studies[source] = study_blend(products, list(members), nonnegative, others)
        except DataError as error:
            note(f"{source} is left out: {error}")
            left_out.append(source)
    if not studies:
        raise DataError("no source could be fitted")
    if out is not None:
        weights = {source: study.weights for source, study in studies.items()}
        write_text(out, recipe_text("fitted on " + ", ".join(path.name for path in stems), weights, members))
        note(f"written: {out}")
    rows = [
        [
            source,
            *(f"{study.weights[name]:.3f}" for name in members),
            *(f"{study.members[name]:.2f}" for name in members),
            f"{study.equal:.2f}",
            f"{study.held_out:.2f}",
            f"{study.gain:+.2f}",
            str(study.songs),
        ]
        for source, study in studies.items()
    ]
    header = ["uSDR, dB", *(f"w {name}" for name in members), *members, "equal", "fitted", "gain", "songs"]
    judged = "other songs" if check else "each song under weights fitted on the others"
    document = {source: {**asdict(study), "gain": study.gain} for source, study in studies.items()}
    text = format_table(header, rows) + f"\nscored on {judged}"
    show({"judged_on": judged, "left_out": left_out, "sources": document}, as_json, text)
    return 1 if left_out else 0


def _has(tracks: dict[str, dict[str, Path]], source: str) -> bool:
    return any(source in files for files in tracks.values())


def _products(
    members: dict[str, dict[str, dict[str, Path]]], tracks: Any, source: str, names: tuple[str, ...]
) -> list[Any]:
    from remix_miner.evaluation.ensembles.blend import inner_products
    from remix_miner.progress import track as progress

    products = []
    for song in progress(tracks, f"measuring {source}"):
        lacking = [name for name, found in members.items() if source not in found.get(song.name, {})]
        if lacking:
            raise DataError(f"{', '.join(lacking)}: no estimate of {source} of {song.name!r}")
        products.append(inner_products([found[song.name][source] for found in members.values()], song, source, names))
    return products


for _name, _command in (("run", run), ("blend", blend), ("fit", fit)):
    command.add_command(_command, _name)
