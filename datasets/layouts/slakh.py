"""Slakh2100 and BabySlakh: ``[<split>/]TrackNNNNN/{mix.flac,metadata.yaml,stems/SNN.flac}``; mono, no vocals.

metadata.yaml states of each stem whether it is drums (``is_drum``) or bass (``inst_class: Bass``), and whether it was
rendered at all. The folder ``omitted`` (duplicates) is not read.
"""

from collections.abc import Iterator
from pathlib import Path

from remix_miner.audio import display_name
from remix_miner.datasets.layouts.base import Layout, subfolders
from remix_miner.datasets.layouts.musdb import split_folders
from remix_miner.datasets.layouts.stem_folder import StemFolder
from remix_miner.datasets.songs import Song, StemPath
from remix_miner.errors import DataError

METADATA = "metadata.yaml"


def _is_song(folder: Path) -> bool:
    return (folder / METADATA).is_file() and (folder / "stems").is_dir()


def _songs(corpus: Path) -> Iterator[Song]:
    for root, split in {corpus: None, **split_folders(corpus)}.items():
        for folder in subfolders(root):
            if _is_song(folder):
                yield _song(folder, split)


def _song(folder: Path, split: str | None) -> Song:
    try:
        return _described_song(folder, split)
    except (DataError, OSError, ValueError) as error:
        return Song(display_name(folder.name), folder, split, {}, problem=str(error))


def _described_song(folder: Path, split: str | None) -> Song:
    files: dict[str, tuple[StemPath, ...]] = {}
    stems = StemFolder(folder / "stems")
    for name, stem in read_stems(folder / METADATA).items():
        if stem.get("audio_rendered") == "false":
            continue
        path = stems.stem(name)
        if path is None:
            raise DataError(
                f"{display_name(folder)}: {METADATA} names the stem {name}, whose audio is not in stems/; "
                "copy it again, or declare the song in corpus.toml: exclude"
            )
        is_drums, is_bass = stem.get("is_drum") == "true", stem.get("inst_class") == "Bass"
        source = "drums" if is_drums else "bass" if is_bass else "other"
        files[source] = (*files.get(source, ()), path)
    absent = tuple(source for source in ("drums", "bass", "other", "vocals") if source not in files)
    return Song(display_name(folder.name), folder, split, files, StemFolder(folder).stem("mix"), absent=absent)


def read_stems(path: Path) -> dict[str, dict[str, str]]:
    """Return the ``stems`` of a metadata.yaml as {stem: {key: value}}, plain values of that depth only.

    Slakh and MedleyDB write no other YAML than this. A list of values is joined by spaces.
    """
    stems: dict[str, dict[str, str]] = {}
    inside = False
    stem_depth = value_depth = 0
    key = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        text, depth = line.strip(), len(line) - len(line.lstrip())
        if not text or text.startswith("#"):
            continue
        if depth == 0:
            inside, stem_depth = text.partition(":")[0] == "stems", 0
        elif inside:
            stem_depth = stem_depth or depth
            if depth == stem_depth:
                stems[text.partition(":")[0]] = {}
                value_depth = 0
                continue
            value_depth = value_depth or depth
            values = stems[next(reversed(stems))]
            if text.startswith("- ") and key and depth <= value_depth + 2:
                values[key] = f"{values[key]} {text[2:].strip()}".strip()
            elif depth == value_depth:
                key, _, value = text.partition(":")
                values[key] = value.strip().strip("'\"")
            else:
                key = ""
    if not stems:
        raise DataError(f"{display_name(path)} lists no stems; copy the song again")
    return stems


SLAKH = Layout(
    "slakh",
    "[{train,validation,test}/]TrackNNNNN/{mix.flac,metadata.yaml,stems/SNN.flac}",
    lambda corpus: any(_is_song(folder) for root in (corpus, *split_folders(corpus)) for folder in subfolders(root)),
    _songs,
)
