"""The wavelet scattering transform of order two, as the detector reads it: (B, T) -> (B, 7, 54, frames).

Filters and their parameters are kymatio's (J = 8, Q = 8 at 16 kHz); the transform is ours and several times faster on
one core. It samples every intermediate signal at the very points that kymatio does, so it agrees with kymatio's
output to float32 rounding once kymatio's factor 2^-j is undone. What makes it fast:

* one real FFT per block; each filter then needs only the band below its own output rate;
* a filter is split into its even and odd part, so real and imaginary part come from two real inverse transforms
  into separate planes, whose modulus is three passes without complex arithmetic;
* the first order is averaged from the spectrum that the second order needs anyway, the second by one matrix product;
* blocks of a fixed length with enough context on both sides, small enough for the cache.

Andén and Mallat 2014; Défossez et al. 2019, appendix A; layout of channels in `Scattering`.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.detector.geometry import SCATTERING_HOP_FRAMES

J = 8
Q = 8
FIRST_ORDER = 54
CHANNELS = 7
CONTEXT_FRAMES = 4096
"""Samples beyond a coefficient that it depends on, to float32 rounding; the low-pass's deviation is 407 samples."""

BLOCK_FRAMES = 1 << 17
LOWPASS_HOPS = 21
"""Hops that the averaging filter spans; beyond them it is under 1e-7 of its peak."""


@lru_cache(maxsize=1)
def filter_parameters() -> tuple[list[tuple[float, float, int]], list[tuple[float, float, int]], float]:
    """(xi, sigma, j) of the filters of order 1 and 2, and the low-pass's sigma, in cycles per sample: kymatio's."""
    from kymatio.scattering1d.filter_bank import compute_params_filterbank

    sigma0 = 0.1
    first, second = (
        [(float(xi), float(sigma), int(j)) for xi, sigma, j in zip(*parameters, strict=True)]
        for parameters in (compute_params_filterbank(sigma0 / 2**J, quality, 5.0) for quality in (Q, 1))
    )
    return first, second, sigma0 / 2**J


def paths() -> list[tuple[int, int, int]]:
    """(channel, n1, n2) of every coefficient, n2 = -1 for order 1: channel 0 is order 1, channel k is n2 = k + 2.

    A second-order path exists where j2 > j1. n1 = 0 is the highest frequency.
    """
    first, second, _ = filter_parameters()
    found = [(0, n1, -1) for n1 in range(len(first))]
    kept = [n2 for n2 in range(len(second)) if any(second[n2][2] > j1 for _, _, j1 in first)]
    for channel, n2 in enumerate(kept, start=1):
        found += [(channel, n1, n2) for n1 in range(len(first)) if second[n2][2] > first[n1][2]]
    return found


