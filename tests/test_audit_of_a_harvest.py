"""Audits: exact bounds with the coverage that they state, draws in proportion to seconds, controls, kill and resume."""

import json

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'review' is not installed")
from scipy.stats import binomtest

from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.samples.audits import draws_of
from remix_miner.review.samples.audit import Audit, AuditSettings, sounding_stretch
from remix_miner.review.samples.purity_bounds import (
    clopper_pearson,
    draws_needed,
    further_clean_needed,
    lower_limit,
    lower_limit_any_time,
    seconds_bound,
)


@pytest.mark.parametrize(("clean", "draws"), [(0, 7), (7, 7), (3, 10), (58, 59), (500, 503)])
def test_intervals_are_scipys(clean, draws):
    exact = binomtest(clean, draws).proportion_ci(0.95, "exact")
    assert clopper_pearson(clean, draws, 0.95) == pytest.approx((exact.low, exact.high), abs=1e-9)
    one_sided = binomtest(clean, draws, alternative="greater").proportion_ci(0.9, "exact")
    assert lower_limit(clean, draws, 0.9) == pytest.approx(one_sided.low, abs=1e-9)


def test_the_rule_of_59():
    assert draws_needed(0.95, 0.95) == 59
    assert lower_limit(59, 59, 0.95) >= 0.95 > lower_limit(58, 58, 0.95)
    for clean, wrong in ((0, 0), (30, 1), (100, 4), (59, 0)):
        more = further_clean_needed(clean, wrong, 0.95, 0.95)
        assert lower_limit(clean + more, clean + wrong + more, 0.95) >= 0.95
        assert more == 0 or lower_limit(clean + more - 1, clean + wrong + more - 1, 0.95) < 0.95


def test_the_bound_at_any_time_is_never_passed_too_often():
    """Looked at after each of 300 answers, stopping when it suits: the exact bound fails, this one does not."""
    generator = np.random.default_rng(0)
    truth, runs = 0.9, 400
    clean = np.cumsum(generator.random((runs, 300)) < truth, axis=1)
    exact = {(k, n): lower_limit(k, n, 0.95) for n in range(1, 301) for k in set(clean[:, n - 1].tolist())}
    any_time = {place: lower_limit_any_time(*place, 0.95) for place in exact}
    passed = [
        np.mean([any(bounds[int(row[n - 1]), n] > truth for n in range(1, 301)) for row in clean])
        for bounds in (exact, any_time)
    ]
    assert passed[0] > 0.15
    assert passed[1] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


@pytest.mark.parametrize("kind", ["faulty tracks", "short faults everywhere", "one bad artist"])
def test_the_bound_of_clean_seconds_has_its_coverage(kind):
    """Harvests whose faults cluster by track, drawn as an audit draws: the bound is above the truth at most 5%."""
    generator = np.random.default_rng(3)
    runs, above = 300, 0
    for _ in range(runs):
        tracks = np.repeat(np.arange(60), generator.integers(1, 12, 60))
        seconds = generator.gamma(2.0, 6.0, len(tracks)) + 5
        share = np.ones(len(tracks))
        if kind == "faulty tracks":
            bad = generator.random(60) < 0.1
            share[bad[tracks]] = generator.uniform(0, 1, int(bad[tracks].sum()))
        elif kind == "short faults everywhere":
            share -= (generator.random(len(tracks)) < 0.3) * generator.uniform(0, 0.4, len(tracks))
        else:
            share[tracks < 3] = 0.0
        truth = float((share * seconds).sum() / seconds.sum())
        drawn = generator.choice(len(tracks), 59, p=seconds / seconds.sum())
        above += seconds_bound(tracks[drawn].tolist(), share[drawn].tolist(), 0.95) > truth
    assert above / runs <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / runs)


def test_the_bound_of_clean_seconds_is_exact_without_a_fault_and_wider_for_fewer_tracks():
    assert seconds_bound(list(range(59)), [1.0] * 59, 0.95) == pytest.approx(0.95, abs=0.005)
    assert seconds_bound([0, 1, 2] * 20, [1.0] * 60, 0.95) < 0.5
    assert seconds_bound([], [], 0.95) == 0.0


# --- the audit itself ------------------------------------------------------------------------------------------------


class Sounding:
    """Stands for `TrackProbabilities`: the source sounds throughout every track."""

    def around(self, track: str, start_seconds: float, end_seconds: float):
        return 0, np.full((4, int(end_seconds / 0.064)), 0.01, dtype=np.float32)


@pytest.fixture
def folder(tmp_path, mine):
    lengths = {"drums": [5.0, 5.0, 20.0], "bass": [5.0]}
    mine(tmp_path / "mined", {f"{number}.mp3": lengths for number in range(8)}).close()
    (tmp_path / "mined" / "report.json").write_text('{"kept": 1}')
    return tmp_path / "mined"


