"""The mined excerpts as a dataset: the right audio, the same in any number of workers, and no rejected excerpt."""

import multiprocessing
import shutil
import sqlite3

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import remix_miner
from remix_miner.errors import DataError, UsageError
from remix_miner.mined import excerpts as mined
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.files import shard_paths
from remix_miner.mined.shards.reader import Shard
from remix_miner.mined.shards.writer import ShardWriter

RATE = 8000
TRACKS = {"a.mp3": {"drums": [5.0, 2.0], "bass": [7.0]}, "b\n😀.mp3": {"drums": [3.0]}}


@pytest.fixture
def folder(tmp_path, mine):
    mine(tmp_path / "mined", TRACKS).close()
    return tmp_path / "mined"


def stored(folder) -> dict[tuple[str, str, float], np.ndarray]:
    """Every excerpt, read without the class under test: by track, source, and start."""
    found = {}
    for path in shard_paths(folder):
        with Shard(path) as shard:
            for row, excerpt in enumerate(shard.excerpts):
                found[excerpt["track"].decode(), shard.source, excerpt["start_seconds"]] = shard.read(row)
    return found


def test_whole_excerpts_with_their_origin(folder):
    dataset = MinedExcerpts(folder)
    expected = stored(folder)
    assert len(dataset) == len(expected) == 4
    assert dataset.sources == ("drums", "bass")
    assert (dataset.seconds_of("drums"), dataset.seconds_of("bass")) == (10.0, 7.0)
    for item in (dataset[index] for index in range(4)):
        audio = expected.pop((item["track"], item["source"], item["start_seconds"]))
        np.testing.assert_array_equal(item["audio"], audio)
        assert item["audio"].dtype == np.float32
        assert item["valid_frames"] == audio.shape[1]
        assert item["sample_rate"] == RATE
        assert item["expected_volume_db"] == -31.5
        assert len(item["track_sha256"]) == 64
    assert dataset[-1]["track"] == dataset[3]["track"]
    with pytest.raises(IndexError):
        dataset[4]


def test_crops_lie_inside_their_excerpt_and_say_where(folder):
    whole = stored(folder)
    dataset = MinedExcerpts(folder, "drums", seconds=2.5, seed=3)
    assert len(dataset) == 3
    for index in range(3):
        item = dataset[index]
        valid = item["valid_frames"]
        start_seconds = 10.0 * (item["start_seconds"] >= 10)  # `mine` puts excerpts of a track 10 s apart
        audio = whole[item["track"], "drums", start_seconds]
        first = round((item["start_seconds"] - start_seconds) * RATE)
        assert item["audio"].shape == (2, 20000)
        assert valid == min(20000, audio.shape[1])
        np.testing.assert_array_equal(item["audio"][:, :valid], audio[:, first : first + valid])
        assert not item["audio"][:, valid:].any()


def test_random_crops_reach_every_place_and_every_excerpt(folder):
    dataset = MinedExcerpts(folder)
    generator = np.random.default_rng(0)
    items = [dataset.crop(dataset.draw("drums", generator), 4 * RATE, generator) for _ in range(300)]
    long = [item["start_seconds"] for item in items if item["valid_frames"] == 4 * RATE]
    assert min(long) < 0.1
    assert max(long) > 0.9
    shares = [sum(item["valid_frames"] == seconds * RATE for item in items) / 300 for seconds in (4, 2, 3)]
    np.testing.assert_allclose(shares, [0.5, 0.2, 0.3], atol=0.1)  # of 5, 2 and 3 s: in proportion to their length
    audio, valid = dataset.random_crop("bass", 100, generator)
    assert (audio.shape, valid) == ((2, 100), 100)
    with pytest.raises(DataError, match="without 'vocals', only drums, bass"):
        dataset.draw("vocals", generator)


@pytest.mark.parametrize("with_catalogue", [True, False])
def test_drawn_by_track_every_track_is_as_likely(folder, with_catalogue):
    if not with_catalogue:
        for path in folder.glob("catalogue.sqlite*"):
            path.unlink()
    dataset = MinedExcerpts(folder)
    generator = np.random.default_rng(0)
    drawn = [dataset.read(dataset.draw("drums", generator, by="tracks")) for _ in range(1000)]
    shares = [sum(item["valid_frames"] == seconds * RATE for item in drawn) / 1000 for seconds in (5, 2, 3)]
    np.testing.assert_allclose(shares, [5 / 14, 2 / 14, 1 / 2], atol=0.05)  # one track has 5 and 2 s, the other 3 s
    assert {item["track"] for item in drawn if item["valid_frames"] == 3 * RATE} == {"b\n😀.mp3"}
    with pytest.raises(DataError, match="without 'vocals'"):
        dataset.draw("vocals", generator, by="tracks")


