"""Harvest of artists that are left out of the choice of the threshold."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from remix_miner.calibration.fit import calibrate, calibrate_source, prior_counts
from remix_miner.calibration.harvest import HarvestRule, harvest, perfect_harvest
from remix_miner.calibration.promise.curve import THRESHOLDS, measure_harvests
from remix_miner.calibration.promise.left_out import left_out, with_left_out, without_failed_threshold
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.calibration.summary import left_out_text, summary
from remix_miner.calibration.window_table import silent_weight_of, windows_of
from remix_miner.cli import main
from remix_miner.detector.artist_counts import ArtistCounts
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.left_out import LeftOut, LeftOutArtist
from remix_miner.errors import DataError
from remix_miner.mining.thresholds import thresholds_of

Songs = Callable[..., list[LabelledSong]]
RATE = 0.11
BOLD = CalibrationSettings(confidence=0.8, worst_artist=0.75, silence_rates={"drums": RATE})


def unequal_songs(labelled_songs: Songs) -> list[LabelledSong]:
    """12 songs by 10 artists. For two artists many sounding windows have a high P; one song trained the detector."""
    songs = labelled_songs(12, artists=10, windows=600)
    for number, shift in ((2, 4.0), (5, 6.0)):
        logits = np.log(songs[number].probabilities / (1 - songs[number].probabilities))
        raised = (1 / (1 + np.exp(-logits - shift))).astype(np.float32)
        songs[number] = dataclasses.replace(songs[number], probabilities=raised)
    songs[11] = dataclasses.replace(songs[11], trained_on=True)
    return songs


def naive(songs: list[LabelledSong], target: float) -> dict[str, float | None]:
    """Calibrate once without each artist, and pool the harvests of the songs that did not train the detector."""
    fresh = [song for song in songs if not song.trained_on]
    everything = windows_of(fresh, 0, BOLD.volume_db)
    weight = silent_weight_of(int(everything.silent.sum()), len(everything), RATE)
    kept = pure = found = spans = 0
    thresholds = []
    for artist in sorted({song.artist for song in fresh}):
        others = [song for song in songs if song.artist != artist]
        threshold = calibrate_source(others, 0, BOLD).threshold_for(target)
        windows = windows_of([song for song in fresh if song.artist == artist], 0, BOLD.volume_db)
        perfect = perfect_harvest(windows, BOLD.min_seconds).kept
        spans += int(perfect.sum())
        if threshold is not None:
            thresholds.append(threshold)
            mine = harvest(windows, HarvestRule(threshold, BOLD.min_seconds)).kept
            kept, pure, found = kept + mine.sum(), pure + (mine & windows.silent).sum(), found + (mine & perfect).sum()
    return {
        "purity": weight * pure / (weight * pure + kept - pure) if kept else None,
        "unweighted_purity": pure / kept if kept else None,
        "found": found / spans,
        "without_threshold": len({song.artist for song in fresh}) - len(thresholds),
        "lowest_threshold": min(thresholds, default=None),
        "highest_threshold": max(thresholds, default=None),
    }


def test_it_is_what_calibrating_without_each_artist_gives(labelled_songs: Songs) -> None:
    songs = unequal_songs(labelled_songs)
    rows = left_out(measure_harvests(songs, 0, BOLD).counts(), BOLD, RATE, (0.8, 0.9))
    assert [row.target for row in rows] == [0.8, 0.9, 0.95]
    for row in (rows[0], rows[2]):
        for name, value in naive(songs, row.target).items():
            measured = getattr(row, name)
            assert measured == (value if value is None else pytest.approx(value, abs=1e-5)), (row.target, name)
    assert rows[0].lowest_threshold != rows[0].highest_threshold
    assert rows[0].artists == 10
    assert rows[0].purity is not None
    assert rows[0].unweighted_purity is not None
    assert rows[0].purity < rows[0].unweighted_purity


def counts_by_hand(with_spans: bool = True) -> ArtistCounts:
    """Artists a and b are pure everywhere, c is never pure below the tenth threshold and has no harvest from there on.

    Songs by d trained the detector: at the first threshold nothing of theirs is pure.
    """
    kept, pure = np.full((4, len(THRESHOLDS)), 100), np.full((4, len(THRESHOLDS)), 100)
    kept[2], pure[2] = np.where(np.arange(len(THRESHOLDS)) < 10, 100, 0), 0
    pure[3, 0] = 0
    spans = np.array([140, 140, 40, 150]), np.minimum(pure, 120)
    return ArtistCounts.of(
        ["a", "b", "c", "d"],
        [False, False, False, True],
        np.array([[200, 200, 200, 200], [150, 150, 50, 150]]),
        np.stack((kept, pure)),
        0.3 * kept,
        spans if with_spans else None,
    )


HAND = CalibrationSettings(precision=0.9, confidence=0.5, worst_artist=1.0)


def test_by_hand() -> None:
    """Without c the second threshold is the lowest at which all is pure; without a or b it is the tenth."""
    (row,) = left_out(counts_by_hand(), HAND, 0.5, ())
    weight = 250 / 350  # 250 windows of a, b and c sound, 350 are silent; half shall be
    assert row == LeftOut(
        target=0.9,
        purity=round(200 * weight / (200 * weight + 100), 5),
        unweighted_purity=round(200 / 300, 5),
        found=round(200 / 320, 5),
        silent_windows_found=round(200 / 350, 5),
        artists=3,
        without_threshold=0,
        lowest_threshold=THRESHOLDS[1],
        highest_threshold=THRESHOLDS[10],
        below_floor=[LeftOutArtist("c", THRESHOLDS[1], 30.0, 0.0)],
    )
    assert left_out_text(row) == (
        "on artists left out of the choice: 58.8% pure (66.7% at their own silence rate), finds 62% of the silent "
        f"audio, p = {THRESHOLDS[1]:.4f} to {THRESHOLDS[10]:.4f}; below the artist floor: c 0% of 30 s"
    )


def test_without_other_artists_there_is_no_threshold() -> None:
    alone = counts_by_hand().without({"b", "c"})
    (row,) = left_out(alone, HAND, 0.5, ())
    assert (row.purity, row.found, row.without_threshold, row.lowest_threshold) == (None, 0.0, 1, None)
    assert left_out_text(row) == ""


def test_counts_of_older_versions_give_all_but_the_share_of_silent_spans() -> None:
    (row,) = left_out(counts_by_hand(with_spans=False), HAND, 0.5, ())
    (full,) = left_out(counts_by_hand(), HAND, 0.5, ())
    assert row == dataclasses.replace(full, found=None)
    assert "finds 57% of the silent windows, " in left_out_text(row)
    joined = counts_by_hand().without({"a"}).joined(counts_by_hand(with_spans=False))
    assert joined.spans() is None


def test_the_file_holds_it_and_files_without_it_load(labelled_songs: Songs, tmp_path: Path) -> None:
    songs = [
        dataclasses.replace(song, volumes=np.where(np.arange(4)[:, None] < 1, song.volumes, np.nan))
        for song in labelled_songs(9)
    ]
    plain = calibrate(songs, "d", "0", BOLD)
    assert plain.sources["drums"].left_out == []
    calibration = with_left_out(plain)
    calibration.save(tmp_path / "c.json")
    read = Calibration.load(tmp_path / "c.json")
    assert read == calibration
    row = read.sources["drums"].left_out_at(0.95)
    assert row is not None
    assert row.artists == 9
    assert read.sources["drums"].left_out_at(0.93) is None
    counts = prior_counts(read.sources["drums"])
    assert counts is not None
    at_last = counts.spans()
    assert at_last is not None
    curve = read.sources["drums"].curve
    assert curve is not None
    assert at_last[1].sum(0) / at_last[0].sum() == pytest.approx(np.array(curve.recall), abs=1e-5)
    values = json.loads((tmp_path / "c.json").read_text())
    del values["sources"]["drums"]["left_out"]
    for name in ("span_windows", "found"):
        del values["sources"]["drums"]["artist_counts"][name]
    old = Calibration.from_json(values)
    assert old.sources["drums"].left_out_at(0.95) is None
    again = with_left_out(old).sources["drums"].left_out_at(0.95)
    assert again == dataclasses.replace(row, found=None)
    assert ("on artists left out of the choice: " in summary(calibration)) == (row.purity is not None)
    assert "left out of the choice" not in summary(old)
    windowed = dataclasses.replace(calibration, settings={**calibration.settings, "bound": "bootstrap"})
    assert with_left_out(windowed) is windowed


def failing_calibration(labelled_songs: Songs, floor: float) -> Calibration:
    """A calibration whose bound holds on its songs, but not on artists left out: the last one's P say nothing."""
    songs = labelled_songs(9, windows=600)
    shuffled = np.random.default_rng(0).permuted(songs[8].probabilities, axis=1)
    songs[8] = dataclasses.replace(songs[8], probabilities=np.sqrt(shuffled))
    return with_left_out(calibrate(songs, "d", "0", dataclasses.replace(BOLD, precision=0.5, artist_floor=floor)))


