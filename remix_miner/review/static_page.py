"""Static page of a mined folder: totals, and a sample of excerpts with sound and spectrogram. It needs no server."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile

from remix_miner.atomic import write_text
from remix_miner.config import Bounds, Seed, Settings
from remix_miner.mined.catalogue_db import LIVE
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.samples.audits import audit_results
from remix_miner.review.audio_parts import AudioParts, Part
from remix_miner.review.items import COLUMNS, Item
from remix_miner.review.pictures import spectrogram

TEMPLATES = Path(__file__).parent / "templates"
PLAYED_SECONDS = 20.0
RANGE_STEPS = 128
"""Range of the picture in level steps below the loudest: 70 dB."""


@dataclass(frozen=True)
class StaticPageSettings(Settings):
    """``samples``: number of excerpts per source; half are the least probable ones, half are drawn at random."""

    samples: Annotated[int, Bounds(1, 100)] = 6
    seed: Seed = 0


def write_static_page(folder: Path, page: Path, settings: StaticPageSettings | None = None) -> int:
    """Write the page atomically, with sound and pictures inline, and return the number of samples.

    Long excerpts are cut to `PLAYED_SECONDS`. The sound is mp3, which every browser plays.
    """
    from jinja2 import Environment, FileSystemLoader

    settings = settings or StaticPageSettings()
    with CatalogueView.read(folder) as catalogue:
        harvest = catalogue.harvest()
        sources = [
            {
                "name": source,
                **found,
                "threshold": catalogue.settings.get("thresholds", {}).get(source),
                "samples": _sample(catalogue, source, settings),
            }
            for source, found in harvest.items()
        ]
        parts = AudioParts(folder, LibraryFolders.of(catalogue.database))
        for source in sources:
            source["samples"] = [_described(item, kind, parts) for item, kind in source["samples"]]
        parts.close()
        audits = [result for results in audit_results(catalogue.database).values() for result in results]
        values = {
            "folder": folder.resolve().name,
            "hours": catalogue.seconds_scanned() / 3600,
            "tracks": catalogue.track_counts(),
            "settings": catalogue.settings,
            "runs": catalogue.runs,
            "sources": sources,
            "audits": audits,
        }
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    write_text(page, environment.get_template("static_page.html").render(**values))
    return sum(len(source["samples"]) for source in sources)


def _sample(catalogue: CatalogueView, source: str, settings: StaticPageSettings) -> list[tuple[Item, str]]:
    """Return excerpts of a source, each with the way in which it was chosen."""
    query = f"SELECT {COLUMNS} FROM excerpts JOIN tracks ON tracks.id = track_id WHERE excerpts.id IN "
    least = [
        row[0]
        for row in catalogue.database.execute(
            f"SELECT id FROM excerpts WHERE source = ? AND {LIVE} ORDER BY probability_mean, id LIMIT ?",
            (source, settings.samples // 2),
        )
    ]
    others = [
        row[0] for row in catalogue.database.execute(f"SELECT id FROM excerpts WHERE source = ? AND {LIVE}", (source,))
    ]
    drawn = np.random.default_rng([settings.seed, *source.encode()]).permutation(sorted(set(others) - set(least)))
    kinds = {**dict.fromkeys(least, "least probable")}
    kinds |= {int(excerpt_id): "drawn by chance" for excerpt_id in drawn[: settings.samples - len(least)]}
    marks = ",".join("?" * len(kinds))
    rows = catalogue.database.execute(f"{query} ({marks}) ORDER BY excerpts.id", list(kinds)).fetchall()
    return sorted(((Item(*row), kinds[row[0]]) for row in rows), key=lambda pair: (pair[1], pair[0].excerpt_id))


def _described(item: Item, kind: str, parts: AudioParts) -> dict[str, Any]:
    part = parts.part(item, "excerpt")
    frames = min(part.frames, round(PLAYED_SECONDS * part.sample_rate))
    shown = Part(part.sample_rate, part.channels, frames, part.scale, part.read)
    return {
        "kind": kind,
        "track": item.track,
        "start_seconds": item.start_seconds,
        "seconds": item.seconds,
        "probability": item.probability_mean,
        "expected_volume_db": item.expected_volume_db,
        "review": item.review,
        "cut": frames < part.frames,
        "sound": _data("audio/mpeg", _mp3(shown)),
        "picture": _data("image/png", _png(shown)),
    }


def _mp3(part: Part) -> bytes:
    audio = part.read(0, part.frames).astype(np.float32) * np.float32(part.scale)
    buffer = io.BytesIO()
    rate = part.sample_rate if part.sample_rate in (16_000, 22_050, 24_000, 32_000, 44_100, 48_000) else None
    if rate is None:
        from remix_miner.audio import resample

        audio, rate = resample(np.ascontiguousarray(audio.T), part.sample_rate, 44_100).T, 44_100
    soundfile.write(buffer, np.clip(audio, -1, 1), rate, format="MP3")
    return buffer.getvalue()


def _png(part: Part) -> bytes:
    from matplotlib.image import imsave

    levels = spectrogram(part.mono(), part.sample_rate).astype(np.int16)
    top = max(int(levels.max()), RANGE_STEPS)
    buffer = io.BytesIO()
    imsave(buffer, levels.T, cmap="magma", vmin=top - RANGE_STEPS, vmax=top, origin="lower", format="png")
    return buffer.getvalue()


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
