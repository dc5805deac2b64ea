"""Synthetic songs: the same for a seed, other for another, with the promised rests, and parts told apart by ear."""

import json
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from remix_miner.audio import read_audio, write_audio
from remix_miner.cli import app
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.library import find_audio
from remix_miner.errors import DataError, UsageError
from remix_miner.sources import SOURCES
from remix_miner.synthesis.score import REST, compose
from remix_miner.synthesis.song import synthesize_part, synthesize_song
from remix_miner.synthesis.sound import harmonic_tone, shaped_noise
from remix_miner.synthesis.vocals import Singer, Syllable, sing
from remix_miner.volume import relative_volume_db

RATE = 16000


def test_a_seed_gives_one_song() -> None:
    song, again, other = (synthesize_song(seed, 6.0, RATE) for seed in (5, 5, 6))
    np.testing.assert_array_equal(song.stems, again.stems)
    assert (song.tempo, song.key, song.sections) == (again.tempo, again.key, again.sections)
    assert not np.array_equal(song.stems, other.stems)
    assert (song.tempo, song.key) != (other.tempo, other.key)
    assert song.stems.shape == (4, 2, 6 * RATE)
    assert song.stems.dtype == np.float32


@pytest.mark.parametrize("seed", range(4))
def test_stems_and_mixture_fit_16_bits_exactly(seed: int) -> None:
    song = synthesize_song(seed, 8.0, RATE)
    assert np.abs(song.mixture).max() < 1
    assert np.abs(song.stems).max() < 1
    np.testing.assert_array_equal(np.round(song.stems * 32768), song.stems * 32768)
    np.testing.assert_array_equal(song.mixture, song.stems.astype(np.float64).sum(axis=0))


def test_a_source_is_silent_where_its_section_says_so() -> None:
    checked = 0
    for seed in range(6):
        song = synthesize_song(seed, 20.0, RATE)
        for name, start, seconds, playing in song.sections:
            for index, source in enumerate(SOURCES):
                # Two seconds of reverberation may ring into a rest, and a stroke may come early.
                part = song.stems[index, :, int((start + 2.5) * RATE) : int((start + seconds - 0.2) * RATE)]
                if source not in playing and part.shape[1] > RATE:
                    checked += 1
                    assert np.sqrt(np.mean(part**2)) < 0.01, (seed, name, source)
    assert checked > 5


def test_rests_come_as_often_as_in_musdb18() -> None:
    """11% drums, 13% bass, 2.6% other, 32% vocals (Défossez et al. 2019, section 5.1), here by the scores alone."""
    totals = dict.fromkeys(SOURCES, 0.0)
    bars = 0.0
    for seed in range(400):
        score = compose(np.random.default_rng(seed), 60.0, RATE)
        bars += score.bars
        for section in score.sections:
            seconds = section.bars * 4 * score.beat_seconds
            for source in set(SOURCES) - section.playing:
                totals[source] += section.bars
                assert seconds <= 20.0
    rates = {source: total / bars for source, total in totals.items()}
    # Vocals also rest between phrases; reverberation shortens every rest.
    for source, rate in {"drums": 0.13, "bass": 0.14, "other": 0.026, "vocals": 0.27}.items():
        assert abs(rates[source] - rate) < 0.3 * rate, rates
    assert set(REST["intro"]) == set(SOURCES)


def test_silence_measured_on_the_audio_is_of_that_order() -> None:
    silent = np.zeros((4, 6))
    for seed in range(6):
        stems = torch.from_numpy(synthesize_song(100 + seed, 30.0, 8000).stems)
        silent[:, seed] = (relative_volume_db(stems, 5120, 2560) <= -30).double().mean(dim=1)
    drums, bass, other, vocals = silent.mean(axis=1)
    assert 0.03 < drums < 0.25
    assert 0.03 < bass < 0.25
    assert other < 0.12
    assert 0.15 < vocals < 0.5


