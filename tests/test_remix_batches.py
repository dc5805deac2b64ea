import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.excerpt_draws import DrawBy
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.settings_files import load_settings
from remix_miner.sources import SOURCES
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.levels import level_gain, volume_weight
from remix_miner.training.batches.loudness import loudness_lufs
from remix_miner.training.batches.mixing import MixingSettings
from remix_miner.training.batches.pitch_tempo import PitchTempoSettings
from remix_miner.training.batches.rests import RemixSettings, source_shares
from remix_miner.training.batches.samplers import RemixSampler, StemSampler
from remix_miner.training.settings import TrainingSettings

RATE = 8000
SEGMENT = 4000
PLAIN = AugmentSettings(swap_probability=0.0, flip_probability=0.0)
LEVELS = {"drums": 0.4, "bass": 0.2, "other": 0.1, "vocals": 0.3}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> SegmentReader:
    """Two songs of noise, each source at a level of its own."""
    folder = tmp_path_factory.mktemp("songs")
    generator = np.random.default_rng(0)
    for song in range(2):
        (folder / f"song{song}").mkdir()
        for source in SOURCES:
            noise = LEVELS[source] * generator.choice([-1.0, 1.0], (2 * RATE, 2))
            soundfile.write(folder / f"song{song}" / f"{source}.wav", noise, RATE, subtype="FLOAT")
    return SegmentReader([Corpus(load_stem_tracks(folder))], RATE, 2)


@pytest.fixture(scope="module")
def excerpts(tmp_path_factory: pytest.TempPathFactory) -> MinedExcerpts:
    """Excerpts of noise at 0.05 without drums (1 s) and without vocals (0.3 s, shorter than a segment)."""
    folder = tmp_path_factory.mktemp("mined")
    generator = np.random.default_rng(1)
    for source, seconds in (("drums", 1.0), ("vocals", 0.3)):
        with ShardWriter(
            folder, source, sample_rate=RATE, detector_sha256="0" * 64, threshold=0.9, settings={}, shard_id="0"
        ) as shard:
            for number in range(3):
                shard.append(
                    (0.05 * generator.choice([-1.0, 1.0], (round(seconds * RATE), 2))).astype(np.float32),
                    track=f"track{number}",
                    track_sha256="0" * 64,
                    start_seconds=0.0,
                    probability_mean=0.99,
                    probability_min=0.95,
                )
    return MinedExcerpts(folder)


def remix_sampler(reader: SegmentReader, excerpts: MinedExcerpts, **options: object) -> RemixSampler:
    plenty = RemixSettings(enough_minutes=0)
    defaults = {"frames": SEGMENT, "batch_size": 4, "augment": PLAIN, "remix": plenty}
    return RemixSampler(reader, excerpts, **{**defaults, **options})


def test_a_stem_batch_sums_to_its_mixture(reader: SegmentReader) -> None:
    batch = StemSampler(reader, frames=SEGMENT, batch_size=3).batch(0)
    assert batch.stems.shape == (3, 4, 2, SEGMENT)
    torch.testing.assert_close(batch.mixture, sum(batch.stems[:, source] for source in range(4)))


def test_a_shift_takes_its_margin_and_leaves_the_segment(reader: SegmentReader) -> None:
    sampler = StemSampler(reader, frames=SEGMENT, batch_size=2, augment=AugmentSettings(shift_seconds=0.25))
    assert sampler.draw(0).stems.shape[-1] == SEGMENT + 2000
    assert sampler.batch(0).stems.shape[-1] == SEGMENT


def test_an_epoch_covers_all_extracts(reader: SegmentReader) -> None:
    # 2 songs of 2 s, segments of 0.5 s each 0.5 s: 8 extracts; 2 processes of 3 need 2 steps.
    mixing = MixingSettings(stride_seconds=0.5)
    assert StemSampler(reader, frames=SEGMENT, batch_size=3, mixing=mixing, world_size=2).steps_per_epoch == 2


