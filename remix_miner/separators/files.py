"""Separation of a file into one file per source. Either all estimates appear, complete, or none."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from remix_miner.atomic import atomic_path, remove_temporary_files, write_json
from remix_miner.audio import AudioReader, AudioWriter
from remix_miner.errors import AudioError, DataError, UsageError
from remix_miner.separators.apply_separator import StemBlock, conversions, estimate_blocks, output_channels
from remix_miner.separators.overlap_add import InferenceSettings, settings_mapping
from remix_miner.separators.records import INPUT_FIELDS, RECORD, Record, changes, job_record, read_record

FORMATS = {
    "wav": ("wav", "float32"),
    "flac": ("flac", "int24"),
    "flac16": ("flac", "int16"),
    "flac24": ("flac", "int24"),
    "mp3": ("mp3", "int16"),
}
"""Output formats as (suffix, sample format): float32 wav keeps the estimates; flac and mp3 clip beyond full scale."""

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
MP3_OPTIONS = {"compression_level": 0.0, "bitrate_mode": "CONSTANT"}
"""Constant 320 kbit/s at 44.1 kHz: the highest quality of the encoder."""


@dataclass(frozen=True)
class SeparatedFile:
    """Report on a separated file.

    ``clipped``: samples beyond full scale per source. ``replaced_in_input`` and ``replaced``: samples of the input, and
    of each estimate, that were NaN or infinite and are zeros now. ``problem``: why the input ended early.
    """

    path: Path
    folder: Path
    seconds: float
    compute_seconds: float
    clipped: Mapping[str, int]
    notes: tuple[str, ...] = ()
    problem: str | None = None
    replaced_in_input: int = 0
    replaced: Mapping[str, int] = field(default_factory=dict)
    resumed: bool = False

    @property
    def complete(self) -> bool:
        """Whether the whole input was separated and no estimate had to be repaired."""
        return self.problem is None and not self.replaced

    def document(self) -> dict[str, Any]:
        """Return the report as ``separate --json`` prints it."""
        return {
            **vars(self),
            "path": str(self.path),
            "folder": str(self.folder),
            "clipped": dict(self.clipped),
            "replaced": dict(self.replaced),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class SeparationJob:
    """A model, the text that identifies it, and how it is applied and written. ``restart``: replace other estimates."""

    model: Any
    model_id: str
    settings: InferenceSettings
    file_format: str = "wav"
    device: torch.device | str | None = None
    restart: bool = False

    def record(self, path: Path) -> dict[str, Any]:
        """Return what identifies this separation of ``path``."""
        return job_record(path, self.model_id, settings_mapping(self.settings, self.model), self.file_format)

    def outputs(self, folder: Path) -> dict[str, Path]:
        """Return the file of each source in ``folder``."""
        return {source: folder / f"{source}.{FORMATS[self.file_format][0]}" for source in self.model.sources}


def finished(job: SeparationJob, path: Path, folder: Path) -> SeparatedFile | None:
    """Return the report on a finished separation, or None if the file is still to be separated.

    Raises `UsageError` where the folder holds estimates of other settings or another model, `DataError` where the input
    has changed since; neither with ``job.restart``.
    """
    earlier = read_record(folder)
    if earlier is None or job.restart:
        return None
    changed = changes(earlier, job.record(path))
    if not changed:
        return _resumed(path, folder, earlier) if all(map(Path.is_file, job.outputs(folder).values())) else None
    if set(changed) <= set(INPUT_FIELDS):
        raise DataError(
            f"{path} has changed since its estimates in {folder} were made; replace them with --restart, or choose "
            "another --out"
        )
    raise UsageError(
        f"{folder} holds estimates that differ in {', '.join(changed)}; "
        "choose another --out, or replace them with --restart"
    )


def separate_file(
    job: SeparationJob, path: Path, folder: Path, *, advance: Callable[[float], None] = lambda seconds: None
) -> SeparatedFile:
    """Write ``folder/<source>.<suffix>`` for every source of the model; either all appear, complete, or none.

    The record is written last; see `finished` for what happens where there is one. ``advance`` is called with the
    seconds of audio done. Raises `AudioError` for an input that cannot be decoded, `WriteError` for a full disk.
    """
    done = finished(job, path, folder)
    if done is not None:
        return done
    record = job.record(path)
    remove_temporary_files(folder)
    started = time.perf_counter()
    outputs = job.outputs(folder)
    with AudioReader(path) as reader, contextlib.ExitStack() as stack:
        _check_rate(job.file_format, reader)
        temporary = [stack.enter_context(atomic_path(target)) for target in outputs.values()]
        counts = _Counts(list(outputs))
        with contextlib.ExitStack() as files:
            writers = [files.enter_context(_writer(job, target, reader)) for target in temporary]
            blocks = estimate_blocks(
                job.model, reader.blocks(), reader.sample_rate, reader.channels, job.settings, job.device
            )
            for estimates in blocks:
                for writer, estimate in zip(writers, counts.cleaned(estimates), strict=True):
                    writer.write(estimate.T)
                advance(estimates.shape[-1] / reader.sample_rate)
        report = SeparatedFile(
            path,
            folder,
            reader.frames_read / reader.sample_rate,
            time.perf_counter() - started,
            counts.of(counts.clipped),
            tuple(conversions(job.model, reader.sample_rate, reader.channels)),
            reader.problem,
            reader.bad_values,
            counts.of(counts.replaced),
        )
    found = ("seconds", "clipped", "problem", "replaced_in_input", "replaced")
    write_json(folder / RECORD, {**record, **{name: getattr(report, name) for name in found}})
    return report


class _Counts:
    """Samples per source that lie beyond full scale, and samples that are not finite and become zeros."""

    def __init__(self, sources: list[str]) -> None:
        self.sources = sources
        self.clipped = np.zeros(len(sources), dtype=np.int64)
        self.replaced = np.zeros(len(sources), dtype=np.int64)

    def cleaned(self, estimates: StemBlock) -> StemBlock:
        finite = np.isfinite(estimates)
        if not finite.all():
            self.replaced += (~finite).sum(axis=(1, 2))
            estimates = np.where(finite, estimates, np.float32(0))
        self.clipped += (np.abs(estimates) > 1).sum(axis=(1, 2))
        return estimates

    def of(self, counts: np.ndarray) -> dict[str, int]:
        return {source: int(count) for source, count in zip(self.sources, counts, strict=True) if count}


def _writer(job: SeparationJob, target: Path, reader: AudioReader) -> AudioWriter:
    suffix, subtype = FORMATS[job.file_format]
    channels = output_channels(job.model, reader.channels)
    options = MP3_OPTIONS if suffix == "mp3" else {}
    return AudioWriter(target, reader.sample_rate, channels, subtype, reader.frames, encoder=options)


def _check_rate(file_format: str, reader: AudioReader) -> None:
    if file_format == "mp3" and reader.sample_rate not in MP3_RATES:
        raise AudioError(f"{reader.path}: mp3 does not hold {reader.sample_rate} Hz; choose --format flac or wav")


def _resumed(path: Path, folder: Path, record: Record) -> SeparatedFile:
    return SeparatedFile(
        path,
        folder,
        record["seconds"],
        0.0,
        record["clipped"],
        problem=record["problem"],
        replaced_in_input=record.get("replaced_in_input", 0),
        replaced=record.get("replaced", {}),
        resumed=True,
    )
