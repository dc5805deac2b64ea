"""Mined folders from elsewhere: mutated files end in clear errors, nothing outside the folder is read or written."""

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from remix_miner.errors import DataError, RemixMinerError
from remix_miner.export.run import export
from remix_miner.export.settings import ExportSettings
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.inspection import inspect_folder
from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mined.probability_codes import encode
from remix_miner.mined.shards.files import shard_paths
from remix_miner.mined.shards.reader import Shard
from remix_miner.mining.merge import merge
from remix_miner.mining.remine import RemineSettings, remine

MUTATIONS = 12


@pytest.fixture
def folder(mine: Callable[..., Catalogue], tmp_path: Path) -> Path:
    made = tmp_path / "mined"
    mine(made, {"a.mp3": {"drums": [5.0, 6.0]}, "b.mp3": {"drums": [5.0], "bass": [5.5]}}).close()
    return made


def mutated(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.randint(1, 12)):
        at = int(len(changed) * generator.random() ** generator.choice((1, 3)))
        kind = generator.randrange(4)
        if kind == 0:
            changed[at : at + 1] = bytes([generator.randrange(256)])
        elif kind == 1:
            length = generator.randint(1, 64)
            changed[at : at + length] = generator.randbytes(len(changed[at : at + length]))
        elif kind == 2:
            length = generator.randint(1, 512)
            changed[at : at + length] = bytes(len(changed[at : at + length]))
        elif generator.random() < 0.2:
            del changed[at:]
    return bytes(changed)


def mutations(path: Path, seed: int) -> Iterator[None]:
    original, generator = path.read_bytes(), random.Random(seed)
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(original, generator))
        yield
        path.write_bytes(original)


def read_everything(folder: Path, out: Path) -> None:
    for use in (
        lambda: inspect_folder(folder, verify=True),
        lambda: [item["audio"].sum() for item in (MinedExcerpts(folder).read(at) for at in range(2))],
        lambda: merge(out, [folder]),
        lambda: Catalogue.open(folder, {"other": 1}).close(),
    ):
        with contextlib.suppress(RemixMinerError):
            use()
    shutil.rmtree(out, ignore_errors=True)


@pytest.mark.timeout(300)
def test_a_mutated_catalogue_ends_in_a_clear_error(folder: Path, tmp_path: Path) -> None:
    for _ in mutations(folder / "catalogue.sqlite", 1):
        read_everything(folder, tmp_path / "out")
        for left in folder.glob("catalogue.sqlite-*"):
            left.unlink()


@pytest.mark.timeout(300)
def test_a_mutated_shard_ends_in_a_clear_error(folder: Path, tmp_path: Path) -> None:
    for _ in mutations(next(path for path in shard_paths(folder) if "drums" in path.name), 2):
        read_everything(folder, tmp_path / "out")


def test_mutated_probabilities_end_in_a_clear_error(folder: Path, tmp_path: Path) -> None:
    codes = encode(np.random.default_rng(0).uniform(size=(4, 400)).astype(np.float32), np.ones(400, bool))
    with ProbabilityStore(folder) as store:
        store.write([StoredTrack(name, "a" * 64, 1000, 1, 400, 16000, codes) for name in ("a.mp3", "b.mp3")])
    for _ in mutations(folder / "probabilities.sqlite", 3):
        with contextlib.suppress(RemixMinerError), ProbabilityStore(folder, to_read=True) as store:
            for name in store.tracks():
                store.read(name)
        with contextlib.suppress(RemixMinerError):
            merge(tmp_path / "out", [folder])
        with contextlib.suppress(RemixMinerError):
            remine(folder, tmp_path / "again", RemineSettings({"drums": 0.999}))
        for out in ("out", "again"):
            shutil.rmtree(tmp_path / out, ignore_errors=True)