def test_sources_with_excerpts_are_isolated_alike_often_and_together(
    reader: SegmentReader, excerpts: MinedExcerpts
) -> None:
    sampler = remix_sampler(reader, excerpts)
    other_rank = remix_sampler(reader, excerpts, rank=1, world_size=2)
    sources = [sampler.source_of(step) for step in range(2000)]
    assert set(sources) == {"drums", "vocals"}
    assert abs(sources.count("drums") / 2000 - 0.5) < 0.05
    assert sources == [other_rank.source_of(step) for step in range(2000)]
    batch = sampler.batch(0)
    assert SOURCES[batch.source] == sources[0]
    assert torch.all(batch.isolated.abs() == LEVELS[sources[0]])


def test_a_source_with_few_minutes_is_isolated_less_often(reader: SegmentReader, excerpts: MinedExcerpts) -> None:
    """3 s without drums and 0.9 s without vocals; 3 s are to be enough: vocals get 0.3 of the steps that drums get."""
    sampler = remix_sampler(reader, excerpts, remix=RemixSettings(enough_minutes=3 / 60))
    assert sampler.source_shares == {"drums": 1.0, "vocals": pytest.approx(0.3)}
    sources = [sampler.source_of(step) for step in range(4000)]
    assert sources.count("vocals") / sources.count("drums") == pytest.approx(0.3, abs=0.04)
    assert source_shares(excerpts, 0.0) == {"drums": 1.0, "vocals": 1.0}
    assert source_shares(excerpts, 0.1)["drums"] == pytest.approx(0.5)


def test_frames_without_excerpt_are_invalid_and_silent(reader: SegmentReader, excerpts: MinedExcerpts) -> None:
    sampler = remix_sampler(reader, excerpts)
    starts = set()
    for step in range(12):
        batch = sampler.batch(step)
        short = SOURCES[batch.source] == "vocals"
        assert torch.all(batch.valid.sum(dim=1) == (2400 if short else SEGMENT))
        assert torch.equal(batch.rest.abs().sum(dim=1) > 0, batch.valid)
        starts |= set(batch.valid.int().argmax(dim=1).tolist()) if short else set()
    assert len(starts) > 10, "a short excerpt lies anywhere in the segment"


def test_the_excerpt_takes_the_level_of_the_songs_own_rest(reader: SegmentReader, excerpts: MinedExcerpts) -> None:
    settings = RemixSettings(max_gain_db=40.0)
    for step in range(6):
        batch = remix_sampler(reader, excerpts, remix=settings).batch(step)
        own = sum(level**2 for source, level in LEVELS.items() if source != SOURCES[batch.source])
        power = (batch.rest**2).sum(dim=(1, 2)) / (2 * batch.valid.sum(dim=1))
        torch.testing.assert_close(power, torch.full((4,), own), rtol=0.05, atol=0.0)
    unmatched = remix_sampler(reader, excerpts, remix=RemixSettings(match_level=False)).batch(0)
    assert torch.all((unmatched.rest.abs() - 0.05).abs()[unmatched.rest != 0] < 1e-4)


def test_the_gain_of_an_excerpt_is_limited() -> None:
    quiet, loud = np.full((1, 8), 0.01, np.float32), np.full((1, 8), 1.0, np.float32)
    assert level_gain(quiet, loud, max_gain_db=20.0) == pytest.approx(10.0)
    assert level_gain(loud, quiet, max_gain_db=20.0) == pytest.approx(0.1)
    assert level_gain(quiet, 0 * loud, max_gain_db=20.0) == level_gain(0 * quiet, loud, max_gain_db=20.0) == 1


def test_excerpts_are_drawn_by_their_seconds(tmp_path: Path) -> None:
    """One excerpt of 9 s and nine of 1 s: half of the draws each, as when 1 s pieces are pooled."""
    with ShardWriter(
        tmp_path, "bass", sample_rate=100, detector_sha256="0" * 64, threshold=0.9, settings={}, shard_id="0"
    ) as shard:
        for number, seconds in enumerate([1, 1, 1, 1, 9, 1, 1, 1, 1, 1]):
            shard.append(
                np.ones((100 * seconds, 2), dtype=np.float32), track=f"t{number}", track_sha256="0" * 64,
                start_seconds=0.0, probability_mean=1.0, probability_min=1.0,
            )  # fmt: skip
    mined, generator = MinedExcerpts(tmp_path), np.random.default_rng(0)
    drawn = np.bincount([mined.draw("bass", generator) for _ in range(4000)], minlength=10)
    assert drawn[4] / 4000 == pytest.approx(0.5, abs=0.03)
    assert np.allclose(np.delete(drawn, 4) / 4000, 0.5 / 9, atol=0.015)


