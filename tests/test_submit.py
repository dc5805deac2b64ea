"""``leaderboard submit``: a private reference, a zip from somebody else, and everything that must be refused."""

import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.audio import write_audio
from remix_miner.cli import main
from remix_miner.errors import DataError
from remix_miner.evaluation.archive import ArchiveLimits, unpack
from remix_miner.evaluation.leaderboard.board import Leaderboard
from remix_miner.sources import SOURCES

RATE, FRAMES = 4000, 4000
TRACKS = ("song_a", "song_b")

Members = dict[str, bytes]
ROOMY = ArchiveLimits(10**7, 100)


def _wav(frames: int = FRAMES, rate: int = RATE, channels: int = 2, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    audio = 0.1 * np.random.default_rng(seed).standard_normal((frames, channels))
    soundfile.write(buffer, audio.astype(np.float32), rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


@pytest.fixture
def stems(tmp_path: Path) -> Path:
    for track in TRACKS:
        for seed, source in enumerate(SOURCES):
            audio, _ = soundfile.read(io.BytesIO(_wav(seed=seed)), dtype="float32", always_2d=True)
            write_audio(tmp_path / "private" / track / f"{source}.wav", audio.T, RATE)
    return tmp_path / "private"


@pytest.fixture
def members() -> Members:
    """A right submission in MVSep's layout: the stems at nine tenths, so 20 dB everywhere."""
    found = {}
    for track in TRACKS:
        for seed, source in enumerate(SOURCES):
            audio, _ = soundfile.read(io.BytesIO(_wav(seed=seed)), dtype="float32")
            buffer = io.BytesIO()
            soundfile.write(buffer, 0.9 * audio, RATE, format="WAV", subtype="FLOAT")
            found[f"{track}_{source}.wav"] = buffer.getvalue()
    return found


def _zip(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _submit(upload: Path, stems: Path, board: Path, name: str = "team") -> int:
    arguments = ["leaderboard", "submit", str(upload), "--stems", str(stems), "--board", str(board), "--name", name]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--workers", "1"])
    return int(ended.value.code or 0)


def test_a_right_submission_becomes_a_row_once(
    tmp_path: Path, stems: Path, members: Members, capsys: pytest.CaptureFixture[str]
) -> None:
    upload, board = _zip(tmp_path / "up.zip", members), tmp_path / "board"
    assert _submit(upload, stems, board) == 0
    (row,) = Leaderboard(board).rows()
    assert row.document["aggregates"]["usdr"]["mean_over_tracks"]["average"]["value"] == pytest.approx(20, abs=0.01)
    assert row.document["corpus"]["name"] == "private set"
    assert str(stems) not in json.dumps(row.document)
    assert _submit(upload, stems, board) == 2
    assert "choose another --name" in capsys.readouterr().err
    assert _submit(upload, stems, board, name="other team") == 0


def _without(name: str) -> Callable[[Members], Members]:
    return lambda members: {key: value for key, value in members.items() if key != name}


def _with(name: str, content: bytes) -> Callable[[Members], Members]:
    return lambda members: {**members, name: content}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("song_a_bass.wav"), "song_a: bass"),
        (_with("song_c_bass.wav", _wav()), "song_c"),
        (_with("song_a_guitar.wav", _wav()), "names no source"),
        (_with("readme.txt", b"hello"), "neither wav nor flac"),
        (_with("song_a_bass.wav", _wav(frames=FRAMES - 1)), "song_a_bass.wav has 3999 frames"),
        (_with("song_a_bass.wav", _wav(rate=8000)), "8000 Hz, its reference at 4000"),
        (_with("song_a_bass.wav", _wav(channels=1)), "1 channels"),
        (_with("song_a_bass.wav", b"RIFF"), "cannot be decoded"),
        (_with("song_a/bass.wav", _wav()), "two estimates of bass"),
        (_with("../song_a_bass.wav", _wav()), "outside the folder"),
        (_with("/etc/song_a_bass.wav", _wav()), "outside the folder"),
        (_with("x\\..\\song_a_bass.wav", _wav()), "outside the folder"),
        (_with("c:/song_a_bass.wav", _wav()), "outside the folder"),
        (_with("SONG_A_bass.wav", _wav()), "there twice"),
        (_with("song_a_mixture.wav", bytes(3_000_000)), "unpacks to more than"),
    ],
)
def test_what_is_wrong_is_said_and_no_row_appears(
    tmp_path: Path,
    stems: Path,
    members: Members,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Members], Members],
    message: str,
) -> None:
    assert _submit(_zip(tmp_path / "up.zip", change(members)), stems, tmp_path / "board") == 2
    said = capsys.readouterr().err
    assert message in said
    assert str(stems) not in said
    assert not (tmp_path / "board").exists()
    assert not (tmp_path.parent / "song_a_bass.wav").exists()


