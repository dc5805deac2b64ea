"""Songs of the experiment: pairs of target and rest at the scale's rate, their artists, and the two halves.

Every artist belongs to one half. A fold trains on one song and is tested on all songs of the other half, so that its
ceiling, trained on all songs of its own half, excludes the test songs, too. Two ceilings are enough for all folds.
The seven rock songs of MusicDelta count as one artist, since their singers are not named. The demo songs, licensed for
measuring only, are tested on by every fold.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remix_miner.atomic import atomic_path
from remix_miner.audio import Audio, resample, to_channels, write_audio
from remix_miner.datasets.corpora import load_pair_tracks, load_target_tracks
from remix_miner.datasets.tracks import StemTrack

SINGERS = ("amy", "bobon", "bug", "davidson", "fdps", "geniusturtle", "jmzen", "khair", "stool", "tammy", "titon")
FIRST_HALF = SINGERS[:6]
"""Six singers against five and the rock songs."""


@dataclass(frozen=True)
class Song:
    """``folder`` holds vocals.wav and accompaniment.wav. ``half``: 0 or 1, None for songs that are only tested on."""

    name: str
    artist: str
    genre: str
    half: int | None
    folder: Path

    def read(self) -> Audio:
        """(2, channels, frames): target and rest."""
        (track,) = load_pair_tracks(self.folder)
        return track.read()


def prepare_songs(audio: Path, out: Path, sample_rate: int, channels: int) -> list[Song]:
    """Write all songs that have vocals to ``out/<name>`` as pairs; songs that are there are kept."""
    found: list[tuple[StemTrack, str, str, int | None]] = []
    for track in _tracks(audio / "pairs16k"):
        singer = track.name.split("_")[1]
        found.append((track, singer, "karaoke", int(singer not in FIRST_HALF)))
    for track in _tracks(audio / "stems"):
        if track.name.startswith("MusicDelta"):
            found.append((track, "MusicDelta", "rock", 1))
    for kind in ("stems", "pairs"):
        for track in _tracks(audio / "calibration_only" / kind):
            found.append((track, track.name, "demo", None))
    songs = []
    for track, artist, genre, half in found:
        song = Song(track.name, artist, genre, half, out / track.name)
        if "vocals" in track.absent or not (song.folder / "accompaniment.wav").is_file():
            stems = track.read()
            if not stems[3].any():
                continue
            song.folder.mkdir(parents=True, exist_ok=True)
            for name, stem in (("vocals", stems[3]), ("accompaniment", stems[:3].sum(axis=0))):
                heard = resample(to_channels(stem, channels), track.sample_rate, sample_rate)
                with atomic_path(song.folder / f"{name}.wav") as temporary:
                    write_audio(temporary, heard, sample_rate)
        songs.append(song)
    return songs


def _tracks(folder: Path) -> list[StemTrack]:
    return load_target_tracks(folder, "vocals") if folder.is_dir() else []


def folds(songs: list[Song], count: int) -> list[Song]:
    """Return the labelled song of each fold: first one per singer, then rock songs, from both halves in turn."""
    first: dict[str, Song] = {}
    rock = []
    for song in songs:
        if song.genre == "rock":
            rock.append(song)
        elif song.half is not None:
            first.setdefault(song.artist, song)
    halves = [[song for song in [*first.values(), *rock] if song.half == half] for half in (0, 1)]
    halves[1] = halves[1][: len(halves[0])] if len(halves[0]) * 2 >= count else halves[1]
    turns = [song for pair in zip(*halves, strict=False) for song in pair]
    rest = [song for half in halves for song in half if song not in turns]
    return [*turns, *rest][:count]


def middle(song: Audio, frames: int) -> Audio:
    """At most ``frames`` frames from the middle of (..., frames)."""
    start = max(song.shape[-1] - frames, 0) // 2
    return np.ascontiguousarray(song[..., start : start + frames])
