"""Songs as layouts find them, and their opening as tracks: every header is compared, differences are errors."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from remix_miner.audio import display_name
from remix_miner.datasets.declarations import Declaration
from remix_miner.datasets.stem_files import ConformedFile, PlainFile, StemFile
from remix_miner.datasets.stem_mp4 import StreamFile
from remix_miner.datasets.tracks import Track, artist_of
from remix_miner.errors import DataError

Kind = TypeVar("Kind", bound=Track)


class StemPath(NamedTuple):
    """The place of a stem: a file, or one audio stream of a ``.stem.mp4`` file."""

    path: Path
    stream: int | None = None

    @property
    def label(self) -> str:
        name = display_name(self.path.name)
        return name if self.stream is None else f"stream {self.stream} of {name}"


@dataclass(frozen=True)
class Song:
    """A song as a layout finds it, before any file is opened.

    ``files`` maps sources to the files whose sum they are; a source that the layout itself states to be absent is in
    ``absent``; any other source without a file is missing. ``problem`` states why the song cannot be used; ``unread``
    are audio files of its folder under other names.
    """

    name: str
    folder: Path
    split: str | None
    files: Mapping[str, tuple[StemPath, ...]]
    mixture: StemPath | None = None
    artist: str | None = None
    absent: tuple[str, ...] = ()
    problem: str | None = None
    unread: tuple[Path, ...] = ()


def open_song(
    kind: type[Kind],
    song: Song,
    sources: tuple[str, ...],
    declaration: Declaration,
    *,
    absent: Iterable[str] = (),
    allow_unequal: bool = False,
) -> Kind:
    """Return the track of a song; reads headers only.

    Raises `DataError` naming the song and the file where a source is missing and not declared absent, or where files
    differ in sample rate, channels or length and neither ``allow_unequal`` nor the declaration allows it. Allowed,
    files are brought to the highest rate and channel count among them and padded with silence to the longest.
    """
    if song.problem:
        raise DataError(song.problem)
    may_lack = {*absent, *song.absent, *declaration.absent_of(song.name)}
    lacking = tuple(source for source in sources if not song.files.get(source))
    missing = [source for source in lacking if source not in may_lack]
    if missing:
        raise DataError(_missing_message(song, missing, declaration))
    opened = {source: tuple(open_stem(path) for path in song.files.get(source, ())) for source in sources}
    mixture = open_stem(song.mixture) if song.mixture else None
    files = [file for group in opened.values() for file in group]
    if not files:
        raise DataError(f"{song.name!r} ({display_name(song.folder)}) lacks all of its sources; remove the song")
    everything = [*files, *([mixture] if mixture else [])]
    if not (allow_unequal or declaration.allow_unequal):
        _check_equal(song, everything, declaration)
    sample_rate = max(file.sample_rate for file in everything)
    channels = max(file.channels for file in everything)

    def conformed(file: StemFile) -> StemFile:
        if (file.sample_rate, file.channels) == (sample_rate, channels):
            return file
        return ConformedFile(file, sample_rate, channels)

    opened = {source: tuple(conformed(file) for file in group) for source, group in opened.items()}
    mixture = conformed(mixture) if mixture else None
    return kind(
        name=song.name,
        folder=song.folder,
        artist=declaration.artist_of(song.name) or song.artist or artist_of(song.name),
        split=song.split,
        sample_rate=sample_rate,
        channels=channels,
        frames=max(file.frames for file in [*sum(opened.values(), ()), *([mixture] if mixture else [])]),
        files=opened,
        mixture=mixture,
        absent=lacking,
    )


def open_stem(path: StemPath) -> StemFile:
    if path.stream is None:
        return PlainFile.open(path.path)

    return StreamFile.open(path.path, path.stream)


def _check_equal(song: Song, files: list[StemFile], declaration: Declaration) -> None:
    for what, unit, repair in (
        ("sample_rate", "Hz", "resample it to"),
        ("channels", "channels", "convert it to"),
        ("frames", "frames", "cut or pad it to"),
    ):
        values = [getattr(file, what) for file in files]
        usual = Counter(values).most_common(1)[0][0]
        odd = [(file, value) for file, value in zip(files, values, strict=True) if value != usual]
        if odd:
            file, value = odd[0]
            more = f" (and {len(odd) - 1} more of its files differ)" if len(odd) > 1 else ""
            raise DataError(
                f"{display_name(file.path.name)} of {song.name!r} ({display_name(song.folder)}) has {value} {unit}, "
                f"the others {usual}{more}; {repair} {usual}, or allow unequal files with `allow_unequal = true` in "
                f"{display_name(declaration.path)} or allow_unequal=True in Python"
            )


def _missing_message(song: Song, missing: list[str], declaration: Declaration) -> str:
    names = ", ".join(missing)
    found = f"{song.name!r} ({display_name(song.folder)}) has no file for {names}"
    declare = (
        f"if the song has no {' and no '.join(missing)}, declare it in {display_name(declaration.path)}: "
        f"[tracks.{_toml_key(song.name)}] absent = {json.dumps(missing)}"
    )
    if not song.unread:
        return f"{found}; add a wav or flac file for each, or, {declare}"
    unread = ", ".join(display_name(path.name) for path in song.unread)
    pair = ""
    if list(song.files) == ["vocals"] and len(song.unread) == 1:
        pair = f"if {unread} is the accompaniment, rename it to accompaniment and give the song as --pairs; "
    return (
        f"{found}, and these files are not read: {unread}; rename each after the source it holds; {pair}only {declare}"
    )


def _toml_key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
