"""``evaluate``: layouts of estimates, checks, aggregates by name, the result file, models and oracles."""

import functools
import json
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix_miner.audio import read_audio, write_audio
from remix_miner.cli import main
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.errors import DataError
from remix_miner.evaluation import scoring_pool
from remix_miner.evaluation.estimates import find_estimates
from remix_miner.evaluation.evaluate import evaluate_model, score_estimates
from remix_miner.evaluation.leaderboard.compare import compare
from remix_miner.evaluation.metrics import bsseval
from remix_miner.evaluation.metrics.aggregates import AGGREGATES, aggregate_tracks, bootstrap, headline
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.evaluation.results import Result
from remix_miner.separators.overlap_add import InferenceSettings
from remix_miner.sources import SOURCES

RATE = 4000
TRACKS = ("Artist - One", "Artist - Two_3")


@pytest.fixture
def stems(tmp_path: Path) -> Path:
    """Two songs of 1.5 s; the second has no bass."""
    random = np.random.default_rng(0)
    for track in TRACKS:
        for source in SOURCES:
            audio = (0.1 * random.standard_normal((2, 3 * RATE // 2))).astype(np.float32)
            if (track, source) == (TRACKS[1], "bass"):
                audio[:] = 0
            write_audio(tmp_path / "stems" / track / f"{source}.wav", audio, RATE)
    return tmp_path / "stems"


@pytest.fixture
def estimates(tmp_path: Path, stems: Path) -> Path:
    """The stems with some noise, in our layout."""
    random = np.random.default_rng(1)
    for path in stems.rglob("*.wav"):
        audio, rate = read_audio(path)
        noisy = audio + (0.01 * random.standard_normal(audio.shape)).astype(np.float32)
        write_audio(tmp_path / "estimates" / path.relative_to(stems), noisy, rate)
    return tmp_path / "estimates"


def _run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def _scores(result: Result) -> list[dict[str, Any]]:
    return sorted(result.tracks, key=lambda track: track["name"])


def test_three_layouts_and_a_zip_give_the_same_scores(tmp_path: Path, stems: Path, estimates: Path) -> None:
    tracks = load_stem_tracks(stems)
    museval, mvsep = tmp_path / "museval", tmp_path / "mvsep"
    mvsep.mkdir()
    shutil.copytree(estimates, museval / "test")
    for path in estimates.rglob("*.wav"):
        shutil.copy(path, mvsep / f"{path.parent.name}_{path.stem}.wav")
    wanted = score_estimates(tracks, find_estimates(estimates), ["usdr"], name="a", corpus="c")
    assert wanted.tracks[0]["sources"]["drums"]["usdr"] == pytest.approx(20, abs=0.2)
    for folder in (museval, mvsep):
        assert score_estimates(tracks, find_estimates(folder), ["usdr"], name="a", corpus="c").tracks == wanted.tracks
    with zipfile.ZipFile(tmp_path / "upload.zip", "w") as archive:
        for path in estimates.rglob("*.wav"):
            archive.write(path, Path("my results") / path.relative_to(estimates))
    out = tmp_path / "result.json"
    assert (
        _run("evaluate", tmp_path / "upload.zip", "--stems", stems, "--metrics", "usdr", "--out", out, "--workers", "1")
        == 0
    )
    assert Result.load(out).tracks == wanted.tracks


def test_the_result_file_round_trips_and_names_every_aggregate(
    tmp_path: Path, stems: Path, estimates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bsseval, "bsseval", functools.partial(bsseval.bsseval, taps=16))  # 512 taps: seconds a track
    out = tmp_path / "result.json"
    assert _run("evaluate", estimates, "--stems", stems, "--out", out, "--workers", "1", "--name", "noisy") == 0
    document = json.loads(out.read_text())
    assert Result.load(out).document() == document
    assert set(document["aggregates"]["csdr"]) == {"median_of_medians", "mean_of_medians", "mean_of_means"}
    assert document["name"] == "noisy"
    bass = document["aggregates"]["usdr"]["mean_over_tracks"]["bass"]
    assert bass["tracks"] == 1
    assert document["tracks"][1]["sources"]["bass"]["silent"]
    # 0.01 against a mixture of three sources of 0.1.
    assert document["tracks"][1]["sources"]["bass"]["leakage_db"] == pytest.approx(10 * np.log10(1e-4 / 3e-2), abs=0.3)


def test_worker_processes_give_what_one_gives(stems: Path, estimates: Path) -> None:
    found, tracks = find_estimates(estimates), load_stem_tracks(stems)
    one, two = (score_estimates(tracks, found, ["usdr"], name="a", corpus="c", workers=workers) for workers in (1, 2))
    assert one.tracks == two.tracks


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / TRACKS[0] / "bass.wav").unlink(), "missing for 1 of 2 tracks"),
        (lambda folder: write_audio(folder / TRACKS[0] / "bass.wav", np.zeros((2, 6000), np.float32), 8000), "8000 Hz"),
        (
            lambda folder: write_audio(folder / TRACKS[0] / "bass.wav", np.zeros((1, 6000), np.float32), RATE),
            "1 channels",
        ),
        (
            lambda folder: write_audio(folder / TRACKS[0] / "bass.wav", np.zeros((2, 5999), np.float32), RATE),
            "5999 frames",
        ),
        (
            lambda folder: write_audio(folder / f"{TRACKS[0]}_bass.wav", np.zeros((2, 6000), np.float32), RATE),
            "two estimates",
        ),
    ],
)
def test_estimates_that_do_not_fit_are_refused(stems: Path, estimates: Path, spoil: Any, message: str) -> None:
    spoil(estimates)
    with pytest.raises(DataError, match=message):
        score_estimates(load_stem_tracks(stems), find_estimates(estimates), ["usdr"], name="a", corpus="c")


