"""Separation of a file into one file per source, from disk to disk, with a record by which reruns resume."""

import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from remix_miner.atomic import atomic_path, write_json
from remix_miner.audio import SUBTYPES, AudioReader, display_name
from remix_miner.errors import UsageError
from remix_miner.separators.apply_separator import conversions, estimate_blocks, output_channels
from remix_miner.separators.overlap_add import InferenceSettings, settings_mapping

RECORD = "separation.json"
ENSEMBLE_RECORD = "ensemble.json"
FORMATS = {"wav": ("wav", "float32"), "flac16": ("flac", "int16"), "flac24": ("flac", "int24")}
"""Names of output formats: float32 wav keeps what the model gave; flac holds integers and clips beyond full scale."""


@dataclass(frozen=True)
class SeparatedFile:
    """Report on a separated file.

    ``clipped``: samples beyond full scale per source; ``problem``: why it ended early.
    """

    path: Path
    folder: Path
    seconds: float
    compute_seconds: float
    clipped: Mapping[str, int]
    notes: tuple[str, ...]
    problem: str | None
    resumed: bool = False


def output_folders(paths: Iterable[Path], out: Path) -> dict[Path, Path]:
    """Return a folder under ``out`` for each file, named after it; never one that belongs to another file.

    Where names meet ('a/song.mp3', 'b/song.mp3'), the later gets a number: 'song', 'song (2)'. A folder that an
    earlier run made for the same file is used again.
    """
    folders: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in paths:
        number = 1
        while True:
            name = _portable(path.stem) if number == 1 else f"{_portable(path.stem)} ({number})"
            if name.casefold() not in taken and _owner(out / name) in (None, str(path.resolve())):
                break
            number += 1
        taken.add(name.casefold())
        folders[path] = out / name
    return folders


def job_record(path: Path, model_id: str, settings: Mapping[str, Any], file_format: str) -> dict[str, Any]:
    """Return what identifies a separation: equal records mean that the outputs would be the same."""
    status = path.stat()
    return {
        "format": "remix-miner/separation",
        "input": str(path.resolve()),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "model": model_id,
        "inference": dict(settings),
        "file_format": file_format,
    }


def separate_file(
    model: Any,
    model_id: str,
    path: Path,
    folder: Path,
    settings: InferenceSettings,
    *,
    file_format: str = "wav",
    device: torch.device | str | None = None,
    restart: bool = False,
    advance: Callable[[float], None] = lambda seconds: None,
) -> SeparatedFile:
    """Write ``folder/<source>.<suffix>`` for every source of the model; all appear whole, or none.

    The record is written last: where it matches and all files are there, nothing is done. Where it is another
    model's, or another setting's, `UsageError` is raised, unless ``restart``. ``advance`` is called with seconds done.
    """
    record = job_record(path, model_id, settings_mapping(settings, model), file_format)
    suffix, subtype = FORMATS[file_format]
    outputs = {source: folder / f"{source}.{suffix}" for source in model.sources}
    earlier = _read_record(folder)
    if earlier is not None and not restart:
        if all(earlier.get(name) == value for name, value in record.items()) and all(
            map(Path.is_file, outputs.values())
        ):
            return _resumed(path, folder, earlier)
        changed = [name for name, value in record.items() if earlier.get(name) != value]
        if changed:
            raise UsageError(
                f"{folder} holds estimates that differ in {', '.join(changed)}; "
                "choose another --out, or replace them with --restart"
            )
    started = time.perf_counter()
    with AudioReader(path) as reader, contextlib.ExitStack() as stack:
        channels = output_channels(model, reader.channels)
        temporary = {source: stack.enter_context(atomic_path(target)) for source, target in outputs.items()}
        with contextlib.ExitStack() as files:
            writers = [
                files.enter_context(
                    soundfile.SoundFile(target, "w", reader.sample_rate, channels, subtype=SUBTYPES[subtype])
                )
                for target in temporary.values()
            ]
            clipped = np.zeros(len(writers), dtype=np.int64)
            blocks = reader.blocks()
            for estimates in estimate_blocks(model, blocks, reader.sample_rate, reader.channels, settings, device):
                clipped += (np.abs(estimates) > 1).sum(axis=(1, 2))
                for writer, estimate in zip(writers, estimates, strict=True):
                    writer.write(estimate.T)
                advance(estimates.shape[-1] / reader.sample_rate)
        report = SeparatedFile(
            path,
            folder,
            reader.frames_read / reader.sample_rate,
            time.perf_counter() - started,
            {source: int(count) for source, count in zip(outputs, clipped, strict=True) if count},
            tuple(conversions(model, reader.sample_rate, reader.channels)),
            reader.problem,
        )
    write_json(
        folder / RECORD, {**record, "seconds": report.seconds, "clipped": report.clipped, "problem": report.problem}
    )
    return report


def _resumed(path: Path, folder: Path, record: Mapping[str, Any]) -> SeparatedFile:
    return SeparatedFile(path, folder, record["seconds"], 0.0, record["clipped"], (), record["problem"], resumed=True)


def _read_record(folder: Path, name: str = RECORD) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record


def _owner(folder: Path) -> str | None:
    """Return the input of a folder's estimates; None for an empty folder, '' for one with other files."""
    if not folder.is_dir() or all(child.name.startswith(".") for child in folder.iterdir()):
        return None
    record = _read_record(folder) or _read_record(folder, ENSEMBLE_RECORD) or {}
    return str(record.get("input", ""))


def _portable(stem: str) -> str:
    """Return a folder name that every file system takes, with a digest where characters were replaced."""
    text = display_name(stem)
    safe = "".join("_" if char in '<>:"/\\|?*' or ord(char) < 32 else char for char in text).rstrip(" .")
    if safe == text and len(safe.encode()) <= 150:
        return safe
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{safe.encode()[:140].decode('utf-8', 'ignore')}-{digest}"
