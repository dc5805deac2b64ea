"""Samples around a threshold: what is drawn, with which weights, and the thresholds that the answers give."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("starlette", reason="the extra 'review' is not installed")
pytest.importorskip("httpx", reason="httpx is not installed")
from starlette.testclient import TestClient

from remix_miner.calibration.harvest import harvest_probabilities
from remix_miner.calibration.recalibration import recalibrate
from remix_miner.calibration.reviewed_songs import reviewed_draws
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.calibration.window_table import windows_inside
from remix_miner.detector.calibration import Calibration, FusedSource, SourceCalibration
from remix_miner.detector.evidence import Fusion
from remix_miner.detector.spans import silent_spans
from remix_miner.detector.windows import HOP_SECONDS
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mined.probability_codes import encode
from remix_miner.mined.reviews.decisions import has_reviews, review_transaction
from remix_miner.mining.merge import merge
from remix_miner.review.samples.audit import Audit, AuditSettings
from remix_miner.review.samples.threshold_draw import Stretch, draw_stretches, lowest_score, strata_of, track_scores
from remix_miner.review.samples.threshold_sample import ThresholdSample, ThresholdSettings
from remix_miner.review.server import review_app
from remix_miner.review.session import ReviewSettings, Session

from .conftest import MINED_SETTINGS

LEVELS = np.linspace(0.70, 0.99, 30)
WINDOWS = 200
SECONDS = (WINDOWS - 1) * HOP_SECONDS
SILENT_FROM = 0.80
"""In the folder of this file, tracks have one P each, in steps of 0.01; drums are silent in those of 0.80 and more."""


@pytest.fixture
def folder(tmp_path, mine) -> Path:
    """120 tracks of 12.7 s, four for each P; mined at 0.9, so that those from 0.9 on have an excerpt."""
    levels = {f"library/{number:03d}.wav": float(LEVELS[number % 30]) for number in range(120)}
    tracks = {name: {"drums": [12.0]} if level >= 0.9 else {} for name, level in levels.items()}
    settings = {**MINED_SETTINGS, "thresholds": {"drums": 0.9}}
    mine(tmp_path / "mined", tracks, settings=settings).close()
    with ProbabilityStore(tmp_path / "mined") as store, Catalogue.read(tmp_path / "mined") as catalogue:
        hashes = dict(catalogue.database.execute("SELECT path, sha256 FROM tracks"))
        rows = {name: np.full((4, WINDOWS), level, dtype=np.float32) for name, level in levels.items()}
        store.write([stored_track(name, hashes[name], row) for name, row in rows.items()])
    return tmp_path / "mined"


def stored_track(name: str, sha256: str, row: np.ndarray) -> StoredTrack:
    return StoredTrack(name, sha256, 1000, 1, round(SECONDS * 1000), 1000, encode(row, np.ones(WINDOWS, dtype=bool)))


def truth(track: str) -> bool:
    return bool(LEVELS[int(track[-7:-4]) % 30] >= SILENT_FROM - 1e-9)


def answer_all(sample: ThresholdSample | Audit) -> int:
    """Answer by the truth until the end; return the number of answers."""
    answers = 0
    while not sample.result()["complete"]:
        position = sample.state()["position"]
        sample.answer(position, "accepted" if truth(sample.item(position).track) else "rejected", None)
        answers += 1
    return answers


def calibration(**changes: object) -> Calibration:
    counts = dict.fromkeys(
        ("windows", "silent_windows", "accepted_windows", "tracks", "artists", "artists_accepted"), 9
    )
    shared = {"volume_db": -20.0, "precision_target": 0.95, "precision": 0.97, "precision_lower_bound": 0.95}
    shared |= {"held_out_precision": None, "recall": 0.5, "silence_rate": 0.3, "assumed_silence_rate": 0.3, **counts}
    one = SourceCalibration(threshold=0.9, reason=None, spans=None, **shared)
    return Calibration("tiny", "d" * 64, {}, {}, {"drums": one, "bass": one}, **changes)


# --- the highest threshold at which a window is harvested ------------------------------------------------------------


@pytest.mark.parametrize("min_seconds", [1.0, 2.0])
def test_a_window_is_harvested_at_every_threshold_up_to_its_own(min_seconds):
    """The rule itself, at several thresholds, on random walks with missing windows."""
    for seed in range(60):
        generator = np.random.default_rng(seed)
        windows = int(generator.integers(5, 500))
        row = 1 / (1 + np.exp(-np.cumsum(generator.normal(0, 0.4, windows))))
        row[generator.random(windows) < 0.01] = np.nan
        seconds = (windows - 1) * HOP_SECONDS
        own = harvest_probabilities(row, seconds, min_seconds)
        for threshold in generator.uniform(0.05, 0.95, 4):
            spans = silent_spans(row, threshold, seconds, min_seconds)
            np.testing.assert_array_equal(own >= np.float32(threshold), windows_inside(spans, windows, seconds))


# --- the draw --------------------------------------------------------------------------------------------------------


def candidates(scores: Sequence[float]) -> list[Stretch]:
    return [Stretch(number, 0.0, 5.0 + number % 3, float(score)) for number, score in enumerate(scores)]


def test_strata_are_below_and_two_halves_above():
    strata = strata_of(candidates(np.linspace(0.5, 0.999, 600)), 0.8)
    assert max(one.score for one in strata["below"]) < 0.8 <= min(one.score for one in strata["near"])
    assert max(one.score for one in strata["near"]) <= min(one.score for one in strata["far"])
    near, far = (sum(one.seconds for one in strata[name]) for name in ("near", "far"))
    assert near == pytest.approx(far, rel=0.02)


def test_weights_add_up_to_the_seconds_of_each_stratum_and_estimates_are_unbiased():
    strata = strata_of(candidates(np.random.default_rng(0).uniform(0.5, 0.999, 500)), 0.8)
    every = [one for some in strata.values() for one in some]
    seconds = sum(one.seconds for one in every)
    pure = {one.track_id for one in every if one.score > 0.85 or one.track_id % 3 == 0}
    true_share = sum(one.seconds for one in every if one.track_id in pure) / seconds
    estimates = []
    for seed in range(200):
        draws = draw_stretches(strata, 40, np.random.default_rng(seed))
        for name, some in strata.items():
            weight = sum(draw.weight for draw in draws if draw.stratum == name)
            assert weight == pytest.approx(sum(one.seconds for one in some))
        estimates.append(sum(draw.weight for draw in draws if draw.track_id in pure) / seconds)
    standard_error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - true_share) < 4 * standard_error
    assert 30 <= len(draws) <= 42


def test_any_beginning_of_the_draw_has_the_strata_in_their_shares():
    strata = strata_of(candidates(np.linspace(0.5, 0.999, 900)), 0.8)
    draws = draw_stretches(strata, 100, np.random.default_rng(0))
    for end in (20, 40, 60, 100):
        names = [draw.stratum for draw in draws[:end]]
        assert [names.count(name) / end for name in strata] == pytest.approx([0.45, 0.35, 0.2], abs=0.1)


def test_a_folder_smaller_than_the_plan_gives_each_stretch_once():
    strata = strata_of(candidates([0.7, 0.85, 0.9]), 0.8)
    draws = draw_stretches(strata, 60, np.random.default_rng(0))
    assert sorted(draw.track_id for draw in draws) == [0, 1, 2]
    assert sum(draw.weight for draw in draws) == pytest.approx(18.0)
    assert {
        draw.stratum for draw in draw_stretches(strata_of(candidates([0.9]), 0.8), 3, np.random.default_rng(0))
    } == {"far"}


def test_the_lowest_score_gives_as_many_windows_below_as_above():
    levels = np.linspace(0.5, 0.99, 50)
    rows = [np.full((4, WINDOWS), level, dtype=np.float32) for level in levels]
    stored = [stored_track(str(number), "", row) for number, row in enumerate(rows)]
    tracks = [track_scores(number, one, 0, 5.0) for number, one in enumerate(stored)]
    # 20 tracks above, 20 below; P is stored in steps of about 0.015 there.
    assert lowest_score(tracks, 0.795, planned=3) == pytest.approx(0.6, abs=0.016)
    assert lowest_score(tracks, 0.99, planned=60) == pytest.approx(0.5, abs=0.016)  # enough for 60 answers
    assert lowest_score([], 0.9, planned=3) == 0.9


# --- a sample of a folder --------------------------------------------------------------------------------------------


def test_a_sample_is_stored_before_the_first_answer_and_goes_on(folder):
    sample = ThresholdSample(folder, ThresholdSettings("drums", planned=40), "ada")
    state = sample.state()
    assert (state["kind"], state["position"], state["settings"]["threshold"]) == ("threshold", 0, 0.9)
    assert state["population"]["lowest"] == pytest.approx(0.8, abs=0.011)
    tracks = [sample._draws[place].track_id for place in range(len(sample._draws))]
    sample.answer(0, "accepted", None)
    with pytest.raises(UsageError, match="not the one to answer"):
        sample.answer(0, "accepted", None)
    with pytest.raises(DataError, match="not reached"):
        sample.item(5)
    again = ThresholdSample(folder, ThresholdSettings("drums", planned=40), "ada")
    assert (again.id, again.state()["position"]) == (sample.id, 1)
    assert [draw.track_id for draw in again._draws] == tracks
    assert ThresholdSample(folder, ThresholdSettings("drums", planned=40, seed=1), "ada").id != sample.id
    assert ThresholdSample(folder, ThresholdSettings("drums", planned=40), "bob").state()["position"] == 0
    answers = answer_all(again)
    result = again.result()
    assert (result["complete"], result["draws"], again.state()["position"]) == (True, answers + 1, None)
    assert 0 < result["strata"]["below"]["clean"] <= result["strata"]["below"]["draws"]
    assert result["strata"]["far"]["clean"] == result["strata"]["far"]["draws"] > 0


def test_what_cannot_be_drawn_is_stated(folder):
    with pytest.raises(UsageError, match="name one with --at"):
        ThresholdSample(folder, ThresholdSettings("vocals"), "ada")
    assert ThresholdSample(folder, ThresholdSettings("vocals", 0.85), "ada").state()["position"] == 0
    with pytest.raises(UsageError, match="threshold must be above 0 and below 1"):
        ThresholdSettings("drums", 1.5)
    with pytest.raises(UsageError, match="3 answers or more"):
        ThresholdSettings("drums", planned=2)
    with pytest.raises(UsageError, match="name their folder with --library"):
        Session(ReviewSettings(folder, sample=ThresholdSettings("drums")))


def test_the_server_plays_stretches_that_no_shard_has(folder, tmp_path):
    (tmp_path / "library").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 13 * 8000)
    for number in range(120):
        soundfile.write(tmp_path / f"library/{number:03d}.wav", noise, 8000)
    settings = ReviewSettings(folder, (tmp_path / "library",), "ada", sample=ThresholdSettings("drums", planned=20))
    session = Session(settings)
    client = TestClient(review_app(session, "t", ["127.0.0.1"]), base_url="http://127.0.0.1")
    assert client.get("/t/api/overview").json()["sample"] == "threshold"
    assert client.get("/t/api/excerpts").status_code == 400
    item = client.get("/t/api/items/a0").json()
    assert set(item) == {"key", "source", "seconds", "scale", "before_seconds", "after_seconds"}
    wav = client.get("/t/audio/a0/excerpt.wav")
    assert len(wav.content) == pytest.approx(44 + 2 * 8000 * item["seconds"], abs=4)
    body = {"decision": "rejected", "stretch": [1.0, 2.0]}
    assert client.post("/t/api/items/a0/decision", json=body).status_code == 200
    assert client.post("/t/api/undo", json={}).status_code == 400
    assert client.get("/t/api/sample").json()["position"] == 1
    with CatalogueView.read(folder) as catalogue:
        row = catalogue.database.execute(
            "SELECT excerpt_id, purpose, weight > 0, wrong_end_seconds - wrong_start_seconds FROM reviews"
        ).fetchone()
    assert row == (None, "threshold", 1, 1.0)


# --- thresholds from the answers -------------------------------------------------------------------------------------


def test_answers_lower_the_threshold_to_where_the_source_is_silent(folder):
    """All is silent from 0.8 on: an audit keeps the threshold of 0.9, a sample around it lowers it."""
    settings = CalibrationSettings(precision=0.9, worst_artist=0.8)
    answer_all(Audit(folder, AuditSettings("drums", planned=60, controls=0), "script"))
    assert recalibrate(folder, calibration(), settings).sources["drums"].threshold == pytest.approx(0.9, abs=0.011)
    answer_all(ThresholdSample(folder, ThresholdSettings("drums", 0.85, planned=60), "script"))
    after = recalibrate(folder, calibration(), settings)
    assert after.sources["drums"].threshold == pytest.approx(SILENT_FROM, abs=0.03)
    assert after.sources["drums"].curve is after.sources["drums"].spans is after.sources["drums"].recall is None
    assert after.sources["bass"] == calibration().sources["bass"]
    assert after.data["reviewed_draws"]["drums"] >= 100


def test_audits_and_samples_of_one_source_share_the_weight_above_the_threshold(folder):
    sample = ThresholdSample(folder, ThresholdSettings("drums", planned=40), "script")
    answer_all(sample)
    with CatalogueView.read(folder) as catalogue, ProbabilityStore(folder, to_read=True) as store:
        alone = reviewed_draws(catalogue.database, store, "drums")
    above = sum(draw.weight for draw in alone if draw.thresholds[0] >= 0.9)
    below = sum(draw.weight for draw in alone if draw.thresholds[0] < 0.9)
    assert above == pytest.approx(sum(sample.population["seconds"][name] for name in ("near", "far")))
    answer_all(Audit(folder, AuditSettings("drums", planned=30, controls=0), "script"))
    with CatalogueView.read(folder) as catalogue, ProbabilityStore(folder, to_read=True) as store:
        both = reviewed_draws(catalogue.database, store, "drums")
    assert sum(draw.weight for draw in both if draw.thresholds[0] < 0.9) == pytest.approx(below)
    assert sum(draw.weight for draw in both if draw.thresholds[0] >= 0.9) == pytest.approx(above)
    assert sum(draw.draws for draw in both) == len(alone) + 30


def test_a_draw_across_the_threshold_is_split():
    from remix_miner.calibration.reviewed_songs import ReviewedDraw, _halves

    draw = ReviewedDraw("a", np.array([0.8, 0.95, 0.96, 0.99]), np.array([False, True, True, False]), weight=8.0)
    above, below = _halves(draw, 0.9)
    assert (above.weight, above.silent.tolist(), below.weight, below.silent.tolist()) == (
        6.0,
        [True, True, False],
        2.0,
        [False],
    )
    assert above.draws + below.draws == 1


def test_a_source_that_was_joined_with_a_second_opinion_changes_its_joint_calibration(folder):
    answer_all(ThresholdSample(folder, ThresholdSettings("drums", 0.85, planned=60), "script"))
    fusion = Fusion("voice", "1", "s", "MIT", "drums", 0.0, 1.0, 1.0)
    fused = {"drums": FusedSource(fusion, calibration().sources["drums"])}
    before = calibration(fused=fused)
    settings = CalibrationSettings(precision=0.9, worst_artist=0.8)
    alone = recalibrate(folder, before, settings)
    assert alone.fused == fused
    assert alone.sources["drums"].threshold != 0.9
    with review_transaction(folder) as database:
        database.execute(
            "UPDATE meta SET value = json_set(value, '$.fusion', json('{\"source\": \"drums\"}')) "
            "WHERE key = 'settings_json'"
        )
    joined = recalibrate(folder, before, settings)
    assert joined.sources["drums"] == before.sources["drums"]
    assert joined.fused["drums"].calibration == alone.sources["drums"]


def test_answers_survive_a_merge(folder, tmp_path):
    answer_all(ThresholdSample(folder, ThresholdSettings("drums", 0.85, planned=60), "script"))
    merge(tmp_path / "merged", [folder])
    settings = CalibrationSettings(precision=0.9, worst_artist=0.8)
    assert recalibrate(tmp_path / "merged", calibration(), settings) == recalibrate(folder, calibration(), settings)
    with CatalogueView.read(tmp_path / "merged") as catalogue:
        assert has_reviews(catalogue.database)
