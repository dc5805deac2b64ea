"""The study of KUIELab-MDX-Net (Kim et al. 2021): its Mixer, its blend with Demucs-v2, its transforms per source."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from remix_miner.config import Settings, from_mapping
from remix_miner.evaluation.ensembles.recipe import load_recipe
from remix_miner.separators.tfc_tdf.v2 import N_FFT
from remix_miner.sources import SOURCES
from remix_miner.studies.bench import Bench, Estimator
from remix_miner.studies.plan import Arm, Claim, Study

TABLE = "table 'Performance on the MUSDB benchmark'"
ALONE, MIXED, BLENDED = "separators alone", "with the Mixer", "with the Mixer and Demucs-v2"
DEMUCS, ONE_TRANSFORM = "Demucs-v2 alone", "separators alone, one n_fft"


@dataclass(frozen=True)
class MixerOptions(Settings):
    """``n_fft``: of each source's separator; ``one_n_fft``: of all of them, twice the bins, so that nothing is cut.

    ``mixer``, ``demucs``: training settings of the Mixer and of Demucs-v2, in place of the separators'.
    """

    n_fft: dict[str, int] = field(default_factory=lambda: dict(N_FFT))
    one_n_fft: int = 4096
    mixer: dict[str, Any] = field(default_factory=dict)
    demucs: dict[str, Any] = field(default_factory=dict)


def mixer() -> Study:
    """Return the study of separators alone, with the Mixer, with Demucs-v2, and with one transform for all."""
    return Study(
        "mixer",
        f"Kim et al. 2021, {TABLE}",
        "What do the Mixer, the blend with Demucs-v2 and a transform for each source gain?",
        "system",
        tuple(Arm(name) for name in (ALONE, MIXED, BLENDED, DEMUCS, ONE_TRANSFORM)),
        (
            Claim(MIXED, ALONE, f"{TABLE}, mean of the sources", 0.10),
            Claim(ALONE, MIXED, f"{TABLE}, vocals", 0.03, source="vocals"),
            Claim(BLENDED, MIXED, f"{TABLE}, mean of the sources", 0.31),
            Claim(BLENDED, DEMUCS, f"{TABLE}, mean of the sources", 1.43),
            Claim(ALONE, ONE_TRANSFORM, "section 'TFC-TDF-U-Net v2'", None),
        ),
        system=system,
    )


def system(bench: Bench, arm: Arm) -> Estimator:
    """Return the estimator of an arm; the models that several arms share are trained once."""
    options = from_mapping(MixerOptions, bench.scale.options, where="options.")
    if arm.name == DEMUCS:
        return _demucs(bench, options)
    if arm.name in (ALONE, ONE_TRANSFORM):
        return _separators(bench, options, one_transform=arm.name == ONE_TRANSFORM)
    mixed = _mixer(bench, options)
    if arm.name == MIXED:
        return mixed
    demucs, stage = _demucs(bench, options), load_recipe("kuielab_2021").stages[0]
    weights = {source: stage.shares(source) for source in SOURCES}
    shares = np.array([weights[source]["mdx"] for source in SOURCES], dtype=np.float32)[:, None, None]

    def blend(mixture: Float32[np.ndarray, "C T"], song: str) -> Float32[np.ndarray, "S C T"]:
        blended: Float32[np.ndarray, "S C T"] = shares * mixed(mixture, song) + (1 - shares) * demucs(mixture, song)
        return blended

    return blend


def _part(source: str, n_fft: int) -> Arm:
    return Arm(f"{source}, n_fft {n_fft}", {"separator": {"settings": {"sources": [source], "n_fft": n_fft}}})


def _separators(bench: Bench, options: MixerOptions, one_transform: bool) -> Estimator:
    sizes = dict.fromkeys(SOURCES, options.one_n_fft) if one_transform else options.n_fft
    parts = [bench.estimator(bench.train(_part(source, sizes[source]))) for source in SOURCES]

    def together(mixture: Float32[np.ndarray, "C T"], song: str) -> Float32[np.ndarray, "S C T"]:
        estimates: Float32[np.ndarray, "S C T"] = np.sum([part(mixture, song) for part in parts], axis=0)
        return estimates

    return together


def _mixer(bench: Bench, options: MixerOptions) -> Estimator:
    parts = {source: str(bench.trained(_part(source, options.n_fft[source]))) for source in SOURCES}
    shared = {name: value for name, value in bench.scale.model.items() if name in ("audio_channels", "sample_rate")}
    part: dict[str, Any] = {
        name: value for name, value in bench.scale.model.items() if name not in ("segment_seconds", *shared)
    }
    part |= {source: {"n_fft": options.n_fft[source]} for source in SOURCES}
    name = {"name": "kuielab_mdx_net", "settings": {**shared, "part": part}}
    settings = bench.scale.settings_of(Arm("mixer", {**options.mixer, "separator": name}), bench.seed)
    return bench.estimator(bench.train_with(settings, parts=parts))


def _demucs(bench: Bench, options: MixerOptions) -> Estimator:
    return bench.estimator(bench.train(Arm(DEMUCS, options.demucs)))
