"""The detector's own calibration as a prior: its artists count beside those of few songs."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from remix_miner.calibration.fit import calibrate, prior_counts
from remix_miner.calibration.promise.curve import THRESHOLDS, by_artist, curve_of, measure_harvests, purity_curve
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.summary import summary
from remix_miner.cli import main
from remix_miner.detector.artist_counts import ArtistCounts
from remix_miner.detector.calibration import Calibration
from remix_miner.errors import DataError
from remix_miner.figures.calibration_page import write_calibration_page

Songs = Callable[..., list[LabelledSong]]
RATES = {"drums": 0.11}
SETTINGS = CalibrationSettings(confidence=0.8, worst_artist=0.75, silence_rates=RATES)


def renamed(songs: list[LabelledSong], word: str) -> list[LabelledSong]:
    return [dataclasses.replace(song, name=f"{word} {song.name}", artist=f"{word} {song.artist}") for song in songs]


def test_counts_survive_the_file_and_hold_what_the_harvest_has(labelled_songs: Songs, tmp_path: Path) -> None:
    songs = labelled_songs(6, artists=3)
    calibration = calibrate(songs, "d", "0", SETTINGS)
    calibration.save(tmp_path / "c.json")
    counts = prior_counts(Calibration.load(tmp_path / "c.json").sources["drums"])
    assert counts is not None
    assert counts.artists == ["artist 0", "artist 1", "artist 2"]
    assert sum(counts.windows) == sum(song.known(0).sum() for song in songs)
    assert sum(counts.silent_windows) == sum((song.volumes[0] <= -20).sum() for song in songs)
    (kept, silent), seconds = counts.arrays()
    found = measure_harvests(songs, 0, SETTINGS).fresh
    assert kept.shape == (3, len(THRESHOLDS))
    for column in range(0, len(THRESHOLDS), 12):
        assert kept[:, column].sum() == found[column].kept.sum()
        assert silent[:, column].sum() == (found[column].kept & found[column].windows.silent).sum()
        assert seconds[:, column].sum() == pytest.approx(found[column].seconds.sum(), abs=0.2)


def test_songs_and_prior_give_the_bound_of_all_songs_together(labelled_songs: Songs) -> None:
    mine, theirs = renamed(labelled_songs(5, seed=1), "my"), labelled_songs(20, seed=2, skill=3.0)
    prior = measure_harvests(theirs, 0, SETTINGS).counts()
    alone, together = purity_curve(mine, 0, SETTINGS), purity_curve([*mine, *theirs], 0, SETTINGS)
    with_prior = purity_curve(mine, 0, SETTINGS, prior)
    assert with_prior.lower_bound == together.lower_bound
    assert with_prior.worst_artist == together.worst_artist
    assert with_prior.artists == together.artists
    assert with_prior.recall == alone.recall
    assert with_prior.purity == alone.purity


def test_an_artist_in_both_counts_once(labelled_songs: Songs) -> None:
    songs = labelled_songs(12)
    harvests = measure_harvests(songs, 0, SETTINGS)
    assert curve_of(harvests, SETTINGS, harvests.counts()) == curve_of(harvests, SETTINGS)


def test_a_threshold_that_no_window_of_the_songs_reaches(labelled_songs: Songs, tmp_path: Path) -> None:
    """The threshold stands by the earlier artists alone; the songs have no precision there, and the file is written."""
    prior = calibrate(labelled_songs(40, seed=3), "d", "0", CalibrationSettings(silence_rates=RATES))
    songs = [
        dataclasses.replace(song, probabilities=np.minimum(song.probabilities, 0.01))
        for song in renamed(labelled_songs(4, seed=4), "my")
    ]
    calibration = calibrate(songs, "d", "0", CalibrationSettings(silence_rates=RATES), prior=prior)
    calibration.save(tmp_path / "c.json")
    drums = Calibration.load(tmp_path / "c.json").sources["drums"]
    assert drums.threshold is not None
    assert drums.accepted_windows == 0
    assert drums.precision is None
    assert drums.spans is None
    assert f"p = {drums.threshold:.4f}" in summary(calibration)
    assert "none of these songs has a window there" in summary(calibration)
    write_calibration_page(tmp_path / "c.html", calibration, songs)


def test_few_songs_get_a_threshold_and_a_contradiction_raises_it(labelled_songs: Songs) -> None:
    """12 artists support nothing at 95% confidence; 40 more do; misjudged artists raise the threshold or refuse it."""
    strict = CalibrationSettings(silence_rates=RATES)
    prior = calibrate(labelled_songs(40, seed=3), "d", "0", strict)
    mine = renamed(labelled_songs(12, seed=4), "my")
    alone, helped = (calibrate(mine, "d", "0", strict, prior=one).threshold("drums") for one in (None, prior))
    assert alone is None
    assert helped is not None
    unsure = [dataclasses.replace(song, probabilities=np.full_like(song.probabilities, 0.6)) for song in mine[:2]]
    contradicted = calibrate([*unsure, *mine[2:]], "d", "0", strict, prior=prior).threshold("drums")
    assert contradicted is not None
    assert contradicted > 0.6
    misjudged = [
        dataclasses.replace(song, probabilities=np.full_like(song.probabilities, 0.99999)) for song in mine[:6]
    ]
    assert calibrate([*misjudged, *mine[6:]], "d", "0", strict, prior=prior).threshold("drums") is None


def test_songs_that_trained_the_detector_stay_apart_in_the_counts() -> None:
    volumes = np.where(np.arange(1000) < 500, -40.0, -5.0).astype("float32")
    rows = [np.tile(one, (4, 1)) for one in (np.full(1000, 0.9, dtype="float32"), volumes)]
    songs = [LabelledSong(f"s{i}", "a" if i < 2 else "b", 64.0, *rows, trained_on=i == 0) for i in range(4)]
    counts = measure_harvests(songs, 0, SETTINGS).counts()
    assert list(zip(counts.artists, counts.trained_on, strict=True)) == [("a", False), ("a", True), ("b", False)]
    assert by_artist(counts).artists == ("a", "b")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"harvests": "x"}, "cannot be decoded"),
        ({"artists": ["a"]}, "columns of unequal lengths"),
        ({"artists": [], "trained_on": [], "windows": [], "silent_windows": []}, "no artist"),
    ],
)
def test_damaged_counts_are_refused(
    labelled_songs: Songs, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    calibrate(labelled_songs(4), "d", "0", SETTINGS).save(tmp_path / "c.json")
    values = json.loads((tmp_path / "c.json").read_text())
    values["sources"]["drums"]["artist_counts"] |= change
    with pytest.raises(DataError, match=message):
        Calibration.from_json(values)


def test_files_of_older_versions_have_no_counts(labelled_songs: Songs, tmp_path: Path) -> None:
    calibrate(labelled_songs(4), "d", "0", SETTINGS).save(tmp_path / "c.json")
    values = json.loads((tmp_path / "c.json").read_text())
    for one in values["sources"].values():
        del one["artist_counts"]
    assert prior_counts(Calibration.from_json(values).sources["drums"]) is None


def test_counts_of_other_thresholds_are_not_used(labelled_songs: Songs) -> None:
    one = calibrate(labelled_songs(4), "d", "0", SETTINGS).sources["drums"]
    assert one.curve is not None
    curve = dataclasses.replace(one.curve, threshold=[value / 2 for value in one.curve.threshold])
    assert prior_counts(one) is not None
    assert prior_counts(dataclasses.replace(one, curve=curve)) is None


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_calibrate_takes_the_artists_of_the_detectors_own_calibration(
    labelled_songs: Songs,
    stem_corpus: Callable[..., Path],
    tiny_detector: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    songs = stem_corpus(tmp_path / "songs", {"a - one": 6.0, "b - two": 6.0})
    detector = Path(shutil.copytree(tiny_detector, tmp_path / "detector"))
    options = ["--stems", songs, "--mute", 1, "--no-page", "--min-seconds", 1, "--out", tmp_path / "c.json"]
    assert run("calibrate", detector, *options, "--prior") == 2
    assert "--prior cannot be used" in capsys.readouterr().err
    run("calibrate", detector, *options, "--json")
    assert "prior_artists" not in json.loads(capsys.readouterr().out)["data"]
    sha256 = json.loads((detector / "model.json").read_text())["sha256"]
    own = dataclasses.replace(SETTINGS, min_seconds=1.0)
    calibrate(labelled_songs(20), "tiny", sha256, own).save(detector / "calibration.json")
    run("calibrate", detector, *options, "--json")
    made = json.loads(capsys.readouterr().out)
    assert made["data"]["prior_artists"] == sorted(f"artist {number}" for number in range(20))
    assert (made["settings"]["confidence"], made["settings"]["worst_artist"]) == (0.8, 0.75)
    assert len(made["sources"]["drums"]["artist_counts"]["artists"]) == 22
    run("calibrate", detector, *options, "--confidence", 0.9)
    assert "20 artists of the detector's own calibration count too (confidence 90%" in capsys.readouterr().out
    run("calibrate", detector, *options, "--no-prior", "--json")
    assert "prior_artists" not in json.loads(capsys.readouterr().out)["data"]


def test_joined_rows_are_those_of_both() -> None:
    def counts(name: str, kept: int) -> ArtistCounts:
        harvested = np.array([[[kept, kept]], [[kept - 1, 0]]])
        return ArtistCounts.of([name], [False], np.array([[9], [5]]), harvested, np.array([[2.5, 0.0]]))

    both = counts("a", 3).joined(counts("b", 4))
    (kept, silent), seconds = both.arrays()
    assert (kept.tolist(), silent.tolist()) == ([[3, 3], [4, 4]], [[2, 0], [3, 0]])
    assert seconds.tolist() == [[2.5, 0.0], [2.5, 0.0]]
    assert both.without({"a"}).artists == ["b"]
    assert both.problem(thresholds=2) is None
    assert both.problem(thresholds=3) == "2 thresholds where the curve has 3"