def answer_all(audit: Audit, decide) -> dict:
    while (position := audit.state()["position"]) is not None and not audit.result()["complete"]:
        audit.answer(position, *decide(audit.item(position)))
    return audit.result()


def test_draws_are_in_proportion_to_seconds(folder):
    audit = Audit(folder, AuditSettings("drums", planned=300, controls=0.0), "ada")
    with CatalogueView.read(folder) as catalogue:
        seconds = dict(catalogue.database.execute("SELECT id, seconds FROM excerpts"))
        drawn = [seconds[draw.excerpt_id] for draw in draws_of(catalogue.database, audit.id)]
    assert len(drawn) == 3000
    assert np.mean(np.array(drawn) == 20.0) == pytest.approx(2 / 3, abs=0.03)
    assert audit.population == {"excerpts": 24, "tracks": 8, "seconds": 240.0}


def test_a_clean_harvest_keeps_the_promise_after_59_draws(folder):
    audit = Audit(folder, AuditSettings("drums"), "ada", Sounding())
    audit._finder.join()
    result = answer_all(audit, lambda item: ("accepted" if item.excerpt_id else "rejected", None))
    assert (result["draws"], result["clean"], result["promise_kept"]) == (59, 59, True)
    assert result["lower_bound"] >= 0.95
    assert result["controls"] >= 2
    assert result["controls_noticed"] == result["controls"]
    assert result["listener_reliable"] is True
    report = json.loads((folder / "report.json").read_text())
    assert report["kept"] == 1
    assert report["audits"]["drums"] == [result]


def test_who_accepts_everything_is_found_out_by_the_controls(folder):
    audit = Audit(folder, AuditSettings("drums"), "ada", Sounding())
    audit._finder.join()
    result = answer_all(audit, lambda item: ("accepted", None))
    assert result["promise_kept"] is True
    assert result["listener_reliable"] is False
    assert result["controls_noticed"] == 0


def test_faults_and_doubts_count_against_the_harvest(folder):
    audit = Audit(folder, AuditSettings("drums", planned=20, controls=0.0), "ada")

    def decide(item):
        if item.excerpt_id % 3 == 1:
            return "rejected", (item.start_seconds, item.start_seconds + item.seconds / 4)
        return ("unsure" if item.excerpt_id % 3 == 2 else "accepted"), None

    result = answer_all(audit, decide)
    assert result["clean"] + result["wrong"] + result["unsure"] == result["draws"] == 20
    assert result["purity"] == result["clean"] / 20
    assert result["purity_seconds"] == pytest.approx((result["clean"] + 0.75 * result["wrong"]) / 20)
    assert result["promise_kept"] is False


def test_an_audit_goes_on_where_it_was_and_another_one_is_another(folder):
    settings = AuditSettings("drums", planned=10, controls=0.0)
    first = Audit(folder, settings, "ada")
    for _ in range(3):
        position = first.state()["position"]
        first.answer(position, "accepted", None)
    again = Audit(folder, settings, "ada")
    assert again.id == first.id
    assert again.state() == first.state()
    assert Audit(folder, AuditSettings("drums", planned=10, controls=0.0, seed=1), "ada").id != first.id
    assert Audit(folder, settings, "bob").id != first.id


def test_answers_come_in_order_and_only_once(folder):
    audit = Audit(folder, AuditSettings("drums", planned=10, controls=0.0), "ada")
    with pytest.raises(UsageError, match="not the one to answer"):
        audit.answer(3, "accepted", None)
    with pytest.raises(DataError, match="not reached"):
        audit.item(5)
    audit.answer(0, "accepted", None)
    with pytest.raises(UsageError, match="not the one to answer"):
        audit.answer(0, "rejected", None)


def test_what_cannot_be_audited_is_refused(folder):
    with pytest.raises(DataError, match="no excerpts without vocals"):
        Audit(folder, AuditSettings("vocals"), "ada")
    for wrong in ({"source": "guitar"}, {"promise": 1.0}, {"confidence": 0.0}, {"controls": 0.9}, {"planned": 0}):
        with pytest.raises(UsageError):
            AuditSettings(**{"source": "drums", **wrong})


def test_a_control_is_a_stretch_in_which_every_window_is_sure():
    probabilities = np.full(400, 0.9)
    generator = np.random.default_rng(0)
    assert sounding_stretch(probabilities, 8.0, generator) is None
    probabilities[100:300] = 0.01
    start, end = sounding_stretch(probabilities, 8.0, generator)
    assert end - start == pytest.approx(8.0)
    assert 100 * 0.064 < start < end < 300 * 0.064
