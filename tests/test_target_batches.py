"""Batches of a target against the rest: what excerpts make of them, with numbers worked out by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from remix_miner.datasets.corpora import load_stem_tracks, load_target_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.settings_files import load_settings
from remix_miner.sources import SOURCES
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.feeding import Feed
from remix_miner.training.batches.rests import RemixSettings
from remix_miner.training.batches.samplers import StemSampler
from remix_miner.training.batches.target_batches import TargetBatch, TargetSampler
from remix_miner.training.learner import Learner
from remix_miner.training.optimizers import OptimizerSettings
from remix_miner.training.run.data import TrainingData, hold_out, load_training_data
from remix_miner.training.run.distributed import Ranks
from remix_miner.training.run.start_lines import start_lines
from remix_miner.training.settings import SeparatorSettings, TrainingSettings
from remix_miner.training.steps import main_step
from remix_miner.training.targets import build_model, share_of_excerpts

RATE = 8000
SEGMENT = 4000
PLAIN = AugmentSettings(swap_probability=0.0, flip_probability=0.0)
LEVELS = {"drums": 0.4, "bass": 0.2, "other": 0.1, "vocals": 0.3}
# The rest of drums has the power 0.2^2 + 0.1^2 + 0.3^2 = 0.14; excerpts at 0.05 would need 17.5 dB to reach it, and
# the gain is limited to 12 dB.
EXCERPT_LEVEL = 0.05 * 10 ** (12 / 20)
Make = Callable[..., TargetSampler]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> SegmentReader:
    """A song of random signs, each source at a level of its own."""
    folder = tmp_path_factory.mktemp("songs")
    generator = np.random.default_rng(0)
    (folder / "song").mkdir()
    for source in SOURCES:
        noise = LEVELS[source] * generator.choice([-1.0, 1.0], (2 * RATE, 2))
        soundfile.write(folder / "song" / f"{source}.wav", noise, RATE, subtype="FLOAT")
    return SegmentReader([Corpus(load_stem_tracks(folder))], RATE, 2)


@pytest.fixture(scope="module")
def make(reader: SegmentReader, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A sampler of drums against the rest; its excerpts are random signs at 0.05, of 1 s, or of ``seconds``."""

    def write(seconds: float) -> MinedExcerpts:
        folder = tmp_path_factory.mktemp("mined")
        noise = 0.05 * np.random.default_rng(1).choice([-1.0, 1.0], (round(seconds * RATE), 2))
        with ShardWriter(
            folder, "drums", sample_rate=RATE, detector_sha256="0" * 64, threshold=0.9, settings={}, shard_id="0"
        ) as shard:
            shard.append(
                noise.astype(np.float32),
                track="track",
                track_sha256="0" * 64,
                start_seconds=0.0,
                probability_mean=1.0,
                probability_min=1.0,
            )
        return MinedExcerpts(folder)

    def sampler(share: float, seconds: float = 1.0, negatives: float = 0.0, **options: object) -> TargetSampler:
        remix = RemixSettings(negatives=negatives)
        settings = {"frames": SEGMENT, "batch_size": 4, "augment": PLAIN, "remix": remix, **options}
        return TargetSampler(reader, write(seconds), "drums", share, **settings)

    return sampler


def test_an_excerpt_makes_a_complete_example(make: Make) -> None:
    batch = make(share=1.0).batch(0)
    assert torch.allclose(batch.target.abs(), torch.tensor(0.4))
    assert torch.allclose(batch.rest.abs(), torch.tensor(EXCERPT_LEVEL), rtol=1e-3)
    assert torch.equal(batch.mixture, batch.target + batch.rest)


def test_a_negative_has_silence_as_its_target(make: Make) -> None:
    plain, negative = make(share=1.0).batch(0), make(share=1.0, negatives=1.0).batch(0)
    assert not negative.target.any()
    assert torch.equal(negative.rest, plain.rest)


def test_outside_a_short_excerpt_the_rest_is_silent(make: Make) -> None:
    batch = make(share=1.0, seconds=0.3).batch(0)  # 2400 of the segment's 4000 frames
    assert ((batch.rest != 0).sum(dim=-1) == 2400).all()
    assert torch.allclose(batch.target.abs(), torch.tensor(0.4))


def test_without_excerpts_examples_are_the_mixes_of_four_sources(make: Make, reader: SegmentReader) -> None:
    batch = make(share=0.0).batch(3)
    stems = StemSampler(reader, frames=SEGMENT, batch_size=4, augment=PLAIN).batch(3).stems
    assert torch.equal(batch.target, stems[:, 0])
    assert torch.allclose(batch.rest, stems[:, 1:].sum(dim=1), atol=1e-6)


