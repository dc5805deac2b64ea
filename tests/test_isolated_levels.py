"""Levels of isolated files: brought to the median level of their source in the songs, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.sources import SOURCES
from remix_miner.training.batches.isolated import LARGEST_GAIN_DB, active_level_db, isolated_gains
from remix_miner.training.batches.mixing import Mixer, MixingSettings

RATE = 8000


def write(path: Path, level: float, seconds: float = 4.0, silent_seconds: float = 0.0) -> None:
    """A constant, followed by silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = np.concatenate([np.full((round(seconds * RATE), 1), level), np.zeros((round(silent_seconds * RATE), 1))])
    soundfile.write(path, audio, RATE, subtype="FLOAT")


def reader_of(folder: Path, drums_of_songs: list[float], files: dict[str, float]) -> SegmentReader:
    """Songs with drums at these levels and all else at 0.1, and isolated drums."""
    for number, level in enumerate(drums_of_songs):
        for source in SOURCES:
            write(folder / "songs" / f"song {number}" / f"{source}.wav", level if source == "drums" else 0.1)
    for name, level in files.items():
        write(folder / "loops" / "drums" / f"{name}.wav", level, silent_seconds=4.0)
    corpora = [Corpus(load_stem_tracks(folder / "loops"))]
    if drums_of_songs:
        corpora.append(Corpus(load_stem_tracks(folder / "songs")))
    return SegmentReader(corpora, RATE, 1)


def test_the_level_counts_the_windows_that_sound() -> None:
    audio = np.concatenate([np.full(4000, 0.1), np.zeros(8000), np.full(4000, 0.001)]).astype(np.float32)
    assert active_level_db(audio[None], RATE) == pytest.approx(-20.0, abs=1e-3)
    assert active_level_db(np.zeros((2, 9000), np.float32), RATE) == -np.inf
    assert active_level_db(np.full((1, 100), 0.1, np.float32), RATE) == pytest.approx(-20.0, abs=1e-3)


def test_an_isolated_file_gets_the_median_level_of_its_source_in_the_songs(tmp_path: Path) -> None:
    """Drums at 0.05, 0.1 and 0.4: the median is 0.1. Half of each file is silent, which does not count."""
    reader = reader_of(tmp_path, [0.05, 0.1, 0.4], {"loud": 0.8, "quiet": 0.02})
    names = [track.name for track in reader.tracks]
    gains = isolated_gains(reader)
    assert {names[number]: round(gain, 3) for number, gain in gains.items()} == {"loud": 0.125, "quiet": 5.0}
    reader.gains = gains
    loud = names.index("loud")
    assert np.allclose(reader.read(loud, "drums", 0, RATE), 0.1, atol=1e-4)
    partly = reader.read(loud, "drums", -100, 200)[0]
    assert not partly[:100].any()
    assert np.allclose(partly[100:], 0.1, atol=1e-4)
    assert np.allclose(reader.read(names.index("song 2"), "drums", 0, RATE), 0.4)


def test_the_gain_is_limited_and_silent_files_keep_theirs(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, [0.5], {"faint": 0.0005, "silent": 0.0})
    names = [track.name for track in reader.tracks]
    gains = isolated_gains(reader)
    assert set(gains) == {names.index("faint")}
    assert 20 * np.log10(gains[names.index("faint")]) == pytest.approx(LARGEST_GAIN_DB)


def test_without_songs_isolated_files_keep_their_levels(tmp_path: Path) -> None:
    assert isolated_gains(reader_of(tmp_path, [], {"loop": 0.3})) == {}


def test_random_mixes_of_songs_and_isolated_files_have_one_level(tmp_path: Path) -> None:
    reader = reader_of(tmp_path, [0.1], {"loop": 0.8})
    mixer = Mixer(reader, MixingSettings(), 2000, seed=0)
    before = {round(float(mixer.read(mixer.plan(index))[0].max()), 3) for index in range(40)}
    reader.gains = isolated_gains(reader)
    after = {round(float(mixer.read(mixer.plan(index))[0].max()), 3) for index in range(40)}
    assert {0.1, 0.8} <= before
    assert after <= {0.0, 0.1}
