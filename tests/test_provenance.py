"""Warnings where the songs to score are among the training songs of the model."""

import json
from pathlib import Path

import numpy as np
import pytest

from remix_miner.audio import write_audio
from remix_miner.cli import main
from remix_miner.evaluation.provenance import songs_in_training, training_songs
from remix_miner.separators import build
from remix_miner.separators.loading import save_separator
from remix_miner.sources import SOURCES

RATE = 4000


def _run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_training_songs_are_found_in_any_section_of_a_description() -> None:
    description = {"songs": ["a"], "data": {"train": ["b"], "valid": ["c"]}, "settings": {"train": 3}, "train": "d"}
    assert training_songs({"train_songs": ["e"], "valid_songs": ["f"]}) == {"e", "f"}  # as `train` writes them
    assert training_songs(description) == {"a", "b", "c"}
    assert songs_in_training(description, ["c", "x"]) == ["c"]
    assert songs_in_training(None, ["c"]) == []


def test_evaluate_add_and_fit_warn_of_training_songs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for song in ("seen", "unseen"):
        for source in SOURCES:
            audio = (0.1 * random.standard_normal((2, RATE))).astype(np.float32)
            write_audio(tmp_path / "stems" / song / f"{source}.wav", audio, RATE)
    model = build("demucs", channels=2, depth=2, sample_rate=RATE, segment_seconds=0.5)
    save_separator(tmp_path / "run", model, data={"train": ["seen"], "valid": []})
    shared = ("--stems", tmp_path / "stems", "--metrics", "usdr", "--workers", "1")
    kept, out = tmp_path / "kept", tmp_path / "r.json"
    assert _run("evaluate", tmp_path / "run", *shared, "--keep", kept, "--out", out) == 0
    said = capsys.readouterr()
    assert "warning: 1 of 2 songs are among the training or validation songs of demucs, e.g. 'seen'" in said.err
    assert "trained or chosen on 1 of these songs: seen" in said.out
    assert _run("leaderboard", "add", out, "--board", tmp_path / "board") == 0
    assert "trained or chosen on 1 of these songs" in capsys.readouterr().err
    assert json.loads((kept / "estimates.json").read_text())["training_songs"] == ["seen"]
    assert _run("evaluate", kept, *shared) == 0
    assert "'seen'" in capsys.readouterr().err
    assert _run("ensemble", "fit", f"a={kept}", f"b={kept}", "--stems", tmp_path / "stems") == 0
    assert "warning: a was trained or chosen on 1 of the songs" in capsys.readouterr().err