def test_nan_is_refused(tmp_path: Path, stems: Path, members: Members, capsys: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full((FRAMES, 2), np.nan), RATE, format="WAV", subtype="FLOAT")
    upload = _zip(tmp_path / "up.zip", {**members, "song_a_bass.wav": buffer.getvalue()})
    assert _submit(upload, stems, tmp_path / "board") == 2
    assert "NaN" in capsys.readouterr().err


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    upload = _zip(tmp_path / "up.zip", {f"{index}_bass.wav": b"" for index in range(20)})
    with pytest.raises(DataError, match="20 files, more than the 10"):
        unpack(upload, tmp_path / "out", ArchiveLimits(10**6, 10))


def test_a_directory_that_lies_about_sizes_does_not_fill_the_disk(tmp_path: Path) -> None:
    """10 MB of zeros declared as 10 bytes: Python's reader stops at the declared size, and the checksum is wrong."""
    upload = _zip(tmp_path / "up.zip", {"a_bass.wav": bytes(10_000_000)})
    raw = bytearray(upload.read_bytes())
    size = (10_000_000).to_bytes(4, "little")
    position = raw.find(size)
    while position >= 0:
        raw[position : position + 4] = (10).to_bytes(4, "little")
        position = raw.find(size)
    upload.write_bytes(raw)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(upload, tmp_path / "out", ArchiveLimits(1000, 10))
    assert not (tmp_path / "out").exists()


def test_links_and_passwords_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("song_a_bass.wav")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        unpack(tmp_path / "link.zip", tmp_path / "out", ROOMY)
    raw = bytearray(_zip(tmp_path / "locked.zip", {"a_bass.wav": b"x"}).read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.find(signature) + offset] |= 1
    (tmp_path / "locked.zip").write_bytes(raw)
    with pytest.raises(DataError, match="encrypted"):
        unpack(tmp_path / "locked.zip", tmp_path / "out", ROOMY)


def test_something_that_is_no_zip_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "up.zip").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"up\.zip cannot be unpacked"):
        unpack(tmp_path / "up.zip", tmp_path / "out", ROOMY)


def test_a_submission_of_vocals_and_instrumental_is_scored(tmp_path: Path, stems: Path) -> None:
    """As MVSep's Multisong set: the instrumental's reference is the sum of the three other stems."""
    signals = [soundfile.read(io.BytesIO(_wav(seed=seed)), dtype="float32")[0] for seed in range(len(SOURCES))]
    parts = {"vocals": signals[-1], "instrumental": sum(signals[:-1])}
    members = {}
    for track in TRACKS:
        for name, signal in parts.items():
            buffer = io.BytesIO()
            soundfile.write(buffer, 0.9 * signal, RATE, format="WAV", subtype="FLOAT")
            members[f"{track}_{name}.wav"] = buffer.getvalue()
    upload, board = _zip(tmp_path / "up.zip", members), tmp_path / "board"
    arguments = ["leaderboard", "submit", str(upload), "--stems", str(stems), "--board", str(board), "--name", "pair"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--sources", "vocals,instrumental", "--workers", "1"])
    assert not ended.value.code
    (row,) = Leaderboard(board).rows()
    scores = row.document["aggregates"]["usdr"]["mean_over_tracks"]
    assert [scores[name]["value"] for name in parts] == [pytest.approx(20, abs=0.01)] * 2
