"""Spans of probabilities worked out by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remix_miner.detector.spans import silent_spans

HOP, WINDOW = 0.064, 0.64


def test_a_run_in_the_middle_is_cut_to_what_no_failing_window_touches() -> None:
    probabilities = np.zeros(300)
    probabilities[50:200] = 0.95
    (span,) = silent_spans(probabilities, threshold=0.9, track_seconds=19.2)
    # Window 49 fails and reaches to 49 * 0.064 + 0.32; window 200 fails and begins at 200 * 0.064 - 0.32.
    assert span.start_seconds == pytest.approx(49 * HOP + WINDOW / 2)
    assert span.end_seconds == pytest.approx(200 * HOP - WINDOW / 2)
    assert (span.first_window, span.last_window) == (50, 199)
    assert span.probability_mean == pytest.approx(0.95)
    assert span.probability_min == pytest.approx(0.95)


def test_a_whole_silent_track_is_kept_whole() -> None:
    (span,) = silent_spans(np.ones(100), threshold=1.0, track_seconds=6.37)
    assert (span.start_seconds, span.end_seconds) == (0.0, 6.37)


def test_a_failing_window_splits_a_run_and_invalid_windows_fail() -> None:
    probabilities = np.ones(400)
    probabilities[200] = 0.5
    assert len(silent_spans(probabilities, 0.9, 25.6)) == 2
    valid = np.ones(400, dtype=bool)
    valid[[100, 300]] = False
    assert len(silent_spans(np.ones(400), 0.9, 25.6, valid=valid)) == 3
    probabilities[200] = np.nan
    assert len(silent_spans(probabilities, 0.9, 25.6)) == 2


def test_a_run_that_is_too_short_after_cutting_is_dropped() -> None:
    probabilities = np.zeros(300)
    probabilities[100:179] = 1.0  # windows reach over 5.632 s, of which 4.48 s lie in no failing window
    assert silent_spans(probabilities, 0.5, 19.2, min_seconds=5.0) == []
    assert len(silent_spans(probabilities, 0.5, 19.2, min_seconds=4.4)) == 1


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=400), st.floats(0, 1), st.floats(0, 1))
def test_raising_a_threshold_never_adds_audio(values: list[float], low: float, high: float) -> None:
    low, high = sorted((low, high))
    probabilities = np.array(values)
    seconds = len(values) * HOP
    few = silent_spans(probabilities, high, seconds, min_seconds=1.0)
    many = silent_spans(probabilities, low, seconds, min_seconds=1.0)
    for span in few:
        assert any(m.start_seconds <= span.start_seconds and span.end_seconds <= m.end_seconds for m in many)
    for span in few + many:
        assert span.seconds >= 1.0 - 1e-9
    assert all(a.end_seconds <= b.start_seconds for a, b in itertools.pairwise(many))
