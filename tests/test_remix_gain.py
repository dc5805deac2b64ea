"""The experiment of examples/remix_gain at toy size: it runs to its tables, and a second start has nothing to do."""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.sources import SOURCES

EXAMPLE = Path(__file__).parents[1] / "examples" / "remix_gain"


def run(script: str, *arguments: object) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLE / script), *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture
def differences(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    return importlib.import_module("differences")


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Two singers in each half, a song each; two rock songs without vocals, and a song of another band."""
    for number, singer in enumerate(("amy", "bug", "jmzen", "khair")):
        folder = tmp_path / "audio" / "pairs16k" / f"MIR1K_{singer}_1"
        folder.mkdir(parents=True)
        noise = 0.1 * np.random.default_rng(number).standard_normal((2, 16000))
        for name, signal in zip(("vocals", "accompaniment"), noise, strict=True):
            soundfile.write(folder / f"{name}.flac", signal, 16000)
    for number, song in enumerate(("MusicDelta_Punk", "MusicDelta_Rock", "other_band")):
        folder = tmp_path / "audio" / "stems" / song
        folder.mkdir(parents=True)
        noise = 0.1 * np.random.default_rng(number).standard_normal((4, 16000))
        noise[SOURCES.index("vocals")] = 0
        for source, signal in zip(SOURCES, noise, strict=True):
            soundfile.write(folder / f"{source}.flac", signal, 16000)
    return tmp_path / "audio"


def test_the_toy_experiment_runs_and_reports(tmp_path: Path, audio: Path, mine: Callable[..., Any]) -> None:
    mine(tmp_path / "mined", {"x.mp3": {"vocals": [5.0, 6.0], "drums": [5.0]}, "y.mp3": {"vocals": [7.0]}})
    out = tmp_path / "out"
    arguments = (EXAMPLE / "tiny.toml", "--audio", audio, "--mined", tmp_path / "mined", "--out", out)
    run("run.py", *arguments)
    results = sorted((out / "vocals" / "results").glob("*.json"))
    stamps = [path.stat().st_mtime_ns for path in results]
    run("run.py", *arguments)
    assert [path.stat().st_mtime_ns for path in results] == stamps
    runs = {path.stem: json.loads(path.read_text()) for path in results}
    arms = (
        *("supervised", "mined", "mined-by-track", "control"),
        *("mined-0.1min", "mined-50percent-impure", "true"),
    )
    assert set(runs) == {
        f"{arm}-MIR1K_{singer}_1-seed0" for arm in arms for singer in ("amy", "bug", "jmzen", "khair")
    } | {f"ceiling-half{half}-seed0-{epochs}" for half in (0, 1) for epochs in (1, 2)}
    assert runs["mined-MIR1K_amy_1-seed0"]["mined_minutes"] == pytest.approx(18 / 60, rel=1e-3)
    assert runs["mined-0.1min-MIR1K_amy_1-seed0"]["mined_minutes"] == pytest.approx(0.1, rel=1e-3)
    for found in runs.values():
        heard = {name.split("_")[1] for name in found["labelled"]}
        assert not heard & {values["artist"] for values in found["scores"]["ema"].values()}
    drums = {path.stem for path in (out / "drums" / "results").glob("*.json")}
    assert drums == {
        *(f"{arm}-MusicDelta_{name}-seed0" for arm in ("control", "mined") for name in ("Punk", "Rock")),
        *("ceiling-half0-seed0-1", "ceiling-half0-seed0-2"),
    }
    run("separated.py", EXAMPLE / "tiny.toml", out)
    (folder,) = (out / "vocals" / "separated").iterdir()
    assert {path.name for path in folder.iterdir()} >= {
        "mixture.wav",
        "vocals.wav",
        "mined-by-track.wav",
        "control.wav",
        "spectrograms.png",
    }
    page = tmp_path / "docs" / "guide" / "page.md"
    page.parent.mkdir(parents=True)
    marks = "<!-- results of tiny, {0}: begin -->\nearlier text\n<!-- results of tiny, {0}: end -->\n"
    page.write_text(f"before\n{marks.format('vocals')}between\n{marks.format('drums')}after\n")
    run("report.py", out, "--doc", page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    vocals, drums = text.split("\nbetween\n")
    assert "| mined-by-track - control |" in vocals
    assert "| mined - control |" in drums
    assert "earlier text" not in text
    assert (tmp_path / "docs" / "pictures" / "gain_tiny.svg").stat().st_size > 1000


def result(arm: str, fold: str, half: int, scores: dict[str, float], seed: int = 0, epochs: int = 1) -> dict[str, Any]:
    rows = {
        song: {"genre": "karaoke", "artist": song[0], "usdr": value, "mixture_usdr": 0.0}
        for song, value in scores.items()
    }
    return {
        "arm": arm,
        "fold": fold,
        "half": half,
        "seed": seed,
        "epochs": epochs,
        "scores": {"ema": rows},
    }


def test_differences_are_paired_and_weigh_artists_alike(differences: ModuleType) -> None:
    documents = [
        result("supervised", "f", 0, {"a1": 1.0, "a2": 3.0, "b1": 5.0}),
        result("mined", "f", 0, {"a1": 2.0, "a2": 4.0, "b1": 8.0}),
        result("mined", "unpaired", 0, {"a1": 9.0, "a2": 9.0, "b1": 9.0}),
    ]
    found = differences.difference(documents, "mined", "supervised")
    assert found.folds == {"f": pytest.approx(2.0)}  # artist a gained 1 dB, artist b 3 dB
    assert (found.low, found.high) == pytest.approx((1.0, 3.0))


def test_the_longest_ceiling_serves_every_fold_of_its_half(differences: ModuleType) -> None:
    documents = [
        result("control", "f", 0, {"b1": 1.0}),
        result("control", "g", 0, {"b1": 2.0}),
        result("control", "h", 1, {"a1": 2.0}),
        result("ceiling", "half0", 0, {"b1": 9.0}, epochs=1),
        result("ceiling", "half0", 0, {"b1": 5.0}, epochs=2),
    ]
    assert differences.difference(documents, "ceiling", "control").folds == {"f": 4.0, "g": 3.0}


def test_the_interval_agrees_with_drawing_rows_and_columns_one_by_one(differences: ModuleType) -> None:
    generator = np.random.default_rng(1)
    table = generator.normal(size=(12, 8))
    table[:6, :3] = np.nan
    means = []
    for _ in range(10_000):
        rows, columns = generator.integers(0, 12, 12), generator.integers(0, 8, 8)
        drawn = table[np.ix_(rows, columns)]
        kept = ~np.isnan(drawn).all(axis=1)
        means.append(np.nanmean(drawn[kept], axis=1).mean())
    # Two bootstraps of 10,000 draws agree to about a fiftieth of the spread.
    assert np.allclose(differences.interval(table), np.percentile(means, [2.5, 97.5]), atol=0.03)


def test_labelled_songs_of_one_singer_are_drawn_together(differences: ModuleType) -> None:
    """Two folds of singer a, 0 and 2 dB, and one of singer b, 1 dB: with a's two together, every draw's mean is 1."""
    table = np.array([[0.0], [2.0], [1.0]])
    assert differences.interval(table, ["a", "a", "b"]) == (1.0, 1.0)
    low, high = differences.interval(table)
    assert low < 0.5
    assert high > 1.5
    documents = [
        *(result(arm, "a1", 0, {"b1": value}) for arm, value in (("control", 0.0), ("mined", 0.0))),
        *(result(arm, "a2", 0, {"b1": value}) for arm, value in (("control", 0.0), ("mined", 2.0))),
        *(result(arm, "b1", 1, {"a1": value, "a2": value}) for arm, value in (("control", 0.0), ("mined", 1.0))),
    ]
    found = differences.difference(documents, "mined", "control")
    assert (found.low, found.mean, found.high) == pytest.approx((1.0, 1.0, 1.0))


def test_probabilities_reach_the_copies_of_a_harvest(
    tmp_path: Path, mine: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies written now state them; those of earlier versions, which state 1, are mended and keep their audio."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    excerpts = importlib.import_module("excerpts")
    mine(tmp_path / "mined", {"x.mp3": {"vocals": [5.0, 6.0]}, "y.mp3": {"vocals": [7.0]}})
    stated = MinedExcerpts(tmp_path / "mined").probabilities("vocals")
    read = list(excerpts.read_mined(tmp_path / "mined", "vocals", 4000, 1))
    excerpts.write_excerpts(tmp_path / "new", "vocals", read, 4000, 1, made_of="x")
    assert MinedExcerpts(tmp_path / "new").probabilities("vocals") == pytest.approx(stated)
    without = [excerpt._replace(probability_mean=1.0, probability_min=1.0) for excerpt in read]
    excerpts.write_excerpts(tmp_path / "old", "vocals", without, 4000, 1, made_of="x")
    old = excerpts.shard_path(tmp_path / "old", "vocals")
    assert old.read_bytes() != excerpts.shard_path(tmp_path / "new", "vocals").read_bytes()
    excerpts.add_probabilities(old, tmp_path / "mined", "vocals")
    assert MinedExcerpts(tmp_path / "old").probabilities("vocals") == pytest.approx(stated)
    assert old.stat().st_size == excerpts.shard_path(tmp_path / "new", "vocals").stat().st_size
    for mended, written in zip(MinedExcerpts(tmp_path / "old"), MinedExcerpts(tmp_path / "new"), strict=True):
        np.testing.assert_array_equal(mended["audio"], written["audio"])
    mine(tmp_path / "another", {"x.mp3": {"vocals": [5.0, 6.0]}})
    excerpts.write_excerpts(tmp_path / "third", "vocals", without, 4000, 1, made_of="x")
    with pytest.raises(SystemExit, match="was not made of"):
        excerpts.add_probabilities(excerpts.shard_path(tmp_path / "third", "vocals"), tmp_path / "another", "vocals")


VARIANTS = """
extends = "{tiny}"

[[blocks]]
target = "vocals"
arms = ["control", "longer", "two-songs", "negatives", "other"]
folds = [0, 2]

[[blocks]]
target = "four"
arms = ["ceiling", "supervised", "remix", "remix-rest"]
folds = [0, 1]

[variants.longer]
arm = "control"
epochs = 2

[variants.two-songs]
arm = "mined"
baseline = "control"
labelled = 2

[variants.negatives]
arm = "mined"
set = ["excerpts.negatives=0.5", "excerpts.share=0.75"]

[variants.other]
arm = "mined-by-track"
harvest = "other"

[variants.remix]
arm = "mined"
baseline = "supervised"
set = ["steps_per_epoch=1", "remix.probability=1", "excerpts.enough_minutes=0"]

[variants.remix-rest]
arm = "remix"
set = ["remix.rest_weight=0.5"]
"""


def test_variants_of_arms_and_four_sources(tmp_path: Path, audio: Path, mine: Callable[..., Any]) -> None:
    noise = 0.1 * np.random.default_rng(9).standard_normal(16000)
    for song in ("MusicDelta_Punk", "MusicDelta_Rock"):
        soundfile.write(audio / "stems" / song / "vocals.flac", noise, 16000)
    mine(tmp_path / "mined", {"x.mp3": {"vocals": [5.0, 6.0], "drums": [5.0], "bass": [5.0]}})
    mine(tmp_path / "other", {"x.mp3": {"vocals": [9.0]}})
    scale = tmp_path / "variants.toml"
    scale.write_text(VARIANTS.format(tiny=EXAMPLE / "tiny.toml"))
    out = tmp_path / "out"
    folders = ("--audio", audio, "--mined", tmp_path / "mined", "--out", out)
    harvest = ("--harvest", f"other={tmp_path / 'other'}")
    run("run.py", scale, *folders, *harvest)
    runs = {path.stem: json.loads(path.read_text()) for path in (out / "vocals" / "results").glob("*.json")}
    names = ("control", "longer", "two-songs", "negatives", "other")
    assert set(runs) == {f"{name}-MIR1K_{singer}_1-seed0" for name in names for singer in ("amy", "jmzen")}
    assert runs["longer-MIR1K_amy_1-seed0"]["updates"] == 2 * runs["control-MIR1K_amy_1-seed0"]["updates"]
    assert runs["two-songs-MIR1K_amy_1-seed0"]["labelled"] == ["MIR1K_amy_1", "MIR1K_bug_1"]
    assert runs["two-songs-MIR1K_amy_1-seed0"]["baseline"] == "control"
    assert runs["negatives-MIR1K_amy_1-seed0"]["baseline"] == "mined"
    assert runs["other-MIR1K_amy_1-seed0"]["mined_minutes"] == pytest.approx(9 / 60, rel=1e-3)
    settings = json.loads((out / "vocals" / "runs" / "negatives-MIR1K_amy_1-seed0" / "settings.json").read_text())
    assert settings["settings"]["excerpts"]["negatives"] == 0.5
    assert settings["data"]["mined"]["share_of_examples"] == 0.75
    assert [runs[f"{name}-MIR1K_amy_1-seed0"]["share"] for name in ("control", "negatives")] == [0.5, 0.75]

    four = {path.stem: json.loads(path.read_text()) for path in (out / "four" / "results").glob("*.json")}
    assert {"supervised-MusicDelta_Punk-seed0", "remix-rest-MusicDelta_Punk-seed0"} < set(four)
    scores = four["remix-MusicDelta_Punk-seed0"]["scores"]["ema"]
    assert set(scores) == {"other_band"}
    assert set(scores["other_band"]["of"]) == {"drums", "bass", "other"}  # its vocals are silent
    of = [each["usdr"] for each in scores["other_band"]["of"].values()]
    assert scores["other_band"]["usdr"] == pytest.approx(np.mean(of))
    log = (out / "four" / "runs" / "remix-rest-MusicDelta_Punk-seed0" / "settings.json").read_text()
    assert json.loads(log)["settings"]["remix"]["rest_weight"] == 0.5
    assert json.loads(log)["settings"]["remix"]["probability"] == 1


def test_a_longer_run_from_a_checkpoint_is_the_longer_run(
    tmp_path: Path, audio: Path, mine: Callable[..., Any]
) -> None:
    mine(tmp_path / "mined", {"x.mp3": {"vocals": [5.0]}})
    scale = tmp_path / "variants.toml"
    text = VARIANTS.format(tiny=EXAMPLE / "tiny.toml").partition('[[blocks]]\ntarget = "four"')
    rest = "[variants.longer]" + text[2].partition("[variants.longer]")[2]
    found = []
    for arms in ('["control", "longer"]', '["longer"]'):
        scale.write_text(text[0].replace('["control", "longer", "two-songs", "negatives", "other"]', arms) + rest)
        out = tmp_path / f"out{len(found)}"
        run("run.py", scale, "--audio", audio, "--mined", tmp_path / "mined", "--out", out)
        path = out / "vocals" / "results" / "longer-MIR1K_amy_1-seed0.json"
        found.append(json.loads(path.read_text())["scores"])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("changed", "to", "message"),
    [
        ('arm = "control"', 'arm = "kontrol"', "unknown arm 'kontrol'"),
        ('baseline = "control"', 'baseline = "nothing"', "unknown arm 'nothing'"),
        ('arm = "control"', 'arm = "ceiling"', "made from the ceiling"),
        ('arm = "remix"', 'arm = "remix-rest"', "unknown arm 'remix-rest'"),
        ("remix.rest_weight=0.5", "remix.rest_wait=0.5", "did you mean 'rest_weight'?"),
        ("labelled = 2", "labels = 2", "unknown setting 'variants.two-songs.labels'"),
        ("", "", "no mined folder for other"),
    ],
)
def test_a_wrong_variant_is_refused_before_any_work(
    tmp_path: Path, audio: Path, changed: str, to: str, message: str
) -> None:
    scale = tmp_path / "variants.toml"
    text = VARIANTS.format(tiny=EXAMPLE / "tiny.toml")
    scale.write_text(text.replace(changed, to) if changed else text)
    command = [
        sys.executable,
        EXAMPLE / "run.py",
        scale,
        "--audio",
        audio,
        "--mined",
        tmp_path,
        "--out",
        tmp_path / "o",
    ]
    finished = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert finished.returncode != 0
    assert message in finished.stderr
    assert not (tmp_path / "o").exists()
