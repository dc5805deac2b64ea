"""The wavelet scattering transform of order two, as the detector reads it: (B, T) -> (B, 7, 54, frames).

Filters and their parameters are kymatio's (see `filters`); the transform is ours and several times faster on one core.
It samples every intermediate signal at the very points that kymatio does, so it agrees with kymatio's output to
float32 rounding once kymatio's factor 2^-j is undone. What makes it fast:

* a filter needs only the band below its own output rate of a spectrum;
* it is split into its even and odd part, so real and imaginary part come from two real inverse transforms into
  separate planes, whose modulus is three passes without complex arithmetic;
* filters that are short in time work in short pieces, whose transforms are twice as fast, and which fit the cache;
* filters that are long in time are low in frequency: they see the audio at a quarter, and the envelopes of the short
  ones at a sixteenth of the rate, in whole blocks (real transforms above 8192 points also cost MKL more to plan than
  to compute);
* a hop of a piece is summed up in eight moments, from which all averages that it is part of are made.

Andén and Mallat 2014; Défossez et al. 2019, appendix A; layout of channels in `Scattering`.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.detector.filters import (
    AUDIO_J,
    CHANNELS,
    ENVELOPE_J,
    FAST_OCTAVES,
    FIRST_ORDER,
    HOPS_BEFORE,
    MOMENTS,
    PIECE_CONTEXT_FRAMES,
    PIECE_FRAMES,
    SPAN_HOPS,
    filter_bank,
    filter_parameters,
)
from remix_miner.detector.geometry import SCATTERING_HOP_FRAMES as HOP

CONTEXT_FRAMES = 4096
"""Samples beyond a coefficient that it depends on, to float32 rounding; the low-pass's deviation is 407 samples."""

