"""Wavelet scattering transform of order two: (B, T) -> (B, 7, 54, frames).

The filters are kymatio's (see `filters`); the transform is the project's own and many times faster on one core. With
``sampling="kymatio"`` every intermediate signal has kymatio's rate, and the output equals kymatio's to float32 rounding
once kymatio's factor 2^-j is undone. With ``sparse`` it has a quarter of that rate. The aliasing of this is of order
1e-3 (kymatio's own is 1e-4); `benchmarks/precision.py` measures its effect on excerpts. These choices give the speed:

* A filter uses only its own band of a spectrum. The modulus does not change when the band is shifted to 0 Hz, so the
  cost of an envelope follows the bandwidth of its filter and not its centre frequency.
* Filters that are short in time are applied to short pieces, whose FFTs are twice as fast per sample.
* Filters that are long in time are low in frequency. They are applied to whole blocks, at a quarter of the audio's rate
  for order 1 and at a sixteenth for the envelopes of the short filters.
* In pieces, a hop is reduced to eight moments, and every coefficient is a weighted sum of moments.
* Filters are real in frequency, so they multiply pairs of real numbers. Envelopes are real in time, so half of their
  spectrum is enough.
* Channels that are not requested are not computed.

Andén and Mallat 2014; Défossez et al. 2019, appendix A. docs/background/scattering.md explains it with a figure.
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
    FirstOrderGroup,
    SecondOrderFilter,
    filter_bank,
)
from remix_miner.detector.windows import SCATTERING_HOP_FRAMES as HOP
from remix_miner.device import Sampling

CONTEXT_FRAMES = 4096
"""Context on each side of a coefficient, to float32 rounding; the low-pass has a standard deviation of 407 samples."""

BLOCK_FRAMES = 1 << 17
CPU_BLOCKS = 4
CPU_PIECES = 4
"""Blocks and pieces of one pass on a CPU: enough to share the cost of planning an FFT, few enough for the cache."""


class Scattering(nn.Module):
    """Scattering coefficients of mono audio at 16 kHz: (B, T) -> (B, 7, 54, ceil(T / 256)), float32.

    Coefficient (.., f, t) is centred at sample 256 t. Cells without a path are zero. Values carry the signal's own
    amplitude (kymatio's are smaller by 2^-j1 and 2^-(j1+j2)). The signal is padded by reflection at its ends, as in
    kymatio; T must be at least 2. A coefficient with ``CONTEXT_FRAMES`` of the signal on both sides does not depend on
    where the signal was cut, if cuts are at multiples of 256. No gradients are kept.

    ``sampling``: rates of the intermediate signals, see `filters.sampling_octaves`. ``kymatio`` equals kymatio to
    rounding; ``sparse``, which the detector uses, is three times as fast and within 1e-3 of the norm.
    ``channels``: the requested ones of the seven, ascending, 0 first; C of them give (B, C, 54, ..).
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
        """Samples between the starts of consecutive blocks, which is the part of a block that yields coefficients."""
        return self.block_frames - 2 * CONTEXT_FRAMES

    def forward(self, audio: Float[Tensor, "B T"]) -> Float[Tensor, "B C 54 frames"]:
        frames = audio.shape[-1]
        coefficients = math.ceil(frames / HOP)
        count = math.ceil(frames / self.step_frames)
        padded = reflect_padded(audio, CONTEXT_FRAMES, count * self.step_frames + CONTEXT_FRAMES - frames)
        result = self.of_blocks(padded.unfold(-1, self.block_frames, self.step_frames).flatten(0, 1))
        by_track = result.view(len(audio), count, *result.shape[1:]).permute(0, 2, 3, 1, 4)
        return by_track.flatten(3)[..., :coefficients]

    @torch.no_grad()
    def of_blocks(self, blocks: Float[Tensor, "N block_frames"]) -> Float[Tensor, "N C 54 kept"]:
        """Return coefficients of blocks that include their context: ``step_frames`` / 256 from the middle of each."""
        per_pass = self.blocks_at_once or (CPU_BLOCKS if blocks.device.type == "cpu" else 32)
        result = blocks.new_zeros(len(blocks), len(self.channels), FIRST_ORDER, self.step_frames // HOP)
        for start in range(0, len(blocks), per_pass):
            self._transform(blocks[start : start + per_pass], result[start : start + per_pass])
        return result

    def _transform(self, blocks: Tensor, result: Tensor) -> None:
        """Write the coefficients of blocks (b, block_frames) into ``result`` (b, C, 54, kept), without the context."""
        # Filters that are short in time: (b, 26, block_frames / 16), for the filters of order 2 that are long in time.
        self._write_coefficients(self._fast_envelopes(blocks, result), self._bank.all_fast, result)
        # Filters that are long in time, from the spectrum (b, block_frames / 4) of audio at a quarter of its rate.
        audio = torch.fft.fftshift(torch.fft.fft(_decimated(blocks, self.get_buffer("audio"))), dim=-1)
        for group in self._bank.slow:
            self._write_coefficients(self._first_order_envelopes(audio, group, self.block_frames), group, result)

    def _write_coefficients(self, envelopes: Tensor, group: FirstOrderGroup, result: Tensor) -> None:
        """Write order 1, and order 2 in whole blocks, of envelopes (b, rows, points) into ``result``."""
        points = envelopes.shape[-1]
        spectra = torch.fft.rfft(envelopes)
        result[:, 0, group.rows] = self._lowpassed(spectra, points)
        for second in self._bank.second[group.name]:
            # (b, rows of second, block_frames >> k), then averaged: (b, rows of second, kept).
            modulus = self._second_order_envelopes(spectra[:, : second.rows], second, self.block_frames)
            averaged = self._lowpassed(torch.fft.rfft(modulus), modulus.shape[-1])
            result[:, second.channel, second.rows_of(group)] = averaged

    def _fast_envelopes(self, blocks: Tensor, result: Tensor) -> Tensor:
        """Write the paths with j1 < 3 and j2 <= 4, computed in pieces, into ``result``.

        Return the envelopes with j1 < 3 at a sixteenth of the rate (b, 26, block_frames / 16), for the other paths.
        They are zero near the block's ends, which no kept coefficient depends on.
        """
        step = PIECE_FRAMES - 2 * PIECE_CONTEXT_FRAMES
        begin = CONTEXT_FRAMES - HOPS_BEFORE * HOP
        count = math.ceil((result.shape[-1] + SPAN_HOPS - 1) * HOP / step)
        missing = begin + count * step + PIECE_CONTEXT_FRAMES - self.block_frames
        # Pieces with their context: (b, count, PIECE_FRAMES).
        padded = F.pad(blocks, (PIECE_CONTEXT_FRAMES - begin, max(missing, 0)))
        pieces = padded.unfold(-1, PIECE_FRAMES, step)[:, :count]
        envelopes = blocks.new_empty(len(blocks), self._bank.all_fast.rows.stop, count, step >> ENVELOPE_J)
        audio = torch.fft.fft(pieces)
        for group in self._bank.fast:
            # Moments of each filter of order 2: (MOMENTS, b, rows, count, hops of a piece).
            seconds = self._bank.second[group.name]
            moments = [blocks.new_empty(MOMENTS, len(blocks), second.rows, count, step // HOP) for second in seconds]
            at_once = max(1, (CPU_PIECES << group.k) // len(blocks)) if blocks.device.type == "cpu" else count
            for start in range(0, count, at_once):
                now = slice(start, start + at_once)
                # (b, pieces, rows, PIECE_FRAMES >> k), then at 2^-ENVELOPE_J without context.
                envelope = self._first_order_envelopes(audio[:, now], group, PIECE_FRAMES)
                spectra = torch.fft.rfft(envelope)
                if group.k < ENVELOPE_J:
                    envelope = _at_lower_rate(spectra, self.get_buffer(f"{group.name}_low"), ENVELOPE_J)
                envelopes[:, group.rows, now] = _without_context(envelope, ENVELOPE_J).transpose(1, 2)
                for second, moment in zip(seconds, moments, strict=True):
                    modulus = self._second_order_envelopes(spectra[:, :, : second.rows], second, PIECE_FRAMES)
                    moment[..., now, :] = _hop_moments(modulus, self.get_buffer(f"moments_{second.k}"))
            for second, moment in zip(seconds, moments, strict=True):
                # (b, rows of second, kept).
                averaged = self._lowpassed_moments(moment.flatten(3), result.shape[-1])
                result[:, second.channel, second.rows_of(group)] = averaged
        before, length = begin >> ENVELOPE_J, count * step >> ENVELOPE_J
        return F.pad(envelopes.flatten(2), (before, (self.block_frames >> ENVELOPE_J) - before - length))

    def _first_order_envelopes(self, spectra: Tensor, group: FirstOrderGroup, frames: int) -> Tensor:
        """Return |x * psi| (.., rows, points) at 2^-k of the rate from spectra of audio (.., bins).

        An inverse FFT of the bins of a band shifts the band to 0 Hz. The modulus of the samples stays the same, and the
        cost follows the width of the band.
        """
        points = frames >> group.k
        filters, pairs = self.get_buffer(group.name), _pairs(spectra)
        # (.., rows, 2 points): the band of each filter, as pairs.
        bands = pairs.new_empty(*spectra.shape[:-1], len(filters), 2 * points)
        for row, start in enumerate(group.starts):
            torch.mul(pairs[..., 2 * start : 2 * (start + points)], filters[row], out=bands[..., row, :])
        return _modulus(bands)

    def _second_order_envelopes(self, spectra: Tensor, second: SecondOrderFilter, frames: int) -> Tensor:
        """Return |u * psi| (.., rows, points) at 2^-k of the rate from half spectra of envelopes.

        An envelope is real, so its bins below 0 Hz are the mirrored conjugates of those above. The conjugation is part
        of the filter's response. A band that is wider than the output's rate is folded.
        """
        width, below = 2 * (frames >> second.k), 2 * second.below
        first, *folded = self.get_buffer(second.name)
        pairs, mirrored = _pairs(spectra), _pairs(spectra[..., 1 : second.below + 1].flip(-1))
        # (.., rows, 2 points): bins below 0 Hz, bins from 0 Hz up, then the folds.
        bands = pairs.new_empty(*spectra.shape[:-1], width)
        torch.mul(mirrored, first[:below], out=bands[..., :below])
        torch.mul(pairs[..., : width - below], first[below:], out=bands[..., below:])
        for number, filters in enumerate(folded, start=1):
            start = number * width - below
            bands.addcmul_(pairs[..., start : start + width], filters)
        return _modulus(bands)

    def _lowpassed(self, spectra: Tensor, points: int) -> Tensor:
        """Return coefficients (.., kept) from spectra (.., bins) of signals with ``points`` samples a block."""
        lowpass = self.get_buffer("lowpass") / points
        averaged: Tensor = torch.fft.irfft(
            spectra[..., : len(lowpass)] * lowpass, n=self.block_frames // HOP, norm="forward"
        )
        context = CONTEXT_FRAMES // HOP
        return averaged[..., context:-context]

    def _lowpassed_moments(self, moments: Tensor, kept: int) -> Tensor:
        """Return ``kept`` coefficients from moments (MOMENTS, b, rows, hops) that begin ``HOPS_BEFORE`` hops earlier.

        Term k of coefficient t comes from hop t + k, so a coefficient is the sum of a diagonal.
        """
        # (SPAN_HOPS, b, rows, hops), then its diagonals (SPAN_HOPS, b, rows, kept).
        terms = torch.mm(self.get_buffer("average"), moments.flatten(1)).view(-1, *moments.shape[1:])
        strides = (terms.stride(0) + 1, *terms.stride()[1:])
        return terms.as_strided((len(terms), *moments.shape[1:-1], kept), strides).sum(dim=0)


def _pairs(spectra: Tensor) -> Tensor:
    """Return complex numbers (.., bins) as pairs of real ones (.., 2 bins), for half the cost of a real filter."""
    return torch.view_as_real(spectra).flatten(-2)


def _modulus(pairs: Tensor) -> Tensor:
    """Return the modulus (.., points) of the inverse FFT of spectra given as pairs (.., 2 points)."""
    signal: Tensor = torch.fft.ifft(torch.view_as_complex(pairs.view(*pairs.shape[:-1], -1, 2)), norm="forward")
    if signal.device.type != "cpu":
        return signal.abs()
    return torch.from_numpy(np.abs(signal.numpy()))  # torch's own takes eight times as long on a CPU


def _at_lower_rate(spectrum: Tensor, passing: Tensor, j: int) -> Tensor:
    """Return pieces (.., PIECE_FRAMES >> j) at 2^-j of the audio's rate from spectra (.., bins)."""
    low: Tensor = torch.fft.irfft(spectrum[..., : len(passing)] * passing, n=PIECE_FRAMES >> j, norm="forward")
    return low


def _without_context(pieces: Tensor, j: int) -> Tensor:
    """Return pieces (.., samples) at 2^-j of the audio's rate without their context."""
    context = PIECE_CONTEXT_FRAMES >> j
    return pieces[..., context:-context]


def _decimated(blocks: Tensor, passing: Tensor) -> Tensor:
    """Return blocks (b, block_frames >> AUDIO_J) at 2^-AUDIO_J of their rate; beyond its ends a block is zero."""
    step = PIECE_FRAMES - 2 * PIECE_CONTEXT_FRAMES
    frames = blocks.shape[-1]
    padded = F.pad(blocks, (PIECE_CONTEXT_FRAMES, -frames % step + PIECE_CONTEXT_FRAMES))
    low = _without_context(
        _at_lower_rate(torch.fft.rfft(padded.unfold(-1, PIECE_FRAMES, step)), passing, AUDIO_J), AUDIO_J
    )
    return low.flatten(1)[:, : frames >> AUDIO_J]


def _hop_moments(signal: Tensor, polynomials: Tensor) -> Tensor:
    """Return the moments (MOMENTS, b, n, pieces, hops) of pieces (b, pieces, n, samples), without their context."""
    hops = signal.reshape(-1, polynomials.shape[1])
    moments = torch.mm(polynomials, hops.t()).view(len(polynomials), *signal.shape[:-1], -1)
    context = PIECE_CONTEXT_FRAMES // HOP
    return moments[..., context:-context].transpose(2, 3)


def reflect_padded(audio: Tensor, left: int, right: int) -> Tensor:
    """Return ``audio`` (B, T) padded by reflection to (B, left + T + right), repeatedly where T is below the padding.

    Padding beyond CONTEXT_FRAMES on the right affects no kept coefficient and is zero.
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
