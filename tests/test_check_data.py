"""`check-data`: facts worked out by hand, and each problem with its fix."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.cli import app
from remix_miner.errors import DataError
from remix_miner.sources import SOURCES

RATE = 8000
WINDOW = 5120  # 0.64 s


def noise(seed: int, frames: int = 10 * WINDOW) -> np.ndarray:
    return (np.random.default_rng(seed).integers(-4000, 4000, (frames, 1)) / 32768).astype(np.float32)


def write(path: Path, audio: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, RATE, **options)


def write_song(folder: Path, seed: int, mixture: bool = True) -> dict[str, np.ndarray]:
    stems = {source: noise(10 * seed + place) for place, source in enumerate(SOURCES)}
    for source, stem in stems.items():
        write(folder / f"{source}.wav", stem)
    if mixture:
        write(folder / "mixture.wav", np.sum(list(stems.values()), axis=0))
    return stems


def check(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    status = app(["check-data", str(path), "--json", *options], standalone_mode=False)
    return status, json.loads(capsys.readouterr().out)


def only_problem(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, str]:
    status, result = check(path, capsys, *options)
    assert status == 1
    (problem,) = result["problems"]
    assert problem["fix"]
    return dict(problem)


def test_a_sound_corpus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stems = write_song(tmp_path / "train" / "a", 1)
    vocals = stems["vocals"].copy()
    vocals[: 4 * WINDOW] = 0
    vocals[4 * WINDOW : 5 * WINDOW] *= 0.02  # about -40 dB in the mixture
    vocals[5 * WINDOW : 6 * WINDOW] *= 0.1  # about -26 dB
    write(tmp_path / "train" / "a" / "vocals.wav", vocals)
    mixture = sum(stems[source] for source in ("drums", "bass", "other")) + vocals
    write(tmp_path / "train" / "a" / "mixture.wav", mixture)
    write_song(tmp_path / "test" / "b", 2, mixture=False)
    write(tmp_path / "test" / "b" / "drums.wav", np.zeros_like(vocals))
    status, result = check(tmp_path, capsys)
    (corpus,) = result["corpora"]
    assert (status, result["problems"], result["libraries"]) == (0, [], [])
    assert (corpus["layout"], corpus["songs"]) == ("musdb18-hq", 2)
    assert corpus["splits"]["train"] == {"songs": 1, "hours": pytest.approx(6.4 / 3600)}
    assert corpus["silent_rate"] == {"drums": 0.5, "bass": 0.0, "other": 0.0, "vocals": 0.25}
    assert corpus["songs_without"] == {"drums": 1, "bass": 0, "other": 0, "vocals": 0}
    assert list(corpus["residual_db"]) == ["a"]
    assert corpus["residual_db"]["a"] is None or corpus["residual_db"]["a"] < -70
    assert app(["check-data", str(tmp_path)], standalone_mode=False) == 0
    text = capsys.readouterr().out
    assert "2 songs, 0.2 min, musdb18-hq" in text
    assert text.endswith("no problems\n")


def test_a_mixture_that_is_not_the_sum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stems = write_song(tmp_path / "a", 1)
    write(tmp_path / "a" / "mixture.wav", 2 * np.sum(list(stems.values()), axis=0))
    problem = only_problem(tmp_path, capsys)
    assert problem["what"] == "the mixture differs from the sum of the stems by -6.0 dB"
    app(["check-data", str(tmp_path)], standalone_mode=False)
    text = capsys.readouterr().out
    assert "1 problem\n  a: the mixture differs" in text
    assert "fix: check that every stem belongs to mixture.wav" in text


def test_songs_that_cannot_be_used_do_not_stop_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("good", "short", "lacking", "broken"):
        write_song(tmp_path / name, len(name), mixture=False)
    write(tmp_path / "short" / "bass.wav", noise(1, 100))
    (tmp_path / "lacking" / "other.wav").unlink()
    (tmp_path / "broken" / "drums.wav").write_bytes(b"RIFF????")
    status, result = check(tmp_path, capsys)
    assert (status, result["corpora"][0]["songs"]) == (1, 1)
    found = {problem["where"]: problem for problem in result["problems"]}
    assert set(found) == {"short", "lacking", "broken"}
    assert "has 100 frames, the others 51200" in found["short"]["what"]
    assert "allow_unequal = true" in found["short"]["fix"]
    assert "has no file for other" in found["lacking"]["what"]
    assert 'absent = ["other"]' in found["lacking"]["fix"]
    assert "cannot be decoded" in found["broken"]["what"]
    assert all(problem["fix"] for problem in found.values())


def test_samples_that_are_not_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stems = write_song(tmp_path / "a", 1, mixture=False)
    stems["bass"][7] = np.nan
    write(tmp_path / "a" / "bass.wav", stems["bass"], subtype="FLOAT")
    assert "NaN" in only_problem(tmp_path, capsys)["what"]


def test_clipping_silence_and_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stems = write_song(tmp_path / "train" / "a", 1)
    loud = np.clip(np.sum(list(stems.values()), axis=0) * 30, -1, 1)
    write(tmp_path / "train" / "a" / "mixture.wav", loud, subtype="FLOAT")
    write_song(tmp_path / "test" / "b", 1, mixture=False)
    write_song(tmp_path / "test" / "c", 2, mixture=False)
    for source in SOURCES:
        write(tmp_path / "test" / "c" / f"{source}.wav", np.zeros((10 * WINDOW, 1)))
    write_song(tmp_path / "test" / "d", 3, mixture=False)
    write(tmp_path / "test" / "d" / "drums.wav", np.zeros((10 * WINDOW, 1)))  # as in c, and no copy of it
    problems = {(p["where"], p["what"].split(" ")[-1]): p["what"] for p in check(tmp_path, capsys)[1]["problems"]}
    text = "\n".join(problems.values())
    assert "are at full scale or beyond (clipped)" in text
    assert "every source is digital silence" in text
    assert "has the same drums as" in text
    assert len(problems) == 4  # with the mixture that is not the sum


def test_stems_that_are_clipped_or_have_an_offset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An offset of 0.1 in a mixture of level 0.14 is at -3 dB: where the vocals rest, V would never fall below it."""
    stems = write_song(tmp_path / "a", 1, mixture=False)
    write(tmp_path / "a" / "drums.wav", np.clip(20 * stems["drums"], -1, 1))
    write_song(tmp_path / "b", 2, mixture=False)
    write(tmp_path / "b" / "vocals.wav", np.full_like(stems["vocals"], 0.1))
    status, result = check(tmp_path, capsys)
    assert status == 1
    assert {(problem["where"], problem["what"].split(" of ")[0]) for problem in result["problems"]} == {
        ("a", f"{(np.abs(20 * stems['drums']) >= 1).sum()} samples"),
        ("b", "vocals has a constant offset"),
    }
    assert "full scale or beyond (clipped)" in result["problems"][0]["what"]


