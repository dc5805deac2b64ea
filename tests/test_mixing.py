import math
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.errors import UsageError
from remix_miner.sources import SOURCES
from remix_miner.training.batches.loudness import loudness_gain, loudness_lufs
from remix_miner.training.batches.mixing import Mixer, MixingSettings
from remix_miner.training.batches.pitch_tempo import PitchTempoSettings, change_pitch_tempo

RATE = 8000
SEGMENT = 2000


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> SegmentReader:
    """Three songs of 1, 2 and 3 s in which every frame says where it comes from: song + source/10 + seconds/100."""
    folder = tmp_path_factory.mktemp("songs")
    for song in range(3):
        (folder / f"song{song}").mkdir()
        seconds = np.arange((song + 1) * RATE) / RATE
        for number, source in enumerate(SOURCES):
            values = np.stack([song + number / 10 + seconds / 100] * 2, axis=1).astype(np.float32)
            soundfile.write(folder / f"song{song}" / f"{source}.wav", values, RATE, subtype="FLOAT")
    return SegmentReader([Corpus(load_stem_tracks(folder))], RATE, 2)


def plans(reader: SegmentReader, count: int, seed: int = 0, **settings: object) -> list:
    mixer = Mixer(reader, MixingSettings(**settings), SEGMENT, seed)
    return [mixer.plan(index) for index in range(count)]


def test_a_mix_is_read_where_its_plan_says(reader: SegmentReader) -> None:
    mixer = Mixer(reader, MixingSettings(), SEGMENT, seed=3)
    plan = mixer.plan(5)
    stems = mixer.read(plan)
    assert stems.shape == (4, 2, SEGMENT)
    for number, pick in enumerate(plan.picks):
        expected = pick.song + number / 10 + (pick.start_frame + np.arange(SEGMENT)) / RATE / 100
        np.testing.assert_allclose(stems[number, 0], expected, atol=1e-6)


def test_the_share_of_original_mixes_is_p(reader: SegmentReader) -> None:
    drawn = plans(reader, 4000, original_probability=0.3)
    assert np.isclose(np.mean([plan.original for plan in drawn]), 0.3, atol=0.03)
    for plan in drawn:
        places = {(pick.song, pick.start_frame) for pick in plan.picks}
        assert len(places) == 1 or not plan.original


def test_sources_of_random_mixes_are_independent(reader: SegmentReader) -> None:
    drawn = plans(reader, 4000)
    pairs = Counter((plan.picks[0].song, plan.picks[3].song) for plan in drawn)
    assert len(pairs) == 9
    assert np.allclose([count / 4000 for count in pairs.values()], 1 / 9, atol=0.02)
    starts = np.array([[pick.start_frame / reader.frames[pick.song] for pick in plan.picks] for plan in drawn])
    assert np.abs(np.corrcoef(starts.T) - np.eye(4)).max() < 0.3  # songs differ in length, hence not 0


def test_within_a_song_starts_differ_and_songs_do_not(reader: SegmentReader) -> None:
    drawn = plans(reader, 200, original_probability=1.0, within_song=True)
    assert all(len({pick.song for pick in plan.picks}) == 1 for plan in drawn)
    assert sum(len({pick.start_frame for pick in plan.picks}) == 4 for plan in drawn) > 190


def test_a_time_shift_stays_within_its_range_and_song(reader: SegmentReader) -> None:
    shifted = plans(reader, 300, original_probability=1.0, time_shift_seconds=0.02)
    plain = plans(reader, 300, original_probability=1.0)
    for moved, still in zip(shifted, plain, strict=True):
        for pick, origin in zip(moved.picks, still.picks, strict=True):
            assert abs(pick.start_frame - origin.start_frame) <= 160
            assert 0 <= pick.start_frame <= reader.frames[pick.song] - SEGMENT
    spreads = [max(p.start_frame for p in plan.picks) - min(p.start_frame for p in plan.picks) for plan in shifted]
    assert max(spreads) > 160


