"""Merging parts: everything once, shards untouched, again adds nothing, killed anywhere it ends the same."""

import os

import pytest

from remix_miner.cli import main
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mined.shards.files import shard_paths
from remix_miner.mining.merge import merge

PART_1 = {"a.mp3": {"drums": [5.0, 6.0], "bass": [7.0]}, "both.mp3": {"drums": [9.0]}}
PART_2 = {"b.mp3": {"drums": [8.0]}, "both.mp3": {"drums": [9.0]}, "nothing.mp3": {}}


@pytest.fixture
def parts(tmp_path, mine):
    """Two parts whose shards have the same names, as parts of a careless scan may have."""
    mine(tmp_path / "one", PART_1).close()
    mine(tmp_path / "two", PART_2).close()
    return [tmp_path / "one", tmp_path / "two"]


def harvest(folder) -> list[tuple[str, str, float]]:
    dataset = MinedExcerpts(folder)
    items = [dataset[index] for index in range(len(dataset))]
    return sorted((item["track"], item["source"], item["audio"].shape[1] / 8000) for item in items)


WHOLE = [
    ("a.mp3", "bass", 7.0),
    ("a.mp3", "drums", 5.0),
    ("a.mp3", "drums", 6.0),
    ("b.mp3", "drums", 8.0),
    ("both.mp3", "drums", 9.0),
]


@pytest.mark.parametrize("copy", [False, True])
def test_the_parts_become_one_folder(tmp_path, parts, copy):
    out = tmp_path / "out"
    merged = merge(out, parts, copy=copy)
    assert (merged.parts, merged.tracks, merged.excerpts, merged.shards, merged.repeated) == (2, 4, 5, 3, 1)
    assert harvest(out) == WHOLE
    inspection = inspect_folder(out, verify=True)
    assert inspection.damage == inspection.remarks == []
    assert inspection.tracks == {"done": 4}
    assert len(inspection.runs) == 2
    assert (out / "report.json").is_file()
    linked = {path.stat().st_ino for part in parts for path in shard_paths(part)}
    assert all((path.stat().st_ino in linked) is not copy for path in shard_paths(out))


def test_merging_again_adds_nothing_and_merging_one_by_one_is_the_same(tmp_path, parts):
    out = tmp_path / "out"
    merge(out, parts[:1])
    merge(out, parts[1:])
    assert harvest(out) == WHOLE
    before = {path.name: path.read_bytes() for path in shard_paths(out)}
    merged = merge(out, parts)
    assert (merged.tracks, merged.excerpts, merged.shards, merged.repeated) == (0, 0, 0, 5)
    assert {path.name: path.read_bytes() for path in shard_paths(out)} == before
    with CatalogueView.read(out) as catalogue:
        assert len(catalogue.runs) == 2


def test_finished_counts_more_than_failed_and_later_more_than_earlier(tmp_path, mine):
    with mine(tmp_path / "one", {"changed.mp3": {"drums": [5.0]}, "bad.mp3": {}}) as catalogue:
        catalogue.database.execute(
            "UPDATE tracks SET status = 'failed', sha256 = NULL, error = 'no' WHERE path = 'bad.mp3'"
        )
    mine(tmp_path / "two", {"changed.mp3": {"drums": [6.0]}, "bad.mp3": {"drums": [7.0]}}, mtime_ns=2).close()
    for name, order in (("forth", ["one", "two"]), ("back", ["two", "one"])):
        merge(tmp_path / name, [tmp_path / part for part in order])
        assert harvest(tmp_path / name) == [("bad.mp3", "drums", 7.0), ("changed.mp3", "drums", 6.0)]
        assert inspect_folder(tmp_path / name, verify=True).damage == []


def test_excerpts_of_an_older_version_of_a_file_stay_behind_with_shards_that_hold_nothing_else(tmp_path, mine):
    part = tmp_path / "one"
    mine(part, {"changed.mp3": {"drums": [5.0]}, "a.mp3": {"bass": [6.0]}}).close()
    mine(part, {"changed.mp3": {"drums": [7.0]}, "a.mp3": {"bass": [6.0]}}, shard_id="b", mtime_ns=2).close()
    merged = merge(tmp_path / "out", [part])
    assert (len(shard_paths(part)), merged.shards, merged.excerpts) == (4, 2, 2)
    assert harvest(tmp_path / "out") == [("a.mp3", "bass", 6.0), ("changed.mp3", "drums", 7.0)]


def test_the_merged_folder_can_be_scanned_on(tmp_path, parts, mine):
    out = tmp_path / "out"
    merge(out, parts)
    with mine(out, {**PART_1, **PART_2, "c.mp3": {"bass": [5.0]}}, shard_id="later"):
        pass
    assert harvest(out) == sorted([*WHOLE, ("c.mp3", "bass", 5.0)])


def test_other_settings_are_refused_before_anything_is_written(tmp_path, parts, mine):
    mine(tmp_path / "other", {"c.mp3": {"drums": [5.0]}}, settings={"min_seconds": 3.0}).close()
    with pytest.raises(DataError, match=r"one and .*other were mined with different settings \(.*min_seconds: 5\.0"):
        merge(tmp_path / "out", [*parts, tmp_path / "other"])
    assert not (tmp_path / "out").exists()


def test_a_folder_with_itself_a_damaged_part_and_a_part_in_use_are_refused(tmp_path, parts, mine):
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="must be different"):
        merge(parts[0], parts)
    with pytest.raises(DataError, match="holds no catalogue"):
        merge(out, [tmp_path])
    with mine(parts[1], PART_2), pytest.raises(DataError, match="in use by"):
        merge(out, parts)
    (shard,) = shard_paths(parts[1])
    content = bytearray(shard.read_bytes())
    content[-1000] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        merge(out, parts, copy=True)
    shard.write_bytes(content[:-1])
    with pytest.raises(DataError, match="bytes, its catalogue states"):
        merge(out, parts)
    shard.unlink()
    with pytest.raises(DataError, match="is missing"):
        merge(out, parts)


def test_a_killed_merge_goes_on(tmp_path, parts, killed_merges):
    out = tmp_path / "out"
    killed_merges(out, parts, "--copy", times=3, longest_seconds=0.06, seed=2)
    merge(out, parts)
    assert harvest(out) == WHOLE
    assert inspect_folder(out, verify=True).remarks == []


def test_the_command(tmp_path, parts, capsys):
    with pytest.raises(SystemExit) as status:
        main(["merge", *map(str, parts), "--out", str(tmp_path / "out")])
    assert status.value.code == 0
    assert "2 parts: 4 tracks, 5 excerpts and 3 shards added" in capsys.readouterr().out
    with pytest.raises(SystemExit) as status:
        main(["merge", str(tmp_path), "--out", str(tmp_path / "out")])
    assert status.value.code == 2
    assert "holds no catalogue" in capsys.readouterr().err
    assert os.listdir(tmp_path / "out" / "shards")
