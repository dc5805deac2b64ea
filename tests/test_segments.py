import os
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.audio import resample
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.datasets.stem_cache import use_stem_cache
from remix_miner.datasets.tracks import StemTrack
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import SOURCES

RATE = 8000


def write_songs(
    folder: Path, seconds: list[float], suffix: str = "wav", rate: int = RATE, seed: int = 0
) -> list[StemTrack]:
    generator = np.random.default_rng(seed)
    for number, length in enumerate(seconds):
        song = folder / f"song{number}"
        song.mkdir(parents=True)
        for source in SOURCES:
            noise = generator.uniform(-0.5, 0.5, (round(length * rate), 2))
            soundfile.write(song / f"{source}.{suffix}", noise, rate, subtype="PCM_16")
    return load_stem_tracks(folder)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_segment_is_the_same_part_of_the_whole_file(tmp_path: Path, suffix: str) -> None:
    tracks = write_songs(tmp_path, [1.0, 2.0], suffix)
    reader = SegmentReader([Corpus(tracks)], RATE, 2)
    whole, _ = soundfile.read(tmp_path / "song1" / f"vocals.{suffix}", dtype="float32", always_2d=True)
    np.testing.assert_array_equal(reader.read(1, "vocals", 5000, 3000), whole.T[:, 5000:8000])


def test_beyond_the_end_of_a_song_there_is_silence(tmp_path: Path) -> None:
    reader = SegmentReader([Corpus(write_songs(tmp_path, [1.0]))], RATE, 2)
    segment = reader.read(0, "drums", RATE - 100, 300)
    assert np.any(segment[:, 99])
    assert not np.any(segment[:, 100:])
    assert not np.any(reader.read(0, "drums", RATE + 5, 10))


def test_another_rate_and_mono_equal_the_whole_file_converted(tmp_path: Path) -> None:
    tracks = write_songs(tmp_path, [2.0])
    reader = SegmentReader([Corpus(tracks)], 5000, 1)
    whole = resample(tracks[0].read_source("bass").mean(0, keepdims=True), RATE, 5000)
    assert reader.frames == [10000]
    # Away from the ends the resampler's filter sees the same frames, up to its own -100 dB.
    np.testing.assert_allclose(reader.read(0, "bass", 4000, 1000), whole[:, 4000:5000], atol=2e-5)


def test_extracts_are_every_start_of_the_stride_that_fits(tmp_path: Path) -> None:
    reader = SegmentReader([Corpus(write_songs(tmp_path, [0.25, 1.0]))], RATE, 2)
    # 0.5 s each 0.2 s: one of the song that is too short; 0, 0.2 and 0.4 s of the one of 1 s.
    assert reader.extracts(RATE // 2, RATE // 5).tolist() == [[0, 0], [1, 0], [1, 1600], [1, 3200]]


def test_corpora_are_drawn_by_weight_and_songs_alike_within_them(tmp_path: Path) -> None:
    first = write_songs(tmp_path / "a", [0.1])
    second = write_songs(tmp_path / "b", [0.1, 0.2, 0.1])
    reader = SegmentReader([Corpus(first, weight=3.0), Corpus(second, weight=1.0)], RATE, 2)
    generator = np.random.default_rng(0)
    counts = Counter(reader.draw_song(generator) for _ in range(6000))
    assert np.allclose([counts[song] / 6000 for song in range(4)], [0.75, 1 / 12, 1 / 12, 1 / 12], atol=0.02)


def test_shuffled_songs_take_each_source_of_each_song_once(tmp_path: Path) -> None:
    reader = SegmentReader([Corpus(write_songs(tmp_path, [0.1 + 0.01 * song for song in range(8)]))], RATE, 2)
    shuffled = reader.shuffled(seed=1)
    for source in SOURCES:
        found = [
            next(
                song
                for song in range(8)
                if np.array_equal(reader.read(song, source, 0, 50), shuffled.read(n, source, 0, 50))
            )
            for n in range(8)
        ]
        assert sorted(found) == list(range(8)) != found
    assert all(shuffled.frames[n] <= max(reader.frames) for n in range(8))
    assert sum(shuffled.frames) < sum(reader.frames)
    assert reader.frames == [round(RATE * (0.1 + 0.01 * song)) for song in range(8)]


def test_the_cache_reads_what_the_files_hold(tmp_path: Path) -> None:
    tracks = write_songs(tmp_path / "songs", [0.5, 1.0])
    soundfile.write(tmp_path / "songs/song0/bass.wav", np.zeros((RATE // 2, 2)), RATE, subtype="PCM_16")
    reader = SegmentReader([Corpus(tracks)], RATE, 2)
    cached = SegmentReader([Corpus(tracks)], RATE, 2)
    use_stem_cache(cached, tmp_path / "cache")
    for song, source, start, frames in [(0, "bass", 10, 70), (0, "drums", 0, 4000), (1, "vocals", 7900, 500)]:
        np.testing.assert_allclose(
            cached.read(song, source, start, frames), reader.read(song, source, start, frames), atol=1e-7
        )


def test_the_cache_of_resampled_stems_is_within_half_a_step_of_int16(tmp_path: Path) -> None:
    tracks = write_songs(tmp_path / "songs", [1.0])
    reader = SegmentReader([Corpus(tracks)], 5000, 1)
    whole = reader.read(0, "other", 0, 5000)
    use_stem_cache(reader, tmp_path / "cache")
    assert np.abs(reader.read(0, "other", 0, 5000) - whole).max() <= np.abs(whole).max() / 32767 * 0.51


def test_changed_stems_never_meet_an_old_cache(tmp_path: Path) -> None:
    tracks = write_songs(tmp_path / "songs", [5.0])
    path = use_stem_cache(SegmentReader([Corpus(tracks)], RATE, 2), tmp_path / "cache")
    stamp = path.stat().st_mtime_ns
    assert use_stem_cache(SegmentReader([Corpus(tracks)], RATE, 2), tmp_path / "cache") == path
    assert path.stat().st_mtime_ns == stamp, "an existing cache is used as it is"
    stem = tmp_path / "songs/song0/bass.wav"
    times = stem.stat()
    audio, _ = soundfile.read(stem)
    audio[2 * RATE : 3 * RATE] = 0.25  # other content in the middle; same size, same time
    soundfile.write(stem, audio, RATE, subtype="PCM_16")
    os.utime(stem, ns=(times.st_atime_ns, times.st_mtime_ns))
    reader = SegmentReader([Corpus(tracks)], RATE, 2)
    assert use_stem_cache(reader, tmp_path / "cache") != path
    np.testing.assert_allclose(reader.read(0, "bass", 2 * RATE, 10), 0.25)


def test_an_open_cache_can_be_sent_to_a_worker(tmp_path: Path) -> None:
    reader = SegmentReader([Corpus(write_songs(tmp_path / "songs", [0.5]))], RATE, 2)
    use_stem_cache(reader, tmp_path / "cache")
    segment = reader.read(0, "bass", 100, 50)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(reader)).read(0, "bass", 100, 50), segment)


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    tracks = write_songs(tmp_path, [0.1])
    with pytest.raises(DataError, match="without songs"):
        SegmentReader([Corpus(tracks), Corpus([])], RATE, 2)
    with pytest.raises(UsageError, match="weights"):
        SegmentReader([Corpus(tracks, weight=0.0)], RATE, 2)
