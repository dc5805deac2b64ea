"""Blends of finished estimates, and their weights by least squares per source over labelled songs.

The error of a weighted average depends only on the inner products of estimates and reference. They are computed once
per song. Every set of weights is then scored without reading audio again.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy.optimize import nnls

from remix_miner.atomic import atomic_path
from remix_miner.audio import AudioReader, AudioWriter, display_name, read_audio
from remix_miner.datasets.tracks import Track
from remix_miner.errors import DataError
from remix_miner.evaluation.metrics.whole_track import USDR_DELTA
from remix_miner.evaluation.references import read_reference

Products = Float64[np.ndarray, "M1 M1"]
"""Inner products of M estimates and, last, the reference."""


@dataclass(frozen=True)
class BlendStudy:
    """uSDR in dB of one source, averaged over songs: each member, equal shares, fitted weights, and on other songs.

    ``held_out``: each song under weights fitted without it. ``songs`` counts those in which the source sounds.
    """

    weights: Mapping[str, float]
    members: Mapping[str, float]
    equal: float
    fitted: float
    held_out: float
    songs: int

    @property
    def gain(self) -> float:
        """Gain of the fitted blend over the best single member, on songs it was not fitted on."""
        return self.held_out - max(self.members.values())


def inner_products(files: Sequence[Path], track: Track, source: str, sources: Sequence[str] | None = None) -> Products:
    """Return the inner products over channels and time of the members' estimates of one source and its reference."""
    reference = read_reference(track, source, sources or (source,))
    signals = np.empty((len(files) + 1, reference.size), dtype=np.float32)
    for row, path in enumerate(files):
        estimate, _ = read_audio(path)
        if estimate.shape != reference.shape:
            raise DataError(f"{path} is {estimate.shape[0]} x {estimate.shape[1]}, its reference {reference.shape}")
        signals[row] = estimate.ravel()
    signals[-1] = reference.ravel()
    total = np.zeros((len(signals), len(signals)))
    for begin in range(0, signals.shape[1], 2**20):
        piece = signals[:, begin : begin + 2**20].astype(np.float64)
        total += piece @ piece.T
    return total


def fit_weights(products: Sequence[Products], nonnegative: bool = False) -> Float64[np.ndarray, " M"]:
    """Return the weights of least squared error; division by the reference's energy makes songs count alike."""
    gram = sum(each / each[-1, -1] for each in products)
    assert isinstance(gram, np.ndarray)
    own, cross = gram[:-1, :-1], gram[:-1, -1]
    if nonnegative:
        values, vectors = np.linalg.eigh(own)
        root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
        weights: Float64[np.ndarray, " M"] = nnls(root, np.linalg.pinv(root) @ cross)[0]
        return weights
    return np.asarray(np.linalg.lstsq(own, cross, rcond=1e-10)[0])


def blended_usdr(products: Products, weights: Float64[np.ndarray, " M"]) -> float:
    """Return the uSDR of the weighted sum, from the inner products alone."""
    energy = products[-1, -1]
    whole = np.append(weights, -1.0)
    error = max(float(whole @ products @ whole), 0.0)
    return float(10 * np.log10((energy + USDR_DELTA) / (error + USDR_DELTA)))


def study_blend(
    products: Sequence[Products],
    members: Sequence[str],
    nonnegative: bool = False,
    others: Sequence[Products] | None = None,
) -> BlendStudy:
    """Fit weights on songs and score them on others: the given ones, or each song in turn (leave-one-out).

    Songs whose reference is silent are left out. Raises `DataError` with fewer than two songs and no others.
    """
    fitting = [each for each in products if each[-1, -1] > 0]
    judging = fitting if others is None else [each for each in others if each[-1, -1] > 0]
    if len(fitting) < (2 if others is None else 1) or not judging:
        raise DataError(
            f"{len(fitting)} songs in which the source sounds are too few to fit weights and score them on others"
        )
    weights = fit_weights(fitting, nonnegative)
    equal = np.full(len(members), 1 / len(members))
    if others is None:
        rests = [fitting[:index] + fitting[index + 1 :] for index in range(len(fitting))]
        held_out = [
            blended_usdr(each, fit_weights(rest, nonnegative)) for each, rest in zip(fitting, rests, strict=True)
        ]
    else:
        held_out = [blended_usdr(each, weights) for each in judging]

    def mean(shares: Float64[np.ndarray, " M"]) -> float:
        return float(np.mean([blended_usdr(each, shares) for each in judging]))

    singles = {member: mean(row) for member, row in zip(members, np.eye(len(members)), strict=True)}
    return BlendStudy(
        {member: float(weight) for member, weight in zip(members, weights, strict=True)},
        singles,
        mean(equal),
        float(np.mean([blended_usdr(each, weights) for each in fitting])),
        float(np.mean(held_out)),
        len(judging),
    )


def blend_files(shares: Mapping[Path, float], out: Path) -> None:
    """Write the weighted sum of files of equal rate, channels and length as float32 wav, in bounded memory."""
    with contextlib.ExitStack() as stack:
        readers = {path: stack.enter_context(AudioReader(path)) for path in shares}
        shapes = {path: (reader.sample_rate, reader.channels, reader.frames) for path, reader in readers.items()}
        if len(set(shapes.values())) > 1:
            listed = "; ".join(
                f"{display_name(path)}: {rate} Hz, {channels} channels, {frames} frames"
                for path, (rate, channels, frames) in shapes.items()
            )
            raise DataError(f"estimates that do not match cannot be blended: {listed}")
        rate, channels, frames = next(iter(shapes.values()))
        temporary = stack.enter_context(atomic_path(out))
        with AudioWriter(temporary, rate, channels, frames=frames) as file:
            for blocks in zip(*(reader.blocks() for reader in readers.values()), strict=True):
                total = np.zeros_like(blocks[0])
                for share, block in zip(shares.values(), blocks, strict=True):
                    total += np.float32(share) * block
                file.write(total)
            for path, reader in readers.items():
                if reader.problem or reader.bad_values:
                    what = reader.problem or f"{reader.bad_values:,} samples that are NaN or infinite"
                    raise DataError(f"{display_name(path)}: {what}; make this estimate again")