BLOCK_FRAMES = 1 << 17
CPU_BLOCKS = 2
CPU_PIECES = 9
"""At once on a CPU: enough to spread the cost of planning a transform, few enough for the cache."""


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
        octaves = [j for _, _, j in first]
        self._first = {j: slice(octaves.index(j), octaves.index(j) + octaves.count(j)) for j in sorted({*octaves})}
        self._second = [(n2, j2) for n2, (_, _, j2) in enumerate(second) if j2 > 0]
        self._fast = sum(j < FAST_OCTAVES for j in octaves)
        for name, constant in filter_bank(block_frames).items():
            self.register_buffer(name, constant, persistent=False)

    @property
    def step_frames(self) -> int:
        """Samples between the starts of consecutive blocks: what a block gives coefficients for."""
        return self.block_frames - 2 * CONTEXT_FRAMES

    def forward(self, audio: Float[Tensor, "B T"]) -> Float[Tensor, "B 7 54 frames"]:
        frames = audio.shape[-1]
        coefficients = math.ceil(frames / HOP)
        count = math.ceil(frames / self.step_frames)
        padded = continued(audio, CONTEXT_FRAMES, count * self.step_frames + CONTEXT_FRAMES - frames)
        result = self.of_blocks(padded.unfold(-1, self.block_frames, self.step_frames).flatten(0, 1))
        by_track = result.view(len(audio), count, *result.shape[1:]).permute(0, 2, 3, 1, 4)
        return by_track.flatten(3)[..., :coefficients]

    @torch.no_grad()
    def of_blocks(self, blocks: Float[Tensor, "N block_frames"]) -> Float[Tensor, "N 7 54 kept"]:
        """Coefficients of blocks that bring their own context: ``step_frames`` / 256 from the middle of each."""
        per_pass = self.blocks_at_once or (CPU_BLOCKS if blocks.device.type == "cpu" else 32)
        result = blocks.new_zeros(len(blocks), CHANNELS, FIRST_ORDER, self.step_frames // HOP)
        for start in range(0, len(blocks), per_pass):
            self._transform(blocks[start : start + per_pass], result[start : start + per_pass])
        return result

    def _transform(self, blocks: Tensor, result: Tensor) -> None:
        """Coefficients of (b, block_frames) into (b, 7, 54, kept), the context dropped."""
        spectra = blocks.new_empty(
            (len(blocks), FIRST_ORDER, self._rate(ENVELOPE_J) // 2 + 1), dtype=blocks.dtype.to_complex()
        )
        """Of all 54 envelopes, side by side, as far up as what remains to be done with each needs them."""
        spectra[:, : self._fast] = torch.fft.rfft(self._fast_envelopes(blocks, result))
        audio = torch.fft.rfft(_decimated(blocks, self.get_buffer("audio")))[:, None]
        for j1, rows in self._first.items():
            if j1 >= FAST_OCTAVES:
                envelope = _filtered_modulus(audio, self.get_buffer(f"first_{j1}"), self._rate(j1))
                spectrum = torch.fft.rfft(envelope)[..., : spectra.shape[-1]]
                spectra[:, rows, : spectrum.shape[-1]] = spectrum
        result[:, 0] = self._averaged(spectra)
        for channel, (n2, j2) in enumerate(self._second, start=1):
            rows = slice(self._fast if j2 <= ENVELOPE_J else 0, self._count(j2))
            if rows.start < rows.stop:
                second = _filtered_modulus(spectra[:, rows], self.get_buffer(f"second_{n2}"), self._rate(j2))
                result[:, channel, rows] = self._averaged(torch.fft.rfft(second))

    def _fast_envelopes(self, blocks: Tensor, result: Tensor) -> Tensor:
        """What is short in time, in pieces: the paths with j1 < 3 and j2 <= 4 into ``result``.

        Returns the envelopes with j1 < 3 at a sixteenth of the rate (b, 26, block_frames / 16), for the other paths;
        they are zero near the block's ends, where nothing depends on them.
        """
        step = PIECE_FRAMES - 2 * PIECE_CONTEXT_FRAMES
        begin = CONTEXT_FRAMES - HOPS_BEFORE * HOP
        count = math.ceil((result.shape[-1] + SPAN_HOPS - 1) * HOP / step)
        missing = begin + count * step + PIECE_CONTEXT_FRAMES - self.block_frames
        padded = F.pad(blocks, (PIECE_CONTEXT_FRAMES - begin, max(missing, 0)))
        pieces = padded.unfold(-1, PIECE_FRAMES, step)[:, :count]
        fast_paths = [
            (channel, n2, j2, self._count(min(j2, FAST_OCTAVES)))
            for channel, (n2, j2) in enumerate(self._second, start=1)
            if j2 <= ENVELOPE_J
        ]
        envelopes = blocks.new_empty(len(blocks), self._fast, count, step >> ENVELOPE_J)
        moments = [blocks.new_empty(MOMENTS, len(blocks), high, count, step // HOP) for _, _, _, high in fast_paths]
        audio = torch.fft.rfft(pieces)[:, :, None]
        for j1 in range(FAST_OCTAVES):
            rows = self._first[j1]
            at_once = max(1, (CPU_PIECES << j1) // len(blocks)) if blocks.device.type == "cpu" else count
            for start in range(0, count, at_once):
                now = slice(start, start + at_once)
                envelope = _filtered_modulus(audio[:, now], self.get_buffer(f"first_{j1}"), PIECE_FRAMES >> j1)
                spectrum = torch.fft.rfft(envelope)
                envelopes[:, rows, now] = _low(spectrum, self.get_buffer(f"envelope_{j1}"), ENVELOPE_J).transpose(1, 2)
                for (_, n2, j2, _), moment in zip(fast_paths, moments, strict=True):
                    if j2 > j1:
                        second = _filtered_modulus(spectrum, self.get_buffer(f"second_{n2}_{j1}"), PIECE_FRAMES >> j2)
                        moment[:, :, rows, now] = _moments_of_hops(second, self.get_buffer(f"moments_{j2}"))
        for (channel, _, _, high), moment in zip(fast_paths, moments, strict=True):
            result[:, channel, :high] = self._averaged_moments(moment.flatten(3), result.shape[-1])
        before, length = begin >> ENVELOPE_J, count * step >> ENVELOPE_J
        return F.pad(envelopes.flatten(2), (before, self._rate(ENVELOPE_J) - before - length))

    def _rate(self, j: int) -> int:
        """Samples per block at 2^-j of the audio's rate."""
        return self.block_frames >> j

    def _count(self, j: int) -> int:
        """Filters of order 1 with j1 < j; they are the first ones."""
        return max(rows.stop for j1, rows in self._first.items() if j1 < j)

    def _averaged(self, spectra: Tensor) -> Tensor:
        """Coefficients from spectra (.., bins), at the scale of the audio's rate, of signals that span the block."""
        lowpass = self.get_buffer("lowpass")
        averaged: Tensor = torch.fft.irfft(
            spectra[..., : len(lowpass)] * lowpass, n=self.block_frames // HOP, norm="forward"
        )
        context = CONTEXT_FRAMES // HOP
        return averaged[..., context:-context]

    def _averaged_moments(self, moments: Tensor, kept: int) -> Tensor:
        """``kept`` coefficients from moments (MOMENTS, b, rows, hops) that begin ``HOPS_BEFORE`` hops earlier.

        Term k of coefficient t comes from hop t + k: a sum along diagonals.
        """
        terms = torch.mm(self.get_buffer("average"), moments.flatten(1)).view(-1, *moments.shape[1:])
        strides = (terms.stride(0) + 1, *terms.stride()[1:])
        return terms.as_strided((len(terms), *moments.shape[1:-1], kept), strides).sum(dim=0)


def _filtered_modulus(spectrum: Tensor, bank: Tensor, rate: int) -> Tensor:
    """|x * psi| for the filters of ``bank`` (2, n, bins) from spectra (.., n or 1, bins), at ``rate`` points each."""
    cropped = spectrum[..., : bank.shape[-1]]
    squared = torch.fft.irfft(cropped * bank[0], n=rate, norm="forward").square_()
    imaginary = torch.fft.irfft(cropped * bank[1], n=rate, norm="forward")
    modulus: Tensor = squared.addcmul_(imaginary, imaginary).sqrt_()
    return modulus


def _low(spectrum: Tensor, passing: Tensor, j: int) -> Tensor:
    """Pieces at 2^-j of the audio's rate, their context dropped, from spectra (.., bins)."""
    low: Tensor = torch.fft.irfft(spectrum[..., : len(passing)] * passing, n=PIECE_FRAMES >> j, norm="forward")
    context = PIECE_CONTEXT_FRAMES >> j
    return low[..., context:-context]


def _decimated(blocks: Tensor, passing: Tensor) -> Tensor:
    """Blocks (b, block_frames) at 2^-AUDIO_J of their rate; beyond its ends a block is zero."""
    step = PIECE_FRAMES - 2 * PIECE_CONTEXT_FRAMES
    frames = blocks.shape[-1]
    padded = F.pad(blocks, (PIECE_CONTEXT_FRAMES, -frames % step + PIECE_CONTEXT_FRAMES))
    low = _low(torch.fft.rfft(padded.unfold(-1, PIECE_FRAMES, step)), passing, AUDIO_J)
    return low.flatten(1)[:, : frames >> AUDIO_J]


def _moments_of_hops(signal: Tensor, polynomials: Tensor) -> Tensor:
    """(MOMENTS, b, n, pieces, hops) of pieces (b, pieces, n, samples), their context dropped."""
    hops = signal.reshape(-1, polynomials.shape[1])
    moments = torch.mm(polynomials, hops.t()).view(len(polynomials), *signal.shape[:-1], -1)
    context = PIECE_CONTEXT_FRAMES // HOP
    return moments[..., context:-context].transpose(2, 3)


def continued(audio: Tensor, left: int, right: int) -> Tensor:
    """``audio`` (B, T) continued by reflection, again and again where it is shorter than the padding.

    Beyond CONTEXT_FRAMES on the right nothing is read that is kept, so zeros do there.
    """
    frames = audio.shape[-1]
    if frames < 2:
        raise ValueError(f"scattering needs at least 2 samples, got {frames}")
    mirrored = min(right, CONTEXT_FRAMES + HOP)
    if frames > max(left, mirrored):
        padded = F.pad(audio[:, None], (left, mirrored), mode="reflect")[:, 0]
    else:
        period = 2 * (frames - 1)
        positions = torch.arange(-left, frames + mirrored, device=audio.device).remainder(period)
        padded = audio[:, torch.where(positions < frames, positions, period - positions)]
    return F.pad(padded, (0, right - mirrored))
