"""Kept estimates of a row for the page: links to the files, or copies of their first seconds beside the page."""

import hashlib
import os
from pathlib import Path
from urllib.parse import quote

from remix_miner.audio import AudioReader, write_audio
from remix_miner.evaluation.estimates import find_estimates
from remix_miner.evaluation.leaderboard.board import Row


def players(row: Row, page: Path, copy_seconds: float | None) -> dict[str, dict[str, str]]:
    """Return the addresses of the kept estimates by track and source, relative to the page.

    ``copy_seconds``: copy so much of each as Ogg Vorbis into ``<page>_audio``, so that page and audio can be moved.
    """
    kept = row.document.get("estimates")
    if not kept or not Path(kept).is_dir():
        return {}
    names = {track["name"] for track in row.document["tracks"]}
    found: dict[str, dict[str, str]] = {}
    for track, files in find_estimates(kept, row.document["sources"]).tracks.items():
        if track not in names:
            continue
        for source, path in files.items():
            if copy_seconds is not None:
                digest = hashlib.sha256(track.encode()).hexdigest()[:10]
                target = page.with_name(f"{page.stem}_audio") / row.id / f"{digest}_{source}.ogg"
                path = _excerpt(path, target, copy_seconds)
            relative = os.path.relpath(path.resolve(), page.resolve().parent)
            found.setdefault(track, {})[source] = quote(Path(relative).as_posix())
    return found


def _excerpt(path: Path, target: Path, seconds: float) -> Path:
    """Write the first seconds of a file as Ogg Vorbis, once."""
    if not target.exists():
        with AudioReader(path) as reader:
            block = next(iter(reader.blocks(max(1, round(seconds * reader.sample_rate)))), None)
            if block is not None:
                write_audio(target, block.T, reader.sample_rate)
    return target
