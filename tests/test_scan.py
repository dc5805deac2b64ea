"""The scan of one track: which windows count, what is found, and that the audio cut is the file's own."""

import itertools
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.audio import StreamResampler, write_audio
from remix_miner.detector.loading import load_detector
from remix_miner.detector.stream import track_probabilities
from remix_miner.detector.windows import HOP_SECONDS, WINDOW_SECONDS, window_count
from remix_miner.errors import AudioError, UsageError
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.track.cut import cut, excerpt_audio, find_spans
from remix_miner.mining.track.scan import ScannedAudio, scan_audio
from remix_miner.mining.track.window_validity import WindowValidity

P = 0.3
HALF = dict.fromkeys(("drums", "bass", "vocals"), P)
SETTINGS = ScanSettings(HALF, min_seconds=1.0)


@pytest.fixture(scope="module")
def model(tiny_detector: Path) -> Any:
    return load_detector(tiny_detector).model


def excerpts(scanned: ScannedAudio, settings: ScanSettings = SETTINGS) -> list[tuple[str, int, np.ndarray]]:
    return [
        (one.source, one.start_frame, excerpt_audio(audio, scanned.sample_rate, settings))
        for one, audio in cut(scanned.held.blocks(), scanned.found)
    ]


def validity_of(mono: np.ndarray, sample_rate: int, bad: tuple[int, ...] = (), block: int = 9973) -> np.ndarray:
    validity, resampler = WindowValidity(sample_rate), StreamResampler(sample_rate, 16000, 1)
    for start in range(0, len(mono), block):
        piece = mono[start : start + block]
        inside = np.array([frame - start for frame in bad if start <= frame < start + block], dtype=np.int64)
        validity.mark(len(piece), inside)
        validity.receive(resampler(piece[:, None])[:, 0])
    validity.receive(resampler(np.zeros((0, 1), np.float32), last=True)[:, 0])
    return validity.windows(window_count(round(len(mono) * 16000 / sample_rate)))


def noise(seconds: float, sample_rate: int) -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(round(seconds * sample_rate)) / 8).astype(np.float32)


@pytest.mark.parametrize("sample_rate", [8000, 44100, 96000])
def test_windows_of_digital_silence_are_not_valid_and_all_others_are(sample_rate: int) -> None:
    mono = noise(4, sample_rate)
    mono[1 * sample_rate : 3 * sample_rate] = 0
    valid = validity_of(mono, sample_rate)
    centres = np.arange(len(valid)) * HOP_SECONDS
    silent = (centres - WINDOW_SECONDS / 2 >= 1) & (centres + WINDOW_SECONDS / 2 <= 3)
    sounding = (centres + WINDOW_SECONDS / 2 <= 1 + 1e-9) | (centres - WINDOW_SECONDS / 2 >= 3 - 1e-9)
    partly = ~silent & ~sounding
    # The resampler's filter reaches a few milliseconds into silence: one more window at each end may be valid.
    assert valid[silent].sum() <= 2
    assert valid[sounding].all()
    # A cell that is partly sound counts as sound, so at most one more window at each end is valid.
    assert valid[partly].sum() >= partly.sum() - 2


def dither(generator: np.random.Generator, frames: int) -> np.ndarray:
    """Triangular dither of two steps of 16-bit audio, and nothing else."""
    steps = generator.uniform(-1, 1, frames) + generator.uniform(-1, 1, frames)
    return (np.rint(steps) / 32768).astype(np.float32)


@pytest.mark.parametrize(
    "what",
    ["dither", "loud dither", "dc", "dither on dc", "ultrasound", "slow drift", "1 Hz", "8 Hz", "8 Hz on dither"],
)
def test_what_the_detector_does_not_receive_is_never_mined(what: str) -> None:
    rate = 96_000 if what == "ultrasound" else 44_100
    time = np.arange(8 * rate) / rate
    signal = {
        "dither": dither(np.random.default_rng(0), len(time)),
        "loud dither": np.random.default_rng(0).integers(-2, 3, len(time)) / 32768,
        "dc": np.full(len(time), 0.25),
        "dither on dc": dither(np.random.default_rng(0), len(time)) - 0.1,
        "ultrasound": 0.5 * np.sin(2 * np.pi * 40_000 * time),
        "slow drift": 0.1 * np.sin(2 * np.pi * 0.02 * time),
        "1 Hz": 0.5 * np.sin(2 * np.pi * time),
        "8 Hz": 0.5 * np.sin(2 * np.pi * 8 * time),
        "8 Hz on dither": 0.5 * np.sin(2 * np.pi * 8 * time) + dither(np.random.default_rng(0), len(time)) / 2,
    }[what]
    valid = validity_of(signal.astype(np.float32), rate)
    # At the ends a step from or to nothing sounds; far fewer windows than an excerpt needs.
    assert not valid[10:-10].any()


