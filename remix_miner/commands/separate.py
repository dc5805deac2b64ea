"""``remix-miner separate``: estimates of every source of a song, one folder a track, one file a source."""

from pathlib import Path
from typing import Any

import click

from remix_miner.commands._options.common import device_option, note, show, verb
from remix_miner.commands._options.inference import inference_options, inference_settings
from remix_miner.errors import AudioError, UsageError


@verb(
    "Separate FILES (or all audio in folders) with MODEL: a run folder, a weights file or a built-in name. Each song "
    "gets a folder in OUT with one file per source, at its own sample rate and length. A rerun skips what is finished.",
    "remix-miner separate runs/tiny song.mp3 --out estimates",
)
@click.argument("model")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the estimates.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["wav", "flac16", "flac24"]),
    default="wav",
    show_default=True,
    help="wav holds float32.",
)
@click.option("--restart", is_flag=True, help="Replace estimates made with another model or other settings.")
@inference_options
@device_option
def command(
    model: str,
    files: tuple[Path, ...],
    out: Path,
    file_format: str,
    restart: bool,
    device: str,
    as_json: bool,
    **inference: Any,
) -> int:
    from remix_miner.audio import audio_info, display_name
    from remix_miner.datasets.library import find_audio
    from remix_miner.device import resolve_device
    from remix_miner.progress import Progress
    from remix_miner.separators.files import output_folders, separate_file
    from remix_miner.separators.loading import open_separator

    settings = inference_settings(inference)
    found, skipped = find_audio(files)
    for each in skipped:
        note(f"skipped {display_name(each.path)}: {each.reason}")
    if not found:
        raise UsageError("nothing to separate: no audio files among " + ", ".join(map(display_name, files)))
    loaded = open_separator(model, resolve_device(device))
    reports, failed = [], {display_name(each.path): each.reason for each in skipped if each.reason != "hidden"}
    paths = [file.path for file in found]
    with Progress("separating", total=_minutes(paths, audio_info), unit="min") as progress:
        for path, folder in output_folders(paths, out).items():
            try:
                report = separate_file(
                    loaded.model,
                    loaded.identity,
                    path,
                    folder,
                    settings,
                    file_format=file_format,
                    restart=restart,
                    advance=lambda seconds, name=path.stem: progress.advance(seconds / 60, note=name),  # type: ignore[misc]
                )
            except AudioError as error:
                failed[display_name(path)] = str(error)
                note(f"failed: {error}")
                continue
            reports.append(report)
            for remark in report.notes:
                note(f"{path.name}: {remark}")
            if report.clipped:
                peaks = ", ".join(f"{source} {count:,}" for source, count in report.clipped.items())
                effect = "kept as they are; players will clip them" if file_format == "wav" else "clipped"
                note(f"{path.name}: samples beyond full scale {effect}: {peaks}")
            if report.problem:
                failed[display_name(path)] = report.problem
                note(f"{path.name}: {report.problem}; separated as far as it decodes")
    seconds = sum(report.seconds for report in reports)
    compute = sum(report.compute_seconds for report in reports)
    done = [report for report in reports if not report.resumed]
    lines = [f"{report.folder}" + ("  (was finished)" if report.resumed else "") for report in reports]
    if done:
        lines.append(f"{seconds / 60:.1f} minutes of audio in {compute:.0f} s")
    document = {
        "model": loaded.identity,
        "out": str(out),
        "files": [
            {
                "path": display_name(report.path),
                "folder": str(report.folder),
                "seconds": report.seconds,
                "compute_seconds": report.compute_seconds,
                "clipped": dict(report.clipped),
                "problem": report.problem,
                "resumed": report.resumed,
            }
            for report in reports
        ],
        "failed": failed,
    }
    show(document, as_json, "\n".join(lines))
    return 1 if failed else 0


def _minutes(paths: list[Path], audio_info: Any) -> float | None:
    """Total length as the headers say; None where one cannot be read."""
    try:
        return sum(float(audio_info(path).seconds) for path in paths) / 60
    except AudioError:
        return None