def test_unique_mixes_are_replayed_each_equally_often(reader: SegmentReader) -> None:
    drawn = plans(reader, 70, unique_mixes=7)
    counts = Counter(plan.picks for plan in drawn)
    assert len(counts) == 7
    assert set(counts.values()) == {10}
    assert [plan.picks for plan in drawn[:7]] != [plan.picks for plan in drawn[7:14]], "in another order each time"


def test_a_pass_over_extracts_takes_each_once_per_source(reader: SegmentReader) -> None:
    mixer = Mixer(reader, MixingSettings(order="extracts", stride_seconds=0.5), SEGMENT, seed=0)
    expected = sorted(map(tuple, reader.extracts(SEGMENT, RATE // 2).tolist()))
    assert mixer.mixes_per_epoch == len(expected)
    for epoch in (0, 1):
        drawn = [mixer.plan(epoch * len(expected) + index) for index in range(len(expected))]
        for number in range(4):
            assert sorted(plan.picks[number][:2] for plan in drawn) == expected


def test_plans_depend_on_seed_and_number_alone(reader: SegmentReader) -> None:
    settings = MixingSettings(original_probability=0.5, unique_mixes=50, order="extracts")
    mixer = Mixer(reader, settings, SEGMENT, seed=1)
    forward = [mixer.plan(index) for index in range(40)]
    sent = pickle.loads(pickle.dumps(mixer))
    assert [sent.plan(index) for index in reversed(range(40))] == forward[::-1]
    assert [Mixer(reader, settings, SEGMENT, seed=2).plan(index) for index in range(40)] != forward


def test_songs_can_be_made_of_different_songs(reader: SegmentReader) -> None:
    mixer = Mixer(reader, MixingSettings(original_probability=1.0, shuffle_songs=True), SEGMENT, seed=0)
    songs = set()
    for index in range(60):
        songs.add(tuple(np.floor(mixer.read(mixer.plan(index))[:, 0, 0]).astype(int)))
    assert len(songs) == 3
    assert any(len(set(song)) > 1 for song in songs)


@pytest.mark.parametrize("count", [4, 5, 12])
def test_no_random_song_holds_two_stems_of_one_song(
    tmp_path: Path, stem_corpus: Callable[..., Path], count: int
) -> None:
    stem_corpus(tmp_path, {f"A{number} - x": 0.1 for number in range(count)}, RATE)
    songs = SegmentReader([Corpus(load_stem_tracks(tmp_path))], RATE, 2)
    for seed in range(5):
        chosen = np.array([songs.shuffled(seed)._songs[source] for source in SOURCES])
        assert all(len(set(song)) == 4 for song in chosen.T)
        assert all(sorted(row) == list(range(count)) for row in chosen.tolist())


def test_stems_of_a_whole_song_are_shifted_against_each_other(reader: SegmentReader) -> None:
    """A segment as long as the song has no room to move in: zeros fill what a shift leaves empty."""
    mixer = Mixer(reader, MixingSettings(original_probability=1.0, time_shift_seconds=0.05), 3 * RATE, seed=0)
    whole = [plan for plan in map(mixer.plan, range(60)) if plan.picks[0].song == 2]
    starts = np.array([[pick.start_frame for pick in plan.picks] for plan in whole])
    assert (starts < 0).any()
    assert (starts > 0).any()
    assert np.abs(starts).max() <= 0.05 * RATE
    assert all(len(set(row)) > 1 for row in starts.tolist())
    for stem, pick, number in zip(mixer.read(whole[0]), whole[0].picks, range(4), strict=True):
        times = (pick.start_frame + np.arange(3 * RATE)) / RATE
        expected = np.where((times >= 0) & (times < 3), 2 + number / 10 + times / 100, 0)
        np.testing.assert_allclose(stem[0], expected, atol=1e-6)


def test_pitch_is_consistent_or_per_stem_and_whole(reader: SegmentReader) -> None:
    one = plans(reader, 300, pitch_tempo=PitchTempoSettings(probability=1.0, semitones=3))
    assert all(len({pick.semitones for pick in plan.picks}) == 1 for plan in one)
    assert {plan.picks[0].semitones for plan in one} == set(range(-3, 4))
    many = plans(reader, 300, pitch_tempo=PitchTempoSettings(probability=1.0, semitones=3, consistent=False))
    assert sum(len({pick.semitones for pick in plan.picks}) > 1 for plan in many) > 250
    some = plans(reader, 1000, pitch_tempo=PitchTempoSettings(probability=0.25, tempo=0.1))
    assert np.isclose(np.mean([plan.picks[0].tempo != 1 for plan in some]), 0.25, atol=0.05)


def test_tempo_is_consistent_or_per_stem(reader: SegmentReader) -> None:
    one = plans(reader, 50, pitch_tempo=PitchTempoSettings(probability=1.0, tempo=0.2))
    assert all(len({pick.tempo for pick in plan.picks}) == 1 for plan in one)
    many = plans(reader, 50, pitch_tempo=PitchTempoSettings(probability=1.0, tempo=0.2, consistent=False))
    assert all(len({pick.tempo for pick in plan.picks}) == 4 for plan in many)
    assert all(0.8 <= pick.tempo <= 1.2 for plan in many for pick in plan.picks)


def test_an_octave_up_doubles_the_frequency() -> None:
    pytest.importorskip("python_stretch")
    tone = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)[None].astype(np.float32)
    shifted = change_pitch_tempo(tone, RATE, 12, 1.0, 2 * RATE)
    assert abs(np.argmax(np.abs(np.fft.rfft(shifted[0, 4000:12000]))) - 880) <= 2  # Hz: 4 cents
    np.testing.assert_array_equal(change_pitch_tempo(tone, RATE, 0, 1.0, 2 * RATE), tone)


def test_a_faster_tempo_keeps_an_impulse_in_its_place() -> None:
    pytest.importorskip("python_stretch")
    click = np.zeros((2, 44100 * 2), dtype=np.float32)
    click[:, 44100] = 1
    faster = change_pitch_tempo(click, 44100, 0, 1.2, round(88200 / 1.2))
    assert abs(np.argmax(np.abs(faster[0])) - 44100 / 1.2) < 0.0005 * 44100


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_stretch", None)
    with pytest.raises(UsageError, match=r"remix-miner\[augment\]"):
        PitchTempoSettings(semitones=2)
    PitchTempoSettings(semitones=0)


def test_loudness_of_the_standards_tone_is_minus_three() -> None:
    pytest.importorskip("pyloudnorm")
    # ITU-R BS.1770-4: a 997 Hz sine of full scale in one channel reads -3.01 LUFS.
    tone = np.stack([np.sin(2 * np.pi * 997 * np.arange(4 * 48000) / 48000), np.zeros(4 * 48000)]).astype(np.float32)
    assert abs(loudness_lufs(tone, 48000) + 3.01) < 0.05
    assert abs(loudness_lufs(tone * np.float32(loudness_gain(tone, 48000, -23.0)), 48000) + 23) < 0.01


def test_silence_and_short_audio_keep_their_level() -> None:
    pytest.importorskip("pyloudnorm")
    noise = np.random.default_rng(0).normal(size=(2, 44100)).astype(np.float32)
    assert loudness_gain(np.zeros_like(noise), 44100, -14.0) == 1
    assert loudness_gain(noise[:, :1000], 44100, -14.0) == 1
    assert loudness_lufs(noise * 1e-7, 44100) == -math.inf


def test_loudness_changes_all_stems_by_one_gain(reader: SegmentReader) -> None:
    pytest.importorskip("pyloudnorm")
    plain = Mixer(reader, MixingSettings(), 2 * SEGMENT, seed=0)
    loud = Mixer(reader, MixingSettings(loudness_lufs=-30.0), 2 * SEGMENT, seed=0)
    ratio = loud.read(plain.plan(1)) / plain.read(plain.plan(1))
    np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-4)
    assert not np.isclose(ratio[0, 0, 0], 1)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"original_probability": 1.5}, "original_probability"),
        ({"time_shift_seconds": math.inf}, "within_song"),
        ({"unique_mixes": -1}, "unique_mixes"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, float], name: str) -> None:
    with pytest.raises(UsageError, match=name):
        MixingSettings(**settings)
