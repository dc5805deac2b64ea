"""Blends, fitted weights and staged pipelines, against values worked by hand and members with known errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from torch import Tensor, nn

from remix_miner.audio import read_audio, write_audio, writer
from remix_miner.cli import main
from remix_miner.errors import DataError, UsageError
from remix_miner.evaluation.ensembles.blend import blend_files, blended_usdr, fit_weights, study_blend
from remix_miner.evaluation.ensembles.ensemble import refine_with_residuals, run_recipe
from remix_miner.evaluation.ensembles.recipe import (
    EnsembleRecipe,
    Stage,
    built_in_recipes,
    load_recipe,
    recipe_text,
)
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.sources import SOURCES

RATE = 4000


class Member(nn.Module):
    """Estimates each source as a fixed share of its input, plus a part that does not change sign with it."""

    sample_rate, audio_channels, segment_seconds, name = RATE, 2, 0.5, "member"

    def __init__(self, shares: dict[str, float], even: float = 0.0) -> None:
        super().__init__()
        self.sources, self.shares, self.even = tuple(shares), list(shares.values()), even

    def valid_length(self, frames: int) -> int:
        return frames

    def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
        estimates = mixture[:, None] * mixture.new_tensor(self.shares)[None, :, None, None]
        return estimates + self.even * mixture[:, None].abs()


def _song(path: Path, seconds: float = 1.3, channels: int = 2) -> np.ndarray:
    random = np.random.default_rng(3)
    audio = (0.2 * random.standard_normal((channels, round(seconds * RATE)))).astype(np.float32)
    write_audio(path, audio, RATE)
    return audio


def _run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_the_published_weights_are_in_the_recipes() -> None:
    assert built_in_recipes() == ["kuielab_2021", "mvsep_2023"]
    kuielab = load_recipe("kuielab_2021").stages[0]
    assert [kuielab.shares(source)["mdx"] for source in SOURCES] == [0.5, 0.5, 0.7, 0.9]
    vocals, rest = load_recipe("mvsep_2023").stages
    assert vocals.shares("vocals") == pytest.approx({"vocals_a": 12 / 23, "instrumental": 8 / 23, "demucs_ft": 3 / 23})
    assert list(rest.weights["bass"].values()) == [19, 4, 5, 8]
    assert list(rest.weights["drums"].values()) == [18, 2, 4, 9]
    assert list(rest.weights["other"].values()) == [14, 2, 5, 10]


def test_a_blend_is_the_weighted_sum_sample_by_sample(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    signals = [random.standard_normal((2, 11 * RATE)).astype(np.float32) for _ in range(2)]
    for index, signal in enumerate(signals):
        write_audio(tmp_path / f"{index}.wav", signal, RATE)
    blend_files({tmp_path / "0.wav": 0.25, tmp_path / "1.wav": 0.75}, tmp_path / "out.wav")
    np.testing.assert_allclose(read_audio(tmp_path / "out.wav")[0], 0.25 * signals[0] + 0.75 * signals[1], atol=1e-6)
    write_audio(tmp_path / "short.wav", signals[0][:, :100], RATE)
    with pytest.raises(DataError, match="100 frames"):
        blend_files({tmp_path / "0.wav": 0.5, tmp_path / "short.wav": 0.5}, tmp_path / "bad.wav")
    assert not (tmp_path / "bad.wav").exists()


def _products(errors: list[float], seed: int, frames: int = 20000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inner products of estimates with independent errors of the given levels; the estimates; the reference."""
    random = np.random.default_rng(seed)
    reference = random.standard_normal(frames)
    estimates = np.stack([reference + error * random.standard_normal(frames) for error in errors])
    signals = np.concatenate([estimates, reference[None]])
    return signals @ signals.T, estimates, reference


def test_fitted_weights_of_independent_errors_are_inverse_to_their_variance() -> None:
    """Wiener: w_k = (1/e_k^2) / (1 + sum_j 1/e_j^2) for a reference of variance 1."""
    products = [_products([0.1, 0.2], seed)[0] for seed in range(4)]
    precision = np.array([100.0, 25.0])
    np.testing.assert_allclose(fit_weights(products), precision / (1 + precision.sum()), atol=0.02)
    np.testing.assert_allclose(fit_weights(products, nonnegative=True), fit_weights(products), atol=1e-6)