def test_a_partial_set_is_scored_on_request_and_says_so(tmp_path: Path, stems: Path, estimates: Path) -> None:
    shutil.rmtree(estimates / TRACKS[0])
    out = tmp_path / "result.json"
    arguments = ("evaluate", estimates, "--stems", stems, "--metrics", "usdr", "--out", out)
    assert _run(*arguments) == 2
    assert _run(*arguments, "--allow-missing") == 1
    assert len(Result.load(out).tracks) == 1
    assert Result.load(out).notes == [f"estimates missing: {TRACKS[0]}: drums, bass, other, vocals"]


def test_the_mixture_and_an_ideal_mask_bound_what_can_be_had(tmp_path: Path, stems: Path) -> None:
    tracks = load_stem_tracks(stems)
    results = {
        name: evaluate_model(
            name,
            tracks,
            ["usdr"],
            name=name,
            corpus="c",
            folder=tmp_path / name,
            settings=InferenceSettings(),
            keep=True,
        )
        for name in ("mixture", "irm")
    }
    # Four equal independent sources: the mixture's error is three of them.
    drums = results["mixture"].tracks[0]["sources"]["drums"]["usdr"]
    assert drums == pytest.approx(10 * np.log10(1 / 3), abs=0.2)
    assert results["irm"].tracks[0]["sources"]["drums"]["usdr"] > drums + 5
    masked = sum(read_audio(tmp_path / "irm" / TRACKS[0] / f"{source}.wav")[0] for source in SOURCES)
    np.testing.assert_allclose(masked, tracks[0].read_mixture(), atol=1e-4)
    assert results["irm"].cost is not None
    assert results["irm"].cost["compute_seconds_per_audio_second"] > 0


def test_estimates_made_for_scoring_are_removed_unless_kept(tmp_path: Path, stems: Path) -> None:
    settings = InferenceSettings()
    evaluate_model(
        "mixture", load_stem_tracks(stems), ["usdr"], name="m", corpus="c", folder=tmp_path / "gone", settings=settings
    )
    assert not list((tmp_path / "gone").rglob("*.wav"))


def _rows(values: np.ndarray, column: str = "csdr") -> list[dict[str, Any]]:
    """Tracks whose scores are the rows of ``values``; nan is a silent source."""
    return [
        {
            "name": f"track {index}",
            "seconds": 1.0,
            "sources": {
                source: {
                    "silent": bool(np.isnan(value)),
                    "leakage_db": None,
                    column: None if np.isnan(value) else value,
                }
                for source, value in zip(SOURCES, row, strict=True)
            },
        }
        for index, row in enumerate(values)
    ]


