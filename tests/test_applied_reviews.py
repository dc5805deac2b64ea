"""Reviews applied by stretch: decisions about audio that is now cut as other excerpts."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.reviews.by_stretch import Answer, applied_counts, apply_by_stretch, verdict_on
from remix_miner.mined.reviews.decisions import Review, record, review_transaction, undo
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.merge import merge
from remix_miner.mining.remine import RemineSettings, remine
from remix_miner.mining.summary import summary

HERE = Engine(workers=0)
EVERY = {"drums": 0.2, "bass": 0.2, "vocals": 0.2}


def answer(decision: str, start: float, end: float, *wrong: float, at: int = 0) -> Answer:
    first, last = wrong or (None, None)
    return Answer(1, at, "drums", start, end, decision, first, last, "ada", f"2026-01-01T00:00:{at:02d}")


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], None),
        ([answer("accepted", 8, 22)], ("accepted", None)),
        ([answer("accepted", 8, 15)], None),  # a part of the excerpt says nothing of the rest
        ([answer("unsure", 8, 22)], ("unsure", None)),
        ([answer("rejected", 0, 12)], ("rejected", (10, 12))),  # all that was judged is wrong
        ([answer("rejected", 0, 30)], ("rejected", None)),
        ([answer("rejected", 0, 30, 3, 5)], None),  # what is marked lies elsewhere
        ([answer("rejected", 0, 30, 13, 14)], ("rejected", (13, 14))),
        ([answer("rejected", 0, 30, 18, 19), answer("rejected", 0, 30, 12, 13)], ("rejected", (12, 19))),
        ([answer("accepted", 12, 15, at=2), answer("rejected", 0, 30, 13, 14, at=1)], None),  # taken back later
        ([answer("accepted", 10, 20, at=2), answer("rejected", 0, 30, 13, 14, at=1)], ("accepted", None)),
        ([answer("rejected", 0, 30, 13, 14, at=2), answer("accepted", 8, 22, at=1)], ("rejected", (13, 14))),
        ([answer("unsure", 8, 22, at=2), answer("accepted", 8, 22, at=1)], ("unsure", None)),
    ],
)
def test_the_verdict_on_an_excerpt_from_10_to_20_s(answers, expected):
    found = verdict_on(10.0, 20.0, answers)
    assert (None if found is None else (found.decision, found.stretch)) == expected


@pytest.fixture(scope="module")
def library(noise_library: Callable[[int], Path]) -> Path:
    return noise_library(5)


@pytest.fixture(scope="module")
def scanned(library: Path, tiny_detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("applied") / "mined"
    mine([library], out, MineSettings(str(tiny_detector), min_seconds=1.0, sample_rate=16000, engine=HERE))
    return out


@pytest.fixture
def mined(scanned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scanned, tmp_path / "mined"))


def excerpts(folder: Path) -> list[sqlite3.Row]:
    with CatalogueView.read(folder) as catalogue:
        catalogue.database.row_factory = sqlite3.Row
        return catalogue.database.execute(
            "SELECT excerpts.*, path FROM excerpts JOIN tracks ON tracks.id = track_id ORDER BY path, source, "
            "start_seconds"
        ).fetchall()


def decide(folder: Path, row: sqlite3.Row, decision: str, stretch: tuple[float, float] | None = None) -> None:
    place = (row["track_id"], row["source"], row["start_seconds"], row["seconds"])
    with review_transaction(folder) as database:
        record(database, Review(*place, decision, "ada", excerpt_id=row["id"], stretch=stretch))


def overlapping(folder: Path, row: sqlite3.Row) -> list[sqlite3.Row]:
    start, end = row["start_seconds"], row["start_seconds"] + row["seconds"]
    return [
        other
        for other in excerpts(folder)
        if (other["path"], other["source"]) == (row["path"], row["source"])
        and min(end, other["start_seconds"] + other["seconds"]) - max(start, other["start_seconds"]) > 0.05
    ]


def test_answers_follow_into_a_folder_at_another_threshold(mined, tmp_path):
    longest = sorted(excerpts(mined), key=lambda row: -row["seconds"])
    accepted, rejected, doubtful = longest[0], longest[1], longest[2]
    decide(mined, accepted, "accepted")
    start = rejected["start_seconds"]
    decide(mined, rejected, "rejected", (start, start + 0.3))
    decide(mined, doubtful, "unsure")
    higher = {"drums": 0.34, "bass": 0.34, "vocals": 0.34}
    report = remine(mined, tmp_path / "out", RemineSettings(higher, engine=HERE))
    inside = overlapping(tmp_path / "out", accepted)
    assert inside
    assert {row["review"] for row in inside} == {"accepted"}  # a higher threshold cuts within what was accepted
    assert {row["review"] for row in overlapping(tmp_path / "out", doubtful)} == {"unsure"}
    for row in overlapping(tmp_path / "out", rejected):  # nothing of the marked stretch is cut again
        assert row["start_seconds"] >= start + 0.3 - 1e-6
    counts = report.as_json()["reviews_applied"]
    with CatalogueView.read(tmp_path / "out") as catalogue:
        rows = catalogue.database.execute("SELECT decision, excerpt_id IS NULL FROM reviews WHERE purpose = 'browse'")
        apart = [decision for decision, is_apart in rows if is_apart]  # a span of the same place keeps its review
    assert counts["answers"] == len(apart) >= 2
    assert counts["accepted"] == (len(inside) if "accepted" in apart else 0)
    assert f"{len(apart)} reviews applied by stretch" in summary(report, tmp_path)
    assert remine(mined, tmp_path / "out", RemineSettings(higher, engine=HERE)).as_json()["reviews_applied"] == counts


def test_the_same_thresholds_give_the_reviews_to_the_same_excerpts(mined, tmp_path):
    row = excerpts(mined)[0]
    decide(mined, row, "accepted")
    report = remine(mined, tmp_path / "out", RemineSettings({"drums": 0.3, "bass": 0.3, "vocals": 0.3}, engine=HERE))
    assert [other["review"] for other in overlapping(tmp_path / "out", row)] == ["accepted"]
    assert report.as_json()["reviews_applied"]["answers"] == 0  # it has its own excerpt there


def test_a_repaired_shard_gets_its_reviews_back(mined, library, tiny_detector):
    row = excerpts(mined)[0]
    decide(mined, row, "rejected", (row["start_seconds"], row["start_seconds"] + 0.4))
    (mined / "shards" / row["shard"]).unlink()
    mine([library], mined, MineSettings(str(tiny_detector), min_seconds=1.0, sample_rate=16000, engine=HERE))
    (again,) = [other for other in overlapping(mined, row) if other["review"] != "superseded"]
    assert again["review"] == "rejected"
    with CatalogueView.read(mined) as catalogue:
        (stretch,) = catalogue.database.execute(
            "SELECT wrong_end_seconds - start_seconds FROM reviews WHERE purpose = 'applied'"
        ).fetchall()
    assert stretch[0] == pytest.approx(0.4)


def test_applied_decisions_are_derived_anew_and_cannot_be_undone(mined):
    row = excerpts(mined)[0]
    place = (row["track_id"], row["source"], row["start_seconds"] - 0.5, row["seconds"] + 1)
    with review_transaction(mined) as database:
        review_id = record(database, Review(*place, "rejected", "ada", purpose="threshold", weight=3.0))
        apply_by_stretch(database)
        assert applied_counts(database) == {"answers": 1, "accepted": 0, "rejected": 1, "unsure": 0}
    assert {one["review"] for one in overlapping(mined, row)} == {"rejected"}
    with review_transaction(mined) as database:
        assert undo(database, "ada") is None
        database.execute("UPDATE reviews SET undone = 1 WHERE id = ?", (review_id,))
        apply_by_stretch(database, row["track_id"])
    assert {one["review"] for one in overlapping(mined, row)} == {None}


def test_an_excerpt_s_own_later_review_counts_more(mined):
    row = excerpts(mined)[0]
    place = (row["track_id"], row["source"], row["start_seconds"], row["seconds"])
    with review_transaction(mined) as database:
        record(database, Review(*place, "rejected", "ada", purpose="threshold", weight=3.0))
    decide(mined, row, "accepted")
    with review_transaction(mined) as database:
        apply_by_stretch(database)
    assert overlapping(mined, row)[0]["review"] == "accepted"


def test_a_merge_applies_each_answer_once(mined, tmp_path):
    row = excerpts(mined)[0]
    place = (row["track_id"], row["source"], row["start_seconds"], row["seconds"])
    with review_transaction(mined) as database:
        record(database, Review(*place, "rejected", "ada", purpose="threshold", weight=3.0))
        apply_by_stretch(database)
    for _ in range(2):
        merge(tmp_path / "merged", [mined])
        with CatalogueView.read(tmp_path / "merged") as catalogue:
            purposes = catalogue.database.execute("SELECT purpose FROM reviews ORDER BY 1").fetchall()
        assert purposes == [("applied",), ("threshold",)]
    assert overlapping(tmp_path / "merged", row)[0]["review"] == "rejected"


def test_labels_only_remine_gives_the_same_spans_without_decoding(mined, tmp_path, monkeypatch):
    remine(mined, tmp_path / "audio", RemineSettings(EVERY, engine=HERE))
    monkeypatch.setattr("remix_miner.mining.jobs.task.known_audio", None)
    remine(mined, tmp_path / "labels", RemineSettings(EVERY, labels_only=True, engine=HERE))
    columns = ("path", "source", "start_seconds", "seconds", "probability_mean")
    with_audio, without = (
        [[row[name] for name in columns] for row in excerpts(tmp_path / name)] for name in ("audio", "labels")
    )
    assert len(without) == len(with_audio) > 0
    for ours, theirs in zip(without, with_audio, strict=True):
        assert ours[:2] == theirs[:2]
        assert ours[2:] == pytest.approx(theirs[2:], abs=1e-6)
    assert not list((tmp_path / "labels").rglob("*.h5"))