def test_usdr_from_inner_products_is_usdr() -> None:
    products, estimates, reference = _products([0.1, 0.3], 0)
    weights = np.array([0.6, 0.3])
    wanted = usdr(reference[None, None], (weights @ estimates)[None, None])[0]
    assert blended_usdr(products, weights) == pytest.approx(wanted, abs=1e-6)


def test_the_gain_is_measured_on_songs_that_the_weights_have_not_seen() -> None:
    products = [_products([0.1, 0.1], seed, frames=5000)[0] for seed in range(6)]
    study = study_blend(products, ["a", "b"])
    # Two independent errors of equal level: averaging halves the error's energy.
    assert study.gain == pytest.approx(3.0, abs=0.2)
    assert study.held_out <= study.fitted + 1e-9
    assert study.songs == 6
    other = study_blend(products, ["a", "b"], others=[_products([0.5, 0.1], 9)[0]])
    assert other.songs == 1
    assert other.members["a"] == pytest.approx(6, abs=0.2)
    with pytest.raises(DataError, match="1 songs"):
        study_blend(products[:1], ["a", "b"])


def test_a_negative_weight_is_possible_unless_forbidden() -> None:
    random = np.random.default_rng(0)
    reference, noise = random.standard_normal((2, 5000))
    signals = np.stack([reference + noise, noise, reference])
    products = [signals @ signals.T]
    np.testing.assert_allclose(fit_weights(products), [1, -1], atol=1e-6)
    assert (fit_weights(products, nonnegative=True) >= 0).all()


def test_residuals_by_hand() -> None:
    """Mixture 1, estimates 0.2, 0.2, 0.2: residuals 0.6; halves 0.4; each becomes 1 - 0.8."""
    stems = np.full((3, 1, 1), 0.2, np.float32)
    refined = refine_with_residuals(np.ones((1, 1), np.float32), stems, [0.5, 0.5, 0.5])
    np.testing.assert_allclose(refined, 0.2, atol=1e-6)
    perfect = np.array([0.5, 0.2, 0.3], np.float32)[:, None, None]
    np.testing.assert_allclose(
        refine_with_residuals(np.ones((1, 1), np.float32), perfect, [0.3, 0.3, 0.7]), perfect, atol=1e-6
    )


STAGED = EnsembleRecipe(
    "staged",
    {
        "voice": {},
        "backing": {"invert": True, "complements": {"vocals": ["accompaniment"]}},
        "rest": {"polarity": True, "sums": {"other": ["other", "piano"]}},
    },
    (
        Stage({"vocals": {"voice": 3, "backing": 1}}),
        Stage({"drums": {"rest": 1}, "bass": {"rest": 1}, "other": {"rest": 1}}, subtract=("vocals",)),
    ),
)
MODELS: dict[str, Any] = {
    "voice": Member({"vocals": 0.4, "drums": 0.0}),
    "backing": Member({"accompaniment": 0.7}),
    "rest": Member({"drums": 0.3, "bass": 0.3, "other": 0.1, "piano": 0.3}, even=0.5),
}


def test_vocals_first_with_complements_sums_and_polarity(tmp_path: Path) -> None:
    """vocals = (3 * 0.4 + (1 - 0.7)) / 4 x = 0.375 x; the rest shares 0.625 x; the even part cancels."""
    audio = _song(tmp_path / "song.wav", seconds=21.3)
    loaded: list[str] = []

    def load(name: str) -> Any:
        loaded.append(name)
        return MODELS[name]

    (folder,) = run_recipe(STAGED, load, [tmp_path / "song.wav"], tmp_path / "out")
    shares = {"vocals": 0.375, "drums": 0.3 * 0.625, "bass": 0.3 * 0.625, "other": 0.4 * 0.625}
    for source, share in shares.items():
        np.testing.assert_allclose(read_audio(folder / f"{source}.wav")[0], share * audio, atol=1e-5, err_msg=source)
    assert sorted(path.name for path in folder.iterdir()) == [
        "bass.wav",
        "drums.wav",
        "ensemble.json",
        "other.wav",
        "vocals.wav",
    ]
    assert sorted(loaded) == ["backing", "rest", "voice"]
    again = run_recipe(STAGED, lambda name: pytest.fail("done again"), [tmp_path / "song.wav"], tmp_path / "out")
    assert again == [folder]
    with pytest.raises(UsageError, match="another recipe or other models"):
        run_recipe(STAGED, load, [tmp_path / "song.wav"], tmp_path / "out", models={"voice": "other"})


