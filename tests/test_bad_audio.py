"""Files as libraries really hold them: damaged, mislabelled, lying, odd. Each is scanned or refused with a reason."""

import itertools
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.audio import AudioReader
from remix_miner.datasets.library import LibraryFile, storable_text
from remix_miner.detector.loading import load_detector
from remix_miner.mining.jobs.batch import mine_batch
from remix_miner.mining.messages import Failed, JobSetup, Task, TrackScan
from remix_miner.mining.settings import ScanSettings

RATE = 16000
SECONDS = 12.0


@pytest.fixture
def scan(tiny_detector: Path, tmp_path: Path) -> Callable[[Path], TrackScan | Failed]:
    """Scan one file with thresholds of 0, so that everything that may be mined is stored, and check what was stored."""
    settings = ScanSettings(dict.fromkeys(("drums", "bass"), 0.0), min_seconds=1.0, sample_rate=RATE)
    sha256 = load_detector(tiny_detector).sha256
    setup = JobSetup(tmp_path / "mined", str(tiny_detector), sha256, "cpu", settings, {}, "run")
    names = itertools.count()

    def run(path: Path) -> TrackScan | Failed:
        status = path.stat()
        task = Task(LibraryFile(path, storable_text(path.name), status.st_size, status.st_mtime_ns), 1.0)
        batch = mine_batch(setup, [task], str(next(names)))
        (result,) = [*batch.tracks, *batch.failed]
        stored = sum(len(shard.excerpts) for shard in batch.shards)
        assert stored == (len(result.found) if isinstance(result, TrackScan) else 0)
        return result

    return run


@pytest.fixture
def song(noise_song: Any) -> np.ndarray:
    return np.asarray(0.5 * noise_song(1, SECONDS, RATE).T)


def written(path: Path, song: np.ndarray, **options: Any) -> bytes:
    soundfile.write(path, song, RATE, **options)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "wav"])
