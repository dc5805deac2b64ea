"""The wavelet scattering transform of order two, as the detector reads it: (B, T) -> (B, 7, 54, frames).

Filters and their parameters are kymatio's (see `filters`); the transform is ours and many times faster on one core.
With ``sampling="kymatio"`` it takes every intermediate signal at the very points that kymatio does and agrees with its
output to float32 rounding once kymatio's factor 2^-j is undone. With ``sparse`` it takes a quarter of the points: what
is lost is aliasing of order 1e-3 (kymatio has 1e-4 of its own), as `benchmarks/precision.py` measures where it matters.
What makes it fast:

* a filter needs only its own band of a spectrum, and the modulus does not change when that band is moved to zero
  frequency, so an envelope costs as many points as its filter is wide, however high its frequency;
* filters that are short in time work in short pieces, whose transforms are twice as fast, and which fit the cache;
* filters that are long in time are low in frequency: they see the audio at a quarter, and the envelopes of the short
  ones at a sixteenth of the rate, in whole blocks;
* a hop of a piece is summed up in eight moments, from which all averages that it is part of are made;
* filters are real numbers in frequency, so they multiply pairs of reals; envelopes are real in time, so half of their
  spectrum tells all of it; and channels that nobody reads are left out.

Andén and Mallat 2014; Défossez et al. 2019, appendix A; layout of channels in `Scattering`.
"""

import math
from typing import get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.detector.scattering.filters import (
    ALL_CHANNELS,
    AUDIO_J,
    ENVELOPE_J,
    FIRST_ORDER,
    HOPS_BEFORE,
    MOMENTS,
    PIECE_CONTEXT_FRAMES,
    PIECE_FRAMES,
    SPAN_HOPS,
    Group,
    Second,
    filter_bank,
)
from remix_miner.detector.windows import SCATTERING_HOP_FRAMES as HOP
from remix_miner.device import Sampling

CONTEXT_FRAMES = 4096
"""Samples beyond a coefficient that it depends on, to float32 rounding; the low-pass's deviation is 407 samples."""

BLOCK_FRAMES = 1 << 17
CPU_BLOCKS = 4
CPU_PIECES = 4
"""At once on a CPU: enough to spread the cost of planning a transform, few enough for the cache."""


