"""The store of probabilities: what is read is what was written, to half a step, and damage is a clear error."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.detector.loading import load_detector
from remix_miner.detector.stream import track_probabilities
from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.probabilities import PROBABILITIES_NAME, ProbabilityStore, StoredTrack
from remix_miner.mined.probability_codes import LOGIT_RANGE, decode, encode
from remix_miner.mining.detect import MineSettings, mine
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.summary import summary


def stored(name: str, probabilities: np.ndarray, mtime_ns: int = 1) -> StoredTrack:
    codes = encode(probabilities, np.ones(probabilities.shape[1], bool))
    return StoredTrack(name, "a" * 64, 10, mtime_ns, 16000, 16000, codes)


def some_probabilities(windows: int = 1000) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (4, windows)).astype(np.float32)


def test_codes_are_within_half_a_step_of_the_logit_and_keep_the_order() -> None:
    probabilities = some_probabilities()
    valid = np.random.default_rng(1).uniform(size=1000) > 0.1
    read = decode(encode(probabilities, valid))
    assert np.isnan(read[:, ~valid]).all()
    logits = [np.log(p) - np.log1p(-p) for p in (probabilities[:, valid], read[:, valid])]
    assert np.abs(logits[0] - logits[1])[np.abs(logits[0]) < LOGIT_RANGE].max() <= LOGIT_RANGE / 254 + 1e-5
    order = np.argsort(probabilities[0, valid])
    assert (np.diff(read[0, valid][order]) >= 0).all()
    assert np.isnan(decode(encode(np.full((4, 3), np.nan, np.float32), np.ones(3, bool)))).all()


def test_tracks_are_written_replaced_renamed_and_read_by_name(tmp_path: Path) -> None:
    with ProbabilityStore(tmp_path) as store:
        store.write([stored("a", some_probabilities(5)), stored("b", some_probabilities(0))])
        store.write([stored("a", some_probabilities(7), mtime_ns=2)])
        store.rename([("b", "c", 3)])
    with ProbabilityStore(tmp_path, to_read=True) as store:
        assert store.tracks() == ["a", "c"]
        assert store.read("nothing") is None
        first = store.read("a")
        assert first is not None
        assert first.shape == (4, 7)
        moved = store.stored("c")
        assert moved is not None
        assert (moved.mtime_ns, moved.codes.shape) == (3, (4, 0))
        assert [track.track for track in store.all()] == ["a", "c"]


def test_the_later_version_of_a_track_is_taken_over(tmp_path: Path) -> None:
    for part, mtime_ns in (("1", 1), ("2", 2)):
        (tmp_path / part).mkdir()
        with ProbabilityStore(tmp_path / part) as store:
            store.write([stored("a", some_probabilities(mtime_ns), mtime_ns), stored(part, some_probabilities(3))])
    with ProbabilityStore(tmp_path) as store:
        for part in ("2", "1"):
            store.take_over(tmp_path / part)
        assert store.tracks() == ["1", "2", "a"]
        kept = store.stored("a")
        assert kept is not None
        assert kept.codes.shape[1] == 2


def test_a_store_that_is_missing_foreign_or_damaged_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no probabilities"):
        ProbabilityStore(tmp_path, to_read=True)
    path = tmp_path / PROBABILITIES_NAME
    with ProbabilityStore(tmp_path) as store:
        store.write([stored("a", some_probabilities(50))])
    database = sqlite3.connect(path)
    database.execute("UPDATE probabilities SET windows = 49")
    database.commit()
    with ProbabilityStore(tmp_path, to_read=True) as store, pytest.raises(DataError, match="damaged at a"):
        store.read("a")
    database.execute("PRAGMA application_id = 1")
    database.commit()
    database.close()
    with pytest.raises(DataError, match="not a store of probabilities"):
        ProbabilityStore(tmp_path, to_read=True)
    path.write_bytes(b"x" * 5000)
    with pytest.raises(DataError, match=PROBABILITIES_NAME):
        ProbabilityStore(tmp_path, to_read=True)


def test_a_scan_stores_every_window_of_every_track_that_is_done(
    noise_library: object, tiny_detector: Path, tmp_path: Path
) -> None:
    library = noise_library(2)  # type: ignore[operator]
    settings = MineSettings(detector=str(tiny_detector), min_seconds=1.0, engine=Engine(workers=0))
    report = mine([library], tmp_path, settings)
    model = load_detector(tiny_detector).model
    with ProbabilityStore(tmp_path, to_read=True) as store, Catalogue.read(tmp_path) as catalogue:
        names = [name for (name,) in catalogue.database.execute("SELECT path FROM tracks WHERE status = 'done'")]
        assert store.tracks() == sorted(names) == ["library/0.wav", "library/1.wav"]
        for name in names:
            audio = soundfile.read(library.parent / name, dtype="float32")[0]
            wanted = track_probabilities(model, audio.mean(axis=1))
            assert store.read(name) == pytest.approx(wanted, abs=0.02)
        stated = store.seconds_at_purities()
    # The calibration has one threshold, with the target 0.95: it serves 0.9 and 0.95, and 0.98 is not promised.
    assert stated == {0.9: stated[0.95], 0.95: stated[0.95]}
    assert [*stated[0.9]] == [*settings.sources]  # not by name
    assert report.at_purity == stated
    for source, seconds in stated[0.95].items():
        assert seconds == pytest.approx(report.sources[source]["seconds"], abs=0.01)
    assert "a purity of 90% gives: " in summary(report, tmp_path)
