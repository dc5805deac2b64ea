"""``calibrate`` and ``score-detector`` from the command line, with a tiny untrained detector."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from remix_miner.checkpoint import load_model, save_model
from remix_miner.cli import main
from remix_miner.detector.calibration import Calibration

Corpus = Callable[..., Path]


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


@pytest.fixture
def songs(stem_corpus: Corpus, tmp_path: Path) -> Path:
    return stem_corpus(tmp_path / "songs", {"a - one": 6.0, "a - two": 6.0, "b - three": 6.0})


def test_calibrate_writes_a_file_that_fits_the_detector_and_a_page(
    songs: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "calibration.json"
    options = ["--mute", 1, "--bound", "none", "--precision", 0.3, "--silence-rate", "data"]
    assert run("calibrate", tiny_detector, "--stems", songs, *options, "--out", out, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    calibration = Calibration.load(out)
    calibration.check_detector(load_model(tiny_detector)[1]["sha256"])
    assert printed["sources"]["drums"]["threshold"] == calibration.threshold("drums")
    assert calibration.data["tracks"] == ["a - one", "a - two", "b - three"]
    assert calibration.data["artists"] == ["a", "b"]
    assert calibration.data["muted_variants"] == 1
    assert calibration.settings["bound"] == "none"
    drums = calibration.sources["drums"]
    assert (drums.tracks, drums.artists) == (3, 2)
    # 94 windows a song, and one muted variant of each.
    assert drums.windows == 6 * 94
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert page.count("<img alt=") >= 12
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert 'name="viewport"' in page


def test_calibrate_is_reproducible(songs: Path, tiny_detector: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        out = tmp_path / f"{name}.json"
        run("calibrate", tiny_detector, "--stems", songs, "--mute", 1, "--bound", "none", "--out", out, "--no-page")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert not (tmp_path / "one.html").exists()


def test_few_artists_are_refused_with_the_number_that_it_takes(
    songs: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c.json"
    assert run("calibrate", tiny_detector, "--stems", songs, "--mute", 1, "--bound", "bootstrap", "--out", out) == 1
    text = capsys.readouterr().out
    assert "2 artists have such windows" in text
    assert "29" in text
    assert all(one.threshold is None and one.reason for one in Calibration.load(out).sources.values())
    assert "No threshold" in out.with_suffix(".html").read_text(encoding="utf-8")


def test_a_calibration_without_thresholds_ends_with_what_to_do(
    songs: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        run("calibrate", tiny_detector, "--stems", songs, "--mute", 1, "--no-page", "--out", tmp_path / "c.json") == 1
    )
    text = capsys.readouterr().out
    assert "thresholds that these songs support" in text
    assert "- Take a row of the table with --confidence" in text
    assert "- Add songs by other artists" in text


def test_with_folds_each_song_is_heard_by_a_detector_that_did_not_learn_from_it(
    songs: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, description = load_model(tiny_detector)
    learned = {"all": ["a - one", "a - two", "b - three"], "a": ["a - one", "a - two"], "b": ["b - three"]}
    for name, names in learned.items():
        # The fold that learned from b answers otherwise, so that its voice can be told.
        sign = -1 if name == "b" else 1
        changed = {key: value * sign if key.endswith("weight") else value for key, value in state.items()}
        save_model(tmp_path / name, changed, {**description, "songs": names})
    options = ["--stems", songs, "--mute", 1, "--bound", "none", "--silence-rate", "data", "--precision", 0.3]
    options += ["--no-page"]
    out = tmp_path / "c.json"
    folds = ["--folds", tmp_path / "a", tmp_path / "b"]
    run("calibrate", tmp_path / "all", *options, *folds, "--out", out)
    capsys.readouterr()
    assert [fold["name"] for fold in Calibration.load(out).data["folds"]] == ["a", "b"]

    def areas(*arguments: object) -> dict[str, list[float | None]]:
        run("score-detector", *arguments, "--stems", songs, "--mute", 2, "--json")
        scored = json.loads(capsys.readouterr().out)["songs"]
        return {name: [source["auc"]["value"] for source in one.values()] for name, one in scored.items()}

    together, by_a, by_b = areas(tmp_path / "all", *folds), areas(tmp_path / "a"), areas(tmp_path / "b")
    assert by_a != by_b
    assert together == {"a - one": by_b["a - one"], "a - two": by_b["a - two"], "b - three": by_a["b - three"]}
    assert run("calibrate", tmp_path / "all", *options, "--folds", tmp_path / "a", "--out", tmp_path / "d.json") == 2
    assert "'a - one' is among the training songs" in capsys.readouterr().err


def test_several_folders_may_follow_one_option(stem_corpus: Corpus, tiny_detector: Path, tmp_path: Path) -> None:
    first = stem_corpus(tmp_path / "first", {"a - one": 2.0})
    second = stem_corpus(tmp_path / "second", {"b - two": 2.0})
    pair = tmp_path / "pairs" / "c - three"
    pair.mkdir(parents=True)
    shutil.copy(first / "a - one" / "vocals.wav", pair / "vocals.wav")
    shutil.copy(first / "a - one" / "drums.wav", pair / "accompaniment.wav")
    (tmp_path / "artists.csv").write_text("track,artist\nb - two,a\n")
    out = tmp_path / "c.json"
    options = ["--pairs", tmp_path / "pairs", "--artists", tmp_path / "artists.csv", "--mute", 1, "--no-page"]
    run("calibrate", tiny_detector, "--stems", first, second, *options, "--out", out)
    calibration = Calibration.load(out)
    assert calibration.data["tracks"] == ["a - one", "b - two", "c - three"]
    assert calibration.data["artists"] == ["a", "c"]
    assert calibration.sources["vocals"].tracks == 3
    assert calibration.sources["drums"].tracks == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mute", 1], "no labelled songs"),
        (["--stems", "nowhere"], "does not exist"),
        (["--stems", "SONGS", "--precision", 95], "share between 0 and 1"),
        (["--stems", "SONGS", "--silence-rate", "often"], "--silence-rate takes"),
        (["--stems", "SONGS"], "no window of any source is silent"),
    ],
)
def test_unusable_input_is_explained(
    songs: Path,
    tiny_detector: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[object],
    message: str,
) -> None:
    options = [songs if option == "SONGS" else option for option in options]
    assert run("calibrate", tiny_detector, *options, "--out", tmp_path / "c.json") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()


def test_one_song_is_refused(
    stem_corpus: Corpus, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = stem_corpus(tmp_path / "songs", {"a - one": 3.0})
    assert run("calibrate", tiny_detector, "--stems", songs, "--mute", 2, "--out", tmp_path / "c.json") == 2
    assert "1 song cannot" in capsys.readouterr().err


def test_training_songs_are_pointed_out(
    songs: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state, description = load_model(tiny_detector)
    save_model(tmp_path / "trained", state, {**description, "songs": ["a - two"], "validation_songs": []})
    run("score-detector", tmp_path / "trained", "--stems", songs)
    assert "1 of the songs trained or chose this detector, e.g. 'a - two'" in capsys.readouterr().err


def test_score_detector(songs: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("score-detector", tiny_detector, "--stems", songs, "--mute", 3, "--min-seconds", 0.8, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["songs"]) == {"a - one", "a - two", "b - three"}
    drums = result["sources"]["drums"]
    assert (drums["songs"], drums["artists"], drums["threshold"]) == (3, 2, 0.3)
    assert 0 <= drums["auc"]["low"] <= drums["auc"]["value"] <= drums["auc"]["high"] <= 1
    assert result["sources"]["other"]["threshold"] is None
    assert result["sources"]["other"]["purity"]["value"] is None
    assert drums["seconds"] == pytest.approx(sum(song["drums"]["seconds"] for song in result["songs"].values()))
    assert run("score-detector", tiny_detector, "--stems", songs) == 0
    text = capsys.readouterr().out
    assert "a - two" in text
    assert "AUC of silence" in text


def test_a_calibration_of_another_detector_is_refused(
    songs: Path, tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads((tiny_detector / "calibration.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps({**values, "detector_sha256": "0" * 64}))
    assert run("score-detector", tiny_detector, "--stems", songs, "--calibration", tmp_path / "other.json") == 2
    assert "made for the detector" in capsys.readouterr().err