def test_a_source_whose_bound_fails_on_left_out_artists_has_no_threshold(labelled_songs: Songs) -> None:
    fitted = failing_calibration(labelled_songs, floor=0.0).sources["drums"]
    row = fitted.left_out_at(0.5)
    assert row is not None
    assert row.purity is not None
    assert row.purity < 0.999
    assert fitted.threshold is not None  # no floor, no failure
    assert fitted.curve is not None
    strict = dataclasses.replace(fitted, curve=dataclasses.replace(fitted.curve, artist_floor=row.purity + 1e-4))
    assert strict.below_floor_left_out(0.5) is row
    assert strict.below_floor_left_out(0.49) is None  # rows of higher targets do not count
    assert strict.threshold_for(0.51) is None
    refused = without_failed_threshold(strict)
    assert (refused.threshold, refused.spans, refused.accepted_windows) == (None, None, 0)
    assert refused.reason == (
        f"with artists left out of the choice of the threshold, {row.purity:.0%} of the harvest is silent where 0.5 is "
        "asked for: the bound does not hold for other artists (--artist-floor)"
    )
    passing = dataclasses.replace(fitted, curve=dataclasses.replace(fitted.curve, artist_floor=row.purity))
    assert without_failed_threshold(passing) is passing


def test_a_scan_refuses_such_a_source_and_states_why(labelled_songs: Songs) -> None:
    calibration = failing_calibration(labelled_songs, floor=0.0)
    fitted = calibration.sources["drums"]
    assert fitted.curve is not None
    row = fitted.left_out_at(0.5)
    assert row is not None
    assert row.purity is not None
    strict = dataclasses.replace(fitted, curve=dataclasses.replace(fitted.curve, artist_floor=row.purity + 1e-4))
    calibration = dataclasses.replace(calibration, sources={**calibration.sources, "drums": strict})
    with pytest.raises(DataError, match="artists left out of the choice"):
        thresholds_of(calibration, ["drums"], 0.6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"found": "x"}, "found cannot be decoded"),
        ({"span_windows": [1]}, "columns of unequal lengths"),
        ({"span_windows": [0, 0, 0, 0]}, "more windows found"),
    ],
)
def test_damaged_counts_of_spans_are_refused(labelled_songs: Songs, change: dict[str, object], message: str) -> None:
    calibration = calibrate(labelled_songs(4, windows=300), "d", "0", BOLD)
    values = json.loads(
        json.dumps({"format": "remix-miner/calibration", "format_version": 1, **dataclasses.asdict(calibration)})
    )
    values["sources"]["drums"]["artist_counts"] |= change
    with pytest.raises(DataError, match=message):
        Calibration.from_json(values)


