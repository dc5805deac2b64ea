"""Songs with exact stems from tracker modules of free games: electronic music with sampled drums and basses.

    python tracker_modules.py STEMS --modules UNPACKED    # STEMS/<artist>-<title>/{drums,bass,other,vocals}.flac

UNPACKED holds the unpacked Debian packages of ``tracker_songs.csv``. ``tracker_instruments.csv`` names the source of
each instrument. Each source is rendered with the other instruments muted; a song whose stems do not sum to its
mixture, or with a sounding instrument that is not in the table, is refused. Needs ``libopenmpt0``.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from openmpt import SAMPLE_RATE, rendered
from scipy.signal import butter, sosfilt
from stems import RUMBLE_HZ, write_song

SONGS = Path(__file__).with_name("tracker_songs.csv")
INSTRUMENTS = Path(__file__).with_name("tracker_instruments.csv")
LABELS = ("drums", "bass", "other")
MAX_RESIDUAL_DB = -40.0
Render = Callable[[Path, Collection[int] | None, float], np.ndarray]


@dataclass(frozen=True)
class Song:
    """Row of ``tracker_songs.csv``; ``file`` is the module's path in the unpacked packages."""

    artist: str
    title: str
    package: str
    version: str
    file: str
    sha256: str
    licence: str
    named_in: str
    seconds: float

    @property
    def name(self) -> str:
        return f"{self.artist}-{self.title}".replace(" ", "_")


def songs() -> list[Song]:
    with SONGS.open(encoding="utf-8", newline="") as file:
        return [Song(**{**row, "seconds": float(row["seconds"])}) for row in csv.DictReader(file)]


def instruments() -> list[dict[str, str]]:
    """Return the rows of ``tracker_instruments.csv``: song, number (from 1), text, label, reason."""
    with INSTRUMENTS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def groups(rows: Iterable[dict[str, str]], song: str) -> dict[str, set[int]]:
    """Return the numbers of the instruments of each source of a song; a source without any is absent.

    >>> rows = [{"song": "a", "number": n, "label": label} for n, label in (("1", "drums"), ("7", "bass"))]
    >>> groups([*rows, {"song": "b", "number": "2", "label": "bass"}], "a")
    {'drums': {1}, 'bass': {7}}
    """
    out: dict[str, set[int]] = {}
    for row in rows:
        if row["song"] == song:
            out.setdefault(row["label"], set()).add(int(row["number"]))
    return out


def residual_db(sources: Collection[np.ndarray], mixture: np.ndarray) -> float:
    """Return the level of what the sum of the sources lacks or has beyond the mixture, relative to the mixture."""
    power = np.square(mixture - sum(sources)).mean()
    return float(10 * np.log10(max(power, 1e-20) / np.square(mixture).mean()))


def stems_of(path: Path, song: Song, numbers: dict[str, set[int]], render: Render = rendered) -> dict[str, np.ndarray]:
    """Return the stems of a song, (T, 2) each, without the constant and slow offsets of its samples.

    Raises ValueError where the file is not the one that was labelled or the stems do not sum to the mixture.
    """
    if hashlib.sha256(path.read_bytes()).hexdigest() != song.sha256:
        raise ValueError(f"{path} is not the file of {song.package} {song.version}")
    mixture = render(path, None, song.seconds)
    sources = {label: render(path, chosen, song.seconds) for label, chosen in numbers.items()}
    residual = residual_db(sources.values(), mixture)
    if residual > MAX_RESIDUAL_DB:
        raise ValueError(f"the stems of {song.name} sum to the mixture at {residual:.0f} dB only")
    print(f"{song.name}: residual {residual:.0f} dB", file=sys.stderr)
    rumble = butter(4, RUMBLE_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
    return {label: sosfilt(rumble, audio, axis=0) for label, audio in sources.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--modules", type=Path, required=True, metavar="UNPACKED")
    options = parser.parse_args()
    rows, refused = instruments(), 0
    for song in songs():
        folder = options.out / song.name
        if folder.exists():
            continue
        try:
            sources = stems_of(options.modules / song.file, song, groups(rows, song.name))
        except (OSError, ValueError) as error:
            print(f"not made: {error}", file=sys.stderr)
            refused += 1
            continue
        seconds = write_song(folder, sources, SAMPLE_RATE)
        print(f"{song.name}: {seconds:.0f} s" if seconds else f"{song.name}: not kept", file=sys.stderr)
        refused += not seconds
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main())