def test_the_settings_decide_whether_seconds_or_tracks_are_equally_likely(
    reader: SegmentReader, tmp_path: Path
) -> None:
    """One track of 9 s at 0.5, one of 1 s at 0.25, told apart by their level."""
    with ShardWriter(
        tmp_path, "drums", sample_rate=RATE, detector_sha256="0" * 64, threshold=0.9, settings={}, shard_id="0"
    ) as shard:
        for track, seconds, level in (("long", 9, 0.5), ("short", 1, 0.25)):
            shard.append(
                np.full((seconds * RATE, 2), level), track=track, track_sha256="0" * 64,
                start_seconds=0.0, probability_mean=1.0, probability_min=1.0,
            )  # fmt: skip

    def short(draw_by: DrawBy) -> float:
        settings = RemixSettings(draw_by=draw_by, match_level=False, enough_minutes=0)
        sampler = remix_sampler(reader, MinedExcerpts(tmp_path), remix=settings)
        return sum(sampler.example("drums", index)[1].max() < 0.3 for index in range(400)) / 400

    assert short("seconds") == pytest.approx(0.1, abs=0.06)
    assert short("tracks") == pytest.approx(0.5, abs=0.09)


def test_an_isolated_source_sounds_unless_the_paper_is_followed(tmp_path: Path, excerpts: MinedExcerpts) -> None:
    """Drums that sound in the last quarter of a song alone: a segment in which they are silent is drawn again."""
    for source in SOURCES:
        audio = np.full((4 * RATE, 2), 0.1, dtype=np.float32)
        if source == "drums":
            audio[: 3 * RATE] = 0
        (tmp_path / "song").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "song" / f"{source}.wav", audio, RATE, subtype="FLOAT")
    late = SegmentReader([Corpus(load_stem_tracks(tmp_path))], RATE, 2)

    def silent(redraw: bool) -> int:
        sampler = remix_sampler(late, excerpts, remix=RemixSettings(enough_minutes=0, redraw_silent=redraw))
        return sum(not sampler.example("drums", index)[0].any() for index in range(30))

    assert silent(redraw=True) == 0
    assert silent(redraw=False) > 10


