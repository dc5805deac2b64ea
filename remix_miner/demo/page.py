"""The demo's page: the scanned song, mined excerpts, a separated song, and what each step did."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.atomic import write_text
from remix_miner.audio import read_audio, write_audio
from remix_miner.demo.steps import DemoFolder
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.sources import SOURCES

TEMPLATE = Path(__file__).with_name("page.html")
EXCERPTS_PER_SOURCE = 2


@dataclass(frozen=True)
class DoneStep:
    """A step that ran: its title and explanation, the command line, seconds, exit status and what it printed."""

    title: str
    what: str
    command: str
    seconds: float
    status: int
    output: str


def write_page(folder: DemoFolder, steps: list[DoneStep]) -> None:
    """Write the excerpts as files and the page that links everything; all links are relative."""
    from jinja2 import Environment, StrictUndefined

    song = folder.scanned_song()
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(
        song={"name": song.stem, "audio": _link(folder, song), "picture": _link(folder, folder.picture)},
        excerpts=save_excerpts(folder),
        separated=separated_song(folder),
        steps=steps,
        seconds=sum(step.seconds for step in steps),
        training_seconds=sum(step.seconds for step in steps if step.title == "Train"),
    )
    write_text(folder.page, text)


def save_excerpts(folder: DemoFolder) -> list[dict[str, Any]]:
    """Write the longest excerpts of each source as wav files; return what the page shows of each."""
    if not any(folder.mined.glob("shards/*.h5")):
        return []
    excerpts = MinedExcerpts(folder.mined)
    rows = []
    for source in excerpts.sources:
        items = [item for index in range(len(excerpts)) if (item := excerpts.read(index))["source"] == source]
        longest = sorted(items, key=lambda item: -item["audio"].shape[-1])[:EXCERPTS_PER_SOURCE]
        for number, item in enumerate(longest, start=1):
            path = folder.excerpts / f"without_{source}_{number}.wav"
            write_audio(path, item["audio"], item["sample_rate"], "int16")
            rows.append(
                {
                    "source": source,
                    "track": Path(item["track"]).name,
                    "start_seconds": item["start_seconds"],
                    "seconds": item["audio"].shape[-1] / item["sample_rate"],
                    "volume_db": true_volume_db(folder, item),
                    "audio": _link(folder, path),
                }
            )
    return rows


def true_volume_db(folder: DemoFolder, item: Any) -> float:
    """Return the relative volume of the silent source over an excerpt, from the song's stems; -inf for silence."""
    truth = folder.truth(Path(item["track"]))
    energies = []
    for name in (item["source"], "mixture"):
        audio, rate = read_audio(truth / f"{name}.wav")
        first = round(item["start_seconds"] * rate)
        frames = round(item["audio"].shape[-1] / item["sample_rate"] * rate)
        energies.append(float(np.square(audio[:, first : first + frames].mean(axis=0), dtype=np.float64).sum()))
    return float(10 * np.log10(energies[0] / energies[1])) if energies[0] > 0 else -np.inf


def separated_song(folder: DemoFolder) -> dict[str, Any]:
    """Return the links and scores of the separated song."""
    song = folder.test_song()
    scores = []
    for path in folder.results:
        (row,) = [row for row in json.loads(path.read_text(encoding="utf-8"))["tracks"] if row["name"] == song.name]
        scores.append({source: values.get("usdr") for source, values in row["sources"].items()})
    mixture, separator = scores
    (estimates,) = {file.parent for file in folder.estimates.glob("*/*.flac")}
    return {
        "name": song.name,
        "mixture": _link(folder, song / "mixture.wav"),
        "sources": [
            {
                "name": source,
                "reference": _link(folder, song / f"{source}.wav"),
                "estimate": _link(folder, estimates / f"{source}.flac"),
                "mixture_usdr": mixture.get(source),
                "usdr": separator.get(source),
            }
            for source in SOURCES
        ],
    }


def _link(folder: DemoFolder, path: Path) -> str:
    return path.relative_to(folder.root).as_posix()