def test_excluded_songs_are_shown_and_a_wrong_name_is_a_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_song(tmp_path / name, ord(name), mixture=False)
    (tmp_path / "corpus.toml").write_text("exclude = ['b']")
    status, result = check(tmp_path, capsys)
    (corpus,) = result["corpora"]
    assert (status, corpus["songs"], corpus["excluded"]) == (0, 1, ["b"])
    assert app(["check-data", str(tmp_path)], standalone_mode=False) == 0
    assert "excluded by corpus.toml: b" in capsys.readouterr().out
    (tmp_path / "corpus.toml").write_text("exclude = ['c']")
    assert only_problem(tmp_path, capsys)["what"] == "excludes 'c', which is not a song here"
    (tmp_path / "corpus.toml").write_text("exclude = ['a', 'b']")
    with pytest.raises(DataError, match="excludes all 2 songs"):
        app(["check-data", str(tmp_path)], standalone_mode=False)


def test_misnamed_files_are_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_song(tmp_path / "a", 1)
    write(tmp_path / "b" / "Drumkit.wav", noise(1))
    problem = only_problem(tmp_path, capsys)
    assert problem["where"].endswith("b")
    assert "holds audio (Drumkit.wav), but no file named after a source" in problem["what"]


def test_a_declaration_of_a_song_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_song(tmp_path / "a", 1)
    (tmp_path / "corpus.toml").write_text('[tracks.B]\nsplit = "test"\n')
    assert "declares 'B', which is not a song here" in only_problem(tmp_path, capsys)["what"]


def test_a_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.flac", noise(1, 10 * RATE))
    write(tmp_path / "b.wav", noise(2, RATE))
    write(tmp_path / ".c.wav", noise(3))
    status, result = check(tmp_path, capsys)
    (library,) = result["libraries"]
    assert (status, library["files"], library["shorter_than_5_seconds"]) == (0, 2, 1)
    assert library["hours"] == pytest.approx(11 / 3600)
    assert library["hours_per_format"]["flac 8000 Hz, 1 channels"] == pytest.approx(10 / 3600)
    assert library["skipped"] == {"hidden": 1}


def test_problems_of_a_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.wav", noise(1))
    (tmp_path / "copy of a.wav").write_bytes((tmp_path / "a.wav").read_bytes())
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.flac").write_text("no audio")
    (tmp_path / "old.wma").write_text("?")
    status, result = check(tmp_path, capsys)
    problems = {Path(problem["where"]).name: problem for problem in result["problems"]}
    assert status == 1
    assert set(problems) == {"copy of a.wav", "empty.mp3", "text.flac", "old.wma"}
    assert "is a copy of" in problems["copy of a.wav"]["what"]
    assert problems["empty.mp3"]["fix"] == "copy the file again"
    assert problems["old.wma"]["fix"] == "convert it to flac"
    assert problems["text.flac"]["what"].startswith("cannot be decoded")
    assert "corpus.toml" not in problems["text.flac"]["fix"]
    assert all(problem["fix"] for problem in problems.values())


