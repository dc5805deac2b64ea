"""Spectrograms as convolutions, for formats without Fourier transforms or complex numbers, such as ONNX."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.separators.spectrogram import Spectrogram


class ConvolvedSpectrogram(Spectrogram):
    """The same values as `Spectrogram`: each bin is a convolution with windowed cosines and sines.

    The kernels take 16 ``n_fft`` ``bins`` bytes: 0.2 GB for 6144 frames and 2048 bins. Signals have one length, that of
    ``columns`` columns, for which the windows' overlap is computed once.
    """

    analysis: Tensor
    synthesis: Tensor
    envelope: Tensor

    def __init__(self, original: Spectrogram, columns: int) -> None:
        super().__init__(original.n_fft, original.hop_frames, original.bins)
        n_fft = self.n_fft
        window = original.window.double().cpu()
        # phases modulo one turn keep the angles exact for large n_fft
        turns = torch.outer(torch.arange(self.bins), torch.arange(n_fft)) % n_fft
        angles = turns.double() * (2 * math.pi / n_fft)
        waves = torch.stack([angles.cos(), -angles.sin()]).flatten(0, 1)[:, None]  # (2 F, 1, n_fft)
        # Bins between the first and the last (n_fft / 2) stand for two conjugates.
        twice = torch.full((self.bins,), 2.0, dtype=torch.float64)
        twice[0] = 1.0
        if 2 * (self.bins - 1) == n_fft:
            twice[-1] = 1.0
        scale = twice.repeat(2)[:, None, None] / n_fft
        overlap = F.conv_transpose1d(
            torch.ones(1, 1, columns, dtype=torch.float64), (window**2)[None, None], stride=self.hop_frames
        )
        self.register_buffer("analysis", (waves * window).float(), persistent=False)
        self.register_buffer("synthesis", (waves * window * scale).float(), persistent=False)
        self.register_buffer("envelope", self._centre(overlap).float(), persistent=False)

    def forward(self, signals: Float[Tensor, "B C T"]) -> Float[Tensor, "B C*2 F N"]:
        """Return the spectrogram; see `Spectrogram.forward`."""
        batch, channels, frames = signals.shape
        padded = F.pad(signals.reshape(batch * channels, 1, frames), (self.n_fft // 2, self.n_fft // 2), mode="reflect")
        spectra = F.conv1d(padded, self.analysis, stride=self.hop_frames)
        return spectra.reshape(batch, 2 * channels, self.bins, -1)

    def inverse(self, channels: Float[Tensor, "B C*2 F N"]) -> Float[Tensor, "B C T"]:
        """Return signals of (N - 1) hop frames; see `Spectrogram.inverse`."""
        batch, parts, bins, columns = channels.shape
        flat = channels.reshape(batch * parts // 2, 2 * bins, columns)
        signals = F.conv_transpose1d(flat, self.synthesis, stride=self.hop_frames)
        return (self._centre(signals) / self.envelope).reshape(batch, parts // 2, -1)

    def _centre(self, signals: Tensor) -> Tensor:
        return signals[..., self.n_fft // 2 : signals.shape[-1] - self.n_fft // 2]


def with_convolutions(model: nn.Module, frames: int) -> nn.Module:
    """Return ``model`` with each `Spectrogram` in it replaced, for mixtures of ``frames`` frames."""
    for name, part in list(model.named_modules()):
        if type(part) is Spectrogram:
            parent = model.get_submodule(name.rpartition(".")[0])
            setattr(parent, name.rpartition(".")[2], ConvolvedSpectrogram(part, part.columns(frames)))
    return model