class Scattering(nn.Module):
    """Scattering coefficients of mono audio at 16 kHz: (B, T) -> (B, 7, 54, ceil(T / 256)), float32.

    Coefficient (.., f, t) is centred at sample 256 t. Cells without a path are zero. Values carry the signal's own
    amplitude (kymatio's are smaller by 2^-j1 and 2^-(j1+j2)). The signal is continued by reflection at its ends, as
    in kymatio; T must be at least 2. The result for a part of a signal that has ``CONTEXT_FRAMES`` of the signal on
    both sides does not depend on where the signal was cut, if cuts are at multiples of 256. No gradients are kept.
    """

    def __init__(self, block_frames: int = BLOCK_FRAMES, blocks_at_once: int | None = None) -> None:
        super().__init__()
        if block_frames % 512 or block_frames <= 2 * CONTEXT_FRAMES:
            raise ValueError(f"block_frames is a multiple of 512 above {2 * CONTEXT_FRAMES}, got {block_frames}")
        self.block_frames = block_frames
        self.blocks_at_once = blocks_at_once
        first, second, _ = filter_parameters()
        self._groups = [
            (j, [n for n, (_, _, jn) in enumerate(first) if jn == j]) for j in sorted({f[2] for f in first})
        ]
        self._second = [(n2, j2) for n2, (_, _, j2) in enumerate(second) if j2 > 0]
        for name, constant in _filter_bank(block_frames).items():
            self.register_buffer(name, constant, persistent=False)

    @property
    def step_frames(self) -> int:
        """Samples between the starts of consecutive blocks: what a block gives coefficients for."""
        return self.block_frames - 2 * CONTEXT_FRAMES

    def forward(self, audio: Float[Tensor, "B T"]) -> Float[Tensor, "B 7 54 frames"]:
        frames = audio.shape[-1]
        coefficients = math.ceil(frames / SCATTERING_HOP_FRAMES)
        count = math.ceil(frames / self.step_frames)
        padded = continued(audio, CONTEXT_FRAMES, count * self.step_frames + CONTEXT_FRAMES - frames)
        result = self.of_blocks(padded.unfold(-1, self.block_frames, self.step_frames).flatten(0, 1))
        by_track = result.view(len(audio), count, *result.shape[1:]).permute(0, 2, 3, 1, 4)
        return by_track.flatten(3)[..., :coefficients]

    @torch.no_grad()
    def of_blocks(self, blocks: Float[Tensor, "N block_frames"]) -> Float[Tensor, "N 7 54 kept"]:
        """Coefficients of blocks that bring their own context: ``step_frames`` / 256 from the middle of each."""
        per_pass = self.blocks_at_once or (1 if blocks.device.type == "cpu" else 32)
        result = blocks.new_zeros(len(blocks), CHANNELS, FIRST_ORDER, self.step_frames // SCATTERING_HOP_FRAMES)
        for start in range(0, len(blocks), per_pass):
            self._transform(blocks[start : start + per_pass], result[start : start + per_pass])
        return result

    def _transform(self, blocks: Tensor, result: Tensor) -> None:
        """Coefficients of (b, block_frames) into (b, 7, 54, kept), the context dropped."""
        context = CONTEXT_FRAMES // SCATTERING_HOP_FRAMES
        inside = slice(context, context + result.shape[-1])
        spectrum = torch.fft.rfft(blocks)[:, None]
        hops = self.block_frames // SCATTERING_HOP_FRAMES
        for j1, members in self._groups:
            rate = self.block_frames >> j1
            envelope = _filtered_modulus(spectrum, self.get_buffer(f"first_{j1}"), rate)
            rows = slice(members[0], members[-1] + 1)
            low = torch.fft.rfft(envelope)
            averaged = low[..., : hops // 2 + 1] * self.get_buffer("lowpass") * (hops / rate)
            result[:, 0, rows] = torch.fft.irfft(averaged, n=hops)[..., inside]
            for channel, (n2, j2) in enumerate(self._second, start=1):
                if j2 <= j1:
                    continue
                rate2 = self.block_frames >> j2
                second = _filtered_modulus(low, self.get_buffer(f"second_{n2}_{j1}"), rate2)
                result[:, channel, rows] = _average(second, self.get_buffer(f"average_{j2}"), hops)[..., inside]


def _filtered_modulus(spectrum: Tensor, bank: Tensor, rate: int) -> Tensor:
    """|x * psi| for the filters of ``bank`` (2, n, F), sampled at ``rate`` points per block."""
    planes = torch.fft.irfft(spectrum[:, None, :, : bank.shape[-1]] * bank, n=rate)
    real, imaginary = planes[:, 0], planes[:, 1]
    modulus: Tensor = real.mul_(real).addcmul_(imaginary, imaginary).sqrt_()
    return modulus


def _average(signal: Tensor, matrix: Tensor, hops: int) -> Tensor:
    """Low-pass ``signal`` (.., rate) and keep ``hops`` samples: one thin product, then a sum along diagonals."""
    products = signal.reshape(*signal.shape[:-1], hops, -1) @ matrix
    span = matrix.shape[-1]
    padded = F.pad(products, (0, 0, 0, span - 1))
    diagonals = padded.as_strided(
        (*padded.shape[:-2], hops, span), (*padded.stride()[:-2], span, span + 1), padded.storage_offset()
    )
    # Row r of the result belongs to hop r + span // 2: shift it back (the first and last hops are context).
    summed = diagonals.sum(dim=-1)
    return F.pad(summed, (span // 2, 0))[..., :hops]


def _averaging_matrix(sigma: float, j: int) -> np.ndarray:
    """(256 >> j, span): column k weighs a hop's samples for the output that lies span // 2 - k hops after its start."""
    length = SCATTERING_HOP_FRAMES >> j
    offsets = (
        np.arange(length)[:, None] * 2**j
        + (np.arange(LOWPASS_HOPS) - LOWPASS_HOPS // 2)[None, :] * SCATTERING_HOP_FRAMES
    )
    width = 1 / (2 * math.pi * sigma)
    weights: np.ndarray = np.exp(-(offsets**2) / (2 * width**2)) / (width * math.sqrt(2 * math.pi)) * 2**j
    return weights


@lru_cache(maxsize=4)
def _filter_bank(block_frames: int) -> dict[str, Tensor]:
    """Every constant of the transform of blocks of one length, made once a process."""
    first, second, lowpass_sigma = filter_parameters()
    bank: dict[str, np.ndarray] = {}
    rates = sorted({j1 for _, _, j1 in first})
    for j1 in rates:
        bins = (block_frames >> j1) // 2 + 1
        filters = [_even_odd(xi, sigma, block_frames)[:, :bins] for xi, sigma, j in first if j == j1]
        bank[f"first_{j1}"] = np.stack(filters, axis=1) * 2.0**-j1
    for n2, (xi, sigma, j2) in enumerate(second):
        if any(j1 < j2 for j1 in rates):
            bins = (block_frames >> j2) // 2 + 1
            pair = _even_odd(xi, sigma, block_frames)[:, None, :bins]
            for j1 in (j1 for j1 in rates if j1 < j2):
                bank[f"second_{n2}_{j1}"] = pair * 2.0 ** (j1 - j2)
            bank[f"average_{j2}"] = _averaging_matrix(lowpass_sigma, j2)
    frequency = np.arange(block_frames // 512 + 1) / block_frames
    bank["lowpass"] = np.exp(-(frequency**2) / (2 * lowpass_sigma**2))
    kinds = {name: np.complex64 if np.iscomplexobj(value) else np.float32 for name, value in bank.items()}
    return {name: torch.from_numpy(np.ascontiguousarray(value, dtype=kinds[name])) for name, value in bank.items()}


def _even_odd(xi: float, sigma: float, frames: int) -> np.ndarray:
    """(2, frames // 2 + 1): what gives the real and the imaginary part of a Morlet filter's output as real signals.

    The real part is the inverse transform of x's spectrum times the filter's even part, the imaginary part that of
    the spectrum times -i times its odd part; both are spectra of real signals, so the inverse is a real one.
    """
    from kymatio.scattering1d.filter_bank import morlet_1d

    morlet = np.asarray(morlet_1d(frames, xi, sigma)).reshape(-1).real
    mirrored = np.roll(morlet[::-1], 1)
    half = frames // 2 + 1
    return np.stack([(morlet + mirrored)[:half], -1j * (morlet - mirrored)[:half]]) / 2


def continued(audio: Tensor, left: int, right: int) -> Tensor:
    """``audio`` (B, T) continued by reflection, again and again where it is shorter than the padding.

    Beyond CONTEXT_FRAMES on the right nothing is read that is kept, so zeros do there.
    """
    frames = audio.shape[-1]
    if frames < 2:
        raise ValueError(f"scattering needs at least 2 samples, got {frames}")
    mirrored = min(right, CONTEXT_FRAMES + SCATTERING_HOP_FRAMES)
    if frames > max(left, mirrored):
        padded = F.pad(audio[:, None], (left, mirrored), mode="reflect")[:, 0]
    else:
        period = 2 * (frames - 1)
        positions = torch.arange(-left, frames + mirrored, device=audio.device).remainder(period)
        padded = audio[:, torch.where(positions < frames, positions, period - positions)]
    return F.pad(padded, (0, right - mirrored))