@pytest.mark.parametrize(("hertz", "level"), [(20, 0.1), (30, 1e-3), (100, 2e-4)])
def test_a_low_tone_is_valid(hertz: float, level: float) -> None:
    time = np.arange(4 * 44_100) / 44_100
    assert validity_of((level * np.sin(2 * np.pi * hertz * time)).astype(np.float32), 44_100).all()


@pytest.mark.parametrize("level", [-30, -60])
def test_soft_music_is_valid(level: float, noise_song: Any) -> None:
    song = noise_song(3, 5.0, 44100, 1)[0]
    song *= 10 ** (level / 20) / np.sqrt((song**2).mean())
    assert validity_of(song, 44100).mean() > 0.9


def test_windows_that_touch_a_replaced_sample_are_not_valid() -> None:
    valid = validity_of(noise(4, 16000), 16000, bad=(32_000,))
    centres = np.arange(len(valid)) * 1024
    assert not valid[(centres - 5120 <= 32_000) & (centres + 5120 > 32_000)].any()
    assert valid[(centres + 5120 <= 31_744) | (centres - 5120 > 32_768)].all()


def test_validity_does_not_depend_on_the_blocks(noise_song: Any) -> None:
    mono = noise_song(3, 5.0, 44100, 1)[0]
    mono[60_000:140_000] = 0
    expected = validity_of(mono, 44100, bad=(7, 150_001), block=len(mono))
    for block in (13, 441, 44_100):
        assert np.array_equal(validity_of(mono, 44100, bad=(7, 150_001), block=block), expected)


def test_probabilities_are_those_of_the_whole_track_at_16_khz(model: Any, noise_song: Any, tmp_path: Path) -> None:
    audio = noise_song(0, 25.0, 44100)
    write_audio(tmp_path / "a.wav", audio, 44100)
    scanned = scan_audio(tmp_path / "a.wav", model, SETTINGS)
    mono = StreamResampler(44100, 16000, 1)(audio.mean(axis=0)[:, None], last=True)[:, 0]
    assert np.allclose(scanned.probabilities, track_probabilities(model, mono), atol=1e-4)
    for push_seconds in (15.0, 1000.0):
        again = scan_audio(tmp_path / "a.wav", model, SETTINGS, push_seconds=push_seconds)
        assert np.array_equal(again.probabilities, scanned.probabilities)


def test_a_mono_file_at_16_khz_is_not_overwritten_while_it_waits(model: Any, noise_song: Any, tmp_path: Path) -> None:
    audio = noise_song(0, 25.0, 16000, 1)
    write_audio(tmp_path / "a.wav", audio, 16000)
    scanned = scan_audio(tmp_path / "a.wav", model, SETTINGS, push_seconds=1000.0)
    assert np.array_equal(scanned.probabilities, track_probabilities(model, audio[0]))


def test_excerpts_are_the_files_own_audio_inside_windows_that_all_pass(
    model: Any, noise_song: Any, tmp_path: Path
) -> None:
    audio = noise_song(1, 25.0, 44100)
    write_audio(tmp_path / "a.wav", audio, 44100)
    scanned = scan_audio(tmp_path / "a.wav", model, SETTINGS)
    assert len({one.source for one in scanned.found}) >= 2
    found = excerpts(scanned)
    assert len(found) == len(scanned.found)
    for (source, start, stored), one in zip(found, scanned.found, strict=True):
        assert np.array_equal(stored.T, audio[:, start : start + len(stored)])
        assert len(stored) >= 44100
        row = scanned.probabilities[("drums", "bass", "other", "vocals").index(source)]
        centres = np.arange(len(row)) * HOP_SECONDS
        touching = (centres + WINDOW_SECONDS / 2 > start / 44100 + 1e-6) & (
            centres - WINDOW_SECONDS / 2 < (start + len(stored)) / 44100 - 1e-6
        )
        assert (row[touching] >= P).all()
        assert one.probability_min >= P