def test_the_mvsep_recipe_runs_over_any_models_and_lacks_two_thirds_of_the_residual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remix_miner.separators import loading

    four = Member({"drums": 0.3, "bass": 0.2, "other": 0.2, "vocals": 0.25})
    six = Member({"drums": 0.2, "bass": 0.2, "other": 0.1, "guitar": 0.1, "piano": 0.1, "vocals": 0.3})
    monkeypatch.setattr(
        loading, "load_separator", lambda name, device="cpu", download=False: six if name == "six" else four
    )
    audio = _song(tmp_path / "song.wav", channels=1)
    members = load_recipe("mvsep_2023").members
    given = [f"--model={name}={'six' if name == 'demucs_6s' else 'four'}" for name in members]
    arguments = ["ensemble", "run", "mvsep_2023", str(tmp_path / "song.wav"), "--out", str(tmp_path / "out")]
    assert _run(*arguments, *given) == 0
    estimates = {source: read_audio(tmp_path / "out" / "song" / f"{source}.wav")[0] for source in SOURCES}
    vocals = (12 * 0.25 + 8 * (1 - 0.2) + 3 * 0.25) / 23
    np.testing.assert_allclose(estimates["vocals"], vocals * audio, atol=1e-5)
    rest = (1 - vocals) * audio
    blends = [(4 * 0.2 + 29 * 0.3) / 33, 0.2, (26 * 0.2 + 5 * 0.3) / 31]
    wanted = refine_with_residuals(rest, np.stack([share * rest for share in blends]), [1 / 3, 1 / 3, 2 / 3])
    for source, expected in zip(("drums", "bass", "other"), wanted, strict=True):
        np.testing.assert_allclose(estimates[source], expected, atol=1e-5, err_msg=source)
    # Shares that sum to 4/3 over three sources: (3 - 1)(4/3 - 1) of what the blends lack of their input.
    lacking = 2 / 3 * (1 - sum(blends)) * rest
    np.testing.assert_allclose(sum(estimates.values()), audio - lacking, atol=1e-5)
    assert _run(*arguments, *given[1:]) == 2


@pytest.mark.parametrize(("shares", "left"), [([0.2, 0.3, 0.5], 0.0), ([1 / 3, 1 / 3, 2 / 3], 2 / 3), ([1, 1, 1], 4.0)])
def test_how_much_of_the_residual_refined_sources_lack(shares: list[float], left: float) -> None:
    """By hand: the sum is the mixture less (K - 1)(S - 1) times the residual; nothing where the shares sum to 1."""
    mixture, stems = np.full((1, 1), 0.5, np.float32), np.array([0.1, 0.1, 0.2], np.float32)[:, None, None]
    refined = refine_with_residuals(mixture, stems, shares)
    assert float(refined.sum()) == pytest.approx(0.5 - left * 0.1, abs=1e-6)


def test_a_damaged_song_is_reported_and_the_others_are_done(tmp_path: Path) -> None:
    audio = _song(tmp_path / "good.wav")
    (tmp_path / "bad.wav").write_bytes(b"RIFF....WAVE")
    songs, said = [tmp_path / "bad.wav", tmp_path / "good.wav"], []
    folders = run_recipe(
        STAGED,
        lambda name: MODELS[name],
        songs,
        tmp_path / "out",
        remark=lambda path, text, failed: said.append((path.name, failed)),
    )
    assert said == [("bad.wav", True)]
    assert [folder.name for folder in folders] == ["good"]
    np.testing.assert_allclose(read_audio(folders[0] / "vocals.wav")[0], 0.375 * audio, atol=1e-5)
    assert not (tmp_path / "out" / "bad" / ".work").exists()