def test_the_share_decides_how_many_and_leaves_the_others_as_they_are(make: Make) -> None:
    mixes, some = make(share=0.0, batch_size=400).batch(0), make(share=0.25, batch_size=400).batch(0)
    from_mixes = torch.isclose(some.rest, mixes.rest).flatten(1).all(dim=1)
    # Of 400 draws of probability 0.25, 100 +- 4 standard deviations of 8.7.
    assert abs(int((~from_mixes).sum()) - 100) < 35
    assert torch.equal(some.target[from_mixes], mixes.target[from_mixes])


@pytest.fixture(scope="module")
def two_tracks(tmp_path_factory: pytest.TempPathFactory) -> MinedExcerpts:
    """Excerpts without drums of two tracks: 1 s of random signs at 0.05, and 1 s of a constant 0.02."""
    folder = tmp_path_factory.mktemp("two")
    signs = 0.05 * np.random.default_rng(1).choice([-1.0, 1.0], (RATE, 2))
    with ShardWriter(
        folder, "drums", sample_rate=RATE, detector_sha256="0" * 64, threshold=0.9, settings={}, shard_id="0"
    ) as shard:
        for track, audio in (("signs", signs), ("constant", np.full((RATE, 2), 0.02))):
            shard.append(
                audio.astype(np.float32),
                track=track,
                track_sha256="0" * 64,
                start_seconds=0.0,
                probability_mean=1.0,
                probability_min=1.0,
            )
    return MinedExcerpts(folder)


def dense(reader: SegmentReader, two_tracks: MinedExcerpts, **settings: float) -> TargetSampler:
    remix = RemixSettings(**settings)
    return TargetSampler(
        reader, two_tracks, "drums", 1.0, frames=SEGMENT, batch_size=16, augment=PLAIN, remix=remix, seed=3
    )


def test_a_second_excerpt_comes_from_another_track_at_the_level_of_the_first(
    reader: SegmentReader, two_tracks: MinedExcerpts
) -> None:
    """The sum of signs and of a constant of the same level L is 0 or 2 L, and its power 2 L^2.

    The own rest has the power 0.14, which is out of reach: 12 dB more than 0.05 or 0.02 (power 2 x 0.0025 or
    2 x 0.0004), so L is 4 (3.98) times the first one's level.
    """
    gain = 10 ** (12 / 20)
    rests = dense(reader, two_tracks, second_probability=1.0).batch(0).rest
    seen = set()
    for rest in rests:
        level = float(rest.abs().max()) / 2 / gain
        nearest = min((0.05, 0.02), key=lambda each: abs(each - level))
        seen.add(nearest)
        assert level == pytest.approx(nearest, rel=2e-3)
        silent = torch.isclose(rest, torch.tensor(0.0), atol=1e-3)
        assert torch.allclose(rest[~silent].abs(), torch.tensor(2 * nearest * gain), rtol=3e-3)
        assert 0.45 < silent.float().mean() < 0.55
    assert seen == {0.05, 0.02}


def test_the_probability_of_a_second_excerpt_leaves_all_else_as_it_is(
    reader: SegmentReader, two_tracks: MinedExcerpts
) -> None:
    plain, half = dense(reader, two_tracks), dense(reader, two_tracks, second_probability=0.5)
    single = [dense(reader, two_tracks).batch(step) for step in range(8)]
    some = [half.batch(step) for step in range(8)]
    assert all(torch.equal(one.target, other.target) for one, other in zip(single, some, strict=True))
    alike = torch.cat([(one.rest == other.rest).flatten(1).all(1) for one, other in zip(single, some, strict=True)])
    assert abs(int(alike.sum()) - 64) < 23  # 128 draws of probability one half: 4 standard deviations of 5.7
    assert torch.equal(plain.batch(5).rest, single[5].rest)


def test_training_states_what_a_weight_changes(reader: SegmentReader, two_tracks: MinedExcerpts) -> None:
    """1 s at p = 1 and 1 s at 0.5: the mean of p is 0.75, and with the weights 1 and 0.5 it is 1.25 / 1.5."""
    excerpts = MinedExcerpts(two_tracks.folder)
    excerpts._index["probability_mean"] = [1.0, 0.5]
    data = TrainingData(reader, [], excerpts, 0.5)
    lines = start_lines(data, TrainingSettings(target="drums", excerpts=RemixSettings(probability_weight=1.0)))
    assert "excerpts are drawn by probability^1; its mean over draws: drums 0.750 -> 0.833" in lines
    assert not any("probability^" in line for line in start_lines(data, TrainingSettings(target="drums")))


