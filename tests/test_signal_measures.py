"""Measures of the signal and the study of small models (examples/default_detector/measures)."""

import sys
from pathlib import Path

import numpy as np
import pytest

from remix_miner.calibration.songs.labelled import LabelledSong
from remix_miner.detector.windows import SAMPLE_RATE, window_count

FOLDER = Path(__file__).parents[1] / "examples" / "default_detector" / "measures"
SECONDS = 8
TIME = np.arange(SECONDS * SAMPLE_RATE) / SAMPLE_RATE
WITHIN = slice(20, 100)
"""Windows away from both ends."""


@pytest.fixture
def folder(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    yield FOLDER
    for name in ("signal_measures", "small_models", "study"):
        sys.modules.pop(name, None)


def sine(frequency: float, amplitude: float) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * TIME)).astype(np.float32)


def beats(frequency: float, decay_seconds: float) -> np.ndarray:
    """Return tones that start every half second and decay."""
    since = TIME % 0.5
    return (np.sin(2 * np.pi * frequency * since) * np.exp(-since / decay_seconds)).astype(np.float32)


def test_levels_are_shares_of_the_energy_of_the_mixture(folder):
    from signal_measures import low_level_of, measures

    low, high = sine(60, 0.05), sine(3000, 0.5)
    found = measures(low + high)
    expected = 10 * np.log10(0.05**2 / (0.05**2 + 0.5**2))
    assert len(found["low"]) == window_count(len(TIME))
    np.testing.assert_allclose(found["low"][WITHIN], expected, atol=0.1)
    np.testing.assert_allclose(low_level_of(low, low + high)[WITHIN], expected, atol=0.1)
    assert np.median(measures(sine(200, 0.05) + high)["low"]) < expected - 20
    np.testing.assert_allclose(measures(sine(200, 0.05) + high)["low2"][WITHIN], expected, atol=0.2)


def test_a_held_note_is_tonal_steady_and_periodic(folder):
    from signal_measures import measures

    note, kick = measures(sine(60, 0.3)), measures(beats(60, 0.05))
    for name, least in (("tone", 3.0), ("steady", 10.0)):
        assert np.median(note[name][WITHIN] - kick[name][WITHIN]) > least
    assert abs(np.median(note["steady"][WITHIN])) < 0.2  # 64 ms hold 3.84 periods
    np.testing.assert_allclose(note["voicing"][WITHIN], 2, atol=0.05)  # from -1 to 1 within a period
    noise = np.random.default_rng(0).normal(size=len(TIME)).astype(np.float32)
    assert np.median(measures(noise)["voicing"]) < 1.2


def test_relative_is_the_drop_from_the_level_around(folder):
    from signal_measures import measures

    quieter = np.where(TIME < 4, 0.3, 0.03) * np.sin(2 * np.pi * 60 * TIME)
    found = measures(quieter.astype(np.float32))["relative"]
    assert abs(np.median(found[10:50])) < 0.2
    np.testing.assert_allclose(np.median(found[75:110]), -20, atol=0.3)


def test_clicks_have_sharper_onsets_than_a_tone(folder):
    from signal_measures import measures

    clicks = sine(440, 0.01)
    clicks[:: SAMPLE_RATE // 2] += 1
    tone, onsets = measures(sine(440, 0.3)), measures(clicks)
    assert np.median(onsets["flux_high"]) > np.median(tone["flux_high"]) + 20
    assert np.median(onsets["percussive"]) > np.median(tone["percussive"]) + 2


def rows_with(useful: str) -> list:
    """Return rows of nine artists in which one input alone separates silence."""
    from small_models import MEASURES, Row

    rng = np.random.default_rng(0)
    rows = []
    for artist in range(9):
        silent = np.repeat(rng.random(8) < 0.5, 60)
        inputs = {name: rng.normal(size=len(silent)) for name in ("logit_bass", "logit_drums", *MEASURES)}
        inputs |= {useful: rng.normal(size=len(silent)) - 6 * silent, "other_low": np.full(len(silent), -12.0)}
        volumes = np.tile(np.where(silent, -60.0, -5.0).astype(np.float32), (4, 1))
        probabilities = rng.random((4, len(silent))).astype(np.float32)
        song = LabelledSong(f"song {artist}", f"artist {artist}", len(silent) * 0.064, probabilities, volumes)
        rows.append(Row(song, "made", inputs))
    return rows


def test_a_model_is_fitted_on_the_other_artists_and_finds_a_useful_measure(folder):
    import study

    rows = rows_with("low")
    asked = []

    def others(artist):
        asked.append(artist)
        return [row for row in rows if row.song.artist != artist]

    songs = study.predicted(rows, others, "bass", "B spectrum")
    assert sorted(asked) == [f"artist {number}" for number in range(9)]
    assert study.auc([row.song for row in rows], 1) < 0.6 < 0.99 < study.auc(songs, 1)
    np.testing.assert_array_equal(songs[0].probabilities[0], rows[0].song.probabilities[0])
    without = study.predicted(rows, others, "bass", "G voicing for cosine")
    assert study.auc(without, 1) < 0.7


def test_every_third_artist_of_a_kind_is_kept_back(folder):
    import study

    rows = rows_with("low")
    assert len(study.kept_back(rows)) == 3
    assert study.kept_back(rows) == study.kept_back(rows[::-1])


def test_the_silence_of_bass_is_divided_by_the_level_of_other(folder, capsys):
    import study

    study.report_other(rows_with("low"))
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| -15 to -10 | 100.0% | 0.")