def test_excerpts_of_one_source_do_not_overlap_and_raising_a_threshold_never_adds_audio(
    model: Any, noise_song: Any, tmp_path: Path
) -> None:
    write_audio(tmp_path / "a.wav", noise_song(2, 25.0, 22050), 22050)
    loose = scan_audio(tmp_path / "a.wav", model, SETTINGS)
    strict = scan_audio(tmp_path / "a.wav", model, ScanSettings(dict.fromkeys(HALF, 0.6), min_seconds=1.0))
    for source in HALF:
        covered = np.zeros(loose.frames, dtype=int)
        for one in (one for one in loose.found if one.source == source):
            covered[one.start_frame : one.start_frame + one.frames] += 1
        assert covered.max() <= 1
        for one in (one for one in strict.found if one.source == source):
            assert covered[one.start_frame : one.start_frame + one.frames].all()


def test_a_long_span_becomes_equal_consecutive_excerpts() -> None:
    settings = ScanSettings({"drums": 0.5}, min_seconds=5.0, max_seconds=10.0)
    frames = 25 * 16000
    windows = window_count(frames)
    found = find_spans(np.ones((4, windows), np.float32), np.ones(windows, bool), frames, 16000, settings)
    assert [one.frames for one in found] == [133_333, 133_333, 133_334]
    assert found[0].start_frame == 0
    assert all(a.start_frame + a.frames == b.start_frame for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg", "a.opus"])
def test_audio_that_is_not_kept_is_decoded_again_to_the_same_excerpts(
    model: Any, noise_song: Any, tmp_path: Path, name: str
) -> None:
    rate = 48000
    coding = {"format": "OGG", "subtype": "OPUS"} if name.endswith(".opus") else {}
    soundfile.write(tmp_path / name, 0.5 * noise_song(1, 15.0, rate).T, rate, **coding)
    kept = excerpts(scan_audio(tmp_path / name, model, SETTINGS))
    again = excerpts(scan_audio(tmp_path / name, model, SETTINGS, held_bytes=0))
    assert kept
    assert all(
        one[:2] == other[:2] and np.array_equal(one[2], other[2]) for one, other in zip(kept, again, strict=True)
    )


@pytest.mark.parametrize(("sample_rate", "channels"), [(8000, 1), (16000, 2), (32000, 1), (96000, 6), (192_000, 8)])
def test_any_rate_and_number_of_channels_becomes_the_shards(
    model: Any, noise_song: Any, tmp_path: Path, sample_rate: int, channels: int
) -> None:
    audio = noise_song(1, 8.0, sample_rate, channels)
    write_audio(tmp_path / "a.wav", audio, sample_rate)
    settings = ScanSettings(dict.fromkeys(HALF, 0.0), min_seconds=1.0)
    scanned = scan_audio(tmp_path / "a.wav", model, settings)
    assert (scanned.sample_rate, scanned.channels, scanned.seconds) == (sample_rate, channels, 8.0)
    for _, _, stored in excerpts(scanned, settings):
        assert stored.shape == (8 * 44100, 2)
        if channels != 2:
            assert np.array_equal(stored[:, 0], stored[:, 1])
    if sample_rate == 16000:
        assert np.array_equal(excerpts(scanned, ScanSettings(HALF, sample_rate=16000))[0][2].T, audio)


def test_nan_and_infinity_become_zeros_that_no_excerpt_holds(model: Any, noise_song: Any, tmp_path: Path) -> None:
    audio = noise_song(1, 12.0, 44100)
    audio[0, 5 * 44100] = np.nan
    audio[1, 9 * 44100] = np.inf
    audio[1, 9 * 44100 + 1] = 1e30
    write_audio(tmp_path / "a.wav", audio, 44100)
    settings = ScanSettings(dict.fromkeys(HALF, 0.0), min_seconds=1.0)
    scanned = scan_audio(tmp_path / "a.wav", model, settings)
    assert "3 samples are NaN" in (scanned.note or "")
    found = excerpts(scanned, settings)
    assert len(found) == 9
    for _, start, stored in found:
        assert np.isfinite(stored).all()
        for bad in (5 * 44100, 9 * 44100):
            assert not start <= bad < start + len(stored)


def test_silent_and_short_files_give_a_note_and_nothing_else(model: Any, tmp_path: Path) -> None:
    everything = ScanSettings(dict.fromkeys(HALF, 0.0))
    write_audio(tmp_path / "silent.wav", np.zeros((2, 441_000), np.float32), 44100)
    write_audio(tmp_path / "short.wav", np.full((2, 100), 0.5, np.float32), 44100)
    silent = scan_audio(tmp_path / "silent.wav", model, everything)
    assert (silent.found, silent.note) == ([], "digital silence: nothing to mine")
    short = scan_audio(tmp_path / "short.wav", model, everything)
    assert short.found == []
    assert "less than the shortest excerpt" in (short.note or "")
    write_audio(tmp_path / "none.wav", np.zeros((2, 0), np.float32), 44100)
    with pytest.raises(AudioError, match="no audio"):
        scan_audio(tmp_path / "none.wav", model, everything)


def test_a_truncated_file_is_scanned_as_far_as_it_decodes(model: Any, noise_song: Any, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", 0.5 * noise_song(1, 20.0, 44100).T, 44100)
    whole = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(whole[: len(whole) // 2])
    scanned = scan_audio(tmp_path / "a.mp3", model, SETTINGS)
    assert 8 < scanned.seconds < 16
    assert "truncated" in (scanned.note or "")
    assert all(one.start_frame + one.frames <= scanned.frames for one in scanned.found)


def test_mixture_downmix_is_the_mean_of_all_channels(model: Any, tmp_path: Path) -> None:
    """Opposite channels cancel: the mono mixture is digital silence, and nothing is mined."""
    tone = 0.5 * np.sin(np.arange(8 * 44100) / 20).astype(np.float32)
    write_audio(tmp_path / "a.wav", np.stack([tone, -tone]), 44100)
    assert scan_audio(tmp_path / "a.wav", model, ScanSettings(dict.fromkeys(HALF, 0.0))).found == []


class AllSilent:
    """In place of the detector's stream, which has its own test of memory: P = 1 in every window."""

    def __init__(self, model: Any) -> None:
        self.frames = self.given = 0

    def push(self, mono: np.ndarray) -> np.ndarray:
        self.frames += len(mono)
        new = window_count(self.frames) - self.given
        self.given += new
        return np.ones((4, new), dtype=np.float32)

    def finish(self) -> np.ndarray:
        return self.push(np.zeros(0, dtype=np.float32))


def test_memory_does_not_grow_with_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An hour of which everything is mined, 138 MB as mono float32 and 276 MB as stereo, goes through in 40 MB."""
    monkeypatch.setattr("remix_miner.mining.track.scan.ProbabilityStream", AllSilent)
    minute = (np.random.default_rng(0).standard_normal(60 * 8000) / 8).astype(np.float32)
    for name, minutes in (("warm.wav", 3), ("hour.wav", 60)):
        with soundfile.SoundFile(tmp_path / name, "w", 8000, 1) as file:
            for _ in range(minutes):
                file.write(minute)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        settings = ScanSettings(HALF, max_seconds=20.0)
        scanned = scan_audio(tmp_path / name, None, settings, held_bytes=1 << 20)  # type: ignore[arg-type]
        assert sum(len(audio) for _, audio in cut(scanned.held.blocks(), scanned.found)) == 3 * scanned.frames
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert scanned.seconds == 3600
    assert grown < 40


def test_settings_that_cannot_be_used_are_refused_by_name() -> None:
    for changes, name in [
        ({"thresholds": {}}, "thresholds"),
        ({"thresholds": {"piano": 0.5}}, "piano"),
        ({"min_seconds": 0.1}, "min_seconds"),
        ({"max_seconds": 6.0}, "max_seconds"),
        ({"sample_rate": 1}, "sample_rate"),
        ({"channels": 3}, "channels"),
        ({"precision": "float16"}, "precision"),
        ({"sampling": "dense"}, "sampling"),
    ]:
        with pytest.raises(UsageError, match=name):
            ScanSettings(**{"thresholds": {"drums": 0.5}, **changes})


def test_the_cutter_gives_the_slices_that_were_asked_for(noise_song: Any) -> None:
    """Against numpy's slices: overlapping spans of two sources, blocks of odd lengths."""
    audio = noise_song(4, 3.0, 8000).T
    windows = window_count(48_000)
    probabilities = np.ones((4, windows), np.float32)
    probabilities[0, 20] = 0
    found = find_spans(
        probabilities, np.ones(windows, bool), 24_000, 8000, ScanSettings({"drums": 0.5, "bass": 0.5}, min_seconds=1.0)
    )
    # Window 20 fails for drums: it ends at 1.28 + 0.32 s, and what lies before it is too short.
    assert [(one.source, one.start_frame, one.frames) for one in found] == [
        ("drums", 12_800, 11_200),
        ("bass", 0, 24_000),
    ]
    blocks = [audio[start : start + 777] for start in range(0, 24_000, 777)]
    for one, stored in cut(blocks, found):
        assert np.array_equal(stored, audio[one.start_frame : one.start_frame + one.frames])
    with pytest.raises(AudioError, match="ended"):
        list(cut(blocks[:-1], found))