def test_values_that_are_no_numbers_are_remarked(tmp_path: Path) -> None:
    audio = np.full((2, RATE), 0.1, np.float32)
    audio[0, 5] = np.nan
    soundfile.write(tmp_path / "song.wav", audio.T, RATE, subtype="FLOAT")
    said: list[str] = []
    run_recipe(
        STAGED,
        lambda name: MODELS[name],
        [tmp_path / "song.wav"],
        tmp_path / "out",
        remark=lambda path, text, failed: said.append(text),
    )
    assert said == ["1 samples of the file are NaN or infinite and were read as zeros"]


def test_blends_of_other_sources(tmp_path: Path) -> None:
    signal = np.full((2, 100), 0.5, np.float32)
    for member, gain in (("a", 1.0), ("b", 0.5)):
        for source in ("speech", "music"):
            write_audio(tmp_path / member / "film" / f"{source}.wav", gain * signal, RATE)
    named = [f"{name}={tmp_path / name}" for name in ("a", "b")]
    out = tmp_path / "out"
    assert _run("ensemble", "blend", *named, "--sources", "speech,music", "--out", out) == 0
    np.testing.assert_allclose(read_audio(out / "film" / "speech.wav")[0], 0.375, atol=1e-6)
    assert _run("ensemble", "blend", *named, "--sources", "speech,speech", "--out", out) == 2


def test_blends_that_may_exceed_four_gibibytes_are_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RIFF_BYTES", 1000)
    signal = np.full((2, 1000), 0.5, np.float32)
    write_audio(tmp_path / "a.wav", signal, RATE)
    blend_files({tmp_path / "a.wav": 0.5}, tmp_path / "out.wav")
    assert (tmp_path / "out.wav").read_bytes()[:4] == b"RF64"
    np.testing.assert_allclose(read_audio(tmp_path / "out.wav")[0], 0.25)


def test_a_member_that_lacks_a_source_is_named(tmp_path: Path) -> None:
    _song(tmp_path / "song.wav")
    with pytest.raises(UsageError, match="member 'backing' is to give vocals, but its model separates drums, not acc"):
        run_recipe(STAGED, lambda name: Member({"drums": 1.0}), [tmp_path / "song.wav"], tmp_path / "out")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[members.a]\n[[stages]]\n[stages.weights]\nvocals = { b = 1 }", "no members"),
        ('[members.a]\n[[stages]]\nsubtract = ["drums"]\n[stages.weights]\nvocals = { a = 1 }', "before a stage"),
        ("[members.a]\n[[stages]]\n[stages.weights]\nvocals = { a = 0 }", "sum to 0"),
        ("[members.a]\nshfts = 3\n[[stages]]\n[stages.weights]\nvocals = { a = 1 }", "did you mean 'shifts'"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(tmp_path: Path, change: str, message: str) -> None:
    (tmp_path / "recipe.toml").write_text(f'title = "t"\n{change}\n')
    with pytest.raises(UsageError, match=message):
        load_recipe(tmp_path / "recipe.toml")


def test_fitted_weights_become_a_recipe_that_blends(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for song in range(3):
        for source in SOURCES:
            reference = random.standard_normal((2, 4000)).astype(np.float32) / 10
            write_audio(tmp_path / "stems" / f"song {song}" / f"{source}.wav", reference, RATE)
            for member, error in (("a", 0.01), ("b-2", 0.03)):
                noisy = reference + error * random.standard_normal(reference.shape).astype(np.float32)
                write_audio(tmp_path / member / f"song {song}" / f"{source}.wav", noisy, RATE)
    named = [f"{name}={tmp_path / name}" for name in ("a", "b-2")]
    recipe = tmp_path / "fitted.toml"
    assert _run("ensemble", "fit", *named, "--stems", tmp_path / "stems", "--out", recipe) == 0
    weights = load_recipe(recipe).stages[0].shares("drums")
    assert weights["a"] == pytest.approx(0.9, abs=0.02)
    assert _run("ensemble", "blend", *named, "--recipe", recipe, "--out", tmp_path / "blend") == 0
    parts = [read_audio(tmp_path / name / "song 1" / "drums.wav")[0] for name in ("a", "b-2")]
    wanted = weights["a"] * parts[0] + weights["b-2"] * parts[1]
    np.testing.assert_allclose(read_audio(tmp_path / "blend" / "song 1" / "drums.wav")[0], wanted, atol=1e-5)
    assert "drums" in recipe_text("t", {"drums": weights}, weights)
