"""Measurements of a stem corpus: hours, silence, the mixture against the sum of the stems, and problems."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from remix_miner.audio import AUDIO_SUFFIXES, Audio, display_name
from remix_miner.datasets.corpora import find_layout, find_songs
from remix_miner.datasets.declarations import Declaration, read_declaration
from remix_miner.datasets.layouts.base import subfolders
from remix_miner.datasets.layouts.folders import find_pairs
from remix_miner.datasets.library import content_hash
from remix_miner.datasets.named_stems import find_named_songs
from remix_miner.datasets.problems import REPLACE, Problem
from remix_miner.datasets.songs import Song, open_song
from remix_miner.datasets.tracks import PAIR_SOURCES, PairTrack, StemTrack, Track
from remix_miner.errors import RemixMinerError
from remix_miner.progress import track as progress_over
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB, relative_volume_db

WINDOW_SECONDS = 0.64
SILENT_DB = -30.0
"""Rests: at or below this relative volume a source is taken as silent by its recording, not by masking.

Mining promises `SILENT_MINING_DB` (-20 dB), where a source may be merely soft; both rates are reported.
"""

RESIDUAL_LIMIT_DB = -30.0
"""A mixture that differs more from the sum of its stems is reported: 16-bit rounding gives -80, lossy coding -30."""

FULL_SCALE = 1 - 2**-15
"""Least absolute value of a clipped sample of a stem: the largest of 16 bits."""

WINDOWS_AT_ONCE = 64


@dataclass
class CorpusReport:
    """Findings of `check_corpus`, and the songs that can be read as ``tracks``.

    Rates are shares of the windows in which the mixture sounds. ``silent_rate``: V_i <= `SILENT_DB`;
    ``mining_silent_rate``: V_i <= `SILENT_MINING_DB`.
    """

    path: Path
    layout: str
    sources: tuple[str, ...]
    songs_per_split: dict[str, int] = field(default_factory=dict)
    seconds_per_split: dict[str, float] = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)
    silent_rate: dict[str, float] = field(default_factory=dict)
    mining_silent_rate: dict[str, float] = field(default_factory=dict)
    songs_without: dict[str, int] = field(default_factory=dict)
    residual_db: dict[str, float] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    """Songs that corpus.toml excludes."""


@dataclass
class _Measured:
    windows: int = 0
    silent: np.ndarray = field(default_factory=lambda: np.zeros(len(SOURCES)))
    soft: np.ndarray = field(default_factory=lambda: np.zeros(len(SOURCES)))
    clipped: int = 0
    stems_clipped: np.ndarray = field(default_factory=lambda: np.zeros(len(SOURCES), dtype=int))
    least_energy: np.ndarray = field(default_factory=lambda: np.full(len(SOURCES), np.inf))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(len(SOURCES)))
    """Mean of the window with the least energy, for each source."""
    sum_energy: float = 0.0
    energy: float = 0.0
    residual: float = 0.0


def check_corpus(path: Path) -> CorpusReport:
    """Read every song of a corpus once, in blocks, and report; a song that cannot be used is a problem, not an error.

    Raises `DataError` only where no known layout is found.
    """
    layout = find_layout(path)
    pairs = [] if layout else list(find_pairs(path))
    declared = read_declaration(path).sources
    if declared and not set(SOURCES) <= set(declared):
        declaration = read_declaration(path)
        pairs, songs = [], find_named_songs(path, declared, declaration)
        present, report = songs, CorpusReport(path, "named sources", declared)
    elif pairs:
        declaration = read_declaration(path)
        present, songs = pairs, [song for song in pairs if song.name not in declaration.exclude]
        report = CorpusReport(path, "pairs of vocals and accompaniment", PAIR_SOURCES)
    else:
        songs, declaration = find_songs(path)
        report = CorpusReport(path, layout.name if layout else "", SOURCES)
        present = list(layout.songs(path)) if layout and declaration.exclude else songs
    names = {song.name for song in present}
    report.excluded = [display_name(name) for name in declaration.exclude if name in names]
    measured = _Measured(silent=np.zeros(len(report.sources)), soft=np.zeros(len(report.sources)))
    report.songs_without = dict.fromkeys(report.sources, 0)
    for song in progress_over(songs, "checking"):
        try:
            track = open_song(PairTrack if pairs else StemTrack, song, report.sources, declaration)
            _measure(track, report, measured)
        except RemixMinerError as error:
            report.problems.append(Problem.of_error(song.name, error))
            continue
        report.tracks.append(track)
        if song.unread:
            unread = ", ".join(display_name(path.name) for path in song.unread)
            fix = (
                "rename each after the source it holds, or move it out of the song's folder; stems beyond the four are "
                f"read as part of 'other' where {display_name(declaration.path)} lists them in sources = [...]"
            )
            report.problems.append(Problem(song.name, f"holds audio that is not read: {unread}", fix))
        split = track.split or "all"
        report.songs_per_split[split] = report.songs_per_split.get(split, 0) + 1
        report.seconds_per_split[split] = report.seconds_per_split.get(split, 0.0) + track.seconds
        what = f"{track.sample_rate} Hz, {track.channels} channels"
        report.formats[what] = report.formats.get(what, 0) + 1
    windows = measured.windows or np.nan
    report.silent_rate = dict(zip(report.sources, (measured.silent / windows).tolist(), strict=True))
    report.mining_silent_rate = dict(zip(report.sources, (measured.soft / windows).tolist(), strict=True))
    report.problems += [*_unnamed(path, present), *_duplicates(report.tracks), *_unmatched(declaration, songs, report)]
    return report


def _measure(track: Track, report: CorpusReport, total: _Measured) -> None:
    window = round(WINDOW_SECONDS * track.sample_rate)
    sources = len(track.sources)
    song = _Measured(
        silent=np.zeros(sources),
        soft=np.zeros(sources),
        stems_clipped=np.zeros(sources, dtype=int),
        least_energy=np.full(sources, np.inf),
        offset=np.zeros(sources),
    )
    sounding = np.zeros(len(track.sources), dtype=bool)
    for stems, mixture in _blocks(track, window * WINDOWS_AT_ONCE):
        sounding |= np.abs(stems).max(axis=(1, 2)) > 0
        song.stems_clipped += (np.abs(stems) >= FULL_SCALE).sum(axis=(1, 2))
        mono = stems.mean(axis=1)
        song.sum_energy += float(np.square(mono.sum(axis=0), dtype=np.float64).sum())
        if stems.shape[-1] >= window:
            volumes = relative_volume_db(torch.from_numpy(mono[:, None]), window, window).numpy()
            sounding_mixture = ~np.isnan(volumes[0])
            song.windows += int(sounding_mixture.sum())
            song.silent += (volumes[:, sounding_mixture] <= SILENT_DB).sum(axis=1)
            song.soft += (volumes[:, sounding_mixture] <= SILENT_MINING_DB).sum(axis=1)
            _find_offsets(song, mono, window)
        if mixture is not None:
            song.clipped += int((np.abs(mixture) >= 1.0).sum())
            song.energy += float(np.square(mixture, dtype=np.float64).sum())
            song.residual += float(np.square(mixture - stems.sum(axis=0), dtype=np.float64).sum())
    name = display_name(track.name)
    if track.mixture is not None and song.energy > 0:
        with np.errstate(divide="ignore"):
            residual_db = float(10 * np.log10(song.residual / song.energy))
        report.residual_db[name] = residual_db
        if residual_db > RESIDUAL_LIMIT_DB:
            report.problems.append(
                Problem(
                    name,
                    f"the mixture differs from the sum of the stems by {residual_db:.1f} dB",
                    f"check that every stem belongs to {track.mixture.path.name} and starts with it; "
                    "if the mixture is a mastered version, remove it: the sum is then used",
                )
            )
    if not sounding.any():
        report.problems.append(Problem(name, "every source is digital silence", REPLACE))
    for source, sounds in zip(track.sources, sounding, strict=True):
        report.songs_without[source] += not sounds
    report.problems += _of_stems(name, track, song)
    fix = "export the song again with more headroom, or use the sum of the stems: remove the mixture file"
    report.problems += _clipped(name, "the mixture", song.clipped, track, fix)
    total.windows += song.windows
    total.silent += song.silent
    total.soft += song.soft


def _find_offsets(song: _Measured, mono: np.ndarray, window: int) -> None:
    """Keep the mean of the quietest window of each source of ``mono`` (S, T)."""
    windows = mono[:, : mono.shape[-1] // window * window].astype(np.float64).reshape(len(mono), -1, window)
    energies, means = np.square(windows).mean(axis=-1), windows.mean(axis=-1)
    for source, quietest in enumerate(energies.argmin(axis=-1)):
        if energies[source, quietest] < song.least_energy[source]:
            song.least_energy[source], song.offset[source] = energies[source, quietest], means[source, quietest]


def _clipped(name: str, part: str, samples: int, track: Track, fix: str) -> list[Problem]:
    """Return the problem of a part of a song with more than one clipped sample in 10,000 frames."""
    if samples <= 1e-4 * track.frames:
        return []
    return [Problem(name, f"{samples} samples of {part} are at full scale or beyond (clipped)", fix)]


def _of_stems(name: str, track: Track, song: _Measured) -> list[Problem]:
    """Return stems that are clipped, and those whose constant offset (DC) counts as their sound."""
    problems = []
    least = 10 ** (SILENT_DB / 10) * song.sum_energy / max(track.frames, 1)
    values = zip(track.sources, song.stems_clipped, song.offset, song.least_energy, strict=True)
    for source, clipped, offset, energy in values:
        problems += _clipped(name, source, clipped, track, "export the stem again with more headroom")
        if offset**2 > max(energy / 2, least):  # the quietest window is an offset, and not 30 dB below the mixture
            problems.append(
                Problem(
                    name,
                    f"{source} has a constant offset of {offset:.3f} (DC), which counts as sound where it rests",
                    "remove it, for example by a high-pass filter at 20 Hz",
                )
            )
    return problems


def _blocks(track: Track, block: int) -> Iterator[tuple[np.ndarray, Audio | None]]:
    for start in range(0, track.frames, block):
        frames = min(block, track.frames - start)
        stems = np.stack([track.read_source(source, start, frames) for source in track.sources])
        yield stems, track.read_mixture(start, frames) if track.mixture is not None else None


def _unnamed(path: Path, songs: list[Song]) -> list[Problem]:
    """Return folders beside the songs that hold audio, none of it under a source's name."""
    known = {song.folder for song in songs}
    parents = {song.folder.parent for song in songs if song.folder != path}
    problems = []
    for folder in sorted(folder for parent in parents for folder in subfolders(parent) if folder not in known):
        audio = sorted(file.name for file in folder.iterdir() if file.suffix.lower() in AUDIO_SUFFIXES)
        if audio:
            problems.append(
                Problem(
                    display_name(folder),
                    f"holds audio ({display_name(audio[0])}), but no file named after a source; it is not read",
                    f"name its files {', '.join(SOURCES)} (wav or flac), or move the folder away",
                )
            )
    return problems