@pytest.mark.parametrize("name", ["demucs_paper", "demucs_remix"])
def test_extracts_of_the_2019_recipes_are_shifted_in_time(reader: SegmentReader, name: str) -> None:
    """Section 5.2: 'shifted by a random time between 0 and S' = 0.5 s. Stems ramp here, so values are times."""
    settings = load_settings(TrainingSettings, name)
    assert settings.augment.shift_seconds == settings.mixing.stride_seconds == 0.5
    ramp = SegmentReader([Corpus(reader.tracks)], RATE, 2)
    ramp.use(lambda song, source, first, frames: np.tile(np.arange(first, first + frames, dtype=np.float32), (2, 1)))
    still = replace(settings.augment, swap_probability=0.0, flip_probability=0.0)
    sampler = StemSampler(ramp, frames=RATE // 2, batch_size=8, mixing=settings.mixing, augment=still)
    starts = torch.cat([sampler.batch(step).stems[:, :, 0, 0].flatten() for step in range(20)])
    assert (starts % (RATE // 2) != 0).float().mean() > 0.99
    assert starts.min() >= 0
    assert starts.max() <= 2 * RATE - RATE // 2


def test_excerpts_are_weighted_by_what_the_catalogue_expects(
    reader: SegmentReader, excerpts: MinedExcerpts, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert torch.all(remix_sampler(reader, excerpts).batch(0).weight == 1)
    read = excerpts.read
    monkeypatch.setattr(excerpts, "read", lambda *args: {**read(*args), "expected_volume_db": -20.0})
    weighed = remix_sampler(reader, excerpts, remix=RemixSettings(weigh_by_volume=True))
    assert torch.all(weighed.batch(0).weight == 0.5)
    assert volume_weight(-math.inf) == 1
    assert volume_weight(math.nan) == 1
    assert volume_weight(0.0) < 0.01


def test_excerpts_are_brought_to_the_models_rate_and_channels(reader: SegmentReader, excerpts: MinedExcerpts) -> None:
    slow = SegmentReader([Corpus(reader.tracks)], 5000, 1)
    sampler = RemixSampler(slow, excerpts, frames=2000, batch_size=2)
    for step in range(6):
        batch = sampler.batch(step)
        assert batch.rest.shape == batch.isolated.shape == (2, 1, 2000)
        expected = 1500 if SOURCES[batch.source] == "vocals" else 2000
        assert torch.all(batch.valid.sum(dim=1) == expected)


@pytest.mark.parametrize("kind", [StemSampler, RemixSampler])
def test_batches_depend_on_seed_number_and_rank_alone(
    kind: type, reader: SegmentReader, excerpts: MinedExcerpts
) -> None:
    def make(**options: int) -> StemSampler | RemixSampler:
        data = (reader,) if kind is StemSampler else (reader, excerpts)
        augment = AugmentSettings(gain_min=0.5, gain_max=1.5)
        return kind(*data, frames=SEGMENT, batch_size=2, augment=augment, **options)

    straight = make(seed=1)
    batches = [next(straight).mixture for _ in range(4)]
    resumed = make(seed=1)
    resumed.load_state_dict({"step": 2, "seed": 1})
    assert torch.equal(next(resumed).mixture, batches[2])
    assert torch.equal(next(resumed).mixture, batches[3])
    assert straight.state_dict() == resumed.state_dict()
    assert torch.equal(make(seed=1).batch(3).mixture, batches[3])
    assert not torch.equal(make(seed=2).batch(3).mixture, batches[3])
    assert not torch.equal(make(seed=1, rank=1, world_size=2).batch(3).mixture, batches[3])
    with pytest.raises(UsageError, match="seed 1"):
        make(seed=2).load_state_dict(straight.state_dict())


def test_ranks_share_out_the_same_examples(reader: SegmentReader) -> None:
    alone = StemSampler(reader, frames=SEGMENT, batch_size=4).draw(2).stems
    ranks = [StemSampler(reader, frames=SEGMENT, batch_size=2, rank=r, world_size=2).draw(2).stems for r in (0, 1)]
    assert torch.equal(alone, torch.cat(ranks))


def test_pitch_and_loudness_reach_remix_batches(reader: SegmentReader, excerpts: MinedExcerpts) -> None:
    pytest.importorskip("python_stretch")
    pytest.importorskip("pyloudnorm")
    mixing = MixingSettings(loudness_lufs=-20.0, pitch_tempo=PitchTempoSettings(1.0, semitones=2, tempo=0.1))
    batch = remix_sampler(reader, excerpts, mixing=mixing).batch(1)
    assert batch.isolated.shape == (4, 2, SEGMENT)
    for mixture in batch.mixture.numpy():
        assert abs(loudness_lufs(mixture, RATE) + 20) < 0.1
    assert (batch.isolated[0].abs() > 0).all()


def test_unusable_inputs_are_refused(reader: SegmentReader, excerpts: MinedExcerpts, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="remix_group"):
        StemSampler(reader, frames=SEGMENT, batch_size=3, augment=AugmentSettings(remix_group=2))
    with pytest.raises(UsageError, match="rank 2"):
        StemSampler(reader, frames=SEGMENT, batch_size=3, rank=2, world_size=2)
    with pytest.raises(UsageError, match="max_gain_db"):
        RemixSettings(max_gain_db=-1.0)
    with pytest.raises(DataError):
        MinedExcerpts(tmp_path)


def test_weights_that_would_change_nothing_are_refused(reader: SegmentReader, excerpts: MinedExcerpts) -> None:
    with pytest.raises(
        UsageError, match=r"all excerpts .* have the same probability \(0.99 without drums, 0.99 without"
    ):
        remix_sampler(reader, excerpts, remix=RemixSettings(probability_weight=4.0))
    with pytest.raises(UsageError, match="probability_weight draws probable excerpts more often"):
        RemixSettings(probability_weight=1.0, weigh_by_volume=True)
