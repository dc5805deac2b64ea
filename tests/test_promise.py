"""Purity curve of a calibration: bound at each threshold, and the songs that count."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from remix_miner.calibration.fit import calibrate
from remix_miner.calibration.harvest import HarvestRule, harvest
from remix_miner.calibration.promise.curve import THRESHOLDS, purity_curve
from remix_miner.calibration.promise.support import supported
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import windows_of
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.purity_curve import PurityCurve
from remix_miner.errors import DataError

Songs = Callable[..., list[LabelledSong]]
BOLD = CalibrationSettings(confidence=0.8, worst_artist=0.75)


def song(name: str, heard_as_silent: float, trained_on: bool = False) -> LabelledSong:
    """Half silent; of the sounding half the detector takes a share for silence, in one run of windows."""
    volumes = np.where(np.arange(1000) < 500, -40.0, -5.0)
    probabilities = np.where(np.arange(1000) < 500 + 500 * heard_as_silent, 0.9, 0.1)
    arrays = [np.tile(one.astype("float32"), (4, 1)) for one in (probabilities, volumes)]
    return LabelledSong(name, name, 64.0, *arrays, trained_on=trained_on)


def at(curve: PurityCurve, threshold: float) -> int:
    return int(np.searchsorted(curve.threshold, threshold))


def test_the_curve_is_the_harvest_at_each_threshold(labelled_songs: Songs) -> None:
    songs = labelled_songs(8, skill=2.0)
    curve = purity_curve(songs, 0, BOLD)
    assert curve.threshold == list(THRESHOLDS)
    for index in range(10, len(THRESHOLDS), 20):
        found = harvest(windows_of(songs, 0, -20.0), HarvestRule(THRESHOLDS[index]))
        assert curve.purity[index] == (None if found.purity is None else pytest.approx(found.purity, abs=1e-5))
        if curve.purity[index] is not None:
            assert curve.lower_bound[index] < curve.purity[index]


def test_the_threshold_of_a_calibration_is_the_lowest_that_the_curve_promises(labelled_songs: Songs) -> None:
    calibration = calibrate(labelled_songs(30), "d", "0", BOLD)
    drums = calibration.sources["drums"]
    assert drums.threshold is not None
    assert drums.curve is not None
    row = drums.curve.threshold.index(drums.threshold)
    assert drums.precision_lower_bound == drums.curve.lower_bound[row] >= 0.95
    for index in range(row):
        worst = drums.curve.worst_artist[index]
        assert drums.curve.lower_bound[index] < 0.95 or (worst is not None and worst < 0.8)
    assert calibration.threshold_for("drums", 0.95) == drums.threshold
    bolder, stricter = (calibration.threshold_for("drums", purity) for purity in (0.9, 0.97))
    assert bolder is not None
    assert stricter is not None
    assert bolder <= drums.threshold <= stricter
    assert calibration.threshold_for("drums", 0.999) is None


def test_songs_that_trained_the_detector_can_only_lower_the_promise() -> None:
    fresh = [song(f"fresh {number}", 0.0) for number in range(10)]
    perfect = [song(f"heard {number}", 0.0, trained_on=True) for number in range(20)]
    faulty = [song(f"heard {number}", 0.5, trained_on=True) for number in range(20)]
    alone, with_perfect, with_faulty = (purity_curve([*fresh, *more], 0, BOLD) for more in ([], perfect, faulty))
    row = at(alone, 0.5)
    assert with_perfect.lower_bound == alone.lower_bound
    assert with_perfect.artists[row] == 10
    assert with_faulty.lower_bound[row] < alone.lower_bound[row] - 0.1
    assert with_faulty.purity[row] == alone.purity[row] == 1.0


def test_no_threshold_is_chosen_at_which_one_artist_is_mostly_wrong() -> None:
    songs = [song(f"right {number}", 0.0) for number in range(60)] + [song("wrong", 0.5)]
    curve = purity_curve(songs, 0, BOLD)
    row = at(curve, 0.5)
    # 500 windows of the wrong artist are silent, 250 are not; a few at the ends of the span do not lie wholly in it.
    assert curve.worst_artist[row] == pytest.approx(2 / 3, abs=0.01)
    assert curve.lower_bound[row] > 0.95
    assert curve.threshold_for(0.95) is None
    assert dataclasses.replace(curve, artist_floor=0.6).threshold_for(0.95) == curve.threshold[at(curve, 0.1 + 1e-6)]


def test_too_few_artists_are_named(labelled_songs: Songs) -> None:
    one = calibrate(labelled_songs(10), "d", "0", CalibrationSettings()).sources["drums"]
    assert one.threshold is None
    assert "10 artists have a harvest" in str(one.reason)
    assert "29" in str(one.reason)


def test_files_without_a_curve_serve_their_own_purity_and_less(labelled_songs: Songs) -> None:
    calibration = calibrate(labelled_songs(30), "d", "0", BOLD)
    drums = dataclasses.replace(calibration.sources["drums"], curve=None)
    old = dataclasses.replace(calibration, sources={"drums": drums})
    assert old.threshold_for("drums", 0.9) == old.threshold_for("drums", 0.95) == drums.threshold
    assert old.threshold_for("drums", 0.98) is None


@pytest.mark.parametrize("change", ["length", "order"])
def test_damaged_curves_are_refused(labelled_songs: Songs, tmp_path: Path, change: str) -> None:
    path = tmp_path / "c.json"
    calibrate(labelled_songs(4), "d", "0", BOLD).save(path)
    values = json.loads(path.read_text())
    curve = values["sources"]["bass"]["curve"]
    if change == "length":
        curve["purity"].pop()
    else:
        curve["threshold"].reverse()
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="curve of bass"):
        Calibration.load(path)


def test_what_songs_support_is_what_calibrating_with_those_flags_gives() -> None:
    songs = [song(f"right {number}", 0.0) for number in range(10)]
    settings = CalibrationSettings()
    assert calibrate(songs, "d", "0", settings).threshold("drums") is None
    rows = supported(songs, settings)
    assert [(row.confidence, row.worst_artist) for row in rows][:3] == [(0.8, 0.75), (0.8, 0.5), (0.9, 0.75)]
    for row in rows:
        flags = dataclasses.replace(settings, confidence=row.confidence, worst_artist=row.worst_artist)
        drums = calibrate(songs, "d", "0", flags).sources["drums"]
        assert row.thresholds["drums"] == drums.threshold
        assert row.highest["drums"] == drums.curve.highest_bound
    # Ten artists without a fault: 8 are needed at 80% and 75%, 29 at 95% and 50%.
    assert rows[0].thresholds["drums"] is not None
    assert rows[-1].thresholds["drums"] is None
