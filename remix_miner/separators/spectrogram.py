"""Complex spectrograms as real channels, and their inverse."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.errors import UsageError


class Spectrogram(nn.Module):
    """STFT (Hann window, centred, reflected at the ends) of which the lowest ``bins`` are kept.

    What is cut above stays zero in the inverse: a source that has nothing up there can have a larger ``n_fft`` for the
    same size of spectrogram (KUIELab-MDX-Net, 'TFC-TDF-U-Net v2'). Real and imaginary parts are channels: C signals
    become 2 C channels. Computed in float32 under any autocast.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop_frames: int, bins: int) -> None:
        super().__init__()
        if not 0 < bins <= n_fft // 2 + 1:
            raise UsageError(f"a transform of {n_fft} frames has {n_fft // 2 + 1} bins, {bins} cannot be kept")
        if not 0 < hop_frames <= n_fft // 2:
            raise UsageError(f"hop_frames must lie between 1 and half of n_fft {n_fft}, got {hop_frames}")
        self.n_fft, self.hop_frames, self.bins = n_fft, hop_frames, bins
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def columns(self, frames: int) -> int:
        """Return the number of columns of the spectrogram of ``frames`` frames."""
        return frames // self.hop_frames + 1

    def valid_length(self, frames: int, multiple: int) -> int:
        """Return the frames for a multiple of ``multiple`` columns, with half a window of context around ``frames``.

        At the ends, where fewer windows overlap and the signal is reflected, spectrograms are inaccurate.
        """
        columns = -(-(frames + self.n_fft) // self.hop_frames) + 1
        return (-(-columns // multiple) * multiple - 1) * self.hop_frames

    def forward(self, signals: Float[Tensor, "B C T"]) -> Float[Tensor, "B C*2 F N"]:
        with torch.autocast(signals.device.type, enabled=False):
            flat = signals.float().flatten(0, 1)
            spectra = torch.stft(flat, self.n_fft, self.hop_frames, window=self.window, return_complex=True)
            parts = torch.view_as_real(spectra[:, : self.bins]).permute(0, 3, 1, 2)
        return parts.reshape(signals.shape[0], -1, self.bins, parts.shape[-1])

    def inverse(self, channels: Float[Tensor, "B C*2 F N"]) -> Float[Tensor, "B C T"]:
        """Return signals of (N - 1) hop frames."""
        with torch.autocast(channels.device.type, enabled=False):
            parts = channels.float().reshape(-1, 2, self.bins, channels.shape[-1])
            spectra = torch.complex(parts[:, 0], parts[:, 1])
            spectra = nn.functional.pad(spectra, (0, 0, 0, self.n_fft // 2 + 1 - self.bins))
            signals = torch.istft(spectra, self.n_fft, self.hop_frames, window=self.window)
        return signals.reshape(channels.shape[0], -1, signals.shape[-1])
