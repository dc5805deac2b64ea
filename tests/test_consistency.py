"""Excerpts that agree with a song in tonality and rhythm, on tones and bursts whose agreement is known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from remix_miner.datasets.corpora import load_target_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.consistency import Features, correlation
from remix_miner.training.batches.feeding import Feed
from remix_miner.training.batches.matching import Matcher
from remix_miner.training.batches.rests import RemixSettings
from remix_miner.training.batches.target_batches import TargetSampler

RATE = 8000
A, C, A_SHARP = 9, 0, 10
HERTZ = {A: 440.0, C: 523.25, A_SHARP: 466.16}
PLAIN = AugmentSettings(swap_probability=0.0, flip_probability=0.0)


def tone(pitch_class: int, seconds: float) -> np.ndarray:
    return 0.1 * np.sin(2 * np.pi * HERTZ[pitch_class] * np.arange(round(seconds * RATE)) / RATE)


def bursts(first_seconds: float, seconds: float) -> np.ndarray:
    """Noise of 50 ms every 0.6 s."""
    audio = np.zeros(round(seconds * RATE))
    noise = 0.3 * np.random.default_rng(0).standard_normal(400)
    for start in np.arange(first_seconds, seconds - 0.05, 0.6):
        audio[round(start * RATE) : round(start * RATE) + 400] += noise
    return audio


def songs(folder: Path, rest: np.ndarray) -> SegmentReader:
    (folder / "song").mkdir(parents=True)
    soundfile.write(folder / "song" / "vocals.wav", np.full_like(rest, 0.001), RATE, subtype="FLOAT")
    soundfile.write(folder / "song" / "accompaniment.wav", rest, RATE, subtype="FLOAT")
    return SegmentReader([Corpus(load_target_tracks(folder, "vocals"))], RATE, 1)


def mined(folder: Path, *excerpts: np.ndarray) -> MinedExcerpts:
    with ShardWriter(
        folder,
        "vocals",
        sample_rate=RATE,
        channels=1,
        detector_sha256="0" * 64,
        threshold=0.9,
        settings={},
        shard_id="0",
    ) as shard:
        for number, audio in enumerate(excerpts):
            shard.append(
                audio.astype(np.float32)[:, None],
                track=f"track{number}",
                track_sha256="0" * 64,
                start_seconds=0.0,
                probability_mean=1.0,
                probability_min=1.0,
            )
    return MinedExcerpts(folder)


def sampler(reader: SegmentReader, excerpts: MinedExcerpts, candidates: int, batch_size: int = 8) -> TargetSampler:
    remix = RemixSettings(draw_by="tracks", candidates=candidates)
    return TargetSampler(
        reader, excerpts, "vocals", 1.0, frames=RATE, batch_size=batch_size, augment=PLAIN, remix=remix
    )


@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("pitch_class", [A, C])
def test_a_tone_has_the_chroma_of_its_pitch_class(rate: int, pitch_class: int) -> None:
    audio = 0.1 * np.sin(2 * np.pi * HERTZ[pitch_class] * np.arange(2 * rate) / rate)
    assert Features.of(audio[None].astype(np.float32), rate).mean_chroma(0, 2 * rate).argmax() == pitch_class


def test_onsets_are_found_at_their_times_and_silence_has_none() -> None:
    onsets = Features.of(bursts(0.3, 3.0)[None].astype(np.float32), RATE).onsets_in(0, 3 * RATE)
    assert len(onsets) == 120  # 40 a second
    peaks = [
        place * 0.025
        for place in range(1, 119)
        if onsets[place] > 0.5 and onsets[place] == onsets[place - 1 : place + 2].max()
    ]
    assert peaks == pytest.approx([0.3, 0.9, 1.5, 2.1, 2.7], abs=0.051)
    silent = Features.of(np.zeros((2, 100), dtype=np.float32), RATE)
    assert not silent.onsets.any()
    assert not silent.chroma.any()
    assert not correlation(silent.mean_chroma(0, 100), np.arange(12.0))


def test_after_the_end_of_a_song_there_are_no_onsets() -> None:
    features = Features.of(bursts(0.3, 1.0)[None].astype(np.float32), RATE)
    whole = features.onsets_in(0, 3 * RATE)
    assert len(whole) == 120
    np.testing.assert_array_equal(whole[:40], features.onsets_in(0, RATE))
    assert not whole[40:].any()


def test_the_best_of_two_candidates_agrees_in_three_draws_of_four(tmp_path: Path) -> None:
    """Two tracks, alike often drawn: both candidates are the one in another key in a quarter of the draws."""
    reader = songs(tmp_path / "songs", tone(A, 3.0))
    excerpts = mined(tmp_path / "mined", tone(A, 2.0), tone(C, 2.0))
    rests = sampler(reader, excerpts, candidates=2, batch_size=400).batch(0).rest
    spectra = torch.fft.rfft(rests[:, 0]).abs().argmax(dim=-1)  # 1 Hz a bin
    assert abs(float((spectra == 440).float().mean()) - 0.75) < 0.09  # 4 standard deviations of 0.022
    assert set(spectra.tolist()) == {440, 523}
    every = sampler(reader, excerpts, candidates=1, batch_size=400).batch(0).rest
    assert abs(float((torch.fft.rfft(every[:, 0]).abs().argmax(dim=-1) == 440).float().mean()) - 0.5) < 0.1


def test_a_shifted_target_asks_for_the_shifted_key(tmp_path: Path) -> None:
    reader = songs(tmp_path / "songs", tone(A, 3.0))
    excerpts = mined(tmp_path / "mined", tone(A, 2.0), tone(A_SHARP, 2.0))
    matcher = Matcher(reader, excerpts)
    agreements = {
        semitones: [
            matcher.place(excerpts, index, 0, RATE, matcher.segment(0, 0, RATE, semitones))[0] for index in (0, 1)
        ]
        for semitones in (0, 1)
    }
    assert agreements[0][0] > agreements[0][1] + 0.3
    assert agreements[1][1] > agreements[1][0] + 0.3


def test_an_excerpt_is_moved_to_where_its_beat_agrees(tmp_path: Path) -> None:
    """The song's bursts begin at 0.3 s, the excerpt's at 0.1 s: from 0.4 s on (or 0.6 s more) they coincide."""
    reader = songs(tmp_path / "songs", bursts(0.3, 4.0))
    excerpts = mined(tmp_path / "mined", bursts(0.1, 6.0))
    matcher = Matcher(reader, excerpts)
    frames = 2 * RATE
    for start_seconds in (0.0, 1.5, 4.0):
        start = round(start_seconds * RATE)
        agreement, moved = matcher.place(excerpts, 0, start, frames, matcher.segment(0, 0, frames))
        assert abs(moved - start) <= RATE // 2
        assert 0 <= moved <= 6 * RATE - frames
        assert abs((moved / RATE - 0.4 + 0.3) % 0.6 - 0.3) < 0.051
        assert agreement > 1.5


def test_of_an_excerpt_shorter_than_the_segment_the_tonality_counts(tmp_path: Path) -> None:
    reader = songs(tmp_path / "songs", tone(A, 3.0))
    excerpts = mined(tmp_path / "mined", tone(A, 0.5), tone(C, 0.5))
    batch = sampler(reader, excerpts, candidates=8, batch_size=16).batch(0)
    assert ((batch.rest != 0).sum(dim=-1) > 3900).all()
    assert ((batch.rest != 0).sum(dim=-1) <= 4000).all()


def test_features_are_computed_once_and_anew_for_other_audio(tmp_path: Path) -> None:
    reader = songs(tmp_path / "songs", tone(A, 3.0))
    excerpts = mined(tmp_path / "mined", tone(A, 2.0))
    first = sampler(reader, excerpts, candidates=2).batch(0)
    files = sorted((tmp_path / "mined" / "features").iterdir())
    assert [path.name for path in files] == [f"stems-{reader.fingerprint[:16]}.npz", "vocals-0.npz"]
    stamps = [path.stat().st_mtime_ns for path in files]
    assert torch.equal(sampler(reader, excerpts, candidates=2).batch(0).rest, first.rest)
    assert [path.stat().st_mtime_ns for path in files] == stamps
    files[1].write_bytes(files[1].read_bytes()[:1000])
    files[0].write_bytes(b"")
    assert torch.equal(sampler(reader, excerpts, candidates=2).batch(0).rest, first.rest)
    (tmp_path / "mined" / "shards" / "vocals-0.h5").unlink()
    other = mined(tmp_path / "mined", tone(C, 2.0))
    shard = Matcher(reader, other)._shards[0]
    assert shard.mean_chroma(0, RATE).argmax() == C


def test_workers_make_the_same_examples(tmp_path: Path) -> None:
    reader = songs(tmp_path / "songs", tone(A, 3.0) + bursts(0.0, 3.0))
    excerpts = mined(tmp_path / "mined", tone(A, 2.0), bursts(0.2, 3.0))
    expected = [sampler(reader, excerpts, candidates=4).batch(step).mixture for step in (0, 1)]
    with Feed(sampler(reader, excerpts, candidates=4), workers=1) as feed:
        assert all(torch.equal(next(feed).mixture, mixture) for mixture in expected)
