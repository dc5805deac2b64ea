"""Parts that cancel in the mean of the channels: found where they matter, judged channel by channel, never mined."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix_miner.audio import write_audio
from remix_miner.detector.loading import load_detector
from remix_miner.detector.windows import window_count
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.track.judged_channels import could_be_mined, least_over_channels
from remix_miner.mining.track.out_of_phase import PhaseCheck
from remix_miner.mining.track.scan import scan_audio

RATE = 16_000


def cancelling(audio: np.ndarray, block: int = 7919) -> np.ndarray:
    """Share of the windows of (channels, frames) that are found."""
    check = PhaseCheck(RATE, len(audio))
    for start in range(0, audio.shape[1], block):
        check.push(np.ascontiguousarray(audio[:, start : start + block].T))
    return check.windows(window_count(audio.shape[1]))


def noises(count: int, seconds: float = 6.0) -> np.ndarray:
    return (np.random.default_rng(count).standard_normal((count, round(seconds * RATE))) / 8).astype(np.float32)


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_mono_panned_and_independent_channels_do_not_cancel(channels: int) -> None:
    independent = noises(channels)
    panned = np.zeros_like(independent)
    panned[0] = independent[0]
    for audio in (np.repeat(independent[:1], channels, axis=0), panned, independent):
        assert not cancelling(audio)[5:-5].any()  # windows at the ends hold half as much to judge by
    assert not cancelling(independent[:1]).any()


@pytest.mark.parametrize("other", [-1.0, -0.7, -0.4])
def test_opposite_channels_cancel_and_a_source_below_minus_20_db_does_not_matter(other: float) -> None:
    noise, tone = noises(1)[0], 0.2 * np.sin(2 * np.pi * 1000 * np.arange(6 * RATE) / RATE).astype(np.float32)
    phased = np.stack([tone, other * tone])
    assert cancelling(phased).all()
    music = np.stack([noise, noise])
    assert cancelling(0.3 * music + phased).all()
    assert not cancelling(music + 0.02 * phased).any()


def test_only_the_windows_in_which_parts_cancel_are_found_whatever_the_blocks() -> None:
    audio = np.repeat(noises(1, 12.0), 2, axis=0)
    audio[1, 4 * RATE : 8 * RATE] *= -1
    found = cancelling(audio)
    centres = np.arange(len(found)) * 0.064
    assert found[(centres > 4.4) & (centres < 7.6)].all()
    assert not found[(centres < 3.6) | (centres > 8.4)].any()
    for block in (100, 1024, len(audio[0])):
        assert np.array_equal(cancelling(audio, block), found)


def test_channels_are_judged_in_the_marked_windows_only(tiny_detector: Path, noise_song: Any) -> None:
    model = load_detector(tiny_detector).model
    audio = noise_song(1, 40.0, RATE)
    windows = np.zeros(window_count(audio.shape[1]), dtype=bool)
    windows[300:320] = True
    marked = np.stack([windows, np.roll(windows, 100)])
    blocks = [np.ascontiguousarray(audio[:, start : start + 50_000].T) for start in range(0, audio.shape[1], 50_000)]
    least = least_over_channels(blocks, RATE, marked, model)
    assert (least[:, ~marked.any(axis=0)] == 1).all()
    assert (least[:, marked.any(axis=0)] < 1).all()
    again = least_over_channels([np.concatenate(blocks)], RATE, marked, model)
    assert np.allclose(again, least, atol=1e-6)


@pytest.mark.parametrize(("source", "other"), [("drums", -1.0), ("vocals", -0.7)])
def test_a_source_that_is_out_of_phase_is_not_mined_as_absent(source: str, other: float, tmp_path: Path) -> None:
    """A synthetic song with the default detector: in phase, out of phase, and without the source."""
    from remix_miner.sources import SOURCES
    from remix_miner.synthesis.song import synthesize_song

    rate = 44_100
    stems = synthesize_song(5, 16.0, rate).stems
    place = SOURCES.index(source)
    rest = np.delete(stems, place, axis=0).sum(axis=0).mean(axis=0)
    alone = stems[place].mean(axis=0)
    model = load_detector().model
    settings = ScanSettings({source: 0.5})

    def least(left: float, right: float) -> tuple[float, str | None]:
        write_audio(tmp_path / "a.wav", np.stack([rest + left * alone, rest + right * alone]), rate)
        scanned = scan_audio(tmp_path / "a.wav", model, settings)
        return float(np.median(scanned.probabilities[place])), scanned.note

    present, plain = least(1.0, 1.0)
    phased, note = least(1.0, other)
    absent, _ = least(0.0, 0.0)
    assert plain is None
    assert "out of phase" in (note or "")
    assert phased == pytest.approx(present, abs=0.15)
    assert phased < absent


def test_channels_need_judging_only_where_a_mined_source_could_be_mined() -> None:
    """5 s are 73 windows of 64 ms between the edges of 0.64 s windows; lower thresholds lower the gate."""
    probabilities = np.zeros((4, 400), dtype=np.float32)
    probabilities[0, 10:83] = 0.4  # drums, just long enough
    probabilities[0, 200:272] = 0.9  # too short
    probabilities[3, 300:400] = 0.2  # vocals, under the gate
    probabilities[2, 100:190] = 0.9  # other is not mined
    expected = np.zeros(400, dtype=bool)
    expected[10:83] = True
    thresholds = {"drums": 0.9, "vocals": 0.7}
    np.testing.assert_array_equal(could_be_mined(probabilities, thresholds, 5.0), expected)
    expected[300:] = True
    np.testing.assert_array_equal(could_be_mined(probabilities, thresholds | {"vocals": 0.15}, 5.0), expected)


def test_the_judged_channel_is_the_one_of_which_the_cancelled_part_is_the_larger_share() -> None:
    """Noise that is heard on the left hides there what cancels; short events and blocks do not matter."""
    noise, part = noises(2, 12.0)
    part[: 4 * RATE] = part[8 * RATE :] = 0
    for louder in (0, 1):
        audio = np.stack([0.5 * part, -0.5 * part])
        audio[louder] += 0.3 * noise
        for block in (1000, 50_000):
            check = PhaseCheck(RATE, 2)
            for start in range(0, audio.shape[1], block):
                check.push(np.ascontiguousarray(audio[:, start : start + block].T))
            windows = check.windows(window_count(audio.shape[1]))
            judged = check.to_judge(windows)
            assert windows[70:118].all()
            assert np.array_equal(judged[1 - louder], windows)
            assert not judged[louder].any()


def test_a_sound_that_reaches_the_level_in_four_windows_is_not_judged() -> None:
    """A short sound lies in ten windows. Music that swells to both sides hides it in the outer ones."""
    noise, sound = noises(2)
    noise *= 1 + 4 * np.abs(np.arange(len(noise)) / RATE - 3).astype(np.float32)
    place = slice(46 * 1024 + 50, 46 * 1024 + 450)
    counts = []
    for level in np.geomspace(0.2, 20, 40):
        phased = np.zeros_like(noise)
        phased[place] = level * sound[place]
        counts.append(int(cancelling(np.stack([0.3 * noise + phased, 0.3 * noise - phased])).sum()))
    assert counts[0] == 0
    assert not set(counts) & {1, 2, 3, 4}
    assert max(counts) == 10
