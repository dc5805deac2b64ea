"""`inspect`: the right totals, and no damage unnoticed."""

import csv
import io
import json
import sqlite3

import h5py
import pytest

from remix_miner.cli import main
from remix_miner.errors import DataError
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mined.shards.files import shard_paths

TRACKS = {"a.mp3": {"drums": [5.0, 2.0], "bass": [9.0]}, "b.mp3": {"drums": [11.0]}, "c.mp3": {}}


@pytest.fixture
def folder(tmp_path, mine):
    mine(tmp_path, TRACKS).close()
    return tmp_path


def run(capsys, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as status:
        main(["inspect", *arguments])
    assert isinstance(status.value.code, int)
    return status.value.code, capsys.readouterr().out


def test_totals(folder):
    inspection = inspect_folder(folder, verify=True)
    assert inspection.damage == inspection.remarks == []
    assert inspection.tracks == {"done": 3}
    assert inspection.seconds_scanned == 3 * 180
    drums, bass = inspection.sources["drums"], inspection.sources["bass"]
    assert (drums["excerpts"], drums["tracks"], drums["seconds"], drums["shards"]) == (3, 2, 18.0, 1)
    assert (bass["excerpts"], bass["tracks"], bass["seconds"], bass["shards"]) == (1, 1, 9.0, 1)
    assert sum(row["bytes"] for row in inspection.sources.values()) == sum(
        path.stat().st_size for path in shard_paths(folder)
    )


def test_reviewed_excerpts_do_not_count(folder):
    settings = inspect_folder(folder).settings
    with Catalogue.open(folder, settings) as catalogue:
        catalogue.database.execute("UPDATE excerpts SET review = 'rejected' WHERE source = 'bass' OR seconds = 2.0")
    sources = inspect_folder(folder).sources
    assert (sources["drums"]["seconds"], sources["bass"]["seconds"]) == (16.0, 0.0)


def test_shards_alone(folder):
    (folder / "catalogue.sqlite").unlink()
    inspection = inspect_folder(folder)
    assert inspection.sources["drums"]["seconds"] == 18.0
    assert inspection.sources["drums"]["tracks"] == 2
    assert inspection.damage == []
    assert len(inspection.remarks) == 1
    with pytest.raises(DataError, match="neither catalogue nor shards"):
        inspect_folder(folder / "shards")


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "bytes, the catalogue states": lambda path: path.write_bytes(path.read_bytes()[:-10]),
    "SHA-256": flip_a_bit,
}


@pytest.mark.parametrize("words", DAMAGE)
def test_damage_is_found_and_the_exit_status_says_so(folder, capsys, words):
    DAMAGE[words](folder / "shards" / "drums-a.h5")
    status, text = run(capsys, str(folder), "--verify")
    assert status == 1
    assert words in text
    assert "drums-a.h5" in text
    assert "remix-miner detect" in text  # the way out
    assert text.count("a.h5") == 1  # the other shard is well


def test_only_verify_reads_every_byte(folder):
    flip_a_bit(folder / "shards" / "drums-a.h5")
    assert inspect_folder(folder).damage == []
    assert len(inspect_folder(folder, verify=True).damage) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "UPDATE shards SET excerpts = 4 WHERE source = 'drums'",
            "holds 3 excerpts without drums, the catalogue states 4",
        ),
        ("UPDATE excerpts SET shard_start = shard_start + 1 WHERE seconds = 2.0", "lacks 1 excerpts"),
        ("UPDATE excerpts SET frames = 1 WHERE source = 'drums'", "lacks 3 excerpts"),
    ],
)
def test_a_catalogue_that_does_not_fit_is_found(folder, change, words):
    with Catalogue.open(folder, inspect_folder(folder).settings) as catalogue:
        catalogue.database.execute(change)
    (damage,) = inspect_folder(folder).damage
    assert words in damage


