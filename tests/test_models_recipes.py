"""The verbs `models` and `recipes` list what the program has."""

import json
from pathlib import Path

import pytest

from remix_miner.cli import main
from remix_miner.config import RECIPES
from remix_miner.separators import SEPARATORS
from remix_miner.separators.external.published import PUBLISHED


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    assert exit_.value.code == 0
    return capsys.readouterr().out


def test_models_lists_every_detector_and_separator_with_its_size(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(capsys, "models", "--json"))
    (default,) = document["detectors"]
    assert default["name"] == "default"
    networks = {row["name"]: row["parameters"] for row in document["detector_networks"]}
    assert networks["paper"] == 55_296_914  # Défossez et al. 2019, appendix A, as built here
    separators = {row["name"]: row for row in document["separators"]}
    assert list(separators) == list(SEPARATORS)
    assert separators["hdemucs"]["parameters"] == 83_639_368  # torchaudio.models.hdemucs_high
    assert all(row["licence"] for row in separators.values())
    shown = run(capsys, "models")
    assert all(name in shown for name in (*SEPARATORS, "default", "83.6 M"))


def test_models_says_where_published_weights_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    assert "download https://" in run(capsys, "models", "--json")
    file = tmp_path / "torchaudio" / "models" / "hdemucs_high_trained.pt"
    file.parent.mkdir(parents=True)
    file.touch()
    (hdemucs,) = [row for row in json.loads(run(capsys, "models", "--json"))["published"] if row["name"] == "hdemucs"]
    assert hdemucs["weights"] == f"here: {file}"


def test_models_prints_addresses_unbroken_and_nothing_on_standard_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(SystemExit):
        main(["models"])
    shown = capfd.readouterr()
    words = shown.out.split()
    assert all(url in words or f"{url}," in words for model in PUBLISHED for url in model.urls)
    assert shown.err == ""


def test_recipes_lists_every_recipe_with_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["name"]: row for row in json.loads(run(capsys, "recipes", "--json"))["recipes"]}
    assert set(rows) == {path.stem for path in RECIPES.glob("*.toml")}
    assert rows["demucs_remix"]["command"] == "train"
    assert rows["demucs_remix"]["uses_mined"]
    assert not rows["demucs_paper"]["uses_mined"]
    assert rows["detector_paper"]["command"] == "train-detector"
    assert rows["ensemble_mvsep_2023"]["members"][0] == "vocals_a"
    assert all(row["what"] for row in rows.values())


def test_a_recipe_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "recipes", "tiny_cpu") == (RECIPES / "tiny_cpu.toml").read_text(encoding="utf-8")
