"""docs/reference/formats.md says how to read our files without us: its Python blocks are run on files that we wrote."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from remix_miner.mined.catalogue_db import SCHEMA
from remix_miner.mined.shards.format import EXCERPT_DTYPE
from remix_miner.mined.shards.reader import Shard

DOCUMENT = Path(__file__).parents[1] / "docs" / "reference" / "formats.md"
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def files(tmp_path, mine, monkeypatch):
    """A folder with one file of each format, as the document names them."""
    mine(tmp_path / "mined", {"library/a.mp3": {"drums": [5.0, 6.0], "bass": [7.0]}}).close()
    calibration = {
        "sources": {"drums": {"threshold": 0.9, "reason": None}, "other": {"threshold": None, "reason": "no"}}
    }
    (tmp_path / "calibration.json").write_text(json.dumps(calibration))
    torch = pytest.importorskip("torch")
    from remix_miner.checkpoint import save_model

    save_model(tmp_path / "run", {"weight": torch.ones(3, 4)}, {"name": "example", "settings": {}})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_block(word: str) -> dict:
    (block,) = (block for block in BLOCKS if word in block)
    names: dict = {}
    exec(compile(block, str(DOCUMENT), "exec"), names)
    return names


def test_eight_lines_of_h5py_read_an_excerpt(files, capsys):
    (block,) = (block for block in BLOCKS if "h5py" in block)
    assert len([line for line in block.splitlines() if line.strip()]) <= 8
    audio = run_block("h5py")["audio"]
    assert capsys.readouterr().out == "5.0 s without drums from library/a.mp3\n"
    assert audio.dtype == np.float32
    with Shard("mined/shards/drums-a.h5") as shard:
        np.testing.assert_array_equal(audio.T, shard.read(0))


def test_the_other_formats_are_read_as_documented(files, capsys):
    run_block("sqlite3")
    run_block("calibration.json")
    run_block("safetensors")
    assert capsys.readouterr().out.splitlines() == [
        "bass: 1 excerpts, 0.0019 h",
        "drums: 2 excerpts, 0.0031 h",
        "drums 0.9",
        "other no",
        "example 12 parameters",
    ]


def test_every_block_is_run():
    assert len(BLOCKS) == 4


def test_the_document_names_every_column_and_attribute(files):
    text = DOCUMENT.read_text(encoding="utf-8")
    columns = {name for name, _ in re.findall(r"^    (\w+) (TEXT|INTEGER|REAL)", SCHEMA, flags=re.MULTILINE)}
    columns |= set(re.findall(r"\((\w+) TEXT PRIMARY", SCHEMA))
    with h5py.File("mined/shards/drums-a.h5") as shard:
        attributes = set(shard.attrs)
        assert shard["audio"].chunks == (8000, 2)
        assert shard["audio"].dtype == np.dtype("<i2")
        assert shard["excerpts"].dtype.names == EXCERPT_DTYPE.names
    for name in columns | attributes | set(EXCERPT_DTYPE.names or ()):
        assert f"`{name}`" in text, name
