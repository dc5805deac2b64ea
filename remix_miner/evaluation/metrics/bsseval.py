"""BSSEval v4 (SDR, ISR, SIR, SAR per frame), equal to museval's and much faster.

museval decomposes each estimate as s_true + e_spat + e_interf + e_artif by projecting it on the references delayed by
0 to 511 samples, with filters computed once per track (Liutkus et al. 2018; the *images* version, not invariant to
scale). Here the frames' spectra give both the correlations and, by Parseval, the energies of the four parts. No
projected signal is computed, and all estimates share one Cholesky factor.

SDR compares the estimate with the reference alone, since the projections cancel in e_spat + e_interf + e_artif. A frame
in which any reference or estimate is digital silence is nan for all sources, as in museval.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
import torch
from jaxtyping import Float, Float64
from scipy.linalg.lapack import dpstrf
from torch import Tensor

FILTER_TAPS = 512
FRAME_SECONDS = 1.0
FRAMES_AT_ONCE = 8
SPECTRA_BYTES = 2**29
"""Spectra are kept between their two uses up to this size (1.5 minutes of four stereo sources), else computed again."""
DEPENDENT = 1e-12
"""Channels whose squared correlation is this close to 1 span the same space; pivots this small are rounding noise."""


@dataclass(frozen=True)
class FrameScores:
    """Scores in dB per source and frame (S, F): nan in frames with digital silence, inf where an error is zero."""

    sdr: Float64[np.ndarray, "S F"]
    isr: Float64[np.ndarray, "S F"]
    sir: Float64[np.ndarray, "S F"]
    sar: Float64[np.ndarray, "S F"]


def bsseval(
    references: Float[np.ndarray, "S C T"] | Float[Tensor, "S C T"],
    estimates: Float[np.ndarray, "S C T"] | Float[Tensor, "S C T"],
    sample_rate: int = 44100,
    *,
    taps: int = FILTER_TAPS,
    device: torch.device | str = "cpu",
) -> FrameScores:
    """Return scores of one track frame by frame: frames of 1 s without overlap, a rest shorter than that left out.

    A track shorter than one frame is one frame. A reference or an estimate that is silent throughout makes every
    frame nan (museval refuses such a track): leave that source out of both to score the others.
    """
    true, estimated = (
        (each if isinstance(each, Tensor) else torch.from_numpy(np.ascontiguousarray(each))).to(device)
        for each in (references, estimates)
    )
    if true.shape != estimated.shape or true.ndim != 3:
        raise ValueError(
            f"references {tuple(true.shape)} and estimates {tuple(estimated.shape)} must both be (S, C, T)"
        )
    sources, channels, samples = true.shape
    size = min(round(FRAME_SECONDS * sample_rate), samples)
    frames = _Frames(torch.stack([true, estimated]).flatten(0, 2), size, taps)
    scored = _sounding(true, size) & _sounding(estimated, size)
    scores = torch.full((4, sources, len(scored)), torch.nan, dtype=torch.float64, device=device)
    if size < samples and size < taps:
        raise ValueError(f"frames of {size} samples are shorter than filters of {taps}; raise the sample rate")
    if scored.any():
        filters = _projection_filters(_correlations(frames, taps), sources, channels, taps)
        joint, own = (torch.fft.rfft(each, frames.length).permute(2, 0, 1).contiguous() for each in filters)
        for group, parts, transforms in frames.groups():
            by_source = parts.reshape(2, sources, channels, *parts.shape[1:])
            energies = _energies(by_source, transforms, joint, own, frames.length)
            ratios = 10 * torch.log10(energies[:, 0] / energies[:, 1])
            here = scored[group]
            scores[:, :, group] = torch.where(here, ratios[..., : len(here)], torch.nan)
    return FrameScores(*scores.cpu().numpy())


class _Frames:
    """Signals cut into adjacent frames, the last padded with zeros, and the spectra of the frames."""

    def __init__(self, signals: Float[Tensor, "E T"], size: int, taps: int) -> None:
        self.count = -(-signals.shape[-1] // size)
        padded = torch.nn.functional.pad(signals, (0, self.count * size - signals.shape[-1]))
        self.samples = padded.reshape(len(signals), self.count, size)
        self.length = scipy.fft.next_fast_len(size + taps - 1, real=True)

        self._padded = torch.zeros(
            len(signals), FRAMES_AT_ONCE, self.length, dtype=torch.float64, device=signals.device
        )
        self._kept: dict[int, Tensor] = {}
        self._keep = self.samples.shape[0] * self.count * self.length * 8 <= SPECTRA_BYTES

    def groups(self) -> Iterator[tuple[slice, Float[Tensor, "E F N"], Tensor]]:
        """Yield groups of frames in order: their indices, samples, and spectra (K, F, E) in float64.

        Frequencies come first, so that filtering a group is one small matrix product per frequency. The samples are
        overwritten by the next group.
        """
        for begin in range(0, self.count, FRAMES_AT_ONCE):
            group = self.samples[:, begin : begin + FRAMES_AT_ONCE]
            padded = self._padded[:, : group.shape[1]]
            samples = padded[..., : group.shape[-1]].copy_(group)
            spectra = self._kept.pop(begin, None)
            if spectra is None:
                spectra = torch.fft.rfft(padded).permute(2, 1, 0).contiguous()
                if self._keep:
                    self._kept[begin] = spectra
            yield slice(begin, begin + group.shape[1]), samples, spectra


def _sounding(signals: Float[Tensor, "S C T"], size: int) -> Tensor:
    """Return (F,): frames in which no source is digital silence, by museval's rule, which sums channels first."""
    frames = signals.sum(dim=1).unfold(-1, size, size)
    return (frames != 0).any(dim=-1).all(dim=0)