@pytest.mark.parametrize(
    ("songs", "mined", "settings", "stated"),
    [
        (1, False, [], "--config few_songs"),
        (3, True, [], "--config few_songs"),
        (3, True, ["mixing.pitch_tempo.semitones=2"], None),
        (4, False, [], None),
        (4, True, [], "no gain of mined music for vocals"),
        (1, True, ["target=drums"], None),
        (1, False, ["target=bass"], "made bass better"),
        (1, True, ["target=bass"], "made bass better"),
        (4, True, ["target=bass"], None),
        (4, True, ["target=drums"], None),
    ],
)
def test_training_states_what_the_measurements_let_expect(
    reader: SegmentReader,
    two_tracks: MinedExcerpts,
    songs: int,
    mined: bool,
    settings: list[str],
    stated: str | None,
) -> None:
    read = SegmentReader([Corpus(list(reader.tracks))] * songs, RATE, 2)
    data = TrainingData(read, [], MinedExcerpts(two_tracks.folder) if mined else None, 0.5)
    lines = start_lines(data, load_settings(TrainingSettings, None, ["target=vocals", *settings]))
    advice = [line for line in lines if "few_songs" in line or "no gain" in line]
    assert [stated in line for line in advice if stated] == ([True] if stated else [])
    assert len(advice) == (stated is not None)
    assert any("isolated recordings" in line for line in lines) == (
        mined and songs < 4 and "target=bass" not in settings
    )


def test_a_second_excerpt_needs_a_second_track(make: Make) -> None:
    with pytest.raises(UsageError, match="has those of one track without drums"):
        make(share=1.0, remix=RemixSettings(second_probability=0.5))


def test_references_follow_the_order_that_the_model_states() -> None:
    target, rest = torch.full((1, 1, 2), 3.0), torch.full((1, 1, 2), 5.0)
    batch = TargetBatch(target, rest, "bass")
    assert batch.references(("no_bass", "bass"))[0, :, 0, 0].tolist() == [5.0, 3.0]
    assert batch.references(("bass",))[0, :, 0, 0].tolist() == [3.0]


def learner_of(sources: list[str] | None = None) -> Learner:
    """A model whose estimates are zero."""
    settings = {"channels": 4, "depth": 2, "sample_rate": RATE} | ({"sources": sources} if sources else {})
    training = TrainingSettings(
        separator=SeparatorSettings("demucs", settings),
        optimizer=OptimizerSettings(learning_rate=1e-6),
        batch_size=4,
        segment_seconds=0.05,
        target="drums",
    )
    model = build_model(training)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return Learner(model, training, Ranks())


@pytest.mark.parametrize(
    ("sources", "negatives", "loss"),
    [
        (["drums"], 0.0, 0.4),
        (["drums"], 1.0, 0.0),
        (None, 0.0, (0.4 + EXCERPT_LEVEL) / 2),
        (None, 1.0, EXCERPT_LEVEL / 2),
    ],
)
def test_the_loss_of_silent_estimates_is_the_mean_level_of_what_is_known(
    make: Make, sources: list[str] | None, negatives: float, loss: float
) -> None:
    learner = learner_of(sources)
    sampler = make(share=1.0, negatives=negatives, frames=learner.context_frames)
    assert main_step(learner, sampler) == pytest.approx(loss, rel=1e-3, abs=1e-9)


def test_a_model_of_other_sources_is_refused() -> None:
    with pytest.raises(UsageError, match=r"trains a model of \['drums', 'no_drums'\] or \['drums'\]"):
        learner_of(["vocals"])


def test_the_default_share_follows_the_seconds_and_stops_at_half() -> None:
    assert share_of_excerpts(60.0, 540.0) == pytest.approx(0.1)
    assert share_of_excerpts(540.0, 540.0) == 0.5
    assert share_of_excerpts(36000.0, 540.0) == 0.5


