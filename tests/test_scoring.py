"""Detector metrics: figures worked out by hand, agreement with scikit-learn, intervals."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from remix_miner.calibration.intervals import BootstrapSettings
from remix_miner.calibration.scores import ScoreSettings, auc_of_draws, score_songs, score_source
from remix_miner.calibration.songs import labelled
from remix_miner.calibration.songs.artists import guess_artists, read_artists
from remix_miner.calibration.songs.labelled import LabelledSong, label_and_predict, label_songs, one_thread
from remix_miner.calibration.songs.muting import muted
from remix_miner.datasets.corpora import load_pair_tracks, load_stem_tracks
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.windows import HOP_SECONDS, window_count
from remix_miner.errors import AudioError, DataError

Songs = Callable[..., list[LabelledSong]]


def song_of(probabilities: np.ndarray, volumes: np.ndarray) -> LabelledSong:
    seconds = len(probabilities) * HOP_SECONDS
    return LabelledSong("s", "a", seconds, probabilities[None].astype("float32"), volumes[None].astype("float32"))


def test_window_figures_agree_with_scikit_learn(labelled_songs: Songs) -> None:
    songs = labelled_songs(8, skill=1.5)
    score = score_songs(songs, {"bass": 0.7}, ScoreSettings(bootstrap=BootstrapSettings(draws=50)))["bass"]
    probabilities = np.concatenate([song.probabilities[1] for song in songs])
    volumes = np.concatenate([song.volumes[1] for song in songs])
    assert score.auc.value == pytest.approx(roc_auc_score(volumes <= -20, probabilities))
    assert score.auc_training.value == pytest.approx(roc_auc_score(volumes <= -13, probabilities))
    accepted = probabilities >= 0.7
    assert score.precision.value == pytest.approx(precision_score(volumes <= -20, accepted))
    assert score.recall.value == pytest.approx(recall_score(volumes <= -20, accepted))
    assert score.silence_rate == pytest.approx((volumes <= -20).mean())
    for estimate in (score.auc, score.precision, score.recall):
        assert estimate.low < estimate.value < estimate.high


def test_harvest_figures_worked_out_by_hand() -> None:
    # Silent in windows 100..299; the detector hears silence in 150..349, so half of its windows there are wrong.
    volumes = np.full(500, -5.0)
    volumes[100:300] = -40.0
    probabilities = np.zeros(500)
    probabilities[150:350] = 0.9
    score = score_source([song_of(probabilities, volumes)], 0, threshold=0.5)
    # 200 windows pass; their audio that touches no failing window is 199 hops + 2 hops - 0.64 s.
    assert score.seconds == pytest.approx(201 * 0.064 - 0.64)
    assert score.silent_span_seconds == pytest.approx(201 * 0.064 - 0.64)
    # It goes from hop 154 to 345, so windows 159..340 lie wholly in it, of which 159..299 are silent; 109..290 lie
    # wholly in the true span.
    assert score.purity.value == pytest.approx((300 - 159) / (341 - 159))
    assert score.span_recall.value == pytest.approx((291 - 159) / (291 - 109))
    assert score.precision.value == pytest.approx(150 / 200)
    assert score.recall.value == pytest.approx(150 / 200)
    assert score.volume_p50_db.value == pytest.approx(-40.0)
    assert score.volume_p95_db.value == pytest.approx(-5.0)
    assert score.precision.low is None


def test_area_of_a_draw_is_scikit_learns_on_the_windows_repeated(labelled_songs: Songs) -> None:
    songs = labelled_songs(5, skill=1.0, windows=200)
    artists = np.repeat(np.arange(5), 200)
    probabilities = np.concatenate([song.probabilities[0] for song in songs]).round(2)  # with ties
    silent = np.concatenate([song.volumes[0] for song in songs]) <= -20
    times = np.array([[1, 1, 1, 1, 1], [0, 3, 0, 1, 1]])
    expected = [roc_auc_score(np.repeat(silent, row[artists]), np.repeat(probabilities, row[artists])) for row in times]
    np.testing.assert_allclose(auc_of_draws(probabilities, silent, artists, times), expected)


def test_no_threshold_harvests_nothing_and_claims_nothing(labelled_songs: Songs) -> None:
    score = score_songs(labelled_songs(3), {}, ScoreSettings(bootstrap=BootstrapSettings(draws=20)))["drums"]
    assert score.seconds == 0
    for estimate in (score.precision, score.recall, score.purity, score.span_recall, score.volume_p95_db):
        assert estimate.value is None
    assert score.auc.value is not None


def test_auc_is_undefined_without_silence() -> None:
    score = score_source([song_of(np.linspace(0, 1, 200), np.full(200, -3.0))], 0, threshold=0.99)
    assert score.auc.value is None
    assert score.recall.value is None


def test_artists_who_do_not_differ_leave_nothing_uncertain(labelled_songs: Songs) -> None:
    (song,) = labelled_songs(1, skill=1.5)
    score = score_songs(
        [dataclasses.replace(song, artist=name) for name in "abcd"],
        {"drums": 0.6},
        ScoreSettings(bootstrap=BootstrapSettings(draws=50)),
    )["drums"]
    assert score.artists == 4
    for estimate in (score.precision, score.recall, score.purity, score.volume_p50_db):
        assert estimate.low == pytest.approx(estimate.value)
        assert estimate.high == pytest.approx(estimate.value)
    assert (score.auc.low, score.auc.high) == pytest.approx((score.auc.value, score.auc.value), abs=1e-3)


def test_artists_and_not_their_songs_are_drawn(labelled_songs: Songs) -> None:
    songs = labelled_songs(12, skill=1.0)
    doubled = [dataclasses.replace(song, name=f"{song.name}{take}") for song in songs for take in ("", " again")]
    once, twice = (score_songs(some, {"drums": 0.8})["drums"] for some in (songs, doubled))
    assert (once.songs, twice.songs, twice.artists) == (12, 24, 12)
    assert (twice.recall.low, twice.recall.high) == pytest.approx((once.recall.low, once.recall.high))


def test_songs_without_labels_are_refused() -> None:
    with pytest.raises(DataError, match="no window has a label"):
        score_songs([LabelledSong("s", "a", 0.32, np.zeros((4, 5)), np.full((4, 5), np.nan))], {})


# --- from audio ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> SilentSourceDetector:
    torch.manual_seed(0)
    return SilentSourceDetector(width=4, hidden=8).eval()


def test_labels_are_aligned_with_the_networks_windows(
    model: SilentSourceDetector, stem_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    (track,) = load_stem_tracks(stem_corpus(tmp_path, {"x - one": 4.0}, sample_rate=22050))
    probabilities, volumes = label_and_predict(model, track)
    assert probabilities.shape == volumes.shape == (4, window_count(64000))
    assert ((probabilities > 0) & (probabilities < 1)).all()
    # The corpus has noise of power 0.04 as drums and sines of power 0.02 as the rest; resampling to 16 kHz keeps
    # 16/22.05 of the noise. The mixture is the sum of the four.
    powers = np.array([0.04 * 16 / 22.05, 0.02, 0.02, 0.02])
    expected = 10 * np.log10(powers / powers.sum())
    assert volumes[:, 8:-8].mean(axis=1) == pytest.approx(expected, abs=0.5)


def test_a_pair_labels_vocals_only(model: SilentSourceDetector, tmp_path: Path) -> None:
    time = np.arange(32000) / 16000
    for name, gain in (("vocals", 0.01), ("accompaniment", 0.1)):
        (tmp_path / "song").mkdir(exist_ok=True)
        soundfile.write(
            tmp_path / "song" / f"{name}.wav", gain * np.sin(2 * np.pi * 300 * time), 16000, subtype="FLOAT"
        )
    (track,) = load_pair_tracks(tmp_path)
    _, volumes = label_and_predict(model, track)
    assert np.isnan(volumes[:3]).all()
    # In phase: the mixture's amplitude is 0.11.
    assert volumes[3] == pytest.approx(np.full(volumes.shape[1], 20 * np.log10(0.01 / 0.11)), abs=0.01)
    (score,) = score_songs(label_songs(model, [track]), {"vocals": 0.0}).items()
    assert score[0] == "vocals"


def test_windows_of_digital_silence_have_no_label(
    model: SilentSourceDetector, stem_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    folder = stem_corpus(tmp_path, {"one": 6.0}) / "one"
    for path in folder.glob("*.wav"):
        audio, rate = soundfile.read(path)
        audio[2 * rate : 4 * rate] *= 1e-6  # what is left of silence by dither or a resampler
        soundfile.write(path, audio, rate, subtype="FLOAT")
    (track,) = load_stem_tracks(tmp_path)
    _, volumes = label_and_predict(model, track)
    # 2 s to 4 s are windows 31.25 to 62.5; windows with sound in them reach 0.32 s (5 windows) in, ringing included.
    assert np.isnan(volumes[:, 38:57]).all()
    assert not np.isnan(volumes[:, :30]).any()


def test_audio_that_is_not_finite_is_refused(
    model: SilentSourceDetector, stem_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    path = stem_corpus(tmp_path, {"one": 2.0}) / "one" / "bass.wav"
    audio, rate = soundfile.read(path)
    audio[100] = np.nan
    soundfile.write(path, audio, rate, subtype="FLOAT")
    (track,) = load_stem_tracks(tmp_path)
    with pytest.raises((DataError, AudioError), match=r"bass(.|\n)*NaN"):
        label_and_predict(model, track)


def test_a_detector_of_another_geometry_is_refused(
    model: SilentSourceDetector, stem_corpus: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (track,) = load_stem_tracks(stem_corpus(tmp_path, {"one": 2.0}))
    monkeypatch.setattr(labelled, "track_probabilities", lambda model, mono: np.zeros((4, len(mono) // 512)))
    with pytest.raises(DataError, match="other windows"):
        label_and_predict(model, track)
    monkeypatch.setattr(labelled, "track_probabilities", lambda model, mono: np.full((4, 32), np.nan))
    with pytest.raises(DataError, match="weights are damaged"):
        label_and_predict(model, track)


def test_variants_are_seeded_and_belong_to_their_song(
    model: SilentSourceDetector, stem_corpus: Callable[..., Path], tmp_path: Path
) -> None:
    tracks = load_stem_tracks(stem_corpus(tmp_path, {"x - one": 6.0, "y - two": 6.0}))
    songs = label_songs(model, tracks, muted_variants=2, artists={"y - two": "x"})
    assert [song.name for song in songs] == ["x - one"] * 3 + ["y - two"] * 3
    assert {song.artist for song in songs} == {"x"}
    again = label_songs(model, tracks[1:], muted_variants=2)
    for one, other in zip(songs[3:], again, strict=True):
        np.testing.assert_array_equal(one.volumes, other.volumes)
    assert not np.array_equal(songs[1].volumes, songs[2].volumes)
    with pytest.raises(DataError, match="twice"):
        label_songs(model, [tracks[0], tracks[0]])


def test_muting_makes_silence_without_silencing_the_mixture() -> None:
    stems = np.ones((4, 60 * 1000), dtype=np.float32)
    quieter = muted(stems, 1000, np.random.default_rng(3))
    assert (stems == 1).all()
    assert 0.15 < (quieter == 0).mean() < 0.6
    assert quieter.max(axis=0).min() >= 0.5
    assert np.abs(np.diff(quieter)).max() <= 1 / (0.02 * 1000) + 1e-5
    np.testing.assert_array_equal(quieter, muted(stems, 1000, np.random.default_rng(3)))


def test_songs_whose_names_begin_alike_count_as_one_artist() -> None:
    names = ["Set_amy_1", "Set_amy_2", "Set_bug_1", "Al - One", "Al - Two_b", "Al - Two_c", "solo_x"]
    assert list(guess_artists(names).values()) == ["Set_amy", "Set_amy", "Set", "Al", "Al", "Al", "solo_x"]


def test_one_thread_is_used_and_given_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_artists_are_read_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "artists.csv"
    path.write_text("track,artist,genre\nMIR1K_amy_12,amy,pop\n")
    assert read_artists(path) == {"MIR1K_amy_12": "amy"}
    path.write_text("name,singer\na,b\n")
    with pytest.raises(DataError, match="columns track,artist"):
        read_artists(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_artists(tmp_path / "nothing.csv")
