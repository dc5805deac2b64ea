"""Files that are written: whole or not at all, with a clear error where there is no room, and RF64 beyond 4 GiB."""

import contextlib
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import torch

from remix_miner.atomic import atomic_path, remove_temporary_files, write_text
from remix_miner.audio import AudioWriter, read_audio, write_audio
from remix_miner.audio import writer as writer_module
from remix_miner.checkpoint import save_model
from remix_miner.errors import UsageError, WriteError
from remix_miner.outputs import check_output_file, check_output_folder

LIMIT_BYTES = 100_000


def save_state(path: Path) -> None:
    with atomic_path(path) as temporary:
        torch.save(torch.rand(100_000), temporary)


def save_hdf5(path: Path) -> None:
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        file["a"] = NOISE


NOISE = np.random.default_rng(0).uniform(-1, 1, (2, 400_000)).astype(np.float32)
WRITERS: dict[str, Callable[[Path], None]] = {
    "text": lambda path: write_text(path.with_suffix(".txt"), "a" * 300_000),
    "wav": lambda path: write_audio(path.with_suffix(".wav"), NOISE, 16000),
    "flac": lambda path: write_audio(path.with_suffix(".flac"), NOISE, 16000, "int16"),
    "ogg": lambda path: write_audio(path.with_suffix(".ogg"), NOISE, 16000),
    "weights": lambda path: save_model(path, {"a": torch.rand(100_000)}, {"name": "a", "settings": {}}),
    "torch": lambda path: save_state(path.with_suffix(".pt")),
    "hdf5": lambda path: save_hdf5(path.with_suffix(".h5")),
}


@contextlib.contextmanager
def files_of_at_most(limit_bytes: int) -> Iterator[None]:
    """Limit the size of files that this process writes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_a_clear_error_and_keeps_the_earlier_file(tmp_path: Path, kind: str) -> None:
    """A limit on the size of files stands for the full disk: it fails in the same place, in the same calls."""
    path = tmp_path / "out"
    for suffix in (".txt", ".wav", ".flac", ".ogg", ".pt", ".h5"):
        path.with_suffix(suffix).write_text("earlier")
    path.mkdir()
    (path / "model.safetensors").write_text("earlier")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with files_of_at_most(LIMIT_BYTES), pytest.raises(WriteError) as caught:
        WRITERS[kind](path)
    assert caught.value.exit_status == 1
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "cannot be written: file too large. Free space" in message
    assert "the earlier file is unchanged" in message
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_command_that_cannot_write_exits_with_status_1(tmp_path: Path) -> None:
    code = "from remix_miner.cli import main; main(['synthesize', {out!r}, '--songs', '3', '--seconds', '5'])"
    done = subprocess.run(
        [sys.executable, "-c", code.format(out=str(tmp_path / "songs"))],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES)),
    )
    assert done.returncode == 1
    assert "drums.wav cannot be written: file too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert signal.SIGXFSZ  # Python ignores it, so that the system call fails instead


def fail_in_mid_file(path: Path, error: BaseException) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text("unfinished")
        raise error


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    for error in (ValueError("a"), FileNotFoundError(2, "No such file", "input.wav"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            fail_in_mid_file(tmp_path / "a.txt", error)
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="a part of its path is a file"):
        write_text(tmp_path / "file" / "a.txt", "b")
    for path in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(UsageError, match=r"file.* is a file, not a folder; choose another folder"):
            check_output_folder(path)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="broken link"):
        check_output_folder(tmp_path / "gone")
    with pytest.raises(UsageError, match="is a folder; give the name of a file"):
        check_output_file(tmp_path)
    assert check_output_folder(tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    assert check_output_file(str(tmp_path / "new" / "a.json")) == tmp_path / "new" / "a.json"
    assert not (tmp_path / "new").exists()


# --- RF64 ----------------------------------------------------------------------------------------------------------


def test_a_wav_file_that_may_exceed_4_gib_is_rf64(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-1, 1, (2, 5000)).astype(np.float32)
    hours_14 = 14 * 3600 * 44100
    for name, frames, magic in (("a", 5000, b"RIFF"), ("b", hours_14, b"RF64"), ("c", None, b"RF64")):
        with AudioWriter(tmp_path / f"{name}.wav", 44100, 2, "int16", frames) as writer:
            writer.write(noise.T)
        assert (tmp_path / f"{name}.wav").read_bytes()[:4] == magic
        np.testing.assert_allclose(read_audio(tmp_path / f"{name}.wav")[0], noise, atol=2**-15)
    content = (tmp_path / "b.wav").read_bytes()  # EBU Tech 3306: 32-bit sizes of -1, 64-bit ones in the chunk ds64
    assert content[4:8] == b"\xff" * 4
    place = content.index(b"ds64")
    riff_size, data_size, frames_stated = struct.unpack("<QQQ", content[place + 8 : place + 32])
    assert (riff_size, data_size, frames_stated) == (len(content) - 8, 5000 * 4, 5000)


def test_a_plain_wav_file_never_wraps_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "RIFF_BYTES", 1000)
    with AudioWriter(tmp_path / "a.wav", 8000, 1, "int16", 400) as writer:
        writer.write(np.zeros((400, 1), dtype=np.float32))
        with pytest.raises(WriteError, match="would exceed the 4 GiB"):
            writer.write(np.zeros((101, 1), dtype=np.float32))
    assert soundfile.info(tmp_path / "a.wav").frames == 400
    write_audio(tmp_path / "b.wav", np.zeros((1, 501), dtype=np.float32), 8000, "int16")
    assert (tmp_path / "b.wav").read_bytes()[:4] == b"RF64"


@pytest.mark.parametrize(("suffix", "subtype"), [(".wav", "int7"), (".flac", "float32")])
def test_formats_that_cannot_be_written(tmp_path: Path, suffix: str, subtype: str) -> None:
    with pytest.raises(UsageError):
        AudioWriter(tmp_path / f"a{suffix}", 8000, 1, subtype)
    assert not list(tmp_path.iterdir())


def test_synthesize_checks_its_folder_before_it_works(tmp_path: Path) -> None:
    from remix_miner.cli import app

    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"OUT .*file: is a file, not a folder"):
        app(["synthesize", str(tmp_path / "file"), "--songs", "3"], standalone_mode=False)


def test_what_a_killed_run_left_for_a_file_is_removed_and_nothing_else(tmp_path: Path) -> None:
    left = [tmp_path / ".result[1].tmp-123.json", tmp_path / "deep" / "..a.tmp-1.tmp-1.flac"]
    kept = [
        tmp_path / name for name in (".result.tmp-7.json", ".result[1].tmp-9.html", "result[1].json", ".tmp-x.json")
    ]
    (tmp_path / "deep").mkdir()
    for path in (*left, *kept):
        path.write_bytes(b"half")
    check_output_file(tmp_path / "result[1].json")
    assert not left[0].exists()
    assert left[1].exists()
    assert all(map(Path.exists, kept))
    remove_temporary_files(tmp_path / "deep")
    assert not left[1].exists()
    remove_temporary_files(tmp_path, below=True)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".tmp-x.json", "result[1].json"]
