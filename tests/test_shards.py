"""The shard format: what is written is read back, nothing half-written is ever seen, and damage is told."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix_miner.checkpoint import sha256_of_file
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.shards.files import shard_paths, temporary_paths
from remix_miner.mined.shards.reader import Shard
from remix_miner.mined.shards.writer import ShardWriter

RATE = 8000


def writer(folder: Path, shard_id: str = "a", source: str = "drums") -> ShardWriter:
    return ShardWriter(
        folder,
        source,
        sample_rate=RATE,
        detector_sha256="d" * 64,
        threshold=0.9,
        settings={"min_seconds": 5.0},
        shard_id=shard_id,
    )


def append(shard: ShardWriter, audio: np.ndarray, track: str = "library/a.mp3", start_seconds: float = 1.5) -> None:
    shard.append(
        audio.astype(np.float32),
        track=track,
        track_sha256="ab" * 32,
        start_seconds=start_seconds,
        probability_mean=0.97,
        probability_min=0.91,
    )


def noise(frames: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(frames, 2)).astype(np.float32) * level


def test_excerpts_are_read_back_to_half_a_step_of_their_own_scale(tmp_path):
    lengths_and_levels = [(RATE * 7 + 13, 0.3), (1, 1e-4), (RATE, 3.0), (RATE // 2, 0.0)]
    excerpts = [noise(frames, level, seed) for seed, (frames, level) in enumerate(lengths_and_levels)]
    with writer(tmp_path) as shard:
        for audio in excerpts:
            append(shard, audio)
    with Shard(shard.path) as read:
        assert (read.source, read.sample_rate, read.channels, read.threshold) == ("drums", RATE, 2, 0.9)
        assert read.settings == {"min_seconds": 5.0}
        assert read.problems() == []
        for row, audio in enumerate(excerpts):
            half_a_step = 0.51 * np.abs(audio).max() / 32767
            np.testing.assert_allclose(read.read(row), audio.T, atol=half_a_step, rtol=0)
        np.testing.assert_array_equal(read.read(0, start_frame=5, frames=11), read.read(0)[:, 5:16])


@settings(max_examples=25, deadline=None)
@given(exponent=st.integers(-30, 30), values=st.lists(st.floats(0.01, 1), min_size=1, max_size=20))
def test_any_finite_level_survives(tmp_path_factory, exponent, values):
    audio = np.float32(10.0**exponent) * np.array(values, dtype=np.float32)[:, None].repeat(2, axis=1)
    with writer(tmp_path_factory.mktemp("level")) as shard:
        append(shard, audio)
    with Shard(shard.path) as read:
        largest = np.abs(audio).max()
        np.testing.assert_allclose(read.read(0), audio.T, atol=0.51 * largest / 32767 + 1e-37, rtol=0)


def test_the_closed_shard_tells_what_the_file_holds(tmp_path):
    shard = writer(tmp_path)
    append(shard, noise(100), track="library/a\n😀.mp3")
    append(shard, noise(50), track="library/b.mp3")
    closed = shard.close()
    assert closed is not None
    assert closed.path == tmp_path / "shards" / "drums-a.h5"
    assert closed.sha256 == sha256_of_file(closed.path)
    assert (closed.frames, closed.bytes) == (150, closed.path.stat().st_size)
    with Shard(closed.path) as read:
        for row, excerpt in enumerate(closed.excerpts):
            assert excerpt["track"] == read.excerpts[row]["track"].decode()
            for name in ("start_frame", "frames", "scale", "start_seconds"):
                assert excerpt[name] == read.excerpts[row][name]


def test_the_same_excerpts_make_the_same_bytes(tmp_path):
    digests = []
    for folder in ("one", "two"):
        shard = writer(tmp_path / folder)
        append(shard, noise(3 * RATE))
        digests.append(shard.close().sha256)
        time.sleep(1.1 if folder == "one" else 0)  # HDF5 can store times, in seconds
    assert digests[0] == digests[1]


def test_nothing_is_visible_before_close_and_an_empty_or_abandoned_shard_leaves_nothing(tmp_path):
    shard = writer(tmp_path)
    append(shard, noise(100))
    assert shard_paths(tmp_path) == []
    assert len(temporary_paths(tmp_path)) == 1
    shard.abandon()
    assert writer(tmp_path).close() is None
    with pytest.raises(ValueError), writer(tmp_path) as shard:  # noqa: PT012
        append(shard, noise(100))
        append(shard, noise(0))
    assert os.listdir(tmp_path / "shards") == []


def test_a_finished_shard_is_never_overwritten(tmp_path):
    with writer(tmp_path, "early") as shard:
        append(shard, noise(100))
    late = writer(tmp_path, "late")
    append(late, noise(200))
    os.rename(shard.path, late.path)  # as another process may have made it
    shard.path = late.path
    before = sha256_of_file(shard.path)
    with pytest.raises(DataError, match="appeared"):
        late.close()
    late.abandon()
    with pytest.raises(DataError, match="another shard id"):
        writer(tmp_path, "late")
    assert sha256_of_file(shard.path) == before
    assert temporary_paths(tmp_path) == []


def test_the_file_ends_where_hdf5_says_it_ends(tmp_path):
    """Space that was reserved for HDF5 and not used is given back. Its superblock (version 0) holds the end."""
    with writer(tmp_path) as shard:
        append(shard, noise(RATE))
    content = shard.path.read_bytes()
    assert content[8] == 0
    assert int.from_bytes(content[40:48], "little") == len(content) < 2 * 4 * RATE


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_a_number_is_refused_and_the_shard_goes_on(tmp_path, bad):
    audio = noise(100)
    with writer(tmp_path) as shard:
        append(shard, audio)
        broken = audio.copy()
        broken[50, 1] = bad
        for wrong in (broken, audio[:, :1], audio[:0], audio.ravel()):
            with pytest.raises(ValueError):
                append(shard, wrong)
        append(shard, audio)
    with Shard(shard.path) as read:
        assert read.problems() == []
        assert read.excerpts["frames"].tolist() == [100, 100]


@pytest.mark.parametrize(("source", "shard_id"), [("guitar", "a"), ("drums", "a/../b"), ("drums", "a b")])
def test_names_that_cannot_be_used(tmp_path, source, shard_id):
    with pytest.raises(UsageError):
        writer(tmp_path, shard_id, source)


def test_damaged_files_are_told_with_their_name_and_the_way_out(tmp_path):
    with writer(tmp_path) as shard:
        append(shard, noise(3 * RATE))
    content = shard.path.read_bytes()
    parts = [content[: int(share * len(content))] for share in (0.0, 0.001, 0.1, 0.5, 0.999)]
    for damaged in [*parts, b"no HDF5" * 100]:
        copy = tmp_path / "copy.h5"
        copy.write_bytes(damaged)
        with pytest.raises(DataError, match=r"copy\.h5 is damaged .* delete it and run"):
            Shard(copy)
    with pytest.raises(DataError, match="does not exist"):
        Shard(tmp_path / "none.h5")


def test_other_hdf5_files_and_newer_formats_are_refused(tmp_path):
    with writer(tmp_path) as shard:
        append(shard, noise(RATE))
    with h5py.File(shard.path, "r+") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(DataError, match=r"format version 2, .* update remix-miner"):
        Shard(shard.path)
    with h5py.File(shard.path, "r+") as file:
        file.attrs["format"] = "somebody/else"
    with pytest.raises(DataError, match="not a shard of excerpts"):
        Shard(shard.path)


def test_a_table_that_does_not_fit_the_audio_is_found(tmp_path):
    with writer(tmp_path) as shard:
        append(shard, noise(RATE))
        append(shard, noise(RATE))
    with h5py.File(shard.path, "r+") as file:
        table = file["excerpts"][:]
        table["frames"][1] += 5
        file["excerpts"][:] = table
    with Shard(shard.path) as read:
        assert len(read.problems()) == 1
        with pytest.raises(DataError, match="ends at frame"):
            read.read(1)


WRITE_FOR_EVER = """
import numpy as np, sys
from remix_miner.mined.shards.writer import ShardWriter
audio = np.full((4000, 2), 0.5, dtype=np.float32)
for number in range(10**6):
    with ShardWriter(sys.argv[1], "bass", sample_rate=8000, detector_sha256="d", threshold=0.9, settings={},
                     shard_id=number) as shard:
        for row in range(20):
            shard.append(audio, track="t", track_sha256="0" * 64, start_seconds=row, probability_mean=1,
                         probability_min=1)
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_shards_and_a_temporary_file_at_most(tmp_path):
    generator = np.random.default_rng(0)
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        process = subprocess.Popen([sys.executable, "-c", WRITE_FOR_EVER, str(folder)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        time.sleep(generator.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        closed = shard_paths(folder)
        assert len(closed) >= 2
        for path in closed:
            with Shard(path) as read:
                assert read.problems() == []
                assert np.all(read.read(19) == 0.5)
        left = set(os.listdir(folder / "shards")) - {path.name for path in closed}
        assert left == {path.name for path in temporary_paths(folder)}
        assert len(left) <= 1


FILL_THE_DISK = """
import numpy as np, resource, sys
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.errors import DataError
audio = np.random.default_rng(0).normal(size=(8000, 2)).astype(np.float32)
def append(shard):
    shard.append(audio, track="t", track_sha256="0" * 64, start_seconds=0, probability_mean=1, probability_min=1)
def writer(number):
    return ShardWriter(sys.argv[1], "bass", sample_rate=8000, detector_sha256="d", threshold=0.9, settings={},
                       shard_id=number)
def leave_room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
with writer(0) as shard:
    append(shard)
try:
    leave_room(5_000_000)
    with writer(1) as shard:
        for _ in range(1000):
            append(shard)
except DataError as error:
    print(error)
print(*(path.name for path in shard.path.parent.iterdir()))
"""


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space cannot be reserved on this system")
def test_a_full_disk_is_an_error_and_not_a_crash(tmp_path):
    """It is met where space is reserved: where HDF5 meets it, closing the file can end in a segfault.

    A limit on the size of files stands for the full disk.
    """
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    error, names = done.stdout.splitlines()
    assert re.search(r"cannot write .*bass-1\.h5: \[Errno \d+\] File too large; .* make room", error)
    assert names == "bass-0.h5"