def _duplicates(tracks: list[Track]) -> list[Problem]:
    """Return songs that share a file, byte for byte: the same song twice, perhaps on both sides of a split."""
    of_equal_size: dict[tuple[str, int], list[tuple[Track, Path]]] = defaultdict(list)
    for track in tracks:
        for source in track.sources:
            for file in track.files[source]:
                of_equal_size[source, file.path.stat().st_size].append((track, file.path))
    first: dict[tuple[str, str], Track] = {}
    problems: dict[str, Problem] = {}
    for (source, _), files in of_equal_size.items():
        for track, path in files if len(files) > 1 else ():
            known = first.setdefault((source, content_hash(path)), track)
            if known is not track and _sounds(track, source):
                where = f"{display_name(known.name)} ({known.split or 'no split'})"
                problems.setdefault(
                    track.name,
                    Problem(
                        f"{display_name(track.name)} ({track.split or 'no split'})",
                        f"has the same {source} as {where}",
                        "keep one of the two songs (`exclude` in corpus.toml)",
                    ),
                )
    return list(problems.values())


def _sounds(track: Track, source: str) -> bool:
    """Return whether a source is more than digital silence. Silent files are equal without being copies."""
    block = 30 * track.sample_rate
    starts = range(0, track.frames, block)
    return any(track.read_source(source, start, min(block, track.frames - start)).any() for start in starts)


def _unmatched(declaration: Declaration, songs: list[Song], report: CorpusReport) -> list[Problem]:
    """Return songs that corpus.toml names and the corpus does not hold.

    Excluded songs may lie elsewhere where the file lies above the folder that is checked.
    """
    names = {*(song.name for song in songs), *declaration.exclude}
    lost = [("declares", name) for name in declaration.tracks if name not in names]
    if report.layout != "named sources" and declaration.path.parent == report.path.absolute():
        left = [name for name in declaration.exclude if display_name(name) not in report.excluded]
        lost += [("excludes", name) for name in left]
    where = display_name(declaration.path)
    return [Problem(where, f"{verb} {name!r}, which is not a song here", "correct the name") for verb, name in lost]