@pytest.fixture
def of_two_tracks(tmp_path) -> MinedExcerpts:
    """Track 'a': 4 s at p = 1 and 6 s at p = 0.5; track 'b': 2 s at p = 0.8. Audio of 1, 2 and 3."""
    with ShardWriter(
        tmp_path / "weighted",
        "drums",
        sample_rate=RATE,
        channels=1,
        detector_sha256="0" * 64,
        threshold=0.5,
        settings={},
        shard_id="0",
    ) as shard:
        for number, (track, seconds, probability) in enumerate((("a", 4, 1.0), ("b", 2, 0.8), ("a", 6, 0.5))):
            shard.append(
                np.full((seconds * RATE, 1), number + 1.0, dtype=np.float32),
                track=track,
                track_sha256="0" * 64,
                start_seconds=10.0 * number,
                probability_mean=probability,
                probability_min=probability / 2,
            )
    return MinedExcerpts(tmp_path / "weighted")


def shares_of(dataset, by, weight, draws=4000) -> list[float]:
    generator = np.random.default_rng(5)
    drawn = [dataset.draw("drums", generator, by, weight) for _ in range(draws)]
    return [drawn.count(index) / draws for index in range(3)]


@pytest.mark.parametrize(
    ("by", "weight", "shares", "mean"),
    [
        # 4 s x 1, 2 s x 0.8 and 6 s x 0.5: of 8.6, and with the squares of 4 + 1.28 + 1.5 = 6.78.
        ("seconds", 1.0, (4 / 8.6, 1.6 / 8.6, 3 / 8.6), (4 + 1.6 * 0.8 + 3 * 0.5) / 8.6),
        ("seconds", 2.0, (4 / 6.78, 1.28 / 6.78, 1.5 / 6.78), (4 + 1.28 * 0.8 + 1.5 * 0.5) / 6.78),
        # Of track a, 0.4 x 1 + 0.6 x 0.5 = 0.7 is kept; of track b 0.8; of both 1.5.
        ("tracks", 1.0, (0.4 / 1.5, 0.8 / 1.5, 0.3 / 1.5), (0.4 + 0.8 * 0.8 + 0.3 * 0.5) / 1.5),
    ],
)
def test_probable_excerpts_are_drawn_more_often(of_two_tracks, by, weight, shares, mean):
    np.testing.assert_allclose(shares_of(of_two_tracks, by, weight), shares, atol=0.03)
    assert of_two_tracks.mean_probability("drums", by, weight) == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("by", ["seconds", "tracks"])
def test_without_a_weight_a_draw_is_that_of_a_frame(of_two_tracks, by):
    """The excerpts' frames in line: 4 s, 2 s and 6 s; by track, 4 s and 6 s of 'a', then 2 s of 'b'."""
    drawn, expected = np.random.default_rng(2), np.random.default_rng(2)
    for _ in range(50):
        if by == "seconds":
            second = expected.integers(12 * RATE) / RATE
            index = 0 if second < 4 else 1 if second < 6 else 2
        else:
            track = expected.integers(2)
            second = expected.integers(10 * RATE * track, 10 * RATE + 2 * RATE * track) / RATE
            index = 0 if second < 4 else 2 if second < 10 else 1
        assert of_two_tracks.draw("drums", drawn, by) == index


def test_items_state_their_probability(of_two_tracks, folder):
    items = [of_two_tracks[index] for index in range(3)]
    assert [item["probability_mean"] for item in items] == pytest.approx([1.0, 0.8, 0.5])
    assert [item["probability_min"] for item in items] == pytest.approx([0.5, 0.4, 0.25])
    with_catalogue = MinedExcerpts(folder)
    read = [with_catalogue[index]["probability_mean"] for index in np.flatnonzero(with_catalogue._index["source"] == 0)]
    np.testing.assert_allclose(with_catalogue.probabilities("drums"), read, rtol=1e-6)


def test_a_probability_that_is_none_cannot_weigh(of_two_tracks):
    of_two_tracks._index["probability_mean"][1] = np.nan
    assert of_two_tracks.draw("drums", np.random.default_rng(0)) in (0, 1, 2)
    with pytest.raises(DataError, match="probability is not above 0 and at most 1"):
        of_two_tracks.draw("drums", np.random.default_rng(0), "seconds", 1.0)


