"""Synthetic corpora on disk: songs with stems, and an unlabelled library with its stems in a folder apart."""

from pathlib import Path
from typing import Any

from remix_miner.atomic import write_json
from remix_miner.audio import display_name, write_audio
from remix_miner.errors import DataError, UsageError
from remix_miner.progress import Progress
from remix_miner.schema import load_json
from remix_miner.sources import SOURCES
from remix_miner.synthesis.song import SyntheticSong, song_name, synthesize_song

LIBRARY_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
SETTINGS_NAME = "synthetic.json"
FORMAT_VERSION = 1
SEEDS_PER_CORPUS = 1_000_000


def write_corpus(
    out: str | Path, songs: int = 12, seconds: float = 30.0, seed: int = 0, sample_rate: int = 44100
) -> dict[str, Any]:
    """Write ``songs`` songs with stems in ``out/stems/{train,valid,test}`` and as many others in ``out/library``.

    About a fifth of the songs (at least one) is for validation and a fifth for testing. The library's mixtures
    alternate between wav, flac, ogg and mp3; ``out/library_truth/<name>/`` holds their stems. No song occurs twice,
    and different seeds give different songs. What was composed is in ``out/synthetic.json``. A rerun writes only
    what is missing; ``out`` made with other settings raises `DataError`. Returns a summary.
    """
    if songs < 3:
        raise UsageError(f"a corpus needs 3 songs or more, one for each of train, valid and test; got {songs}")
    check_seed(seed)
    out = Path(out)
    settings = {
        "format_version": FORMAT_VERSION,
        "songs": songs,
        "seconds": seconds,
        "seed": seed,
        "sample_rate": sample_rate,
    }
    written = claim_folder(out, settings, ("stems", "library", "library_truth"))
    with Progress("synthesizing", total=2 * songs, unit="songs") as progress:
        for index in range(2 * songs):
            song_seed = seed * SEEDS_PER_CORPUS + index
            folder, file = _places(out, song_name(song_seed), index, songs)
            place = (file or folder).relative_to(out).as_posix()
            if not (place in written and (folder / "mixture.wav").exists() and (file is None or file.exists())):
                song = synthesize_song(song_seed, seconds, sample_rate)
                write_stems(folder, song)
                if file is not None:
                    write_audio(file, song.mixture, sample_rate, "int16")
                written[place] = song.description()
            progress.advance(note=place)
    write_json(out / SETTINGS_NAME, {**settings, "written": written})
    return {"out": str(out), **settings, "files": sorted(written)}


def _places(out: Path, name: str, index: int, songs: int) -> tuple[Path, Path | None]:
    """Return the folder of a song's stems, and the library file if it is one of the library's songs."""
    if index < songs:
        return out / "stems" / _split(index, songs) / name, None
    suffix = LIBRARY_SUFFIXES[index % len(LIBRARY_SUFFIXES)]
    return out / "library_truth" / name, out / "library" / f"{name}{suffix}"


def write_stems(folder: Path, song: SyntheticSong) -> None:
    """Write a track folder of 16-bit wav files; the mixture comes last, so a folder with a mixture is complete."""
    for source, stem in zip(SOURCES, song.stems, strict=True):
        write_audio(folder / f"{source}.wav", stem, song.sample_rate, "int16")
    write_audio(folder / "mixture.wav", song.mixture, song.sample_rate, "int16")


def _split(index: int, songs: int) -> str:
    held_out = max(songs // 5, 1)
    if index < songs - 2 * held_out:
        return "train"
    return "valid" if index < songs - held_out else "test"


def check_seed(seed: int) -> None:
    """Raise `UsageError` for a seed that is out of range."""
    if not 0 <= seed < 1_000_000_000:
        raise UsageError(f"a seed is a whole number from 0 to 999999999, not {seed}")


def claim_folder(out: Path, settings: dict[str, Any], parts: tuple[str, ...]) -> dict[str, Any]:
    """Write the settings into a new folder, or compare them with the folder's; return the songs that it holds.

    Raises `DataError` where ``out`` holds any of ``parts`` from elsewhere, or songs made with other settings.
    """
    path = out / SETTINGS_NAME
    if not path.exists():
        if found := [name for name in parts if (out / name).exists()]:
            raise DataError(f"{display_name(out)} holds {', '.join(found)} of another origin; give another folder")
        write_json(path, settings)
        return {}
    found_settings = load_json(path, "the settings of generated songs")
    known = found_settings if isinstance(found_settings, dict) else {}
    differing = [
        f"{name} {known.get(name)} (now {value})" for name, value in settings.items() if known.get(name) != value
    ]
    if differing:
        raise DataError(
            f"{display_name(out)} holds songs made with {', '.join(differing)}; give another folder or remove this one"
        )
    written = known.get("written", {})
    if not isinstance(written, dict):
        raise DataError(f"{display_name(path)} is damaged: 'written' is no table; give another folder")
    return written
