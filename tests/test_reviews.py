"""Reviews in the catalogue: at once, the latest counts, the rest beside a wrong stretch stays, merging keeps them."""

import shutil
import sqlite3

import numpy as np
import pytest

from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.live_excerpts import live_excerpts
from remix_miner.mined.reviews.decisions import Review, record, review_transaction, undo
from remix_miner.mining.merge import merge

from .conftest import MINED_RATE, MINED_SETTINGS, mined_audio

TRACKS = {"a.mp3": {"drums": [20.0, 6.0]}, "b.mp3": {"bass": [7.0]}}


@pytest.fixture
def folder(tmp_path, mine):
    mine(tmp_path / "mined", TRACKS).close()
    return tmp_path / "mined"


def rows(folder) -> list[sqlite3.Row]:
    database = sqlite3.connect(folder / "catalogue.sqlite")
    database.row_factory = sqlite3.Row
    return database.execute("SELECT * FROM excerpts ORDER BY id").fetchall()


def decide(folder, place: int, decision: str, stretch=None, reviewer: str = "ada") -> None:
    row = rows(folder)[place]
    with review_transaction(folder) as database:
        record(
            database,
            Review(
                row["track_id"],
                row["source"],
                row["start_seconds"],
                row["seconds"],
                decision,
                reviewer,
                excerpt_id=row["id"],
                stretch=stretch,
            ),
        )


def states(folder) -> list[str | None]:
    return [row["review"] for row in rows(folder)]


def test_the_latest_decision_counts_and_undo_brings_back_the_one_before(folder):
    decide(folder, 0, "accepted")
    decide(folder, 0, "rejected")
    decide(folder, 1, "unsure")
    assert states(folder) == ["rejected", "unsure", None]
    with review_transaction(folder) as database:
        undo(database, "ada")
    assert states(folder) == ["rejected", None, None]
    with review_transaction(folder) as database:
        assert undo(database, "ada") == rows(folder)[0]["id"]
    assert states(folder) == ["accepted", None, None]
    with review_transaction(folder) as database:
        assert undo(database, "bob") is None


def test_an_unsure_excerpt_stays_and_a_rejected_one_goes(folder):
    decide(folder, 0, "rejected")
    decide(folder, 1, "unsure")
    dataset = MinedExcerpts(folder)
    assert sorted(item["audio"].shape[1] / MINED_RATE for item in map(dataset.read, range(len(dataset)))) == [6.0, 7.0]
    with CatalogueView.read(folder) as catalogue:
        assert catalogue.harvest()["drums"]["seconds"] == 6.0


def test_the_rest_beside_a_wrong_stretch_is_kept_where_it_is_long_enough(folder):
    decide(folder, 0, "rejected", stretch=(5.5, 12.0))  # of 0 to 20 s: 5.5 s before it, 8 s after it
    audio = mined_audio("a.mp3", "drums", 0, 20.0).T
    dataset = MinedExcerpts(folder, "drums")
    items = [dataset[index] for index in range(len(dataset))]
    assert [(item["start_seconds"], item["audio"].shape[1]) for item in items] == [
        (0.0, round(5.5 * MINED_RATE)),
        (12.0, 8 * MINED_RATE),
        (10.0, 6 * MINED_RATE),
    ]
    np.testing.assert_allclose(items[0]["audio"], audio[:, : round(5.5 * MINED_RATE)], atol=1e-4)
    np.testing.assert_allclose(items[1]["audio"], audio[:, 12 * MINED_RATE :], atol=1e-4)
    crop = dataset.read(1, MINED_RATE, 2 * MINED_RATE)
    np.testing.assert_array_equal(crop["audio"], items[1]["audio"][:, MINED_RATE : 3 * MINED_RATE])
    padded = dataset.read(1, MINED_RATE, 10 * MINED_RATE)
    assert padded["valid_frames"] == 7 * MINED_RATE
    np.testing.assert_array_equal(padded["audio"][:, : 7 * MINED_RATE], items[1]["audio"][:, MINED_RATE:])
    assert not padded["audio"][:, 7 * MINED_RATE :].any()
    with CatalogueView.read(folder) as catalogue:
        assert catalogue.harvest()["drums"] == {"excerpts": 3, "tracks": 1, "seconds": 19.5}
    decide(folder, 0, "rejected", stretch=(4.9, 16.0))  # nothing of five seconds is left
    assert MinedExcerpts(folder, "drums").seconds_of("drums") == 6.0


def test_a_stretch_outside_the_excerpt_and_unknown_decisions_are_refused(folder):
    for wrong in ((-1.0, 3.0), (3.0, 3.0), (15.0, 21.0)):
        with pytest.raises(UsageError, match="does not lie in the excerpt"):
            decide(folder, 0, "rejected", stretch=wrong)
    with pytest.raises(UsageError, match="only a rejected excerpt"):
        decide(folder, 0, "accepted", stretch=(1.0, 2.0))
    with pytest.raises(UsageError, match="a decision is one of"):
        decide(folder, 0, "maybe")
    with pytest.raises(DataError, match=r"holds no catalogue"), review_transaction(folder / "shards"):
        pass
    assert states(folder) == [None, None, None]


def test_a_superseded_excerpt_stays_superseded(folder, mine):
    mine(folder, {"a.mp3": {"drums": [9.0]}}, shard_id="b", mtime_ns=2).close()
    decide(folder, 0, "accepted")
    assert states(folder)[0] == "superseded"


def test_a_scan_that_finds_a_shard_gone_keeps_its_reviews(folder):
    decide(folder, 0, "rejected")
    (folder / "shards" / rows(folder)[0]["shard"]).unlink()
    Catalogue.open(folder, MINED_SETTINGS).close()
    database = sqlite3.connect(folder / "catalogue.sqlite")
    assert database.execute("SELECT excerpt_id, source, seconds, decision FROM reviews").fetchall() == [
        (None, "drums", 20.0, "rejected")
    ]


def test_only_accepted_ones_can_be_asked_for(folder):
    decide(folder, 1, "accepted")
    with CatalogueView.read(folder) as catalogue:
        assert [one.seconds for one in live_excerpts(catalogue.database, accepted_only=True)] == [6.0]
        assert len(list(live_excerpts(catalogue.database))) == 3


def test_merging_joins_the_reviews_of_two_listeners_once(tmp_path, folder):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    decide(folder, 0, "accepted", reviewer="ada")
    decide(other, 0, "rejected", stretch=(5.5, 12.0), reviewer="bob")  # later than ada
    decide(other, 2, "rejected", reviewer="bob")
    for out, parts in (("one", [folder, other]), ("two", [other, folder])):
        for _ in range(2):
            merge(tmp_path / out, list(parts))
        assert sorted(map(str, states(tmp_path / out))) == ["None", "rejected", "rejected"]
        assert MinedExcerpts(tmp_path / out).seconds_of("drums") == 19.5
        database = sqlite3.connect(tmp_path / out / "catalogue.sqlite")
        assert database.execute("SELECT count(*) FROM reviews WHERE excerpt_id IS NOT NULL").fetchone() == (3,)
    with review_transaction(other) as database:
        undo(database, "bob")
    merge(tmp_path / "one", [other])
    assert sorted(map(str, states(tmp_path / "one"))) == ["None", "None", "rejected"]