def _correlations(frames: _Frames, taps: int) -> Float[Tensor, "R E K"]:
    """c[i, j, k] = sum_t x_i[t] x_j[t + k - (taps - 1)]: references x_i with all signals x_j, K = 2 taps - 1.

    Within frames from their spectra; across the border of two frames from the ``taps - 1`` samples on either side.
    """
    lags = taps - 1
    references = len(frames.samples) // 2
    shape = (frames.length // 2 + 1, references, len(frames.samples))
    spectrum = torch.zeros(shape, dtype=torch.complex128, device=frames.samples.device)
    for _, _, spectra in frames.groups():
        spectrum.baddbmm_(spectra[..., :references].mH, spectra)
    inside = torch.fft.irfft(spectrum.permute(1, 2, 0), frames.length)
    total = torch.cat([inside[..., frames.length - lags :], inside[..., :taps]], dim=-1)
    if frames.count > 1 and lags:
        # A head's sample 0 comes `lags` samples after its tail's sample 0; longer lags wrap round harmlessly.
        length = 2 * lags
        tails = torch.fft.rfft(frames.samples[:, :-1, -lags:].double(), length)
        heads = torch.fft.rfft(frames.samples[:, 1:, :lags].double(), length)
        forward = torch.fft.irfft(torch.einsum("rfk,efk->rek", tails[:references].conj(), heads), length)
        backward = torch.fft.irfft(torch.einsum("rfk,efk->rek", heads[:references].conj(), tails), length)
        shift = torch.arange(1, lags + 1, device=total.device) - lags
        total[..., lags + 1 :] += forward[..., shift % length]
        total[..., :lags] += backward[..., -shift.flip(0) % length]
    return total


def _projection_filters(
    correlations: Float[Tensor, "R E K"], sources: int, channels: int, taps: int
) -> tuple[Float[Tensor, "SC SC L"], Float[Tensor, "SC SC L"]]:
    """Return least-squares filters (reference, estimate, taps), from all references and from the same source."""
    rows = sources * channels
    kept = _independent_channels(correlations[:, :rows, taps - 1].cpu().numpy(), channels)

    def solve(chosen: list[int], columns: slice) -> Tensor:
        """Return (all references, columns, taps), with zeros for references that are not chosen."""
        gram = _gram(correlations[chosen][:, chosen], taps)
        wanted = correlations[chosen, rows:, taps - 1 :][:, columns].transpose(1, 2).flatten(0, 1)
        filters = wanted.new_zeros(rows, wanted.shape[1], taps)
        filters[chosen] = _solve(gram, wanted).reshape(len(chosen), taps, -1).transpose(1, 2)
        return filters

    joint = solve(kept, slice(None))
    own = torch.zeros_like(joint)
    for source in range(sources):
        columns = slice(source * channels, (source + 1) * channels)
        own[:, columns] = solve([row for row in kept if row // channels == source], columns)
    return joint, own


def _gram(correlations: Float[Tensor, "R R K"], taps: int) -> Float[Tensor, "RL RL"]:
    """Return the inner products of all references at all delays: blocks of Toeplitz matrices."""
    rows = len(correlations)
    backwards = correlations.flip(-1)
    gram = correlations.new_empty(rows, taps, rows, taps)
    for delay in range(taps):
        gram[:, delay] = backwards[..., taps - 1 - delay : 2 * taps - 1 - delay]
    return gram.reshape(rows * taps, rows * taps)


def _independent_channels(gram: Float64[np.ndarray, "R R"], channels: int) -> list[int]:
    """Return the references to project on, without silent channels and duplicate channels."""
    kept: list[int] = []
    for row, energy in enumerate(gram.diagonal()):
        twins = [each for each in kept if each // channels == row // channels]
        copied = any(gram[row, each] ** 2 >= (1 - DEPENDENT) * energy * gram[each, each] for each in twins)
        if energy > 0 and not copied:
            kept.append(row)
    return kept


def _solve(gram: Float[Tensor, "N N"], wanted: Float[Tensor, "N E"]) -> Float[Tensor, "N E"]:
    """Solve least squares by Cholesky; for linearly dependent references, on a maximal independent set of delays."""
    scale = float(gram.diagonal().max())
    factor, problem = torch.linalg.cholesky_ex(gram)
    if int(problem) == 0 and float(factor.diagonal().square().min()) > DEPENDENT * scale:
        return torch.cholesky_solve(wanted, factor)
    lower, order, rank, _ = dpstrf(gram.cpu().numpy(), lower=1, tol=DEPENDENT * scale)
    chosen = torch.from_numpy(order[:rank].astype(np.int64) - 1).to(gram.device)
    independent = torch.from_numpy(np.tril(lower[:rank, :rank])).to(gram.device)
    solution = torch.zeros_like(wanted)
    solution[chosen] = torch.cholesky_solve(wanted[chosen], independent)
    return solution


def _energies(
    frames: Float[Tensor, "2 S C F N"], spectra: Tensor, joint: Tensor, own: Tensor, length: int
) -> Float[Tensor, "4 2 S F"]:
    """Return the numerators and denominators of SDR, ISR, SIR and SAR.

    ``frames`` and ``spectra`` (K, F, 2 S C) hold references, then estimates; ``joint`` and ``own``
    (K, S C, S C) are the spectra of the projection filters.
    """
    _, sources, _, count, _ = frames.shape
    bins = len(spectra)
    true, estimated = spectra.chunk(2, dim=-1)
    on_all, on_own = torch.bmm(true, joint), torch.bmm(true, own)

    def energy(part: Tensor) -> Tensor:
        """Return (S, F), from the positive frequencies: all but the first and the last count twice."""
        powers = torch.view_as_real(part).flatten(1)
        total = 2 * torch.linalg.vector_norm(powers, dim=0).square() - powers[0].square()
        if length % 2 == 0:
            total = total - powers[bins - 1].square()
        energies: Tensor = total.reshape(count, sources, -1).sum(dim=-1).T / length
        return energies

    signal = frames[0].square().sum(dim=(1, 3))
    noise = (frames[1] - frames[0]).square().sum(dim=(1, 3))
    image, artefacts = energy(on_all), energy(estimated - on_all)
    target, interference = energy(on_own), energy(on_all.sub_(on_own))
    distortion = energy(on_own.sub_(true))
    pairs = ((signal, noise), (signal, distortion), (target, interference), (image, artefacts))
    return torch.stack([torch.stack(pair) for pair in pairs])
