"""Songs with exact stems from demo projects of LMMS (Debian's ``lmms-common``).

    python lmms_songs.py STEMS --split train            # STEMS/<song>/{drums,bass,other,vocals}.flac
    python lmms_songs.py --list                         # the tracks of each project, for lmms_songs.csv

``lmms_songs.csv`` names the source of each track by its number. LMMS renders each source with the other tracks muted;
the mixture is the sum. Needs the packages ``lmms``, ``caps``, ``cmt``, ``swh-plugins`` and ``tap-plugins``.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import soundfile
from stems import write_song

PROJECTS = Path("/usr/share/lmms/projects")
TABLE = Path(__file__).with_suffix(".csv")
HEADER_BYTES = 4  # length of the document, before the deflated document itself


@dataclass(frozen=True)
class Project:
    """Row of the table: the numbers of the tracks of each source; tracks left out are in no stem."""

    path: str
    artist: str
    licence: str
    split: str
    tracks: dict[str, tuple[int, ...]]

    @property
    def name(self) -> str:
        return Path(self.path).stem


def table() -> list[Project]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [
            Project(
                row["project"],
                row["artist"],
                row["licence"],
                row["split"],
                {key: tuple(map(int, row[key].split())) for key in ("drums", "bass", "other", "left_out")},
            )
            for row in csv.DictReader(file)
        ]


def document(path: Path) -> ElementTree.Element:
    data = path.read_bytes()
    return ElementTree.fromstring(zlib.decompress(data[HEADER_BYTES:]) if path.suffix == ".mmpz" else data)


def instrument_tracks(project: ElementTree.Element) -> list[ElementTree.Element]:
    """Return the tracks with notes that are not muted, those of the beat editor among them, in document order."""
    played = [t for t in project.iter("track") if t.get("type") == "0" and t.find(".//pattern/note") is not None]
    return [t for t in played if t.get("muted") != "1"]


def with_tracks(path: Path, numbers: Iterable[int]) -> bytes:
    """Return the project as XML, with all instrument tracks muted but those of ``numbers``."""
    project = document(path)
    kept = [instrument_tracks(project)[number] for number in numbers]
    for track in project.iter("track"):
        if track.get("type") in ("0", "2"):
            track.set("muted", "0" if track in kept else "1")
            track.set("solo", "0")
    return ElementTree.tostring(project)


def rendered(path: Path, numbers: Iterable[int]) -> np.ndarray:
    """Return some tracks of a project through its effects, (T, 2) float32 at 44.1 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        project, wave = Path(folder, "project.mmp"), Path(folder, "out.wav")
        project.write_bytes(with_tracks(path, numbers))
        command = ["lmms", *(["--allowroot"] if os.geteuid() == 0 else []), "render", str(project)]
        done = subprocess.run(
            [*command, "-f", "wav", "-a", "-i", "linear", "-x", "1", "-o", str(wave)],
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not wave.exists():
            raise RuntimeError(f"lmms cannot render {path}: {done.stderr.strip()[-300:]}")
        audio: np.ndarray = soundfile.read(wave, dtype="float32", always_2d=True)[0]
        return audio


def list_tracks() -> None:
    for path in sorted(PROJECTS.rglob("*.mmp*")):
        print(f"# {path.relative_to(PROJECTS)}")
        for number, track in enumerate(instrument_tracks(document(path))):
            instrument = track.find(".//instrument")
            assert instrument is not None
            sample = instrument[0].get("src", "") if len(instrument) else ""
            print(number, repr(track.get("name")), instrument.get("name"), sample)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--split", choices=["train", "test"], default="train")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        list_tracks()
        return 0
    if options.out is None:
        parser.error("name a folder for the stems, or give --list")
    for project in table():
        folder = options.out / project.name
        if project.split != options.split or folder.exists():
            continue
        sources = {
            source: rendered(PROJECTS / project.path, project.tracks[source])
            for source in project.tracks
            if source != "left_out" and project.tracks[source]
        }
        seconds = write_song(folder, sources, 44100)
        print(f"{project.name}: {seconds:.0f} s" if seconds else f"{project.name}: not kept", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
