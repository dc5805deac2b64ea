"""Calibration: thresholds, effect of the span rule, tables of P, and the file."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix_miner.calibration.bounds import count_accepted as count
from remix_miner.calibration.fit import calibrate
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.statistics import isotonic_tables
from remix_miner.calibration.thresholds import choose_threshold, cross_validated_threshold, plain_threshold
from remix_miner.calibration.window_table import silent_weight, weighted_quantile, windows_inside, windows_of
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.spans import silent_spans
from remix_miner.errors import DataError, UsageError

Songs = Callable[..., list[LabelledSong]]
PLAIN = CalibrationSettings(bound="none")


def song(probabilities: Any, volumes: Any, name: str = "a", artist: str = "a") -> LabelledSong:
    """A song of which all four sources have the same windows."""
    four = [np.tile(np.asarray(values, dtype=np.float32), (4, 1)) for values in (probabilities, volumes)]
    return LabelledSong(name, artist, 0.064 * len(probabilities), *four)


# --- thresholds ---------------------------------------------------------------------------------------------------


def test_plain_threshold_is_the_lowest_p_that_keeps_the_share_worked_out_by_hand() -> None:
    probabilities = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    silent = np.array([True, True, True, False, True, False])
    names = np.array(list("aabbcc"))
    # Shares from the top: 1, 1, 1, 3/4, 4/5, 4/6.
    assert plain_threshold(probabilities, silent, names, target=0.8).value == 0.5
    assert plain_threshold(probabilities, silent, names, target=0.81).value == 0.7
    assert plain_threshold(probabilities, ~silent, names, target=0.6).value is None


def test_plain_threshold_accepts_all_windows_that_share_its_probability() -> None:
    chosen = plain_threshold(np.array([0.9, 0.9, 0.9]), np.array([True, True, False]), np.array([0, 0, 1]), target=0.8)
    assert chosen.value is None
    assert "66.7%" in str(chosen.reason)


def test_threshold_read_back_from_json_accepts_the_same_windows(labelled_songs: Songs) -> None:
    windows = windows_of(labelled_songs(10), 0, -20.0)
    chosen = choose_threshold(windows.probabilities, windows.silent, windows.artists, rule="none")
    threshold = json.loads(json.dumps(chosen.value))
    accepted = windows.probabilities.astype(np.float32) >= threshold
    assert windows.silent[accepted].mean() == pytest.approx(chosen.precision)
    assert windows.silent[accepted].mean() >= 0.95


@pytest.mark.parametrize("rule", ["none", "crossval", "bootstrap"])
def test_asking_for_more_never_lowers_the_threshold(labelled_songs: Songs, rule: Any) -> None:
    windows = windows_of(labelled_songs(40, skill=2.0), 1, -20.0)
    chosen = [
        choose_threshold(windows.probabilities, windows.silent, windows.artists, target=target, rule=rule).value
        for target in (0.8, 0.9, 0.95)
    ]
    assert None not in chosen
    assert chosen == sorted(chosen)


def test_stricter_rules_give_higher_thresholds(labelled_songs: Songs) -> None:
    windows = windows_of(labelled_songs(40, skill=2.0), 1, -20.0)
    arrays = windows.probabilities, windows.silent, windows.artists
    plain, crossed, bounded = (choose_threshold(*arrays, rule=rule) for rule in ("none", "crossval", "bootstrap"))
    assert plain.value <= crossed.value < bounded.value
    assert bounded.lower_bound >= 0.95
    assert crossed.held_out >= 0.95


def test_songs_of_one_artist_do_not_count_as_evidence_of_many(labelled_songs: Songs) -> None:
    many, few = (windows_of(labelled_songs(40, artists=artists), 0, -20.0) for artists in (None, 10))
    assert choose_threshold(many.probabilities, many.silent, many.artists).value is not None
    chosen = choose_threshold(few.probabilities, few.silent, few.artists)
    assert chosen.value is None
    assert chosen.reason is not None
    assert chosen.reason.startswith("10 artists")
    assert "29" in chosen.reason


def test_cross_validation_judges_each_artist_by_the_others() -> None:
    # Artists 0 to 4 are right at P = 0.9 and at 0.5, artist 5 is wrong five times at 0.5. All together must choose 0.9,
    # at which there is no fault; but without artist 5 one would choose 0.5, so of its six windows five are wrong.
    probabilities = np.array([0.9, 0.5] * 5 + [0.9] + [0.5] * 5)
    silent = np.array([True, True] * 5 + [True] + [False] * 5)
    artists = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4] + [5] * 6)
    assert plain_threshold(probabilities, silent, artists, target=0.9).value == 0.9
    refused = cross_validated_threshold(count(probabilities, silent, artists), 0.9)
    assert refused.value is None
    # The others are each judged at 0.9, once: 6 of 11 windows are right.
    assert "54.5%" in str(refused.reason)
    # With one fault of artist 5 in place of five, everyone is judged at 0.5, and 11 of 12 are right.
    fair = cross_validated_threshold(count(probabilities[:12], silent[:12], artists[:12]), 0.9)
    assert fair.held_out is not None
    assert fair.held_out >= 0.9


def test_too_few_artists_to_leave_one_out() -> None:
    table = count(np.array([0.9, 0.8]), np.array([True, False]), np.array([0, 1]))
    assert "too few" in str(cross_validated_threshold(table, 0.9).reason)


# --- windows ------------------------------------------------------------------------------------------------------


def test_windows_without_a_label_are_left_out() -> None:
    one = song([0.1, 0.5, 0.9], [-5.0, np.nan, -np.inf])
    windows = windows_of([one], 2, -20.0)
    assert windows.probabilities.tolist() == pytest.approx([0.1, 0.9])
    assert windows.silent.tolist() == [False, True]
    assert windows.volumes.tolist() == [-5.0, -80.0]


def test_silent_weight_gives_the_asked_rate() -> None:
    silent = np.array([True] * 30 + [False] * 70)
    weights = np.where(silent, silent_weight(silent, 0.11), 1.0)
    assert weights[silent].sum() / weights.sum() == pytest.approx(0.11)


def test_rarer_silence_takes_a_higher_threshold(labelled_songs: Songs) -> None:
    songs = labelled_songs(20, skill=2.0)
    rare = dataclasses.replace(PLAIN, silence_rates={"drums": 0.05})
    sources = [calibrate(songs, "d", "0", settings).sources["drums"] for settings in (PLAIN, rare)]
    assert sources[0].threshold < sources[1].threshold
    assert sources[1].assumed_silence_rate == pytest.approx(0.05)
    assert sources[1].precision >= 0.95


def test_weighted_quantile_agrees_with_numpy_for_equal_weights() -> None:
    values = np.random.default_rng(0).normal(size=101)
    for quantile in (0.5, 0.9, 0.95):
        expected = np.quantile(values, quantile, method="inverted_cdf")
        assert weighted_quantile(values, np.ones(101), quantile) == expected
    repeated = weighted_quantile(np.repeat(values, 3), np.ones(303), 0.9)
    assert weighted_quantile(values, np.full(101, 3.0), 0.9) == repeated


def test_windows_inside_a_span_are_those_whose_audio_is_stored() -> None:
    probabilities = np.zeros(200)
    probabilities[40:180] = 1
    (span,) = silent_spans(probabilities, 0.5, 200 * 0.064)
    inside = np.flatnonzero(windows_inside([span], 200, 200 * 0.064))
    # The span is 8.384 s from 2.816 s: windows are whole in it from 0.32 s after its start to 0.32 s before its end.
    assert (span.start_seconds, span.end_seconds) == pytest.approx((2.816, 11.2))
    assert (inside[0] * 0.064, inside[-1] * 0.064) == pytest.approx((3.136, 10.88))
    assert windows_inside([], 5, 1.0).tolist() == [False] * 5


# --- calibration --------------------------------------------------------------------------------------------------


def test_calibration_measures_what_the_span_rule_does(labelled_songs: Songs) -> None:
    songs = labelled_songs(12)
    one = calibrate(songs, "d", "0", PLAIN).sources["vocals"]
    assert one.threshold is not None
    assert one.spans is not None
    inside, accepted, volumes = [], [], []
    for each in songs:
        spans = silent_spans(each.probabilities[3], one.threshold, each.seconds)
        inside.append(windows_inside(spans, each.volumes.shape[1], each.seconds))
        accepted.append(each.probabilities[3] >= one.threshold)
        volumes.append(each.volumes[3])
    kept, passed, all_volumes = map(np.concatenate, (inside, accepted, volumes))
    assert one.spans.kept == pytest.approx(kept.sum() / passed.sum())
    assert one.spans.before.p95 == pytest.approx(np.quantile(all_volumes[passed], 0.95, method="inverted_cdf"))
    assert one.spans.after.p95 == pytest.approx(np.quantile(all_volumes[kept], 0.95, method="inverted_cdf"))
    assert one.spans.after.p95 <= one.spans.before.p95 <= -20
    assert one.spans.precision == pytest.approx((all_volumes[kept] <= -20).mean())
    assert one.accepted_windows == passed.sum()


def test_isotonic_tables_are_monotone_and_near_the_truth(labelled_songs: Songs) -> None:
    windows = windows_of(labelled_songs(10), 0, -20.0)
    probability, volume, silent = map(np.array, isotonic_tables(windows))
    assert (np.diff(probability) > 0).all()
    assert (np.diff(volume) <= 1e-9).all()
    assert (np.diff(silent) >= -1e-9).all()
    high = windows.probabilities > 0.9
    expected = np.interp(windows.probabilities[high], probability, silent).mean()
    assert expected == pytest.approx(windows.silent[high].mean(), abs=0.01)


def test_saved_and_loaded_calibrations_are_equal(labelled_songs: Songs, tmp_path: Path) -> None:
    calibration = calibrate(labelled_songs(6), "d", "ab" * 32, PLAIN, {"muted_variants": 0})
    calibration.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path / "calibration.json") == calibration
    assert calibration.threshold("drums") == calibration.sources["drums"].threshold
    assert calibration.expected_volume_db("drums", 1.0) < -30 < calibration.expected_volume_db("drums", 0.0)
    assert 0 <= calibration.expected_silent("drums", 0.0) < 0.5 < calibration.expected_silent("drums", 1.0) <= 1
    calibration.check_detector("ab" * 32)
    with pytest.raises(DataError, match="not for the one"):
        calibration.check_detector("cd" * 32)


def test_the_file_has_the_contracts_names(labelled_songs: Songs, tmp_path: Path) -> None:
    calibrate(labelled_songs(6), "d", "ab" * 32, PLAIN).save(tmp_path / "c.json")
    values = json.loads((tmp_path / "c.json").read_text())
    assert values["detector_sha256"] == "ab" * 32
    assert len(values["data"]["tracks"]) == 6
    names = {"threshold", "reason", "volume_db", "precision_target", "precision", "precision_lower_bound", "recall"}
    assert names | {"windows", "tracks", "spans"} <= set(values["sources"]["drums"])


def damage(values: dict[str, Any], change: str) -> Any:
    drums = values["sources"]["drums"]
    if change == "format":
        values["format"] = "something else"
    elif change == "version":
        values["format_version"] = 99
    elif change == "source":
        values["sources"]["flute"] = drums
    elif change == "missing":
        del drums["recall"]
    elif change == "type":
        drums["threshold"] = "high"
    elif change == "range":
        drums["threshold"] = 1.5
    elif change == "reason":
        drums["threshold"] = drums["reason"] = None
    elif change == "table":
        drums["probability"].pop()
    elif change == "list":
        return [values]
    return values


@pytest.mark.parametrize(
    "change", ["format", "version", "source", "missing", "type", "range", "reason", "table", "list"]
)
def test_damaged_files_are_refused(labelled_songs: Songs, tmp_path: Path, change: str) -> None:
    path = tmp_path / "c.json"
    calibrate(labelled_songs(4), "d", "ab" * 32, PLAIN).save(path)
    path.write_text(json.dumps(damage(json.loads(path.read_text()), change)))
    with pytest.raises(DataError, match=r"c\.json"):
        Calibration.load(path)
    path.write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        Calibration.load(path)


# --- bad input ----------------------------------------------------------------------------------------------------


def test_one_song_cannot_calibrate(labelled_songs: Songs) -> None:
    with pytest.raises(DataError, match="1 song cannot"):
        calibrate(labelled_songs(1), "d", "0", PLAIN)
    with pytest.raises(DataError, match="0 song"):
        calibrate([], "d", "0", PLAIN)


def test_no_silent_and_no_sounding_windows() -> None:
    probabilities = np.linspace(0, 1, 50)
    for volume, kind in ((-3.0, "silent"), (-np.inf, "sounding")):
        songs = [song(probabilities, np.full(50, volume), name) for name in "ab"]
        with pytest.raises(DataError, match=f"no window of any source is {kind}"):
            calibrate(songs, "d", "0", PLAIN)


def test_a_source_that_is_never_silent_is_refused_alone() -> None:
    one, other = (song(np.linspace(0, 1, 50), np.linspace(-1, -60, 50), name) for name in "ab")
    for each in (one, other):
        each.volumes[2] = -3.0
    calibration = calibrate([one, other], "d", "0", PLAIN)
    assert calibration.threshold("drums") is not None
    assert calibration.threshold("other") is None
    assert "no silence" in str(calibration.sources["other"].reason)


def test_songs_of_digital_silence_have_no_labels() -> None:
    with pytest.raises(DataError, match="no window has a label"):
        calibrate([song([0.5], [np.nan], name) for name in "ab"], "d", "0", PLAIN)


def test_a_source_that_no_song_knows_is_left_out(labelled_songs: Songs) -> None:
    songs = labelled_songs(4)
    for each in songs:
        each.volumes[:3] = np.nan
    assert list(calibrate(songs, "d", "0", PLAIN).sources) == ["vocals"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("bound", "luck"),
        ("volume_db", 3.0),
        ("precision", 1.0),
        ("confidence", 0.0),
        ("worst_artist", 2.0),
        ("min_seconds", 0.0),
        ("min_seconds", float("nan")),
        ("min_seconds", 1e300),
        ("volume_db", float("nan")),
        ("volume_db", float("-inf")),
        ("seed", -1),
        ("silence_rates", {"drums": 0.0}),
        ("evidence_gate", 0.95),
    ],
)
def test_settings_that_cannot_be_used_are_named(setting: str, value: Any) -> None:
    with pytest.raises(UsageError, match="network" if "evidence" in setting else setting.split("_")[0].rstrip("s")):
        CalibrationSettings(**{setting: value})