def test_scoring_processes_compute_with_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(scoring_pool, "score_files", os.getenv)
    with scoring_pool.scoring_pool(2, 2) as submit:
        assert submit("OPENBLAS_NUM_THREADS").result() == "1"
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_all_by_pooling_differs_from_the_average_of_medians() -> None:
    """The two readings of 'All' in the literature, on numbers worked by hand."""
    values = np.array([[1.0, 2, 3, 10], [2, 3, 4, 20], [3, 4, 5, np.nan]])
    found = aggregate_tracks(_rows(values), SOURCES)["csdr"]["median_of_medians"]
    assert [found[source]["value"] for source in SOURCES] == [2, 3, 4, 15]
    assert found["average"]["value"] == 6
    assert found["all_pooled"]["value"] == 3  # the middle of 1 2 2 3 3 3 4 4 5 10 20
    assert [found[name]["tracks"] for name in ("vocals", "all_pooled")] == [2, 11]
    assert found["drums"]["low"] is None  # three tracks are too few for an interval


def test_bootstrap_intervals_hold_the_true_mean_at_their_rate() -> None:
    """95% intervals of a mean over 40 tracks cover it in about 95% of 200 draws (binomial: 0.90 to 0.98)."""
    random = np.random.default_rng(0)
    aggregate = headline("usdr")
    covered = 0
    for seed in range(200):
        low, high = bootstrap(aggregate, seed, random.normal(5, 2, size=(40, 1)))[:, 0]
        covered += low <= 5 <= high
    assert 0.90 <= covered / 200 <= 0.98


def _result(values: np.ndarray, name: str) -> Result:
    corpus = {"name": "c", "tracks": len(values), "seconds": 1.0, "sample_rates": [RATE], "fingerprint": "f"}
    return Result(name, list(SOURCES), ["usdr"], corpus, _rows(values, "usdr"))


def test_pairing_finds_a_small_difference_that_separate_intervals_hide() -> None:
    random = np.random.default_rng(0)
    base = random.normal(5, 4, size=(30, 4))
    better = _result(base + 0.3 + 0.1 * random.standard_normal(base.shape), "better")
    found = {(each.aggregate, each.column): each for each in compare(better, _result(base, "base"))}
    drums = found["mean_over_tracks", "drums"]
    assert drums.clear
    assert drums.value == pytest.approx(0.3, abs=0.1)
    assert drums.low is not None
    assert drums.low < drums.value
    own = better.document()["aggregates"]["usdr"]["mean_over_tracks"]["drums"]
    assert own["high"] - own["low"] > 1
    assert not any(each.clear for each in compare(_result(base, "a"), _result(base, "b")))


def test_results_on_different_songs_are_not_compared() -> None:
    one = _result(np.ones((5, 4)), "one")
    other = Result(**{**vars(one), "tracks": [{**track, "name": track["name"] + "'"} for track in one.tracks]})
    with pytest.raises(DataError, match="share no song"):
        compare(one, other)


def test_every_metric_has_one_headline() -> None:
    assert {headline(each.metric).metric for each in AGGREGATES} == {each.metric for each in AGGREGATES}
    assert (headline("usdr").name, headline("csdr").name) == ("mean_over_tracks", "median_of_medians")


def test_a_model_is_scored_on_what_it_writes(tmp_path: Path, stems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from torch import Tensor, nn

    from remix_miner.separators import loading

    class Half(nn.Module):
        """All sources as half the mixture."""

        sources, sample_rate, audio_channels, segment_seconds, name = SOURCES, RATE, 2, 0.5, "half"

        def valid_length(self, frames: int) -> int:
            return frames

        def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
            return 0.5 * mixture[:, None].expand(-1, 4, -1, -1)

    monkeypatch.setattr(loading, "load_separator", lambda name, device="cpu", download=False: Half())
    out = tmp_path / "result.json"
    assert (
        _run("evaluate", "half", "--stems", stems, "--metrics", "usdr", "--out", out, "--workers", "1", "--shifts", "2")
        == 0
    )
    result = Result.load(out)
    track = load_stem_tracks(stems)[0]
    wanted = usdr(track.read(), torch.from_numpy(track.read_mixture()).expand(4, -1, -1) * 0.5)
    assert [result.tracks[0]["sources"][source]["usdr"] for source in SOURCES] == pytest.approx(wanted, abs=1e-4)
    assert result.inference is not None
    assert (result.inference["shifts"], result.inference["segment_seconds"]) == (2, 0.5)
    assert result.model is not None
    assert result.model["name"] == "half"
