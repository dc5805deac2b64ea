"""The hash over the source files: the same for a checkout and an installed copy, and sensitive to every file."""

import shutil
from pathlib import Path

import pytest

from remix_miner.runs.code_version import code_version, source_hash

ROOT = Path(__file__).parents[1]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The package as pip installs it: `detector/` and `datasets/` are folders, not links."""
    copy = tmp_path / "remix_miner"
    shutil.copytree(ROOT / "remix_miner", copy, symlinks=False, ignore=shutil.ignore_patterns("__pycache__"))
    assert not (copy / "detector").is_symlink()
    return copy


def test_a_checkout_and_an_installed_copy_have_one_hash(installed: Path) -> None:
    assert (ROOT / "remix_miner" / "detector").is_symlink()
    assert source_hash(ROOT / "remix_miner") == source_hash(installed)


@pytest.mark.parametrize("name", ["audio.py", "detector/spans.py", "datasets/layouts/musdb.py", "runs/average.py"])
def test_every_source_file_counts(installed: Path, name: str) -> None:
    before = source_hash(installed)
    with (installed / name).open("a") as file:
        file.write("# changed\n")
    assert source_hash(installed) != before


def test_the_run_records_it() -> None:
    assert code_version()["sha256"] == source_hash(ROOT / "remix_miner")