def test_a_seed_an_epoch_and_an_index_decide_a_crop(folder):
    def crops(seed: int, epoch: int) -> list[float]:
        dataset = MinedExcerpts(folder, seconds=1.0, seed=seed)
        dataset.set_epoch(epoch)
        return [dataset[index]["start_seconds"] for index in range(4)]

    assert crops(0, 0) == crops(0, 0)
    assert crops(0, 0) != crops(0, 1)
    assert crops(0, 0) != crops(1, 0)


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_workers_give_what_one_process_gives(folder, start_method):
    if start_method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {start_method} on this system")
    dataset = MinedExcerpts(folder, seconds=2.5)
    expected = [dataset[index]["audio"] for index in range(4)]  # and the parent's files are open now
    loader = DataLoader(dataset, batch_size=2, num_workers=2, multiprocessing_context=start_method)
    batches = list(loader)
    torch.testing.assert_close(
        torch.cat([batch["audio"] for batch in batches]), torch.from_numpy(np.stack(expected)), rtol=0, atol=0
    )
    assert [track for batch in batches for track in batch["track"]] == [dataset[index]["track"] for index in range(4)]
    np.testing.assert_array_equal(dataset[0]["audio"], expected[0])


def test_a_forked_child_opens_files_of_its_own(folder):
    dataset = MinedExcerpts(folder)
    assert dataset[0]
    opened = dataset._open
    dataset._process -= 1  # what a fork looks like to the child
    assert dataset[0]
    assert dataset._open is not opened
    assert all(shard.frames for shard in opened.values())


def test_few_files_are_open_at_a_time(tmp_path, mine, monkeypatch):
    monkeypatch.setattr(mined, "OPEN_SHARDS", 2)
    for number in range(4):
        mine(tmp_path, {f"{number}.mp3": {"drums": [5.0 + number]}}, shard_id=str(number)).close()
    dataset = MinedExcerpts(tmp_path)
    for _ in range(2):
        assert [dataset[index]["audio"].shape[1] for index in range(4)] == [40000, 48000, 56000, 64000]
        assert len(dataset._open) == 2


def test_rejected_and_superseded_and_unrecorded_excerpts_are_left_out(folder, mine):
    with sqlite3.connect(folder / "catalogue.sqlite") as database:
        database.execute("UPDATE excerpts SET review = 'rejected' WHERE seconds = 2.0")
        database.execute("UPDATE excerpts SET review = 'accepted' WHERE seconds = 5.0")
    database.close()
    mine(folder, {"b\n😀.mp3": {"drums": [4.0]}}, shard_id="b", mtime_ns=2).close()  # the file changed
    with ShardWriter(
        folder, "drums", sample_rate=RATE, detector_sha256="d", threshold=0.9, settings={}, shard_id="killed"
    ) as shard:
        shard.append(
            np.ones((RATE, 2), dtype=np.float32),
            track="c",
            track_sha256="0" * 64,
            start_seconds=0,
            probability_mean=1,
            probability_min=1,
        )
    lengths = sorted(
        item["audio"].shape[1] / RATE for item in map(MinedExcerpts(folder, "drums").__getitem__, range(2))
    )
    assert lengths == [4.0, 5.0]
    (folder / "catalogue.sqlite").unlink()
    assert len(MinedExcerpts(folder, "drums")) == 5


def test_shards_alone_are_enough(folder):
    with_catalogue = [MinedExcerpts(folder)[index] for index in range(4)]
    (folder / "catalogue.sqlite").unlink()
    alone = [MinedExcerpts(folder)[index] for index in range(4)]
    for one, other in zip(with_catalogue, alone, strict=True):
        np.testing.assert_array_equal(one["audio"], other["audio"])
        assert one["track"] == other["track"]
        assert np.isnan(other["expected_volume_db"])


def test_what_is_missing_or_does_not_fit_is_told(tmp_path, folder):
    with pytest.raises(DataError, match="holds no shards"):
        MinedExcerpts(tmp_path)
    with pytest.raises(DataError, match="no excerpts without vocals"):
        MinedExcerpts(folder, "vocals")
    with pytest.raises(UsageError, match="seconds"):
        MinedExcerpts(folder, seconds=0)
    shutil.move(folder / "shards" / "bass-a.h5", tmp_path)
    with pytest.raises(DataError, match=r"bass-a\.h5 is in the catalogue but not on the disk"):
        MinedExcerpts(folder)
    (folder / "catalogue.sqlite").unlink()
    with ShardWriter(folder, "bass", detector_sha256="d", threshold=0.9, settings={}, shard_id="x") as shard:
        shard.append(
            np.ones((100, 2), dtype=np.float32),
            track="c",
            track_sha256="0" * 64,
            start_seconds=0,
            probability_mean=1,
            probability_min=1,
        )
    dataset = MinedExcerpts(folder)
    with pytest.raises(DataError, match="8000 Hz and 2 channels"):
        [dataset[index] for index in range(len(dataset))]


def test_the_public_name(folder):
    assert remix_miner.MinedExcerpts is MinedExcerpts