class Scattering(nn.Module):
    """Scattering coefficients of mono audio at 16 kHz: (B, T) -> (B, 7, 54, ceil(T / 256)), float32.

    Coefficient (.., f, t) is centred at sample 256 t. Cells without a path are zero. Values carry the signal's own
    amplitude (kymatio's are smaller by 2^-j1 and 2^-(j1+j2)). The signal is continued by reflection at its ends, as
    in kymatio; T must be at least 2. The result for a part of a signal that has ``CONTEXT_FRAMES`` of the signal on
    both sides does not depend on where the signal was cut, if cuts are at multiples of 256. No gradients are kept.

    ``sampling``: at which points intermediate signals are taken, see `filters.sampling_octaves`. ``kymatio`` agrees
    with kymatio to rounding; ``sparse`` is what the detector hears, three times as fast and within 1e-3 of the norm.
    ``channels``: those of the seven that are wanted, in order, beginning with 0; C of them give (B, C, 54, ..).
    """

    def __init__(
        self,
        block_frames: int = BLOCK_FRAMES,
        blocks_at_once: int | None = None,
        sampling: Sampling = "kymatio",
        channels: tuple[int, ...] = ALL_CHANNELS,
    ) -> None:
        super().__init__()
        if block_frames % 512 or block_frames <= 2 * CONTEXT_FRAMES:
            raise ValueError(f"block_frames is a multiple of 512 above {2 * CONTEXT_FRAMES}, got {block_frames}")
        if sampling not in get_args(Sampling):
            raise ValueError(f"sampling is one of {', '.join(get_args(Sampling))}, got {sampling!r}")
        self.block_frames = block_frames
        self.blocks_at_once = blocks_at_once
        if channels[:1] != (0,) or channels != tuple(sorted(set(channels) & set(ALL_CHANNELS))):
            raise ValueError(f"channels begin with 0, rise, and go to {ALL_CHANNELS[-1]} at most, got {channels}")
        self.channels = channels
        self._bank = filter_bank(block_frames, sampling, channels)
        for name, constant in self._bank.constants.items():
            self.register_buffer(name, constant, persistent=False)

    @property
    def step_frames(self) -> int:
        """Samples between the starts of consecutive blocks: what a block gives coefficients for."""
        return self.block_frames - 2 * CONTEXT_FRAMES

    def forward(self, audio: Float[Tensor, "B T"]) -> Float[Tensor, "B C 54 frames"]:
        frames = audio.shape[-1]
        coefficients = math.ceil(frames / HOP)
        count = math.ceil(frames / self.step_frames)
        padded = continued(audio, CONTEXT_FRAMES, count * self.step_frames + CONTEXT_FRAMES - frames)
        result = self.of_blocks(padded.unfold(-1, self.block_frames, self.step_frames).flatten(0, 1))
        by_track = result.view(len(audio), count, *result.shape[1:]).permute(0, 2, 3, 1, 4)
        return by_track.flatten(3)[..., :coefficients]

    @torch.no_grad()
    def of_blocks(self, blocks: Float[Tensor, "N block_frames"]) -> Float[Tensor, "N C 54 kept"]:
        """Coefficients of blocks that bring their own context: ``step_frames`` / 256 from the middle of each."""
        per_pass = self.blocks_at_once or (CPU_BLOCKS if blocks.device.type == "cpu" else 32)
        result = blocks.new_zeros(len(blocks), len(self.channels), FIRST_ORDER, self.step_frames // HOP)
        for start in range(0, len(blocks), per_pass):
            self._transform(blocks[start : start + per_pass], result[start : start + per_pass])
        return result

    def _transform(self, blocks: Tensor, result: Tensor) -> None:
        """Coefficients of (b, block_frames) into (b, C, 54, kept), the context dropped."""
        self._of_envelopes(self._fast_envelopes(blocks, result), self._bank.all_fast, result)
        audio = torch.fft.fftshift(torch.fft.fft(_decimated(blocks, self.get_buffer("audio"))), dim=-1)
        for group in self._bank.slow:
            self._of_envelopes(self._envelopes(audio, group, self.block_frames), group, result)

    def _of_envelopes(self, envelopes: Tensor, group: Group, result: Tensor) -> None:
        """Order 1, and what order 2 has in whole blocks, of envelopes (b, rows, points) into ``result``."""
        points = envelopes.shape[-1]
        spectra = torch.fft.rfft(envelopes)
        result[:, 0, group.rows] = self._averaged(spectra, points)
        for second in self._bank.second[group.name]:
            modulus = self._second(spectra[:, : second.rows], second, self.block_frames)
            averaged = self._averaged(torch.fft.rfft(modulus), modulus.shape[-1])
            result[:, second.channel, second.rows_of(group)] = averaged

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
        envelopes = blocks.new_empty(len(blocks), self._bank.all_fast.rows.stop, count, step >> ENVELOPE_J)
        audio = torch.fft.fft(pieces)
        for group in self._bank.fast:
            seconds = self._bank.second[group.name]
            moments = [blocks.new_empty(MOMENTS, len(blocks), one.rows, count, step // HOP) for one in seconds]
            at_once = max(1, (CPU_PIECES << group.k) // len(blocks)) if blocks.device.type == "cpu" else count
            for start in range(0, count, at_once):
                now = slice(start, start + at_once)
                envelope = self._envelopes(audio[:, now], group, PIECE_FRAMES)
                spectra = torch.fft.rfft(envelope)
                if group.k < ENVELOPE_J:
                    envelope = _low(spectra, self.get_buffer(f"{group.name}_low"), ENVELOPE_J)
                envelopes[:, group.rows, now] = _inside(envelope, ENVELOPE_J).transpose(1, 2)
                for second, moment in zip(seconds, moments, strict=True):
                    modulus = self._second(spectra[:, :, : second.rows], second, PIECE_FRAMES)
                    moment[..., now, :] = _moments_of_hops(modulus, self.get_buffer(f"moments_{second.k}"))
            for second, moment in zip(seconds, moments, strict=True):
                averaged = self._averaged_moments(moment.flatten(3), result.shape[-1])
                result[:, second.channel, second.rows_of(group)] = averaged
        before, length = begin >> ENVELOPE_J, count * step >> ENVELOPE_J
        return F.pad(envelopes.flatten(2), (before, (self.block_frames >> ENVELOPE_J) - before - length))

    def _envelopes(self, spectra: Tensor, group: Group, frames: int) -> Tensor:
        """|x * psi| (.., rows, points) at 2^-k of the rate from spectra of audio (.., bins).

        The modulus of samples does not change when the band is moved to zero frequency, which is what taking just its
        bins does: however high the band, it costs as many points as it needs.
        """
        points = frames >> group.k
        filters, pairs = self.get_buffer(group.name), _pairs(spectra)
        bands = pairs.new_empty(*spectra.shape[:-1], len(filters), 2 * points)
        for row, start in enumerate(group.starts):
            torch.mul(pairs[..., 2 * start : 2 * (start + points)], filters[row], out=bands[..., row, :])
        return _modulus(bands)

    def _second(self, spectra: Tensor, second: Second, frames: int) -> Tensor:
        """|u * psi| (.., rows, points) at 2^-k from the spectra of envelopes, half of them: an envelope is real.

        Bins below zero frequency are those above it, mirrored; that they are conjugate is in the filter's constants.
        A band that is too wide for its rate is folded.
        """
        width, below = 2 * (frames >> second.k), 2 * second.below
        first, *folded = self.get_buffer(second.name)
        pairs, mirrored = _pairs(spectra), _pairs(spectra[..., 1 : second.below + 1].flip(-1))
        bands = pairs.new_empty(*spectra.shape[:-1], width)
        torch.mul(mirrored, first[:below], out=bands[..., :below])
        torch.mul(pairs[..., : width - below], first[below:], out=bands[..., below:])
        for number, filters in enumerate(folded, start=1):
            start = number * width - below
            bands.addcmul_(pairs[..., start : start + width], filters)
        return _modulus(bands)

    def _averaged(self, spectra: Tensor, points: int) -> Tensor:
        """Coefficients from spectra (.., bins) of signals that span the block with so many points."""
        lowpass = self.get_buffer("lowpass") / points
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


def _pairs(spectra: Tensor) -> Tensor:
    """Complex numbers (.., bins) as pairs of real ones (.., 2 bins): half the work where filters are real."""
    return torch.view_as_real(spectra).flatten(-2)


def _modulus(pairs: Tensor) -> Tensor:
    """|inverse transform| (.., points) of spectra as pairs (.., 2 points)."""
    signal: Tensor = torch.fft.ifft(torch.view_as_complex(pairs.view(*pairs.shape[:-1], -1, 2)), norm="forward")
    if signal.device.type != "cpu":
        return signal.abs()
    return torch.from_numpy(np.abs(signal.numpy()))  # torch's own takes eight times as long on a CPU


def _low(spectrum: Tensor, passing: Tensor, j: int) -> Tensor:
    """Pieces at 2^-j of the audio's rate from spectra (.., bins)."""
    low: Tensor = torch.fft.irfft(spectrum[..., : len(passing)] * passing, n=PIECE_FRAMES >> j, norm="forward")
    return low


def _inside(pieces: Tensor, j: int) -> Tensor:
    """Pieces at 2^-j of the audio's rate without their context."""
    context = PIECE_CONTEXT_FRAMES >> j
    return pieces[..., context:-context]


def _decimated(blocks: Tensor, passing: Tensor) -> Tensor:
    """Blocks (b, block_frames) at 2^-AUDIO_J of their rate; beyond its ends a block is zero."""
    step = PIECE_FRAMES - 2 * PIECE_CONTEXT_FRAMES
    frames = blocks.shape[-1]
    padded = F.pad(blocks, (PIECE_CONTEXT_FRAMES, -frames % step + PIECE_CONTEXT_FRAMES))
    low = _inside(_low(torch.fft.rfft(padded.unfold(-1, PIECE_FRAMES, step)), passing, AUDIO_J), AUDIO_J)
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
