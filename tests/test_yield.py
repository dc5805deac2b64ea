"""Harvest rules, their yield, and the command `yield`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix_miner.calibration.harvest import HarvestRule, harvest
from remix_miner.calibration.scores import score_source
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.window_table import windows_inside, windows_of
from remix_miner.calibration.yields import best_at_purity, measure
from remix_miner.cli import main
from remix_miner.detector.spans import silent_spans
from remix_miner.errors import DataError, UsageError

Songs = Callable[..., list[LabelledSong]]


def test_the_plain_rule_is_that_of_the_scan(labelled_songs: Songs) -> None:
    (song,) = labelled_songs(1, skill=2.0)
    song.volumes[0, ::300] = np.nan
    windows = windows_of([song], 0, -20.0)
    for threshold in (0.5, 0.8):
        spans = silent_spans(song.probabilities[0], threshold, song.seconds, 3.0, song.known(0))
        kept = harvest(windows, HarvestRule(threshold, 3.0))
        assert kept.seconds.tolist() == [sum(span.seconds for span in spans)]
        inside = windows_inside(spans, song.volumes.shape[1], song.seconds)
        np.testing.assert_array_equal(kept.kept, inside[song.known(0)])


@pytest.mark.parametrize(
    "arguments",
    [{"threshold": 1.2}, {"threshold": 0.5, "min_seconds": -1.0}],
)
def test_impossible_rules_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        HarvestRule(**arguments)


def test_yield_agrees_with_the_score(labelled_songs: Songs) -> None:
    songs = labelled_songs(6, skill=2.0)
    (point,) = measure(songs, 3, [HarvestRule(0.7)], -20.0).points
    score = score_source(songs, 3, 0.7)
    assert point.seconds == pytest.approx(score.seconds)
    assert point.purity == pytest.approx(score.purity.value)
    assert point.volume_p95_db == pytest.approx(score.volume_p95_db.value, abs=0.5)


def test_stricter_rules_never_harvest_more(labelled_songs: Songs) -> None:
    rules = [HarvestRule(threshold, seconds) for seconds in (3.0, 8.0) for threshold in (0.3, 0.6, 0.9)]
    seconds = [point.seconds for point in measure(labelled_songs(6, skill=1.5), 0, rules, -20.0).points]
    assert seconds[:3] == sorted(seconds[:3], reverse=True)
    assert all(short >= long for short, long in zip(seconds[:3], seconds[3:], strict=True))
    assert seconds[0] > 0


def test_rarer_silence_makes_the_same_harvest_less_pure(labelled_songs: Songs) -> None:
    songs, rules = labelled_songs(6), [HarvestRule(0.02, 3.0)]
    (common,), (rare,) = (measure(songs, 0, rules, -20.0, rate).points for rate in (0.5, 0.05))
    assert rare.seconds == common.seconds
    assert rare.purity < common.purity


def test_best_point_is_the_largest_that_is_pure_enough(labelled_songs: Songs) -> None:
    rules = [HarvestRule(threshold) for threshold in np.linspace(0.02, 0.9, 12)]
    points = measure(labelled_songs(8), 0, rules, -20.0).points
    best = best_at_purity(points, 0.9)
    assert best is not None
    assert best.purity >= 0.9
    assert not any(point.seconds > best.seconds for point in points if point.purity and point.purity >= 0.9)
    assert best_at_purity(points, 1.1) is None


def test_held_out_artists_are_harvested_at_thresholds_of_the_others() -> None:
    # The detector is right about artists 0..3 and takes everything of artist 4 for silence.
    songs = []
    for number in range(5):
        volumes = np.where(np.arange(400) < 200, -40.0, -5.0)
        probabilities = np.where(np.arange(400) < 200, 0.9, 0.1 if number < 4 else 0.9)
        arrays = [np.tile(one.astype("float32"), (4, 1)) for one in (probabilities, volumes)]
        songs.append(LabelledSong(str(number), str(number), 25.55, *arrays))  # 195 whole windows of each kind
    table = measure(songs, 0, [HarvestRule(0.5), HarvestRule(0.95)], -20.0)
    seconds, purity = table.held_out(5.0, purity=0.9)
    # Only for artist 4 do the others reach 90% (they are perfect): half of its audio is silent, all is harvested.
    assert seconds == pytest.approx(songs[4].seconds)
    assert purity == pytest.approx(0.5)
    assert table.held_out(5.0, purity=0.999)[1] == pytest.approx(0.5)


def test_a_source_without_labels_cannot_be_measured(labelled_songs: Songs) -> None:
    songs = labelled_songs(2)
    for song in songs:
        song.volumes[0] = np.nan
    with pytest.raises(DataError, match="no song has a label"):
        measure(songs, 0, [HarvestRule(0.5)], -20.0)


# --- the verb -----------------------------------------------------------------------------------------------------


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def test_yield_of_a_detector(
    tiny_detector: Path, stem_corpus: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stems = stem_corpus(tmp_path / "stems", {"a - one": 7.0, "b - two": 7.0})
    picture = tmp_path / "yield.png"
    arguments = ["yield", str(tiny_detector), "--stems", str(stems), "--mute", "1", "--sources", "bass,vocals"]
    assert run(*arguments, "--purity", "0.2", "--out", str(picture), "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert list(result["sources"]) == ["bass", "vocals"]
    rules = {row["rule"] for row in result["sources"]["bass"]["rules"]}
    assert rules == {"3 s", "5 s", "8 s", "10 s", "15 s", "20 s"}
    # Two songs of 7 s and a muted variant of each.
    assert result["sources"]["bass"]["scanned_seconds"] == pytest.approx(28.0)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(*arguments, "--purity", "0.2") == 0
    assert "threshold chosen on other artists" in capsys.readouterr().out


def test_a_mined_folder_is_refused(
    mine: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine(tmp_path / "mined", {"a.mp3": {"drums": [5.0]}}).close()
    assert run("yield", str(tmp_path / "mined"), "--stems", str(tmp_path)) == 2
    assert "mined folder" in capsys.readouterr().err
    assert run("yield", str(tmp_path / "mined"), "--out", str(tmp_path / "x.txt")) == 2
    assert "a picture is one of" in capsys.readouterr().err
