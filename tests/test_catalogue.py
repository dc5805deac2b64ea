"""The catalogue of a mined folder: what is done stays done, what was interrupted is done again, nothing is doubled."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from remix_miner.datasets.library import LibraryFile
from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_db import LIVE
from remix_miner.mined.catalogue_rows import ScannedTrack
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.shards.files import shard_paths
from remix_miner.mined.shards.writer import ShardWriter

SETTINGS = {"detector_sha256": "d" * 64, "min_seconds": 5.0, "thresholds": {"drums": 0.9, "bass": 0.9}}
TWO_TRACKS = {"a.mp3": {"drums": [5.0, 6.0], "bass": [7.0]}, "b.mp3": {"drums": [8.0]}}


def library_file(name: str, size: int = 1000, mtime_ns: int = 1) -> LibraryFile:
    return LibraryFile(Path("/") / name, name, size, mtime_ns)


def live(catalogue: CatalogueView) -> list[tuple]:
    return catalogue.database.execute(
        "SELECT path, source, start_seconds, excerpts.seconds "
        f"FROM excerpts JOIN tracks ON tracks.id = track_id WHERE {LIVE} ORDER BY path, source, start_seconds"
    ).fetchall()


def test_the_tables_have_the_columns_that_were_promised(tmp_path):
    with Catalogue.open(tmp_path, SETTINGS) as catalogue:
        promised = {
            "tracks": "id path size mtime_ns sha256 seconds sample_rate channels status error",
            "excerpts": "id track_id source start_seconds seconds probability_mean probability_min shard shard_start "
            "review",
            "runs": "id started finished settings_json versions_json detector_sha256",
        }
        for table, columns in promised.items():
            found = {row[1] for row in catalogue.database.execute(f"PRAGMA table_info({table})")}
            assert set(columns.split()) <= found


def test_excerpts_point_to_their_audio(tmp_path, mine):
    with mine(tmp_path, TWO_TRACKS) as catalogue:
        rows = catalogue.database.execute(
            "SELECT path, source, excerpts.seconds, shard, shard_start, frames, expected_volume_db FROM excerpts "
            "JOIN tracks ON tracks.id = track_id ORDER BY excerpts.id"
        ).fetchall()
    assert sorted(rows) == [
        ("a.mp3", "bass", 7.0, "bass-a.h5", 0, 56000, -31.5),
        ("a.mp3", "drums", 5.0, "drums-a.h5", 0, 40000, -31.5),
        ("a.mp3", "drums", 6.0, "drums-a.h5", 40000, 48000, -31.5),
        ("b.mp3", "drums", 8.0, "drums-a.h5", 88000, 64000, -31.5),
    ]


def test_a_rerun_scans_what_is_new_changed_or_pending(tmp_path):
    with Catalogue.open(tmp_path, SETTINGS) as catalogue:
        files = [library_file(name) for name in ("done", "failed", "passing", "larger", "newer", "untouched")]
        assert catalogue.register(files) == files
        for name in ("done", "larger", "newer"):
            catalogue.finish_track(ScannedTrack(name, "0" * 64, 1.0, 44100, 2))
        catalogue.fail_track("failed", "not audio")
        catalogue.fail_track("passing", "vanished", passing=True)
        catalogue.fail_track("done", "a late report of another attempt")
        assert catalogue.status("done") == ("done", None)
        assert catalogue.status("failed") == ("failed", "not audio")
        assert catalogue.status("passing") == ("pending", "vanished")
        assert catalogue.status("unknown") is None
        files[3] = library_file("larger", size=1001)
        files[4] = library_file("newer", mtime_ns=2)
        files.insert(0, library_file("added\n😀"))
        names = [file.name for file in catalogue.register(files)]
        assert names == ["added\n😀", "passing", "larger", "newer", "untouched"]
        again = [file.name for file in catalogue.register(files, retry_failed=True)]
        assert again == ["added\n😀", "failed", "passing", "larger", "newer", "untouched"]


def test_a_file_that_is_listed_twice_is_scanned_once(tmp_path):
    with Catalogue.open(tmp_path, SETTINGS) as catalogue:
        assert len(catalogue.register([library_file("a"), library_file("a")])) == 1


def test_a_changed_file_supersedes_its_excerpts_and_leaves_the_shard_alone(tmp_path, mine):
    mine(tmp_path, TWO_TRACKS).close()
    before = {path: path.read_bytes() for path in shard_paths(tmp_path)}
    with mine(tmp_path, {"a.mp3": {"drums": [9.0]}, "b.mp3": {"drums": [8.0]}}, shard_id="b") as catalogue:
        assert len(live(catalogue)) == 4  # nothing changed, so nothing was scanned
    with mine(tmp_path, {"a.mp3": {"drums": [9.0]}}, shard_id="b", mtime_ns=2) as catalogue:
        assert live(catalogue) == [("a.mp3", "drums", 0.0, 9.0), ("b.mp3", "drums", 0.0, 8.0)]
    assert {path: path.read_bytes() for path in before} == before


def test_a_result_that_comes_twice_counts_once(tmp_path, mine):
    with mine(tmp_path, TWO_TRACKS) as catalogue:
        expected = live(catalogue)
        writer = ShardWriter(tmp_path, "drums", detector_sha256="d", threshold=0.9, settings={}, shard_id="again")
        writer.append(
            np.ones((10, 2), dtype=np.float32),
            track="a.mp3",
            track_sha256="0" * 64,
            start_seconds=0,
            probability_mean=1,
            probability_min=1,
        )
        assert catalogue.finish_track(ScannedTrack("a.mp3", "0" * 64, 1.0, 44100, 2), [writer.close()]) == 0
        assert live(catalogue) == expected


def test_a_shard_with_an_excerpt_of_an_unfinished_track_is_refused_as_a_whole(tmp_path):
    with Catalogue.open(tmp_path, SETTINGS) as catalogue:
        catalogue.register([library_file("a"), library_file("b")])
        writer = ShardWriter(tmp_path, "drums", detector_sha256="d", threshold=0.9, settings={}, shard_id=1)
        for track in ("a", "b"):
            writer.append(
                np.ones((10, 2), dtype=np.float32),
                track=track,
                track_sha256="0" * 64,
                start_seconds=0,
                probability_mean=1,
                probability_min=1,
            )
        with pytest.raises(ValueError, match="excerpt of b, which is not among the tracks"):
            catalogue.finish_track(ScannedTrack("a", "0" * 64, 1.0, 44100, 2), [writer.close()])
        assert catalogue.status("a") == ("pending", None)
        assert live(catalogue) == []
        with pytest.raises(ValueError, match="not registered"):
            catalogue.finish_track(ScannedTrack("c", "0" * 64, 1.0, 44100, 2))


def test_other_settings_are_refused_and_named_with_the_way_out(tmp_path, mine):
    mine(tmp_path, TWO_TRACKS).close()
    with pytest.raises(DataError, match=r"min_seconds: 5\.0 there, 6\.0 here.*--out.*--restart"):
        Catalogue.open(tmp_path, {**SETTINGS, "min_seconds": 6.0})
    with Catalogue.open(tmp_path, SETTINGS) as catalogue:
        assert catalogue.settings == SETTINGS
        assert len(live(catalogue)) == 4
    with Catalogue.open(tmp_path, {"min_seconds": 6.0}, restart=True) as catalogue:
        assert live(catalogue) == []
        assert shard_paths(tmp_path) == []


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path, mine):
    with mine(tmp_path, TWO_TRACKS) as catalogue:
        with pytest.raises(DataError, match=rf"in use by process {os.getpid()} on .*--out"):
            Catalogue.open(tmp_path, SETTINGS)
        with pytest.raises(DataError, match="in use"):
            Catalogue.open(tmp_path, SETTINGS, restart=True)
        with Catalogue.read(tmp_path) as reader:
            assert live(reader) == live(catalogue)
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                reader.database.execute("DELETE FROM tracks")
    Catalogue.open(tmp_path, SETTINGS).close()


def test_leftovers_of_a_killed_scan_are_removed(tmp_path, mine):
    mine(tmp_path, TWO_TRACKS).close()
    known = shard_paths(tmp_path)
    shards = tmp_path / "shards"
    (shards / "drums-orphan.h5").write_bytes(known[0].read_bytes())
    (shards / ".drums-half.tmp-1.h5").write_bytes(b"half")
    Catalogue.open(tmp_path, SETTINGS).close()
    assert sorted(os.listdir(shards)) == [path.name for path in known]


def test_a_deleted_shard_has_its_tracks_scanned_again(tmp_path, mine):
    mine(tmp_path, TWO_TRACKS).close()
    (tmp_path / "shards" / "bass-a.h5").unlink()
    with Catalogue.open(tmp_path, SETTINGS) as catalogue:
        assert catalogue.status("a.mp3") == ("pending", None)
        assert catalogue.status("b.mp3") == ("done", None)
        assert live(catalogue) == [("b.mp3", "drums", 0.0, 8.0)]
    with mine(tmp_path, TWO_TRACKS, shard_id="b") as catalogue:
        assert len(live(catalogue)) == 4


def test_shards_without_their_catalogue_are_not_thrown_away(tmp_path, mine):
    mine(tmp_path, TWO_TRACKS).close()
    (tmp_path / "catalogue.sqlite").unlink()
    with pytest.raises(DataError, match=r"2 shards but no catalogue\.sqlite: put it back"):
        Catalogue.open(tmp_path, SETTINGS)
    assert len(shard_paths(tmp_path)) == 2


def test_other_files_and_newer_formats_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no catalogue\.sqlite"):
        Catalogue.read(tmp_path)
    path = tmp_path / "catalogue.sqlite"
    path.write_bytes(b"not a database, " * 100)
    with pytest.raises(DataError, match="not a database"):
        Catalogue.read(tmp_path)
    with pytest.raises(DataError, match="not a database"):
        Catalogue.open(tmp_path, SETTINGS)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE something (a)")
    other.close()
    with pytest.raises(DataError, match="not a catalogue"):
        Catalogue.open(tmp_path, SETTINGS)
    path.unlink()
    with Catalogue.open(tmp_path, SETTINGS) as catalogue:
        catalogue.database.execute("PRAGMA user_version = 2")
    with pytest.raises(DataError, match="format version 2"):
        Catalogue.open(tmp_path, SETTINGS)


def test_runs_tell_when_they_began_and_ended(tmp_path):
    with Catalogue.open(tmp_path, SETTINGS) as catalogue:
        first = catalogue.start_run({"torch": "2.13"}, "d" * 64)
        second = catalogue.start_run({"torch": "2.14"})
        catalogue.finish_run(second)
        runs = catalogue.runs
    assert [run["id"] for run in runs] == [first, second]
    assert runs[0]["finished"] is None
    assert runs[1]["finished"] >= runs[1]["started"]
    assert (runs[0]["versions"], runs[0]["settings"]) == ({"torch": "2.13"}, SETTINGS)


RECORD_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
from remix_miner.datasets.library import LibraryFile
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_rows import ScannedTrack
settings = {"detector_sha256": "d" * 64, "min_seconds": 5.0, "thresholds": {"drums": 0.9, "bass": 0.9}}
audio = np.full((800, 2), 0.5, dtype=np.float32)
with Catalogue.open(sys.argv[1], settings) as catalogue:
    files = [LibraryFile(Path("/"), f"{number:05d}", 1, 1) for number in range(10_000)]
    for file in catalogue.register(files):
        writer = ShardWriter(sys.argv[1], "bass", sample_rate=8000, detector_sha256="d", threshold=0.9, settings={},
                             shard_id=f"{sys.argv[2]}-{file.name}")
        writer.append(audio, track=file.name, track_sha256="0" * 64, start_seconds=0, probability_mean=1,
                      probability_min=1)
        catalogue.finish_track(ScannedTrack(file.name, "0" * 64, 1.0, 44100, 2), [writer.close()])
        print(file.name, flush=True)
"""


def test_kills_at_random_moments_lose_nothing_and_double_nothing(tmp_path):
    generator = np.random.default_rng(1)
    for attempt in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", RECORD_FOR_EVER, str(tmp_path), str(attempt)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(3)]
        time.sleep(generator.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().split("\n")[:-1]
        process.wait()
        with Catalogue.open(tmp_path, SETTINGS) as catalogue:
            done = [row[0] for row in catalogue.database.execute("SELECT path FROM tracks WHERE status = 'done'")]
            assert set(filter(None, told)) <= set(done)
            assert [row[0] for row in live(catalogue)] == sorted(done)
            assert len(shard_paths(tmp_path)) == len(done)
            assert catalogue.database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
