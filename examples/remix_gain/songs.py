"""Songs of the experiment: a target and the rest at the scale's rate, their artists, and the two halves.

Every artist belongs to one half. A fold trains on one song and is tested on all songs of the other half, so that its
ceiling, trained on all songs of its own half, excludes the test songs, too: one ceiling serves all folds of a half.
The rock songs of MusicDelta count as one artist, since their musicians are not named. Songs without a half are tested
on by every fold. The karaoke songs have vocals and accompaniment only; for another target than vocals the rock songs
are one half, and nothing is in the other. For all four sources the rock songs that have them all are one half.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from remix_miner.atomic import atomic_path, write_text
from remix_miner.audio import Audio, read_audio, resample, to_channels, write_audio
from remix_miner.datasets.corpora import load_stem_tracks, load_target_tracks
from remix_miner.datasets.tracks import StemTrack
from remix_miner.sources import SOURCES

SINGERS = ("amy", "bobon", "bug", "davidson", "fdps", "geniusturtle", "jmzen", "khair", "stool", "tammy", "titon")
FIRST_HALF = SINGERS[:6]
"""Six singers against five and the rock songs."""


FOUR = "four"
"""In place of a target: all four sources."""


@dataclass(frozen=True)
class Song:
    """A song in ``folder``. ``half``: 0 or 1, None for songs that are only tested on. ``target``: a source, or FOUR."""

    name: str
    artist: str
    genre: str
    half: int | None
    folder: Path
    target: str

    @property
    def parts(self) -> tuple[str, ...]:
        """Sources under which the song's parts are stored: the target and the rest, or all sources."""
        if self.target == FOUR:
            return tuple(SOURCES)
        return self.target, "vocals" if self.target == "other" else "other"

    def read(self) -> Audio:
        """(parts, channels, frames): target and rest, or all sources."""
        (track,) = load_stem_tracks(self.folder)
        return np.stack([track.read_source(source) for source in self.parts])

    def without(self, source: str) -> Audio:
        """The sum of all parts but one."""
        rest: Audio = np.delete(self.read(), self.parts.index(source), axis=0).sum(axis=0)
        return rest


def prepare_songs(audio: Path, out: Path, target: str, sample_rate: int, channels: int) -> list[Song]:
    """Write all songs that have the target to ``out/<name>``, by their parts; songs that are there are kept."""
    songs = []
    for track, artist, genre, half in _found(audio, target):
        song = Song(track.name, artist, genre, half, out / track.name, target)
        if not (song.folder / "corpus.toml").is_file():
            stems = track.read()
            parts = stems
            if target != FOUR:
                wanted = stems[SOURCES.index(target)]
                parts = np.stack([wanted, stems.sum(axis=0) - wanted])
            if not _usable(parts, song):
                continue
            song.folder.mkdir(parents=True, exist_ok=True)
            for name, stem in zip(song.parts, parts, strict=True):
                written = resample(to_channels(stem, channels), track.sample_rate, sample_rate)
                with atomic_path(song.folder / f"{name}.wav") as temporary:
                    write_audio(temporary, written, sample_rate)
            absent = [source for source in SOURCES if source not in song.parts]
            write_text(song.folder / "corpus.toml", f"absent = {absent}\n")
        songs.append(song)
    return songs


def _usable(parts: Audio, song: Song) -> bool:
    """Whether the target sounds; of all sources one must, and in a song of a half, which may be trained on, each."""
    sounding = parts.any(axis=(1, 2))
    if song.target != FOUR:
        return bool(sounding[0])
    return bool(sounding.any() if song.half is None else sounding.all())


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
    if not folder.is_dir():
        return []
    return load_stem_tracks(folder) if target == FOUR else load_target_tracks(folder, target)


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


def labelled_songs(fold: str, songs: list[Song], half: int, number: int, count: int) -> list[Song]:
    """Return the fold's song and ``count`` - 1 others of its half, drawn by the fold's number.

    A fold named after its half has all songs of the half.
    """
    inside = [song for song in songs if song.half == half]
    if fold == f"half{half}":
        return inside
    (own,) = (song for song in inside if song.name == fold)
    others = [song for song in inside if song.name != fold]
    if count > len(inside):
        raise SystemExit(f"half {half} has {len(inside)} songs, {count} labelled ones are asked for")
    order = np.random.default_rng(number).permutation(len(others))
    return [own, *(others[place] for place in sorted(order[: count - 1]))]


def middle(song: Audio, frames: int) -> Audio:
    """At most ``frames`` frames from the middle of (..., frames)."""
    start = max(song.shape[-1] - frames, 0) // 2
    return np.ascontiguousarray(song[..., start : start + frames])


def isolated_targets(audio: Path, songs: list[Song], half: int, target: str, channels: int, out: Path) -> Path:
    """Write the isolated targets of a half to ``out/<target>/<name>.wav`` and return ``out``; files there are kept.

    They are the targets of the half's songs, as these were prepared. Beside them are, for vocals, all dry recordings of
    the half's singers (``audio/singing16k``), and for other targets the loops (``audio/loops/<target>``). The target of
    a fold's own song is among them.
    """
    inside = [song for song in songs if song.half == half]
    if target == "vocals":
        singers = {song.artist for song in inside}
        found = [path for path in (audio / "singing16k").glob("*.flac") if path.stem.split("_")[0] in singers]
    else:
        found = [*(audio / "loops" / target).glob("*.flac")]
    sample_rate = load_stem_tracks(inside[0].folder)[0].sample_rate
    for name, path in [(song.name, song.folder / f"{target}.wav") for song in inside] + [
        (f"recording {path.stem}", path) for path in sorted(found)
    ]:
        written = out / target / f"{name}.wav"
        if not written.is_file():
            recording, rate = read_audio(path)
            with atomic_path(written) as temporary:
                write_audio(temporary, resample(to_channels(recording, channels), rate, sample_rate), sample_rate)
    return out