def test_the_accompaniment_of_a_pair_is_the_rest_of_vocals_alone(tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    for name, level in (("vocals", 0.25), ("accompaniment", 0.5)):
        soundfile.write(tmp_path / "song" / f"{name}.wav", np.full((RATE, 1), level), RATE, subtype="FLOAT")
    (track,) = load_target_tracks(tmp_path, "vocals")
    assert track.read(frames=1)[:, 0, 0].tolist() == [0.0, 0.0, 0.5, 0.25]
    with pytest.raises(DataError, match="pairs of vocals and accompaniment"):
        load_target_tracks(tmp_path, "drums")


def test_ranks_and_workers_make_the_same_examples(make: Make) -> None:
    whole = make(share=0.5).batch(0)
    shares = [make(share=0.5, batch_size=2, rank=rank, world_size=2).batch(0) for rank in (0, 1)]
    assert torch.equal(torch.cat([share.rest for share in shares]), whole.rest)
    assert torch.equal(torch.cat([share.target for share in shares]), whole.target)
    with Feed(make(share=0.5), workers=1) as feed:
        assert torch.equal(next(feed).mixture, whole.mixture)


# --- isolated files ------------------------------------------------------------------------------------------------


def isolated_reader(folder: Path, reader: SegmentReader | None) -> SegmentReader:
    """Isolated drums at 0.6 beside the songs of ``reader``, or alone."""
    (folder / "drums").mkdir()
    noise = 0.6 * np.random.default_rng(2).choice([-1.0, 1.0], (2 * RATE, 2))
    soundfile.write(folder / "drums" / "Ann - Solo.wav", noise, RATE, subtype="FLOAT")
    corpora = [Corpus(load_stem_tracks(folder))] + ([Corpus(reader.tracks)] if reader else [])
    return SegmentReader(corpora, RATE, 2)


def test_an_excerpt_under_an_isolated_file_has_the_level_of_a_labelled_rest(
    tmp_path: Path, reader: SegmentReader, two_tracks: MinedExcerpts
) -> None:
    """The labelled rest of drums has the power 0.14, whatever song the drums are of."""
    settings = RemixSettings(max_gain_db=60.0)
    both = isolated_reader(tmp_path, reader)
    batch = TargetSampler(
        both, two_tracks, "drums", 1.0, remix=settings, frames=SEGMENT, batch_size=32, augment=PLAIN
    ).batch(0)
    assert set(batch.target.abs().amax(dim=(1, 2)).numpy().round(4).tolist()) == {np.float32(0.4), np.float32(0.6)}
    sounding = (batch.rest != 0).sum(dim=(1, 2))
    torch.testing.assert_close((batch.rest**2).sum(dim=(1, 2)) / sounding, torch.full((32,), 0.14), rtol=0.06, atol=0.0)


def test_with_isolated_files_alone_an_excerpt_has_their_level(tmp_path: Path, two_tracks: MinedExcerpts) -> None:
    alone = isolated_reader(tmp_path, None)
    settings = RemixSettings(max_gain_db=60.0)
    batch = TargetSampler(
        alone, two_tracks, "drums", 1.0, remix=settings, frames=SEGMENT, batch_size=8, augment=PLAIN
    ).batch(0)
    assert torch.allclose(batch.rest.abs()[batch.rest != 0], torch.tensor(0.6), rtol=1e-3)


def training_of_drums(stems: list[Path], mined: Path | None, **options: object) -> TrainingData:
    settings = TrainingSettings(target="drums", separator=SeparatorSettings("demucs", {"sample_rate": RATE}))
    settings = replace(settings, validation=replace(settings.validation, every_epochs=0), **options)
    return load_training_data(stems, [], mined, build_model(settings), settings)


def test_isolated_files_do_not_count_as_music_without_the_target(
    tmp_path: Path, reader: SegmentReader, two_tracks: MinedExcerpts
) -> None:
    """2 s of excerpts beside a song of 2 s: one half. Without the song excerpts make all examples."""
    isolated_reader(tmp_path, None)
    song = reader.tracks[0].folder.parent
    beside = training_of_drums([song, tmp_path], two_tracks.folder)
    assert beside.share == pytest.approx(0.5)
    assert training_of_drums([tmp_path], two_tracks.folder).share == 1.0
    stated = start_lines(beside, TrainingSettings(target="bass"))
    assert stated[0] == "training on 1 songs (0.00 h) and isolated files: drums 1 (0.00 h)"
    assert not any("few_songs" in line for line in stated)
    with pytest.raises(DataError, match="the stems are isolated drums alone"):
        training_of_drums([tmp_path], None)


def test_isolated_files_are_not_held_out_and_go_with_their_artist(tmp_path: Path, reader: SegmentReader) -> None:
    isolated_reader(tmp_path, None)
    (song,) = reader.tracks
    songs = [replace(song, name=f"{artist} - Song", artist=artist) for artist in ("Ann", "Bob")]
    (solo,) = load_stem_tracks(tmp_path)
    assert solo.artist == "Ann"
    for seed in range(4):
        (kept, files), held = hold_out([songs, [solo]], 0.5, seed)
        assert [track.isolated for track in held] == [None]
        assert files == ([] if held[0].artist == "Ann" else [solo])
        assert len(kept) == 1
    with pytest.raises(DataError, match="nothing to hold out"):
        hold_out([songs[:1], [solo]], 0.5, 0)