def test_damage_inside_a_file_is_found_by_decoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.flac", noise(1, 30 * RATE))
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    assert check(tmp_path, capsys)[0] == 0
    problem = only_problem(tmp_path, capsys, "--decode")
    assert "damaged" in problem["what"] or "truncated" in problem["what"]


def test_a_folder_of_corpora_and_libraries(songs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, result = check(songs_dir, capsys)
    assert status == 0
    assert [Path(corpus["path"]).name for corpus in result["corpora"]] == ["library_truth", "stems"]
    assert [Path(library["path"]).name for library in result["libraries"]] == ["library"]
    assert result["libraries"][0]["files"] == 4
    assert set(result["corpora"][1]["residual_db"].values()) == {None}  # -inf: the sum is exact


def test_an_empty_folder_is_not_all_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["check-data", str(tmp_path)], standalone_mode=False) == 1
    assert "nothing to use" in capsys.readouterr().out


def test_pairs_are_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place, source in enumerate(("vocals", "accompaniment")):
        write(tmp_path / "song" / f"{source}.wav", noise(place))
    status, result = check(tmp_path, capsys)
    assert (status, result["corpora"][0]["layout"]) == (0, "pairs of vocals and accompaniment")
    assert result["corpora"][0]["silent_rate"] == {"vocals": 0.0, "accompaniment": 0.0}


def test_real_recordings_pass(audio_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, result = check(audio_dir / "library", capsys)
    assert (status, result["libraries"][0]["files"]) == (0, 15)


def test_audio_that_is_not_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_song(tmp_path / "a", 1)
    write(tmp_path / "a" / "vox double.wav", noise(3))
    write(tmp_path / "a" / "instrumental.wav", noise(4))
    problem = only_problem(tmp_path, capsys)
    assert (problem["where"], problem["what"]) == ("a", "holds audio that is not read: vox double.wav")


@pytest.mark.parametrize("names", [("{} - Drums", "{} - Vocals"), ("{}_bass", "{}_drums"), ("Kick", "LeadVox", "Gtr")])
def test_stems_in_an_unknown_layout_are_no_library(
    names: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for song in ("x", "y"):
        for place, name in enumerate(names):
            write(tmp_path / song / "audio" / f"{name.format(song)}.wav", noise(10 * ord(song) + place))
    problem = only_problem(tmp_path, capsys)
    assert "as do 1 other folders: stems in a layout that is not known" in problem["what"]
    assert "import-stems" in problem["fix"]


def test_songs_called_after_an_instrument_are_a_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place, name in enumerate(("Bass Is Love", "All About That Bass", "Piano Man", "Guitar Town")):
        write(tmp_path / f"{name}.wav", noise(place))
    assert check(tmp_path, capsys)[0] == 0


def test_a_broken_description_of_one_song_does_not_hide_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "drums" / "1.wav", noise(ord(name)))
        content = {"artist": "A", "song": name, "stems": [{"stemName": "drums", "tracks": [{"id": "1"}]}]}
        (tmp_path / name / "data.json").write_text(json.dumps(content) if name == "a" else "{}")
    problem = only_problem(tmp_path, capsys)
    assert "data.json is not a description of MoisesDB" in problem["what"]


def test_the_two_thresholds_of_silence_are_both_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stems = write_song(tmp_path / "a", 1, mixture=False)
    vocals = stems["vocals"].copy()
    vocals[:WINDOW] = 0
    vocals[WINDOW : 3 * WINDOW] *= 0.1  # about -26 dB in the mixture
    write(tmp_path / "a" / "vocals.wav", vocals)
    (corpus,) = check(tmp_path, capsys)[1]["corpora"]
    assert (corpus["silent_rate"]["vocals"], corpus["mining_silent_rate"]["vocals"]) == (0.1, 0.3)
    app(["check-data", str(tmp_path)], standalone_mode=False)
    assert "V: level of a source relative to the mixture" in capsys.readouterr().out


def test_a_corpus_of_declared_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place, source in enumerate(("dialogue", "music", "effects")):
        write(tmp_path / "film" / f"{source}.wav", noise(place))
    (tmp_path / "corpus.toml").write_text('sources = ["dialogue", "music", "effects"]')
    status, result = check(tmp_path, capsys)
    assert (status, result["corpora"][0]["songs"]) == (0, 1)
    assert result["corpora"][0]["silent_rate"] == {"dialogue": 0.0, "music": 0.0, "effects": 0.0}