@pytest.mark.parametrize("value", ["1e300", "9e999", "-1.0", "'long'", "x'ff'"])
@pytest.mark.parametrize(
    ("table", "column"), [("tracks", "seconds"), ("excerpts", "seconds"), ("excerpts", "start_seconds")]
)
def test_lengths_that_no_audio_has_are_refused(
    folder: Path, tmp_path: Path, table: str, column: str, value: str
) -> None:
    database = sqlite3.connect(folder / "catalogue.sqlite")
    database.execute(f"UPDATE {table} SET {column} = {value} WHERE id = 1")
    database.commit()
    database.close()
    for use in (
        lambda: inspect_folder(folder),
        lambda: merge(tmp_path / "out", [folder]),
        lambda: export(folder, tmp_path / "labels", ExportSettings("labels")),
    ):
        with pytest.raises(DataError, match=f"{column} of one of its {table} is"):
            use()


@pytest.mark.parametrize("name", ["../../x.h5", "/etc/drums-x.h5", "drums-a/../../x.h5", "x.h5", "drums-a.h5\n"])
def test_shard_names_that_no_writer_gives_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "x.h5").write_bytes(shard_paths(folder)[0].read_bytes())
    before = sorted(tmp_path.rglob("*"))
    database = sqlite3.connect(folder / "catalogue.sqlite")
    database.execute("PRAGMA foreign_keys = OFF")
    database.execute("UPDATE shards SET name = ? WHERE source = 'drums'", (name,))
    database.execute("UPDATE excerpts SET shard = ? WHERE source = 'drums'", (name,))
    database.commit()
    database.close()
    with pytest.raises(DataError, match="no shard's name"):
        merge(tmp_path / "deep" / "er" / "out", [folder])
    with pytest.raises(DataError, match="no shard's name"):
        inspect_folder(folder)
    outside = [path for path in sorted(tmp_path.rglob("*")) if "deep" not in path.parts]
    assert [path for path in outside if path not in before] == []


def test_a_hash_that_is_none_names_no_file(folder: Path, tmp_path: Path) -> None:
    database = sqlite3.connect(folder / "catalogue.sqlite")
    database.execute("UPDATE shards SET sha256 = '../../../x'")
    database.commit()
    database.close()
    with pytest.raises(DataError, match="states no SHA-256"):
        merge(tmp_path / "out", [folder])


@pytest.mark.parametrize("kind", ["external link", "external storage", "virtual", "soft link"])
def test_shards_that_point_to_other_files_are_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    path = shard_paths(folder)[0]
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["audio"] = np.zeros((100, 2), np.int16)
    (tmp_path / "secret.raw").write_bytes(bytes(400))
    with h5py.File(path, "r+") as shard:
        shard.move("audio", "hidden")
        if kind == "external link":
            shard["audio"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/audio")
        elif kind == "external storage":
            shard.create_dataset("audio", (100, 2), "<i2", external=[(str(tmp_path / "secret.raw"), 0, 400)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((100, 2), "<i2")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "audio", (100, 2))
            shard.create_virtual_dataset("audio", layout)
        else:
            shard["audio"] = h5py.SoftLink("/hidden")
    with pytest.raises(DataError, match="damaged"):
        Shard(path)


def test_a_part_whose_shards_are_links_is_refused(folder: Path, tmp_path: Path) -> None:
    path = shard_paths(folder)[0]
    path.rename(tmp_path / "elsewhere.h5")
    path.symlink_to(tmp_path / "elsewhere.h5")
    with pytest.raises(DataError, match="a link"):
        merge(tmp_path / "out", [folder])


def test_the_old_form_of_merge_is_refused_with_the_new_one(folder: Path, capsys: Any) -> None:
    from remix_miner.cli import main

    with pytest.raises(SystemExit) as exited:
        main(["merge", "mined", str(folder), "part-2"])
    assert exited.value.code == 2
    assert f"remix-miner merge {folder} part-2 --out mined" in capsys.readouterr().err
