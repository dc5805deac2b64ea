"""Thresholds from the answers to audits, and the number of answers needed."""

import dataclasses

import numpy as np
import pytest

pytest.importorskip("starlette", reason="the extra 'review' is not installed")

from remix_miner.calibration.fit import calibrate
from remix_miner.calibration.recalibration import recalibrate, threshold_from_draws
from remix_miner.calibration.reviewed_songs import ReviewedDraw, reviewed_draws
from remix_miner.calibration.settings import CalibrationSettings
from remix_miner.detector.calibration import Calibration, SourceCalibration
from remix_miner.errors import DataError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mined.probability_codes import encode
from remix_miner.review.samples.audit import Audit, AuditSettings
from remix_miner.sources import SOURCES

TRUE_THRESHOLD = 0.95
"""In the planted library, windows below it are silent seven times of ten, those above it always."""


def planted_draws(count: int, seed: int) -> list[ReviewedDraw]:
    """What a listener who makes no mistake answers to ``count`` draws of a folder mined at P >= 0.8."""
    generator = np.random.default_rng(seed)
    found = []
    for number in range(count):
        probability = generator.uniform(0.8, 1.0)
        silent = probability >= TRUE_THRESHOLD or generator.random() < 0.7
        row = np.clip(probability + generator.normal(0, 0.003, 80), 0.8, 1.0)
        found.append(ReviewedDraw(f"track {number % 150}", row, np.full(80, silent)))
    return found


def test_more_answers_find_a_threshold_more_often_and_it_keeps_its_promise():
    """20 answers never support 95%, 60 sometimes do, 200 mostly; what is chosen is pure enough."""
    found = {}
    for answers in (20, 60, 200):
        chosen = [threshold_from_draws(planted_draws(answers, seed), CalibrationSettings()) for seed in range(4)]
        values = np.array([one.value for one in chosen if one.value is not None])
        purity = np.where(values >= TRUE_THRESHOLD, 1.0, (0.7 * (0.95 - values) + 0.05) / (1.0 - values))
        found[answers] = (len(values), float((purity < 0.95).mean()) if len(values) else 0.0)
    assert found[20][0] == 0
    assert found[60][0] <= found[200][0]
    assert found[200][0] >= 3
    assert found[200][1] <= 0.34
    plain = [
        threshold_from_draws(planted_draws(200, seed), CalibrationSettings(bound="none")).value for seed in range(9)
    ]
    assert 0.90 < np.median([value for value in plain if value is not None]) < 0.96


def base_calibration() -> Calibration:
    counts = dict.fromkeys(
        ("windows", "silent_windows", "accepted_windows", "tracks", "artists", "artists_accepted"), 9
    )
    shared = {"volume_db": -20.0, "precision_target": 0.95, "precision": 0.97, "precision_lower_bound": 0.95}
    shared |= {"held_out_precision": None, "recall": 0.5, "silence_rate": 0.3, "assumed_silence_rate": 0.3, **counts}
    one = SourceCalibration(threshold=0.8, reason=None, spans=None, **shared)
    return Calibration("tiny", "d" * 64, {}, {}, {"drums": one, "bass": one})


@pytest.fixture
def folder(tmp_path, mine):
    """40 tracks with an excerpt without drums; drums sound in those below P = 0.9, which every fourth one is."""
    names = [f"{number:02d}.mp3" for number in range(40)]
    mine(tmp_path / "mined", {name: {"drums": [8.0]} for name in names}).close()
    with ProbabilityStore(tmp_path / "mined") as store:
        for number, name in enumerate(names):
            level = 0.85 if number % 4 == 0 else 0.96
            row = np.full((len(SOURCES), 2000), level, dtype=np.float32)
            store.write([StoredTrack(name, "0" * 64, 1, 1, 128, 1, encode(row, np.ones(2000, dtype=bool)))])
    return tmp_path / "mined"


def test_the_threshold_of_a_folder_moves_to_where_its_audit_says(folder):
    audit = Audit(folder, AuditSettings("drums", planned=150, controls=0.0), "script")
    while (position := audit.state()["position"]) is not None and not audit.result()["complete"]:
        number = int(audit.item(position).track[:2])
        audit.answer(position, "rejected" if number % 4 == 0 else "accepted", None)
    audit.close()
    before = base_calibration()
    after = recalibrate(folder, before, CalibrationSettings(precision=0.9, worst_artist=0.8))
    assert after.sources["drums"].threshold == pytest.approx(0.96, abs=0.005)
    assert after.sources["drums"].precision == 1.0
    assert after.sources["bass"] == before.sources["bass"]
    assert after.data["reviewed_draws"]["drums"] == 150
    strict = recalibrate(folder, before, CalibrationSettings(precision=0.99))
    assert strict.sources["drums"].threshold is None
    assert "artists" in strict.sources["drums"].reason
    with pytest.raises(DataError, match="not for the one"):
        recalibrate(folder, dataclasses.replace(before, detector_sha256="e" * 64), CalibrationSettings())


def test_a_calibration_with_a_curve_and_counts_can_be_read_again(folder, labelled_songs, tmp_path):
    audit = Audit(folder, AuditSettings("drums", planned=20, controls=0.0), "script")
    while (position := audit.state()["position"]) is not None and not audit.result()["complete"]:
        audit.answer(position, "accepted", None)
    audit.close()
    before = calibrate(labelled_songs(4), "tiny", "d" * 64, CalibrationSettings())
    assert before.sources["drums"].artist_counts is not None
    after = recalibrate(folder, before, CalibrationSettings(precision=0.9, worst_artist=0.8))
    after.save(tmp_path / "c.json")
    assert Calibration.load(tmp_path / "c.json").sources == after.sources


def test_a_marked_stretch_labels_its_own_windows(folder):
    audit = Audit(folder, AuditSettings("drums", planned=1, controls=0.0), "script")
    audit.answer(0, "rejected", (2.0, 3.0))
    audit.close()
    with CatalogueView.read(folder) as catalogue, ProbabilityStore(folder, to_read=True) as store:
        (draw,) = reviewed_draws(catalogue.database, store, "drums")
    centres = np.arange(2000) * 0.064  # a window that begins before the track is in no harvest
    centres = centres[(centres - 0.32 >= 0) & (centres + 0.32 <= 8.0)]
    assert len(draw.silent) == len(centres)
    np.testing.assert_array_equal(~draw.silent, (centres + 0.32 > 2.0) & (centres - 0.32 < 3.0))


def test_a_folder_without_answers_is_refused(folder):
    with pytest.raises(DataError, match="no answers to a random sample"):
        recalibrate(folder, base_calibration(), CalibrationSettings())