def test_calibrate_prints_stores_and_draws_it(
    stem_corpus: Callable[..., Path], tiny_detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    songs = stem_corpus(tmp_path / "songs", {"a - one": 6.0, "b - two": 6.0, "c - three": 6.0})
    options = ["--mute", 1, "--min-seconds", 1, "--precision", 0.3, "--confidence", 0.5, "--worst-artist", 0.9]
    options += ["--artist-floor", 0, "--silence-rate", "data", "--no-prior"]
    command = ["calibrate", tiny_detector, "--stems", songs, *options, "--out", tmp_path / "c.json"]
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in command])
    assert stop.value.code in (0, None)
    printed = capsys.readouterr().out
    shown = 0
    for source, fitted in Calibration.load(tmp_path / "c.json").sources.items():
        row = fitted.left_out_at(0.3)
        assert row is not None
        assert [one.target for one in fitted.left_out] == [0.3, 0.8, 0.85, 0.9, 0.95, 0.98]
        if fitted.threshold is not None and row.purity is not None:
            shown += 1
            assert f"{left_out_text(row)}\n" in printed + "\n", source
    assert shown
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert page.count("artists below the floor") == 4
    assert "chosen on\nall other artists" in page
    with pytest.raises(SystemExit):
        main([str(argument) for argument in [*command, "--json"]])
    assert json.loads(capsys.readouterr().out)["sources"]["drums"]["left_out"][0]["target"] == 0.3
