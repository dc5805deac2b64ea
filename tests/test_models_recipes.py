"""The verbs `models` and `recipes` list what the program has."""

import json
from pathlib import Path

import pytest

from remix_miner.cli import main
from remix_miner.separators import SEPARATORS
from remix_miner.separators.external.published import PUBLISHED
from remix_miner.settings_files import RECIPES


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


@pytest.mark.parametrize("verb", ["recipes", "study"])
def test_what_needs_a_missing_extra_is_listed(
    verb: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain installation has no extra `augment`; its lists are whole, and name the command that installs it."""
    with_extra = run(capsys, verb, "--json")
    monkeypatch.setitem(__import__("sys").modules, "python_stretch", None)
    names = {row["name"] for row in _rows(with_extra)}
    assert names == {row["name"] for row in _rows(run(capsys, verb, "--json"))}
    shown = run(capsys, verb)
    assert all(name in shown for name in names)
    if verb == "recipes":
        assert "pip install 'remix-miner[augment]'" in " ".join(shown.split())
        assert run(capsys, "recipes", "few_songs") == (RECIPES / "few_songs.toml").read_text(encoding="utf-8")


def _rows(document: str) -> list[dict[str, str]]:
    found = json.loads(document)
    return found["recipes"] if isinstance(found, dict) else found


def test_a_study_that_needs_a_missing_extra_is_refused_before_it_reads_songs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_stretch", None)
    for verb in (["study", "test-shifts"], ["perturb", "--pitch-shift", "2"]):
        stems = ["--stems", str(tmp_path)] if verb[0] == "study" else [str(tmp_path)]
        with pytest.raises(SystemExit) as exit_:
            main([*verb, *stems, "--out", str(tmp_path / "out")])
        assert exit_.value.code == 2
        assert "remix-miner[augment]" in capsys.readouterr().err


def test_a_sentence_does_not_end_behind_an_abbreviation(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "models", "--json"))["separators"]
    assert not [row["what"] for row in rows if row.get("what", "").endswith("et al")]
    (demucs,) = [row["what"] for row in rows if row["name"] == "demucs"]
    assert demucs.startswith("Demucs of the first paper (Défossez et al. 2019, ")


def test_a_recipe_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "recipes", "tiny_cpu") == (RECIPES / "tiny_cpu.toml").read_text(encoding="utf-8")