@pytest.mark.parametrize("source", SOURCES)
def test_a_part_plays_throughout(source: str) -> None:
    for seed in range(3):
        part = synthesize_part(source, seed, 10.0, RATE)
        assert part.shape == (2, 10 * RATE)
        assert 0.45 < np.abs(part).max() < 0.96
        np.testing.assert_array_equal(part, synthesize_part(source, seed, 10.0, RATE))
        blocks = np.abs(part).reshape(2, -1, RATE // 2).max(axis=(0, 2)) > 1e-3
        rests = "".join("x" if block else "." for block in blocks).split("x")
        assert max(map(len, rests)) <= 6, "no rest of more than three seconds"


def test_sources_have_the_spectra_that_tell_them_apart() -> None:
    """Bass has the lowest centroid; drums are the most noise-like; judged by librosa, which did not make them."""
    centroids, flatness = {}, {}
    for source in SOURCES:
        parts = [synthesize_part(source, seed, 4.0, RATE).mean(axis=0) for seed in range(4)]
        centroids[source] = np.median([np.median(librosa.feature.spectral_centroid(y=part, sr=RATE)) for part in parts])
        flatness[source] = np.median([np.median(librosa.feature.spectral_flatness(y=part)) for part in parts])
    assert centroids["bass"] == min(centroids.values())
    assert flatness["drums"] == max(flatness.values())


def test_songs_differ_in_tempo_key_and_timbre() -> None:
    songs = [synthesize_song(seed, 4.0, RATE) for seed in range(8)]
    assert len({song.tempo for song in songs}) > 6
    assert len({song.key for song in songs}) > 4
    for index in (0, 1, 3):
        brightness = [
            librosa.feature.spectral_centroid(y=song.stems[index].mean(axis=0), sr=RATE).mean() for song in songs
        ]
        assert np.std(brightness) > 0.15 * np.mean(brightness)


def test_songs_are_stereo() -> None:
    widths = []
    for seed in range(6):
        left, right = synthesize_song(seed, 6.0, RATE).mixture
        widths.append(np.std(left - right) / np.std(left + right))
    assert 0.02 < np.median(widths) < 0.6


def test_a_sung_note_has_its_pitch_and_its_vowels_formants() -> None:
    rng = np.random.default_rng(0)
    singer = Singer(45, 1.0, -3.0, 0.01, 5.5, 0.0, 0.02, 0.0, 0.0, 0.0)
    for vowel, first in (("a", 730), ("i", 270), ("u", 300)):
        voice = sing([Syllable(0.0, 2.0, 45, "", vowel, vowel, 1.0)], singer, RATE, rng)
        middle = voice[RATE // 2 : 3 * RATE // 2]
        pitch = librosa.yin(middle, fmin=60, fmax=400, sr=RATE)
        assert abs(np.median(pitch) - 110.0) < 3
        spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
        harmonics = {k * 110: spectrum[k * 110 - 12 : k * 110 + 13].max() for k in range(1, 12)}
        assert abs(max(harmonics, key=lambda hz: harmonics[hz]) - first) <= 90


def test_vibrato_moves_the_pitch_at_its_rate() -> None:
    singer = Singer(45, 1.0, -3.0, 0.01, 5.5, 0.6, 0.02, 0.0, 0.0, 0.0)
    voice = sing([Syllable(0.0, 4.0, 57, "", "a", "a", 1.0)], singer, RATE, np.random.default_rng(1))
    pitch = librosa.yin(voice[RATE : 3 * RATE], fmin=150, fmax=320, sr=RATE, frame_length=1024, hop_length=160)
    semitones = 12 * np.log2(pitch / np.median(pitch))
    spectrum = np.abs(np.fft.rfft(semitones - semitones.mean()))
    rates = np.fft.rfftfreq(len(semitones), 0.01)
    assert abs(rates[spectrum.argmax()] - 5.5) < 0.6
    assert 0.25 < semitones.std() < 0.7


def test_a_harmonic_tone_is_the_sum_of_its_sines() -> None:
    tone = harmonic_tone(200.0, 4000, RATE, lambda seconds, hz: np.where(hz == 600, 0.5, np.where(hz == 200, 1.0, 0.0)))
    time = np.arange(1, 4001) / RATE
    np.testing.assert_allclose(tone, np.cos(400 * np.pi * time) + 0.5 * np.cos(1200 * np.pi * time), atol=5e-3)


def test_a_tone_does_not_alias() -> None:
    tone = harmonic_tone(3000.0, RATE, RATE, lambda seconds, hz: np.ones_like(hz))
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    wanted = np.abs(np.arange(len(spectrum)) % 3000 - 1500) > 1490
    # Harmonics above 8000 Hz would come back at 7000, 4000, 1000 Hz; what is left is interpolation, 46 dB below.
    assert spectrum[~wanted].max() < 0.005 * spectrum.max()


def test_shaped_noise_has_the_power_and_band_of_its_gains() -> None:
    gains = np.ones((200, 513), dtype=np.float32)
    noise = shaped_noise(gains, np.random.default_rng(0))
    assert noise.shape == (200 * 256,)
    level = noise[2000:-2000].std()
    gains[:, 200:] = 0
    low = shaped_noise(gains, np.random.default_rng(0))[2000:-2000]
    assert abs(low.std() / level - np.sqrt(200 / 513)) < 0.05
    spectrum = np.abs(np.fft.rfft(low)) ** 2
    assert spectrum[int(len(spectrum) * 0.45) :].sum() < 1e-4 * spectrum.sum()


@pytest.mark.parametrize(("seconds", "rate"), [(0.5, RATE), (float("nan"), RATE), (10, 4000)])
def test_impossible_songs_are_refused(seconds: float, rate: int) -> None:
    with pytest.raises(UsageError, match="songs last 1 s to 12 h at 8000 Hz or more"):
        synthesize_song(0, seconds, rate)
    with pytest.raises(UsageError, match="unknown source 'guitar'"):
        synthesize_part("guitar", 0)


def test_the_corpus_has_the_layout_of_the_contract(songs_dir: Path) -> None:
    tracks = load_stem_tracks(songs_dir / "stems")
    assert sorted(track.split or "" for track in tracks) == ["test", "train", "train", "valid"]
    for track in tracks:
        assert (track.sample_rate, track.channels, track.frames) == (44100, 2, 441000)
        np.testing.assert_array_equal(track.read().sum(axis=0), track.read_mixture())
    truth = {track.name: track for track in load_stem_tracks(songs_dir / "library_truth")}
    files, skipped = find_audio(songs_dir / "library")
    assert sorted(file.path.suffix for file in files) == [".flac", ".mp3", ".ogg", ".wav"]
    assert not skipped
    for file in files:
        audio, rate = read_audio(file.path)
        mixture = truth[file.path.stem].read_mixture()
        assert (rate, audio.shape) == (44100, mixture.shape)
        error = np.sum((audio - mixture) ** 2) / np.sum(mixture**2)
        assert error <= (0.0 if file.path.suffix in (".wav", ".flac") else 0.1)
    assert not {track.name for track in tracks} & set(truth)
    assert soundfile.info(next((songs_dir / "stems").rglob("mixture.wav"))).subtype == "PCM_16"


def test_a_rerun_writes_what_is_missing_and_refuses_other_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["synthesize", str(tmp_path / "songs"), "--songs", "3", "--seconds", "2", "--seed", "7"]
    app([*arguments, "--json"], standalone_mode=False)
    summary = json.loads(capsys.readouterr().out)
    assert (summary["songs"], len(summary["files"])) == (3, 6)
    files = {path: path.read_bytes() for path in (tmp_path / "songs").rglob("*") if path.is_file()}
    times = {path: path.stat().st_mtime_ns for path in files}
    gone = next(path for path in files if path.suffix == ".flac")
    gone.unlink()
    app(arguments, standalone_mode=False)
    assert "3 songs with stems" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in (tmp_path / "songs").rglob("*") if path.is_file()} == files
    assert all(path.stat().st_mtime_ns == times[path] for path in files if path.parent.name == "train")
    with pytest.raises(DataError, match=r"made with songs 3 \(now 4\); give another folder"):
        app([*arguments[:3], "4", *arguments[4:]], standalone_mode=False)
    (tmp_path / "songs" / "synthetic.json").unlink()
    with pytest.raises(DataError, match="of another origin"):
        app(arguments, standalone_mode=False)


@pytest.mark.parametrize("options", [["--songs", "2"], ["--seed", "-1"], ["--seconds", "0"]])
def test_impossible_corpora_are_refused(tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(UsageError):
        app(["synthesize", str(tmp_path / "songs"), *options], standalone_mode=False)


# --- test sets with private references -----------------------------------------------------------------------------


def test_a_test_set_is_scored_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Public mixtures, private references, and estimates under MVSep's names with an error at -20 dB of each source."""
    import zipfile

    out = tmp_path / "set"
    arguments = ["synthesize", str(out), "--layout", "mvsep", "--songs", "2", "--seconds", "5", "--seed", "7"]
    assert app(arguments, standalone_mode=False) is None
    assert "give away the mixtures alone" in capsys.readouterr().out
    assert sorted(path.relative_to(out).as_posix() for path in out.glob("*/*") if path.is_file()) == [
        "mixtures/song_000.wav",
        "mixtures/song_001.wav",
        "private/synthetic.json",
    ]
    with zipfile.ZipFile(tmp_path / "upload.zip", "w") as archive:
        for song in ("song_000", "song_001"):
            mixture, rate = read_audio(out / "mixtures" / f"{song}.wav")
            stems = {source: read_audio(out / "private" / song / f"{source}.wav")[0] for source in SOURCES}
            np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
            assert (rate, mixture.shape) == (44100, (2, 5 * 44100))
            for source, stem in stems.items():
                write_audio(tmp_path / f"{song}_{source}.wav", np.float32(0.9) * stem, rate)
                archive.write(tmp_path / f"{song}_{source}.wav", f"{song}_{source}.wav")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")}
    app(arguments, standalone_mode=False)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.wav")} == before
    capsys.readouterr()
    scoring = ["--stems", str(out / "private"), "--metrics", "usdr", "--json", "--workers", "1"]
    assert not app(["evaluate", str(tmp_path / "upload.zip"), *scoring], standalone_mode=False)
    tracks = json.loads(capsys.readouterr().out)["tracks"]
    scores = [scores["usdr"] for track in tracks for scores in track["sources"].values() if scores["usdr"] is not None]
    assert len(tracks) == 2
    # 10 log10(1 / 0.1^2); a source that rests throughout scores 0 over 0.
    assert [score for score in scores if abs(score) > 1] == pytest.approx([20.0] * len(scores), abs=0.1)


def test_songs_of_a_test_set_are_in_no_corpus() -> None:
    from remix_miner.synthesis.corpus import SEEDS_PER_CORPUS
    from remix_miner.synthesis.mvsep_set import FIRST_SEED

    assert 2 * 100_000 < FIRST_SEED < FIRST_SEED + 1000 < SEEDS_PER_CORPUS