def test_a_table_that_does_not_fit_its_audio_is_found(folder):
    path = folder / "shards" / "drums-a.h5"
    size = path.stat().st_size
    with h5py.File(path, "r+") as file:
        file["excerpts"][1] = file["excerpts"][0]
    assert path.stat().st_size == size
    damage = inspect_folder(folder).damage
    assert any("one after the other" in problem for problem in damage)


def test_what_a_running_or_killed_scan_leaves_is_a_remark(folder):
    (folder / "shards" / "drums-new.h5").write_bytes((folder / "shards" / "drums-a.h5").read_bytes())
    (folder / "shards" / ".drums-x.tmp-1.h5").write_bytes(b"")
    inspection = inspect_folder(folder)
    assert inspection.damage == []
    assert len(inspection.remarks) == 2


def test_the_command_tells_people_and_machines(folder, capsys):
    with Catalogue.open(folder, inspect_folder(folder).settings) as catalogue:
        catalogue.database.execute(
            "INSERT INTO tracks (path, size, mtime_ns, status, error) VALUES ('bad\n.mp3', 1, 1, 'failed', 'not audio')"
        )
        catalogue.database.execute("UPDATE tracks SET error = 'truncated' WHERE path = 'c.mp3'")
    status, text = run(capsys, str(folder))
    assert status == 0
    assert "3 done, 1 failed" in text
    assert "bad\\n.mp3: not audio" in text
    assert "2 shards, all whole" in text
    assert "18.0 s" in text
    status, text = run(capsys, str(folder), "--json", "--verify")
    assert status == 0
    told = json.loads(text)
    assert told["intact"] is told["verified"] is True
    assert told["tracks"] == {"done": 3, "failed": 1}
    assert told["sources"]["drums"]["hours"] == 18 / 3600
    assert told["quarantined"] == [{"track": "bad\n.mp3", "reason": "not audio"}]
    assert told["notes"] == [{"track": "c.mp3", "note": "truncated"}]
    assert len(told["runs"]) == 1
    status, _ = run(capsys, str(folder / "none"))
    assert status == 2


@pytest.fixture
def listed(tmp_path, mine, capsys):
    """A function from options of ``inspect --list`` to what it prints."""
    folder = tmp_path / "mined"
    mine(folder, {"a.mp3": {"drums": [5.0, 6.0]}, "b,b.mp3": {"bass": [7.0]}}).close()
    database = sqlite3.connect(folder / "catalogue.sqlite")
    database.execute("UPDATE excerpts SET review = 'rejected' WHERE seconds = 6")
    database.commit()
    database.close()

    def run(*options):
        with pytest.raises(SystemExit) as status:
            main(["inspect", str(folder), "--list", *options])
        assert status.value.code == 0
        return capsys.readouterr().out

    return run


def test_excerpts_are_listed_as_table_csv_and_json(listed):
    table = listed().splitlines()
    assert table[0].split() == ["without", "from", "to", "length", "P", "V", "dB", "review", "track"]
    assert table[1].split() == ["drums", "0:00.0", "0:05.0", "5.0", "s", "0.970", "-32", "-", "a.mp3"]
    assert table[-1] == "2 excerpts, 12.0 s"
    rows = json.loads(listed("--json"))
    assert rows == json.loads(listed("--format", "json"))
    assert [(row["track"], row["source"], row["seconds"]) for row in rows] == [
        ("a.mp3", "drums", 5.0),
        ("b,b.mp3", "bass", 7.0),
    ]
    from_csv = list(csv.DictReader(io.StringIO(listed("--format", "csv"))))
    assert [row["track"] for row in from_csv] == ["a.mp3", "b,b.mp3"]
    assert list(from_csv[0]) == list(rows[0])


@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        (["--source", "drums"], [5.0]),
        (["--track", "b,"], [7.0]),
        (["--min-seconds", "5.5"], [7.0]),
        (["--min-probability", "0.98"], []),
        (["--review", "all"], [5.0, 6.0, 7.0]),
        (["--review", "rejected"], [6.0]),
    ],
)
def test_lists_are_filtered(listed, options, lengths):
    assert [row["seconds"] for row in json.loads(listed("--json", *options))] == lengths
