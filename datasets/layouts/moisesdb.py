"""MoisesDB: ``<uuid>/{data.json,<stem>/<track id>.wav}``, eleven kinds of stems, several files each.

The four sources are those of the data set's own ``mix_4_stems`` (Pereira et al. 2023): percussion belongs to 'other'.
Files of one song differ in length in about fifty songs: declare ``allow_unequal = true`` in corpus.toml, and the
shorter ones are padded with silence.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.layouts.base import Layout, subfolders
from remix_miner.datasets.songs import Song, StemPath
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

SOURCE_OF_STEM = {
    "drums": "drums",
    "bass": "bass",
    "vocals": "vocals",
    **dict.fromkeys(
        ("other", "guitar", "other_plucked", "percussion", "piano", "other_keys", "bowed_strings", "wind"), "other"
    ),
}
VERSION_FOLDERS = ("moisesdb_v0.1", "moisesdb")


def _song_folders(corpus: Path) -> list[Path]:
    roots = [corpus, *(corpus / name for name in VERSION_FOLDERS if (corpus / name).is_dir())]
    return [folder for root in roots for folder in subfolders(root) if (folder / "data.json").is_file()]


def _songs(corpus: Path) -> Iterator[Song]:
    found = _song_folders(corpus)
    for folder in found:
        yield _song(folder)
    for folder in sorted({folder for root in {one.parent for one in found} for folder in subfolders(root)} - {*found}):
        if any(child.name in SOURCE_OF_STEM for child in subfolders(folder)):
            problem = f"{display_name(folder)} holds stems but no data.json; copy the song again"
            yield Song(display_name(folder.name), folder, None, {}, problem=problem)


def _song(folder: Path) -> Song:
    try:
        return _described_song(folder)
    except DataError as error:
        return Song(display_name(folder.name), folder, None, {}, problem=str(error))


def _described_song(folder: Path) -> Song:
    path = folder / "data.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        artist, title = str(data["artist"]), str(data["song"])
        stems = [
            (stem["stemName"], f"{track['id']}.{track.get('extension', 'wav')}")
            for stem in data["stems"]
            for track in stem["tracks"]
        ]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(
            f"{display_name(path)} is not a description of MoisesDB: {error!r}; copy the song again"
        ) from error
    files: dict[str, tuple[StemPath, ...]] = {}
    for stem, file in stems:
        if stem not in SOURCE_OF_STEM:
            raise DataError(f"{display_name(path)} has an unknown stem {stem!r}; known: {', '.join(SOURCE_OF_STEM)}")
        source = SOURCE_OF_STEM[stem]
        files[source] = (*files.get(source, ()), StemPath(folder / stem / file))
    absent = tuple(source for source in SOURCES if source not in files)
    return Song(f"{artist} - {title}", folder, None, files, artist=artist, absent=absent)


MOISESDB = Layout("moisesdb", "<uuid>/{data.json,<stem>/<id>.wav}", lambda corpus: bool(_song_folders(corpus)), _songs)
