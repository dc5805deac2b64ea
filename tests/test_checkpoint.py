"""Models on disk: readable after a kill at any moment, and readable by others."""

import contextlib
import json
import os
import stat
from pathlib import Path

import pytest
import torch

from remix_miner import checkpoint
from remix_miner.atomic import write_json
from remix_miner.checkpoint import load_model, save_model
from remix_miner.errors import DataError


def save(folder: Path, number: float) -> None:
    save_model(folder, {"weight": torch.full((3,), number)}, {"name": "net", "settings": {"number": number}})


class Killed(BaseException):
    """As a kill: nothing is cleaned up by handlers of errors."""


@pytest.mark.parametrize("first_save", [True, False])
@pytest.mark.parametrize("at", ["before the description", "after the description", "after the weights"])
def test_a_kill_leaves_the_old_model_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, first_save: bool
) -> None:
    if not first_save:
        save(tmp_path, 1.0)
    written = []

    def killed(path: Path, value: object) -> None:
        if at == "before the description":
            raise Killed
        if written:  # the description without the previous one
            raise Killed
        write_json(path, value)
        written.append(path)
        if at == "after the description":
            raise Killed

    monkeypatch.setattr(checkpoint, "write_json", killed)
    with contextlib.suppress(Killed):
        save(tmp_path, 2.0)
    finished = at == "after the weights"
    if first_save and not finished:
        with pytest.raises(DataError, match="no model at"):
            load_model(tmp_path)
        return
    state, description = load_model(tmp_path)
    expected = 2.0 if finished else 1.0
    assert state["weight"].tolist() == [expected] * 3
    assert description["settings"]["number"] == expected
    assert "previous" not in description
    monkeypatch.undo()
    save(tmp_path, 3.0)
    assert load_model(tmp_path)[1]["settings"]["number"] == 3.0
    assert "previous" not in json.loads((tmp_path / "model.json").read_text())


def test_weights_have_the_mode_that_the_user_asks_for(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save(tmp_path, 1.0)
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o644}


def test_files_of_two_models_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", 1.0)
    save(tmp_path / "b", 2.0)
    (tmp_path / "a" / "model.json").write_bytes((tmp_path / "b" / "model.json").read_bytes())
    with pytest.raises(DataError, match="of different models"):
        load_model(tmp_path / "a")


@pytest.mark.parametrize("text", ["[]", "3", '"x"', "{", "", '{"previous": 3, "sha256": 7}'])
def test_a_description_that_is_none_is_an_error(tmp_path: Path, text: str) -> None:
    save(tmp_path, 1.0)
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(DataError):
        load_model(tmp_path)
