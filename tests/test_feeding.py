from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.datasets.stem_cache import use_stem_cache
from remix_miner.errors import AudioError, RemixMinerError, UsageError
from remix_miner.sources import SOURCES
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.feeding import Feed
from remix_miner.training.batches.samplers import StemSampler

RATE = 8000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for song in range(2):
        (tmp_path / "songs" / f"song{song}").mkdir(parents=True)
        for source in SOURCES:
            noise = generator.uniform(-0.5, 0.5, (RATE, 2))
            soundfile.write(tmp_path / "songs" / f"song{song}" / f"{source}.wav", noise, RATE)
    return tmp_path


def sampler(folder: Path, cached: bool = False) -> StemSampler:
    reader = SegmentReader([Corpus(load_stem_tracks(folder / "songs"))], RATE, 2)
    if cached:
        use_stem_cache(reader, folder / "cache")
    return StemSampler(reader, frames=500, batch_size=2, augment=AugmentSettings(gain_min=0.5, gain_max=1.0), seed=4)


def take(feed: Feed, count: int) -> torch.Tensor:
    return torch.stack([next(feed).stems for _ in range(count)])


def test_workers_change_nothing(folder: Path) -> None:
    expected = torch.stack([sampler(folder, cached=True).batch(step).stems for step in range(6)])
    for workers in (0, 1, 2):
        with Feed(sampler(folder, cached=True), workers=workers) as feed:
            assert torch.equal(take(feed, 6), expected), f"{workers} workers"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="this system does not show environments")
def test_workers_compute_with_one_thread_each(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with Feed(sampler(folder), workers=1) as feed:
        next(feed)
        variables = Path(f"/proc/{feed._workers[0].process.pid}/environ").read_bytes().split(b"\0")
    assert b"OPENBLAS_NUM_THREADS=1" in variables


def test_resuming_forgets_what_was_drawn_ahead(folder: Path) -> None:
    expected = take(Feed(sampler(folder)), 6)
    with Feed(sampler(folder), workers=1, prefetch=3) as feed:
        take(feed, 2)
        state = feed.state_dict()
        assert state == {"step": 2, "seed": 4}
        take(feed, 2)
        feed.load_state_dict(state)
        assert torch.equal(take(feed, 2), expected[2:4])
    resumed = Feed(sampler(folder))
    resumed.load_state_dict(state)
    assert torch.equal(take(resumed, 4), expected[2:])


def test_an_error_in_a_worker_is_raised_with_its_message(folder: Path) -> None:
    with Feed(sampler(folder), workers=1, prefetch=1) as feed:
        next(feed)
        for song in ("song0", "song1"):
            (folder / "songs" / song / "bass.wav").unlink()
        with pytest.raises(AudioError, match=r"bass\.wav"):
            take(feed, 3)


def test_a_killed_worker_is_an_error_and_not_a_hang(folder: Path) -> None:
    with Feed(sampler(folder), workers=1, prefetch=1) as feed:
        next(feed)
        feed._workers[0].process.kill()
        with pytest.raises(RemixMinerError, match="exited with code"):
            take(feed, 3)


def test_unusable_numbers_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="workers"):
        Feed(sampler(folder), workers=-1)
