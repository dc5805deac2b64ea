"""The harvest study on songs whose probabilities and volumes are known, and the page of results."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.cli import app
from remix_miner.errors import DataError
from remix_miner.studies.harvest_report import harvest_text, write_harvest
from remix_miner.studies.papers.harvest import measure
from remix_miner.studies.results_page import page, read_results

WINDOWS = 1000
SECONDS = WINDOWS * 0.064


def song(number: int, trained_on: bool = False) -> LabelledSong:
    """Silent at P = 0.9 in a long span and at 0.8 in short ones, in which one window in ten sounds."""
    volumes = np.full((4, WINDOWS), -3.0, dtype=np.float32)
    probabilities = np.full((4, WINDOWS), 0.1, dtype=np.float32)
    volumes[:, :300], probabilities[:, :300] = -40.0, 0.9
    for start in range(400, 800, 40):
        volumes[:, start : start + 20], probabilities[:, start : start + 20] = -25.0, 0.8
        volumes[:, start + number % 20] = -15.0
    return LabelledSong(f"song {number}", f"artist {number}", SECONDS, probabilities, volumes, trained_on)


def test_the_span_rule_keeps_the_long_silence_alone() -> None:
    result = measure([song(number) for number in range(6)])
    drums = result["sources"]["drums"]
    assert drums["threshold"] == pytest.approx(0.8)  # 500 windows, ten of them sound: 98% silent
    assert drums["precision"] == pytest.approx(0.98)
    assert drums["kept"]["mean"] == pytest.approx(0.6, abs=0.03)  # 300 of 500, less the windows at the span's edges
    assert (drums["p95_before_db"], drums["p95_after_db"]) == (-25.0, -40.0)
    outcomes = {claim["text"].partition(": ")[2]: claim["outcome"] for claim in result["claims"]}
    assert set(outcomes.values()) == {"agrees"}
    assert len(result["claims"]) == 12


def test_songs_that_trained_the_detector_are_left_out() -> None:
    result = measure([song(0, trained_on=True), *(song(number) for number in range(1, 4))])
    assert (result["songs"], result["left_out"], result["trained_on"]) == (3, 1, False)
    assert measure([song(number, trained_on=True) for number in range(3)])["trained_on"]


def test_probabilities_that_rise_with_the_volume_disagree() -> None:
    songs = [song(number) for number in range(4)]
    for each in songs:
        each.probabilities[:] = 1 - each.probabilities
    result = measure(songs)
    assert {claim["outcome"] for claim in result["claims"] if "rank" in claim["text"]} == {"disagrees"}


def test_the_page_holds_every_study(tmp_path: Path) -> None:
    result = {**measure([song(number) for number in range(3)]), "detector": "default", "mute": 0}
    (tmp_path / "harvest").mkdir()
    write_harvest(result, tmp_path / "harvest")
    assert all((tmp_path / "harvest" / name).stat().st_size > 0 for name in ("study.json", "study.txt", "study.png"))
    written = page(read_results(tmp_path), "Twelve songs.")
    assert "| [harvest](#harvest) | 12 |" in written
    assert "Twelve songs." in written
    assert harvest_text(json.loads((tmp_path / "harvest" / "study.json").read_text())).splitlines()[0] in written
    with pytest.raises(DataError, match="no study"):
        read_results(tmp_path / "harvest")


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("harvest", ["--scale", "gpu"], "harvest trains nothing: it takes no --scale"),
        ("harvest", ["--work", "models"], "harvest trains nothing: it takes no --work"),
        ("random-mix-share", ["--mute", "0"], "--mute is an option of the study harvest"),
        ("random-mix-share", ["--library", "music"], "--library is an option of the study harvest"),
    ],
)
def test_an_option_that_a_study_does_not_use_is_refused(
    name: str, options: list[str], reason: str, tmp_path: Path
) -> None:
    refused = CliRunner().invoke(app, ["study", name, "--stems", "none", "--out", str(tmp_path / "out"), *options])
    assert refused.exit_code != 0
    assert reason in str(refused.exception)
    assert not (tmp_path / "out").exists()
