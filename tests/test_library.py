"""The walk over an unlabelled library: what is found, under which name, and what is skipped for which reason."""

import hashlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remix_miner.datasets.library import Skipped, content_hash, file_name_of, find_audio, storable_text
from remix_miner.errors import AudioError, DataError

posix = pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes exist on Linux only")


def touch(path: Path, content: bytes = b"RIFF") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def reasons(skipped: list[Skipped], root: Path) -> dict[str, str]:
    return {item.path.relative_to(root).as_posix(): item.reason for item in skipped}


def test_files_are_found_in_order_under_the_scanned_folders_name(tmp_path: Path) -> None:
    root = tmp_path / "music"
    for name in ("b/2.FLAC", "b/1.mp3", "a.opus", "c.ogg", "d.wav", "b/cover.jpg", "b/list.m3u"):
        touch(root / name)
    files, skipped = find_audio(root)
    assert [file.name for file in files] == [
        f"music/{name}" for name in ("a.opus", "b/1.mp3", "b/2.FLAC", "c.ogg", "d.wav")
    ]
    assert skipped == []
    assert (files[0].path, files[0].size) == (root / "a.opus", 4)
    assert files[0].mtime_ns == (root / "a.opus").stat().st_mtime_ns


def test_names_do_not_depend_on_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "music" / "a.wav")
    monkeypatch.chdir(tmp_path / "music")
    names = {find_audio(path)[0][0].name for path in (".", "../music", tmp_path / "music", "../music/../music")}
    assert names == {"music/a.wav"}


def test_roots_of_one_name_stay_apart(tmp_path: Path) -> None:
    touch(tmp_path / "x" / "music" / "a.wav")
    touch(tmp_path / "y" / "music" / "a.wav")
    touch(tmp_path / "single.flac")
    files, _ = find_audio([tmp_path / "x" / "music", tmp_path / "y" / "music", tmp_path / "single.flac"])
    assert [file.name for file in files] == ["music (2)/a.wav", "music/a.wav", "single.flac"]


def test_what_is_skipped_and_why(tmp_path: Path) -> None:
    for name in (".hidden.wav", ".cache/a.wav", "._a.mp3"):
        touch(tmp_path / name)
    touch(tmp_path / "empty.wav", b"")
    touch(tmp_path / "old.wma")
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    files, skipped = find_audio(tmp_path)
    assert files == []
    assert reasons(skipped, tmp_path) == {
        ".hidden.wav": "hidden",
        ".cache": "hidden",
        "._a.mp3": "hidden",
        "empty.wav": "empty (0 bytes)",
        "old.wma": "format .wma is not supported; convert it to flac",
        "gone.wav": "broken link",
    }


def test_loops_and_second_ways_are_taken_once(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "1.wav")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "z.wav").symlink_to(tmp_path / "a" / "1.wav")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    files, skipped = find_audio([tmp_path, tmp_path / "a"])
    assert [file.name for file in files] == [f"{tmp_path.name}/a/1.wav"]
    assert reasons(skipped, tmp_path) == {
        "a": f"already found as {tmp_path}/a",
        "a/again": f"already found as {tmp_path}",
        "z.wav": f"already found as {tmp_path}/a/1.wav",
        "round": "broken link",
    }


def test_hard_links_are_two_files(tmp_path: Path) -> None:
    os.link(touch(tmp_path / "a.wav"), tmp_path / "b.wav")
    assert [file.path.name for file in find_audio(tmp_path)[0]] == ["a.wav", "b.wav"]


@posix
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "live.wav")
    assert reasons(find_audio(tmp_path)[1], tmp_path) == {"live.wav": "not a regular file"}


@posix
def test_an_unreadable_folder_does_not_stop_the_walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "closed" / "a.wav")
    touch(tmp_path / "open" / "b.wav")
    listed = Path.iterdir

    def iterdir(self: Path) -> object:
        # Tests may run as root, to whom every folder is open.
        if self.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    files, skipped = find_audio(tmp_path)
    assert [file.path.name for file in files] == ["b.wav"]
    assert reasons(skipped, tmp_path) == {"closed": "cannot be read: Permission denied"}


@posix
def test_names_of_any_bytes_survive_and_can_be_stored(tmp_path: Path) -> None:
    names = [b"two\nlines.wav", "emoji 🎸.wav".encode(), b"latin \xe9.wav", rb"literal \xe9.wav", b"back\\slash.wav"]
    for name in names:
        touch(Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))))
    files, _ = find_audio(tmp_path)
    assert len({file.name for file in files}) == len(names)
    for file in files:
        file.name.encode("utf-8")
        assert file.path.read_bytes() == b"RIFF"
        assert os.fsencode(file_name_of(file.name.split("/", 1)[1])) == os.fsencode(file.path.name)


@posix
@given(st.binary(min_size=1, max_size=20))
def test_storable_text_is_one_to_one(name: bytes) -> None:
    text = storable_text(os.fsdecode(name))
    assert text.encode("utf-8")
    assert os.fsencode(file_name_of(text)) == name


def test_very_deep_folders(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(600):
        folder /= "d"
    touch(folder / "a.wav")
    assert len(find_audio(tmp_path)[0]) == 1


def test_pyav_formats_need_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.m4a", "b.aac", "c.stem.mp4", "d.wav"):
        touch(tmp_path / name)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert len(find_audio(tmp_path)[0]) == 4
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    files, skipped = find_audio(tmp_path)
    assert [file.path.name for file in files] == ["d.wav"]
    assert set(reasons(skipped, tmp_path)) == {"a.m4a", "b.aac", "c.stem.mp4"}
    assert all("pip install 'remix-miner[media]'" in item.reason for item in skipped)


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        find_audio(tmp_path / "nowhere")


def test_content_hash_is_sha256(tmp_path: Path) -> None:
    path = touch(tmp_path / "a.wav", b"abc")
    assert content_hash(path) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(AudioError, match="cannot be read"):
        content_hash(tmp_path / "gone.wav")
