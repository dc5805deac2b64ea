"""Hybrid Demucs is torchaudio's own, and its published weights load from a file."""

import sys

import pytest
import torch

from remix_miner.errors import DataError
from remix_miner.separators import build, torchaudio_loader
from remix_miner.separators.base import count_parameters
from remix_miner.separators.loading import load_separator
from remix_miner.separators.torchaudio_loader import load_torchaudio
from remix_miner.sources import SOURCES


def test_it_is_torchaudios_hdemucs_high():
    with torch.device("meta"):
        ours, theirs = build("hdemucs"), load_torchaudio().models.hdemucs_high(list(SOURCES))
    assert count_parameters(ours) == count_parameters(theirs) == 83_639_368
    shapes = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    assert {name: tensor.shape for name, tensor in ours.network.state_dict().items()} == shapes


def test_its_estimates_are_torchaudios():
    model = build("hdemucs", channels=4).eval()
    mixture = torch.randn(1, 2, 6000)
    with torch.no_grad():
        assert torch.equal(model(mixture), model.network(mixture))


def test_published_weights_load_from_a_local_file(tmp_path, monkeypatch):
    from remix_miner.separators import hdemucs

    small = build("hdemucs", channels=4)
    monkeypatch.setattr("remix_miner.separators.build", lambda name: build(name, channels=4))
    path = tmp_path / "hub" / "torchaudio" / "models" / "hdemucs_high_trained.pt"
    path.parent.mkdir(parents=True)
    torch.save(small.network.state_dict(), path)
    assert _same_weights(load_separator(path), small)
    monkeypatch.setattr(hdemucs.torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    assert _same_weights(load_separator("hdemucs"), small)
    torch.save({"another": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="does not hold torchaudio's hdemucs_high"):
        load_separator(path)


def test_without_the_published_file_the_message_says_where_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("remix_miner.separators.build", lambda name: build(name, channels=4))
    with pytest.raises(DataError, match="download https://"):
        load_separator("hdemucs")


@pytest.mark.parametrize("error", [OSError("no library"), RuntimeError("other CUDA"), ImportError("libcudart")])
def test_torchaudio_imports_where_its_extension_does_not_load(monkeypatch, error):
    real, attempts = torchaudio_loader.importlib.import_module, []

    def failing_first(name):
        attempts.append(name)
        if len(attempts) == 1:
            raise error
        return real(name)

    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "torchaudio"}
    monkeypatch.setattr(torchaudio_loader.importlib, "import_module", failing_first)
    try:
        torchaudio = load_torchaudio()
        assert torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE is False
        assert torchaudio.models.HDemucs is not None
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules.update(before)


def test_a_missing_torchaudio_is_said_so(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'torchaudio'", name="torchaudio")

    monkeypatch.setattr(torchaudio_loader.importlib, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="torchaudio"):
        load_torchaudio()


def _same_weights(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
