"""Songs of the experiment: a target and the rest at the scale's rate, their artists, and the two halves.

Every artist belongs to one half. A fold trains on one song and is tested on all songs of the other half, so that its
ceiling, trained on all songs of its own half, excludes the test songs, too: one ceiling serves all folds of a half.
The rock songs of MusicDelta count as one artist, since their musicians are not named. Songs without a half are tested
on by every fold. The karaoke songs have vocals and accompaniment only; for another target than vocals the rock songs
are one half, and nothing is in the other.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remix_miner.atomic import atomic_path, write_text
from remix_miner.audio import Audio, resample, to_channels, write_audio
from remix_miner.datasets.corpora import load_stem_tracks, load_target_tracks
from remix_miner.datasets.tracks import StemTrack
from remix_miner.sources import SOURCES

SINGERS = ("amy", "bobon", "bug", "davidson", "fdps", "geniusturtle", "jmzen", "khair", "stool", "tammy", "titon")
FIRST_HALF = SINGERS[:6]
"""Six singers against five and the rock songs."""


@dataclass(frozen=True)
class Song:
    """A song in ``folder``. ``half``: 0 or 1, None for songs that are only tested on."""

    name: str
    artist: str
    genre: str
    half: int | None
    folder: Path
    target: str

    def read(self) -> Audio:
        """(2, channels, frames): target and rest."""
        (track,) = load_stem_tracks(self.folder)
        return np.stack([track.read_source(self.target), track.read_source(rest_of(self.target))])


def rest_of(target: str) -> str:
    """Return the source under which a song's rest is stored."""
    return "vocals" if target == "other" else "other"


def prepare_songs(audio: Path, out: Path, target: str, sample_rate: int, channels: int) -> list[Song]:
    """Write all songs that have the target to ``out/<name>``, the rest as one stem; songs that are there are kept."""
    songs = []
    for track, artist, genre, half in _found(audio, target):
        song = Song(track.name, artist, genre, half, out / track.name, target)
        if not (song.folder / "corpus.toml").is_file():
            stems = track.read()
            wanted = stems[SOURCES.index(target)]
            if not wanted.any():
                continue
            song.folder.mkdir(parents=True, exist_ok=True)
            for name, stem in ((target, wanted), (rest_of(target), stems.sum(axis=0) - wanted)):
                written = resample(to_channels(stem, channels), track.sample_rate, sample_rate)
                with atomic_path(song.folder / f"{name}.wav") as temporary:
                    write_audio(temporary, written, sample_rate)
            absent = [source for source in SOURCES if source not in (target, rest_of(target))]
            write_text(song.folder / "corpus.toml", f"absent = {absent}\n")
        songs.append(song)
    return songs


def _found(audio: Path, target: str) -> list[tuple[StemTrack, str, str, int | None]]:
    """Tracks, their artist, genre and half."""
    found: list[tuple[StemTrack, str, str, int | None]] = []
    if target == "vocals":
        for track in _tracks(audio / "pairs16k", target):
            singer = track.name.split("_")[1]
            found.append((track, singer, "karaoke", int(singer not in FIRST_HALF)))
    for track in _tracks(audio / "stems", target):
        if track.name.startswith("MusicDelta"):
            found.append((track, "MusicDelta", "rock", 1 if target == "vocals" else 0))
        else:
            found.append((track, track.name, "demo", None))
    for kind in ("stems", "pairs") if target == "vocals" else ("stems",):
        found += [(track, track.name, "demo", None) for track in _tracks(audio / "calibration_only" / kind, target)]
    return found


def _tracks(folder: Path, target: str) -> list[StemTrack]:
    return load_target_tracks(folder, target) if folder.is_dir() else []


def folds(songs: list[Song]) -> list[Song]:
    """Return the labelled song of each fold: the first of every singer and a rock song, then the others.

    Both halves take turns as long as both have songs.
    """
    first: list[Song] = []
    others: list[Song] = []
    for song in songs:
        if song.half is not None:
            others.append(song) if song.artist in {each.artist for each in first} else first.append(song)
    return [*_in_turns(first), *_in_turns(others)]


def _in_turns(songs: list[Song]) -> list[Song]:
    halves = [[song for song in songs if song.half == half] for half in (0, 1)]
    turns = [song for pair in zip(*halves, strict=False) for song in pair]
    return [*turns, *(song for song in songs if song not in turns)]


def middle(song: Audio, frames: int) -> Audio:
    """At most ``frames`` frames from the middle of (..., frames)."""
    start = max(song.shape[-1] - frames, 0) // 2
    return np.ascontiguousarray(song[..., start : start + frames])
