"""`check-data --listen`: findings for intact, swapped, bleeding and empty stems."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.calibration.stem_check import StemCheckSettings, check_stem, findings
from remix_miner.cli import app
from remix_miner.sources import SOURCES


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated song of 20 s in which all four sources play."""
    from remix_miner.synthesis.song import synthesize_part

    folder = tmp_path_factory.mktemp("corpus") / "song"
    folder.mkdir()
    for source in SOURCES:
        soundfile.write(folder / f"{source}.wav", synthesize_part(source, 3, 20.0, 16000).T, 16000)
    return folder


def listen(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    status = app(["check-data", str(path), "--listen", "--json", *options], standalone_mode=False)
    return status, json.loads(capsys.readouterr().out)


def test_sound_stems_are_not_flagged(song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, result = listen(song.parent, capsys)
    assert (status, result["problems"]) == (0, [])
    assert [stem["stem"] for stem in result["stems"]] == list(SOURCES)
    for stem in result["stems"]:
        assert max(stem["activity"], key=stem["activity"].get) == stem["stem"]
        assert not stem["flagged"]


def test_swapped_bleeding_and_empty_stems_are_found(
    song: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Drums and bass change places; the last eight seconds of 'other' hold vocals at a tenth, where it rests."""
    copy = tmp_path / "song"
    shutil.copytree(song, copy)
    (copy / "drums.wav").rename(copy / "x.wav")
    (copy / "bass.wav").rename(copy / "drums.wav")
    (copy / "x.wav").rename(copy / "bass.wav")
    other, vocals = (soundfile.read(song / f"{source}.wav", always_2d=True)[0] for source in ("other", "vocals"))
    other[-8 * 16000 :] = 0.1 * vocals[-8 * 16000 :]
    soundfile.write(copy / "other.wav", other, 16000)
    soundfile.write(copy / "vocals.wav", np.zeros_like(vocals), 16000)
    status, result = listen(tmp_path, capsys, "--pictures", str(tmp_path / "pictures"))
    stems = {stem["stem"]: stem for stem in result["stems"]}
    assert status == 1
    assert (stems["drums"]["sounds_like"], stems["bass"]["sounds_like"]) == ("bass", "drums")
    assert (stems["vocals"]["empty"], stems["vocals"]["flagged"]) == (True, False)
    (bleed,) = stems["other"]["bleed"]
    assert bleed["source"] == "vocals"
    assert bleed["start_seconds"] == pytest.approx(12, abs=1)
    assert bleed["end_seconds"] == pytest.approx(20, abs=1)
    assert bleed["probability"] > 0.9
    pictures = {stem["stem"]: stem["picture"] for stem in result["stems"] if stem["picture"]}
    assert set(pictures) == {"drums", "bass", "other"}
    assert sorted(map(str, (tmp_path / "pictures").iterdir())) == sorted(pictures.values())
    assert all(Path(picture).read_bytes().startswith(b"\x89PNG") for picture in pictures.values())
    found = {problem["what"].split(" (")[0] for problem in result["problems"]}
    assert {"drums sounds like bass", "bass sounds like drums"} < found
    assert any(what.startswith("other holds vocals from 0:1") for what in found)


def test_the_rule_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """P as if a detector had given it: bass active for 6 s, vocals for 4 s, and both where the stem is silent."""
    windows = 20 * 16000 // 1024 + 1
    silence = np.full((4, windows), 0.99, dtype=np.float32)
    silence[0] = 0.02
    for row, start, seconds in ((1, 2, 6), (3, 9, 4), (1, 14, 6)):
        silence[row, round(start / 0.064) : round((start + seconds) / 0.064)] = 0.04
    monkeypatch.setattr("remix_miner.calibration.stem_check.track_probabilities", lambda model, mono: silence)
    stem = np.random.default_rng(0).normal(size=20 * 16000).astype(np.float32) / 9
    stem[14 * 16000 :] *= 1e-4
    check = check_stem(None, "song", "drums", stem)  # type: ignore[arg-type]
    assert check.sounds_like is None
    assert [(bleed.source, round(bleed.start_seconds)) for bleed in check.bleed] == [("bass", 2)]
    assert findings(check) == ["drums holds bass from 0:02.2 to 0:07.7 (probability 0.96)"]
    strict = check_stem(None, "song", "drums", stem, StemCheckSettings(active_probability=0.97))  # type: ignore[arg-type]
    assert not strict.flagged
    assert check_stem(None, "song", "drums", 1e-5 * stem).empty  # type: ignore[arg-type]
