"""Box plots of results: which scores lie in which box."""

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from remix_miner.cli import app
from remix_miner.figures.box_plots import box_plots, plotted_metrics
from remix_miner.synthesis.corpus import write_corpus


def result(name: str, values: list[float | None]) -> dict:
    tracks = [{"name": str(n), "sources": {"drums": {"usdr": value}}} for n, value in enumerate(values)]
    return {"name": name, "sources": ["drums"], "tracks": tracks}


def test_a_box_holds_the_quartiles_of_the_tracks_that_have_a_score() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, None]
    made = box_plots([result("a", values), result("b", [0.0, 0.0])])
    (axis,) = made.axes
    box = axis.patches[0].get_path().vertices[:, 1]
    assert (box.min(), box.max()) == (2.0, 4.0)  # numpy's quartiles of 1 to 5
    assert [label.get_text() for label in axis.get_xticklabels()] == ["a", "b"]
    assert plotted_metrics([result("a", values)]) == ["usdr"]


def test_evaluate_draws_its_result_beside_others(tmp_path: Path) -> None:
    write_corpus(tmp_path, 3, 3.0, seed=2)
    stems = ["--stems", str(tmp_path / "stems"), "--metrics", "usdr,si_sdr", "--workers", "0"]
    run = CliRunner()
    assert run.invoke(app, ["evaluate", "mixture", *stems, "--out", str(tmp_path / "a.json")]).exit_code == 0
    more = ["--plot", str(tmp_path / "boxes.svg"), "--beside", str(tmp_path / "a.json"), "--json"]
    done = run.invoke(app, ["evaluate", "mixture", *stems, "--name", "second", *more], catch_exceptions=False)
    drawn = (tmp_path / "boxes.svg").read_text()
    assert "second" in drawn
    assert "SI-SDR" in drawn
    assert np.isfinite(json.loads(done.stdout)["tracks"][0]["sources"]["drums"]["usdr"])
    assert run.invoke(app, ["evaluate", "mixture", *stems, "--plot", str(tmp_path / "boxes.txt")]).exit_code != 0
