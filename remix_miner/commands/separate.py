"""``remix-miner separate``: estimates of every source of a song, one folder a track, one file a source."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from remix_miner.commands._options.common import device_option, note, show, verb
from remix_miner.commands._options.inference import inference_options, inference_settings
from remix_miner.errors import AudioError, DataError, UsageError, WriteError

if TYPE_CHECKING:
    from remix_miner.separators.files import SeparatedFile


def _require_files(context: click.Context, parameter: click.Parameter, files: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return FILES; with only one argument, raise an error that states which of the two is missing."""
    if not files:
        from remix_miner.audio import AUDIO_SUFFIXES

        model = Path(context.params["model"])
        if model.suffix.lower() in AUDIO_SUFFIXES or (model.is_dir() and not (model / "model.json").exists()):
            raise UsageError(
                f"MODEL is missing: {model} is a song or a folder, and a model comes before it. For example: "
                f"remix-miner separate htdemucs {model} --out estimates --download "
                "('remix-miner models' lists published models)"
            )
        raise UsageError("FILES are missing: name songs or folders after MODEL")
    return files


@verb(
    "Separate FILES (or all audio in folders) with MODEL: a run folder, a weights file or a built-in name. Each song "
    "gets a folder in OUT with one file per source, at its own sample rate and length. A rerun skips what is finished. "
    "'hdemucs' and 'htdemucs' are published models, for use without training; 'remix-miner models' lists all.",
    "remix-miner separate htdemucs song.mp3 --out estimates --download",
)
@click.argument("model")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), callback=_require_files, metavar="FILES...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the estimates.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["wav", "flac", "mp3", "flac16", "flac24"]),
    default="wav",
    show_default=True,
    help="wav holds float32, flac 24 bit unless flac16; mp3 has 320 kbit/s.",
)
@click.option(
    "--two-stems",
    default=None,
    metavar="SOURCE",
    help="Write SOURCE and the sum of the others, no_SOURCE, instead of every source.",
)
@click.option("--download", is_flag=True, help="Fetch the published weights of a built-in name that are not here.")
@click.option("--restart", is_flag=True, help="Replace estimates made with another model or other settings.")
@inference_options
@device_option
def command(
    model: str,
    files: tuple[Path, ...],
    out: Path,
    file_format: str,
    two_stems: str | None,
    download: bool,
    restart: bool,
    device: str,
    as_json: bool,
    **inference: Any,
) -> int:
    from remix_miner.audio import audio_info, display_name
    from remix_miner.datasets.library import find_audio
    from remix_miner.device import resolve_device
    from remix_miner.outputs import check_output_folder
    from remix_miner.progress import Progress
    from remix_miner.separators.files import SeparationJob, finished, separate_file
    from remix_miner.separators.loading import open_separator
    from remix_miner.separators.records import output_folders
    from remix_miner.separators.regrouping import TwoStems

    settings = inference_settings(inference)
    check_output_folder(out)
    found, skipped = find_audio(files)
    for each in skipped:
        note(f"skipped {display_name(each.path)}: {each.reason}")
    if not found:
        raise UsageError("nothing to separate: no audio files among " + ", ".join(map(display_name, files)))
    loaded = open_separator(model, resolve_device(device), download)
    applied, identity = loaded.model, loaded.identity
    if two_stems is not None:
        applied, identity = TwoStems(applied, two_stems), f"{identity}+{two_stems}"
    job = SeparationJob(applied, identity, settings, file_format, restart=restart)
    folders = output_folders([file.path for file in found], out)
    reports: list[SeparatedFile] = []
    failed = {display_name(each.path): each.reason for each in skipped if each.reason != "hidden"}
    for path, folder in list(folders.items()):  # other settings are refused before any work; changed inputs one by one
        try:
            finished(job, path, folder)
        except DataError as error:
            failed[display_name(path)] = str(error)
            note(f"failed: {error}")
            del folders[path]
    with Progress("separating", total=_minutes(list(folders), audio_info), unit="min") as progress:
        for path, folder in folders.items():
            try:
                report = separate_file(
                    job,
                    path,
                    folder,
                    advance=lambda seconds, name=display_name(path.stem): progress.advance(seconds / 60, note=name),  # type: ignore[misc]
                )
            except WriteError:
                raise
            except (AudioError, DataError, OSError) as error:
                failed[display_name(path)] = str(error)
                note(f"failed: {error}")
                continue
            reports.append(report)
            if not report.complete:
                failed[display_name(path)] = report.problem or "the model gave values that are NaN or infinite"
            for remark in _remarks(report, file_format):
                note(f"{display_name(path.name)}: {remark}")
    compute = sum(report.compute_seconds for report in reports)
    lines = [f"{report.folder}" + ("  (was finished)" if report.resumed else "") for report in reports]
    if any(not report.resumed for report in reports):
        seconds = sum(report.seconds for report in reports if not report.resumed)
        lines.append(f"{seconds / 60:.1f} minutes of audio in {compute:.0f} s")
    document = {
        "model": identity,
        "out": str(out),
        "files": [{**report.document(), "path": display_name(report.path)} for report in reports],
        "failed": failed,
    }
    show(document, as_json, "\n".join(lines))
    return 1 if failed else 0


def _remarks(report: "SeparatedFile", file_format: str) -> list[str]:
    """Return remarks: conversions, replaced and clipped samples, missing sources."""
    remarks = list(report.notes)
    if report.replaced_in_input:
        remarks.append(f"{report.replaced_in_input:,} samples of the file are NaN or infinite and were read as zeros")
    if report.replaced:
        counts = ", ".join(f"{source} {count:,}" for source, count in report.replaced.items())
        remarks.append(f"samples that the model gave as NaN or infinity are zeros now: {counts}")
    if report.clipped:
        peaks = ", ".join(f"{source} {count:,}" for source, count in report.clipped.items())
        effect = "kept as they are; players will clip them" if file_format == "wav" else "clipped"
        remarks.append(f"samples beyond full scale {effect}: {peaks}")
    if report.problem:
        remarks.append(f"{report.problem}; separated as far as it decodes")
    return remarks


def _minutes(paths: list[Path], audio_info: Any) -> float | None:
    """Return the total length in minutes by the headers; None where a header cannot be read."""
    try:
        return sum(float(audio_info(path).seconds) for path in paths) / 60
    except AudioError:
        return None
