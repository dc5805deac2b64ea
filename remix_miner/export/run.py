"""Export of a mined folder: spans, files of the format, manifest."""

import dataclasses
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from remix_miner.atomic import is_temporary, remove_temporary_files, write_json
from remix_miner.errors import DataError
from remix_miner.export.demucs import export_demucs, metadata_path
from remix_miner.export.files import Written
from remix_miner.export.labels import export_labels
from remix_miner.export.manifest import write_manifest
from remix_miner.export.msst import export_msst
from remix_miner.export.musdb import export_musdb
from remix_miner.export.settings import ExportSettings
from remix_miner.export.spans import find_spans
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.live_excerpts import check_audio_stored
from remix_miner.sources import SOURCES

EXPORT_NAME = "export.json"


@dataclass
class Export:
    """Content of an export, and the files that this run wrote."""

    format: str
    label: str
    spans: int
    tracks: int
    seconds: float
    files: int
    written: Written = field(default_factory=Written)
    use: str = ""

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def export(folder: Path, out: Path, settings: ExportSettings, *, may_be_empty: bool = False) -> Export:
    """Export ``folder`` to ``out``. A repeated run keeps the complete files.

    Raises `DataError` if no span qualifies (unless it ``may_be_empty``), the disk is too small, a shard is damaged, the
    folder was mined without audio and the format has audio, or ``out`` holds another export.
    """
    with CatalogueView.read(folder) as catalogue:
        if settings.format != "labels":
            check_audio_stored(folder, catalogue.database)
        asked = settings.without or tuple(source for source in SOURCES if source in catalogue.harvest())
        groups = [(source,) for source in asked] if settings.format == "labels" else [tuple(asked)]
        spans = [
            span
            for group in groups
            for span in find_spans(
                catalogue.database,
                group,
                min_seconds=settings.min_seconds,
                accepted_only=settings.accepted_only,
            )
        ]
        if not spans and not may_be_empty:
            raise DataError(
                f"{folder} holds no span of {settings.min_seconds:g} s without {' and '.join(asked) or 'any source'}"
                + (" that was accepted" if settings.accepted_only else "")
            )
        _claim(out, folder, settings, catalogue.settings.get("detector_sha256"))
        written = Written()
        if settings.format == "labels":
            library = LibraryFolders.of(catalogue.database, settings.library)
            entries = export_labels(catalogue.database, out, spans, library)
        else:
            make = {"msst": export_msst, "demucs": export_demucs, "musdb18-hq": export_musdb}[settings.format]
            entries, written = make(folder, out, spans, settings)
    write_manifest(out, entries)
    return Export(
        settings.format,
        settings.label if settings.without and settings.format != "labels" else "labels",
        len(spans),
        len({span.track for span in spans}),
        sum(span.seconds for span in spans),
        len({entry.file for entry in entries}),
        written,
        _use(out, settings),
    )


def check_target(out: Path, folder: Path, settings: ExportSettings) -> None:
    """Raise `DataError` if ``out`` holds anything else than an export of ``folder`` with these settings."""
    path = out / EXPORT_NAME
    if path.is_file():
        existing = json.loads(path.read_text(encoding="utf-8"))
        if {**existing, "detector_sha256": None} != _description(folder, settings, None):
            raise DataError(f"{out} holds another export ({path.name} states it): choose another, or delete it")
    elif out.exists() and (not out.is_dir() or not all(map(is_temporary, out.iterdir()))):
        raise DataError(f"{out} is not empty and no export: choose another folder")


def _claim(out: Path, folder: Path, settings: ExportSettings, detector_sha256: str | None) -> None:
    """Write the settings of the export to ``out``. Raises `DataError` if ``out`` holds anything else."""
    check_target(out, folder, settings)
    path, mine = out / EXPORT_NAME, _description(folder, settings, detector_sha256)
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != mine:
        raise DataError(f"{out} holds an export of another detector's excerpts: choose another folder, or delete it")
    remove_temporary_files(out, below=True)
    write_json(path, mine)


def _description(folder: Path, settings: ExportSettings, detector_sha256: str | None) -> dict[str, Any]:
    """Return the content of export.json."""
    return {
        "format": "remix-miner/export",
        "format_version": 1,
        "mined": str(folder.resolve()),
        "detector_sha256": detector_sha256,
        "settings": json.loads(json.dumps(dataclasses.asdict(settings), default=str)),
    }


def _use(out: Path, settings: ExportSettings) -> str:
    """Return the command with which the target tool reads the export, quoted for a shell."""
    if settings.format == "msst":
        paths = f"--dataset_type 3 --data_path {_quoted(out / 'train.csv')} --valid_path {_quoted(out / 'valid')}"
        config = _quoted(out / "config.yaml")
        if settings.config is None:
            return f"python train.py {paths}, with {config} in its config"
        return f"python train.py {paths} --config_path {config} --model_type ... --results_path ..."
    if settings.format == "demucs":
        metadata = metadata_path(out).parent.resolve()
        stems = f"'dset.sources=[{settings.without[0]},{settings.label}]'"
        folders = shlex.join([f"dset.wav={out.resolve()}", f"dset.metadata={metadata}"])
        return f"dora run {folders} dset.use_musdb=false {stems}"
    if settings.format == "labels":
        return f"remix-miner train-detector ... --weak {_quoted(out / 'labels.csv')}"
    return f"any reader of MUSDB18-HQ: {out}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