def test_half_a_file_gives_half_its_excerpts_and_says_so_where_that_can_be_known(
    scan: Any, song: np.ndarray, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    whole = written(path, song)
    path.write_bytes(whole[: len(whole) // 2])
    result = scan(path)
    assert isinstance(result, TrackScan)
    assert 1 < result.seconds < SECONDS - 1
    assert {one.source for one in result.found} == {"drums", "bass"}
    if suffix in ("mp3", "flac"):  # a cut wav or ogg states the shorter length, as if it were whole
        assert "truncated" in result.note or "damaged" in result.note


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "wav"])
def test_zeroed_blocks_in_the_middle_do_not_stop_the_scan(
    scan: Any, song: np.ndarray, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    whole = bytearray(written(path, song))
    middle = len(whole) // 2
    whole[middle : middle + 4096] = bytes(4096)
    path.write_bytes(whole)
    result = scan(path)
    assert isinstance(result, TrackScan)
    assert result.seconds > 1


@pytest.mark.parametrize(("suffix", "named"), [("mp3", "wav"), ("flac", "mp3"), ("wav", "ogg")])
def test_a_wrong_extension_is_no_hindrance(
    scan: Any, song: np.ndarray, tmp_path: Path, suffix: str, named: str
) -> None:
    written(tmp_path / f"a.{suffix}", song)
    (tmp_path / f"a.{suffix}").rename(tmp_path / f"a.{named}")
    result = scan(tmp_path / f"a.{named}")
    assert isinstance(result, TrackScan)
    assert result.seconds == pytest.approx(SECONDS, abs=0.2)


@pytest.mark.parametrize("stated", [0, 100, 2**32 - 1])
def test_a_wav_whose_header_lies_about_its_length(scan: Any, song: np.ndarray, tmp_path: Path, stated: int) -> None:
    whole = bytearray(written(tmp_path / "a.wav", song, subtype="PCM_16"))
    place = whole.index(b"data") + 4
    whole[place : place + 4] = struct.pack("<I", stated)
    (tmp_path / "a.wav").write_bytes(whole)
    result = scan(tmp_path / "a.wav")
    if isinstance(result, Failed):
        assert result.kind == "undecodable"
    else:
        assert result.seconds <= SECONDS


@pytest.mark.parametrize(
    "content",
    [
        b"RIFF",
        b"fLaC" + bytes(100),
        b"OggS" + bytes(1000),
        b"\xff\xfb\x90\x00" * 3,
        b"<html>not found</html>",
        bytes(99),
    ],
)
def test_what_is_not_audio_is_refused_with_a_reason(scan: Any, tmp_path: Path, content: bytes) -> None:
    for suffix in ("mp3", "wav", "flac", "ogg", "m4a"):
        (tmp_path / f"a.{suffix}").write_bytes(content)
        result = scan(tmp_path / f"a.{suffix}")
        assert isinstance(result, Failed)
        assert result.kind == "undecodable"
        assert f"a.{suffix}" in result.reason


def without_xing_header(mp3: bytes) -> bytes:
    """The file from its second frame on: the first one holds only the table that tells the length."""
    table = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    first = mp3.rindex(b"\xff", 0, table)
    return mp3[mp3.index(mp3[first : first + 2], table + 120) :]


def test_an_mp3_without_its_xing_header(scan: Any, noise_song: Any, tmp_path: Path) -> None:
    """Its length is an estimate by the bit rate where that is constant; else the frames are counted."""
    song = 0.5 * noise_song(1, 20.0, RATE).T
    song[: 10 * RATE] *= 0.0002
    whole = written(tmp_path / "a.mp3", song, bitrate_mode="CONSTANT", compression_level=0.3)
    (tmp_path / "a.mp3").write_bytes(without_xing_header(whole))
    constant = scan(tmp_path / "a.mp3")
    assert constant.seconds == pytest.approx(20, abs=0.3)
    assert constant.note is None
    whole = written(tmp_path / "a.mp3", song, bitrate_mode="VARIABLE", compression_level=0.3)
    (tmp_path / "a.mp3").write_bytes(without_xing_header(whole))
    variable = scan(tmp_path / "a.mp3")
    assert variable.seconds == pytest.approx(20, abs=0.3)
    assert variable.note is None


@pytest.mark.parametrize("stated_rate", [1, 3999, 2_000_000_000])
def test_a_sample_rate_that_cannot_be_is_refused(scan: Any, song: np.ndarray, tmp_path: Path, stated_rate: int) -> None:
    whole = bytearray(written(tmp_path / "a.wav", song, subtype="PCM_16"))
    whole[24:28] = struct.pack("<I", stated_rate)
    (tmp_path / "a.wav").write_bytes(whole)
    result = scan(tmp_path / "a.wav")
    assert isinstance(result, Failed)
    assert result.kind == "undecodable"
    assert "sample rate" in result.reason or "Hz" in result.reason


def test_levels_of_every_kind(scan: Any, song: np.ndarray, tmp_path: Path) -> None:
    """DC offset, hard clipping, near silence, and floats of the range of 16-bit integers are all audio."""
    kinds = {"dc": song + 0.5, "clipped": np.clip(20 * song, -1, 1), "quiet": 0.001 * song, "loud": 32767 * song}
    for name, audio in kinds.items():
        written(tmp_path / f"{name}.wav", audio.astype(np.float32), subtype="FLOAT")
        result = scan(tmp_path / f"{name}.wav")
        assert isinstance(result, TrackScan), name
        assert result.note is None
        assert {one.source for one in result.found} == {"drums", "bass"}, name


def test_files_with_many_channels_or_nothing_at_all(scan: Any, tmp_path: Path) -> None:
    written(tmp_path / "wide.wav", np.full((2 * RATE, 64), 0.1), subtype="PCM_16")
    result = scan(tmp_path / "wide.wav")
    assert isinstance(result, TrackScan)
    assert (result.channels, result.seconds) == (64, 2.0)
    written(tmp_path / "none.wav", np.zeros((0, 2)))
    result = scan(tmp_path / "none.wav")
    assert isinstance(result, Failed)
    assert "no audio" in result.reason


@pytest.mark.parametrize("name", ["a.m4a", "a.aac", "a.stem.mp4", os.fsdecode(b"latin\xe9\n.m4a")])
def test_files_that_only_pyav_reads(
    scan: Any, noise_song: Any, write_with_pyav: Any, tmp_path: Path, name: str
) -> None:
    song = 0.5 * noise_song(1, SECONDS, 44100)
    whole = write_with_pyav(tmp_path / name, song, 44100)
    with AudioReader(tmp_path / name) as reader:
        decoded = np.concatenate([block.copy() for block in reader.blocks()]).T
    # Without an edit list, as in aac, the encoder's first frame of 1024 samples, which is silence, stays.
    delay = 1024 if name.endswith(".aac") else 0
    heard = decoded[:, delay : delay + song.shape[1]]
    assert np.abs(heard - song).mean() < 0.05 * np.abs(song).mean()
    result = scan(tmp_path / name)
    assert isinstance(result, TrackScan)
    assert (result.note, result.channels) == (None, 2)
    assert result.seconds == pytest.approx(SECONDS, abs=0.1)
    # Half of it ends within a packet; without the packet's rest, between two.
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    half = scan(tmp_path / name)
    assert isinstance(half, TrackScan)
    assert 3 < half.seconds < SECONDS - 3
    assert f"damaged after {half.seconds:.2f} s" in half.note


def test_a_container_that_ends_between_two_packets_is_marked(
    scan: Any, noise_song: Any, write_with_pyav: Any, tmp_path: Path
) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "a.m4a"
    whole = write_with_pyav(path, 0.5 * noise_song(1, SECONDS, 44100), 44100)
    with av.open(str(path)) as container:
        ends = [packet.pos + packet.size for packet in container.demux() if packet.size]
    path.write_bytes(whole[: ends[len(ends) // 2]])
    result = scan(path)
    assert isinstance(result, TrackScan)
    assert result.note.startswith(f"truncated: {result.seconds:.2f} s of the stated {SECONDS:.2f} s")


@pytest.mark.parametrize("suffix", ["mp3", "ogg", "flac", "wav"])
def test_a_file_is_read_onwards_and_nothing_of_it_twice(
    song: np.ndarray, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """soundfile, asked for all of it at once, has the same samples. To seek would be to decode some of an mp3 again."""
    path = tmp_path / f"a.{suffix}"
    written(path, song)
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    monkeypatch.delattr(soundfile.SoundFile, "seek")
    with AudioReader(path) as reader:
        read = np.concatenate([block.copy() for block in reader.blocks(5_000)])
        assert read.shape == expected.shape
        assert np.abs(read - expected).max() <= 2.0**-23  # mpg123 rounds by where its memory lies
        assert reader.problem is None
