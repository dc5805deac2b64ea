"""Exports read by Music-Source-Separation-Training's own data set code, from a checkout that REMIX_MINER_MSST names."""

import csv
import importlib.util
import os
import random
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from remix_miner.errors import UsageError
from remix_miner.export.msst_config import MsstData, filled_config
from remix_miner.export.run import export
from remix_miner.export.settings import ExportSettings

from .conftest import MINED_RATE

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
pytest.importorskip("pandas", reason="pandas is not installed")


class Config(dict[str, Any]):
    """A mapping whose entries are attributes too, as the trainer reads its settings."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def checkout() -> Path:
    """Return the folder with the trainer's code, or skip the test."""
    named = os.environ.get("REMIX_MINER_MSST")
    if not named:
        pytest.skip("REMIX_MINER_MSST names no checkout of github.com/ZFTurbo/Music-Source-Separation-Training")
    if not (Path(named) / "utils" / "dataset.py").is_file():
        pytest.fail(f"REMIX_MINER_MSST={named} holds no utils/dataset.py")
    return Path(named)


@pytest.fixture
def dataset_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The trainer's `utils/dataset.py`; the packages of its augmentations, which no test uses, may be missing."""
    path = checkout() / "utils" / "dataset.py"
    for name, attribute in (
        ("ml_collections", "ConfigDict"), ("omegaconf", "OmegaConf"), ("audiomentations", ""), ("pedalboard", "")
    ):  # fmt: skip
        if importlib.util.find_spec(name) is None:
            stand_in = types.ModuleType(name)
            setattr(stand_in, attribute or "unused", dict)
            monkeypatch.setitem(sys.modules, name, stand_in)
    specification = importlib.util.spec_from_file_location("msst_dataset", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def out(tmp_path: Path, mine: Any, stem_corpus: Any) -> Path:
    """An export without vocals: three excerpts, one of them very quiet, and two songs with stems."""
    mine(tmp_path / "mined", {"a.mp3": {"vocals": [6.0, 7.0]}, "b.mp3": {"vocals": [5.0]}}).close()
    stem_corpus(tmp_path / "stems" / "train", {"ada - one": 6.0})
    stem_corpus(tmp_path / "stems" / "valid", {"bob - two": 6.5})
    export(tmp_path / "mined", tmp_path / "out", ExportSettings("msst", ("vocals",), stems=(tmp_path / "stems",)))
    return tmp_path / "out"


def read(module: Any, out: Path, dataset_type: int, **changes: Any) -> Any:
    written = yaml.safe_load((out / "config.yaml").read_text())
    training = Config(written["training"], batch_size=2, num_steps=8, read_metadata_procs=1)
    config = Config(audio=Config(written["audio"], **changes), training=training)
    place = out / "train.csv" if dataset_type == 3 else out / "train"
    metadata = out.parent / f"metadata_{dataset_type}.pkl"
    return module.MSSDataset(config, [str(place)], metadata_path=str(metadata), dataset_type=dataset_type)


@pytest.mark.parametrize("dataset_type", [2, 3])
def test_its_reader_draws_whole_chunks_of_the_files(dataset_module: Any, out: Path, dataset_type: int) -> None:
    dataset = read(dataset_module, out, dataset_type)
    assert {name: len(files) for name, files in dataset.metadata.items()} == {"vocals": 1, "no_vocals": 4}
    with (out / "manifest.csv").open() as file:
        listed = {row["file"]: row for row in csv.DictReader(file)}
    for files in dataset.metadata.values():
        for path, frames in files:
            row = listed[str(Path(path).relative_to(out.resolve()))]
            assert frames == soundfile.info(path).frames == round(float(row["seconds"]) * MINED_RATE)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 the reader's own random state
    chunk = dataset.chunk_size
    for index in range(len(dataset)):
        stems, mixture = dataset[index]
        assert stems.shape == (1, 2, chunk)  # the target alone
        assert mixture.shape == (2, chunk)
        assert stems.dtype == mixture.dtype == torch.float32
        assert torch.isfinite(mixture).all()
        assert mixture[:, -512:].abs().max() > 0  # not padded with zeros
    chunks = [dataset.load_source(dataset.metadata, "no_vocals") for _ in range(40)]
    assert all(one[:, -512:].abs().mean() > 1e-3 for one in chunks)


def test_longer_chunks_than_ours_would_be_padded_with_zeros(dataset_module: Any, out: Path) -> None:
    dataset = read(dataset_module, out, 3, chunk_size=8 * MINED_RATE)
    random.seed(0)
    assert not dataset.load_source(dataset.metadata, "no_vocals")[:, -MINED_RATE // 2 :].any()


def test_a_quiet_set_is_drawn_at_our_setting_and_never_ends_at_theirs(
    dataset_module: Any, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (out / "train" / "no_vocals").iterdir():
        audio, rate = soundfile.read(path, always_2d=True)
        soundfile.write(path, 1e-4 * audio, rate, subtype="PCM_24")
    settings = ExportSettings("msst", ("vocals",), stems=(tmp_path / "stems",))
    (note,) = export(tmp_path / "mined", out, settings).written.notes
    assert note.startswith("no file of 'no_vocals' is loud")
    dataset = read(dataset_module, out, 2)
    assert dataset.load_source(dataset.metadata, "no_vocals").abs().max() > 0
    theirs = read(dataset_module, out, 2, min_mean_abs=0.001)
    draws = 0

    def load_quiet_chunk(*arguments: Any, **others: Any) -> Any:
        nonlocal draws
        draws += 1
        if draws == 50:
            raise KeyboardInterrupt
        return np.zeros((2, theirs.chunk_size), np.float32)

    monkeypatch.setattr(dataset_module, "load_chunk", load_quiet_chunk)
    with pytest.raises(KeyboardInterrupt):
        theirs.load_source(theirs.metadata, "no_vocals")


def test_silent_parts_of_the_target_are_not_drawn(dataset_module: Any, tmp_path: Path, out: Path) -> None:
    """The target sounds in a tenth of one song and not at all in another: most chunks are silent."""
    (path,) = (out / "train" / "vocals").iterdir()
    audio, rate = soundfile.read(path, always_2d=True)
    audio[len(audio) // 10 :] = 0
    soundfile.write(path, audio, rate, subtype="PCM_24")
    silent = path.with_name("silent.flac")
    soundfile.write(silent, 0 * audio, rate, subtype="PCM_24")
    export(tmp_path / "mined", out, ExportSettings("msst", ("vocals",), stems=(tmp_path / "stems",)))
    dataset = read(dataset_module, out, 2)
    assert len(dataset.metadata["vocals"]) == 2
    assert all(dataset.load_source(dataset.metadata, "vocals").any() for _ in range(20))


def test_every_config_of_the_trainer_is_filled_in() -> None:
    """Our text replacement against a YAML parser, on all configurations that have an `audio` block."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor(
        "tag:yaml.org,2002:python/", lambda loader, suffix, node: loader.construct_sequence(node)
    )
    paths = sorted((checkout() / "configs").glob("**/*.yaml"))
    data = MsstData(Path("out"), 220_500, 44100, ["vocals", "no_vocals"])
    filled = 0
    for path in paths:
        before = yaml.load(path.read_text(), Loader)
        if "chunk_size" not in before.get("audio", {}) or before["audio"].get("sample_rate", 44100) != 44100:
            with pytest.raises(UsageError, match=r"Hz|no configuration"):
                filled_config(path, data)
            continue
        text, _ = filled_config(path, data)
        after = yaml.load(text, Loader)
        assert after["audio"]["chunk_size"] <= 220_500
        assert after["audio"]["min_mean_abs"] == min(before["audio"].get("min_mean_abs", 0.001), 0.001)
        assert after["training"]["instruments"] == ["vocals", "no_vocals"]
        whole = before["training"].get("target_instrument") is None
        assert after["training"]["target_instrument"] == (None if whole else "vocals")
        if "num_stems" in before.get("model", {}):
            assert after["model"]["num_stems"] == (2 if whole else 1)
        for block, kept in before.items():  # everything else is as it was
            changed = {
                "chunk_size",
                "sample_rate",
                "min_mean_abs",
                "instruments",
                "target_instrument",
                "num_stems",
                "sources",
            }
            if isinstance(kept, dict):
                assert {k: v for k, v in kept.items() if k not in changed} == {
                    k: v for k, v in after[block].items() if k not in changed
                }
            else:
                assert after[block] == kept
        filled += 1
    assert filled > 20
