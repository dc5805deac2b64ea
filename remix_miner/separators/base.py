"""Base class of separators: a mixture (B, C, T) in, one estimate per source (B, S, C, T) out."""

from collections.abc import Sequence
from typing import Annotated, Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.config import Bounds
from remix_miner.errors import UsageError

Seconds = Annotated[float, Bounds(above=0, most=3600)]
Width = Annotated[int, Bounds(1, 4096)]
Transform = Annotated[int, Bounds(1, 2**17)]
"""Types of settings: a length, a number of channels or taps, a number of frames or bins of a transform."""


class Separator(nn.Module):
    """Base of all separators. A subclass defines `estimate`, and `valid_length` if it shortens its input.

    ``sources``: names along the source axis, any list. ``audio_channels``: 1 or 2 (the width of a network is its own
    setting). ``sample_rate`` in Hz: the rate the model is trained at; callers resample. ``segment_seconds``: the length
    for training and application; other lengths work. ``normalize``: `forward` normalises each mixture to zero mean and
    unit standard deviation (of its mono mix) and reverts this on the estimates, which therefore follow the mixture's
    level.

    `remix_miner.separators.build` adds ``name`` and ``settings`` (all constructor settings), which a checkpoint holds.
    """

    name: str = ""
    settings: dict[str, Any]

    def __init__(
        self, sources: Sequence[str], audio_channels: int, sample_rate: int, segment_seconds: float, normalize: bool
    ) -> None:
        super().__init__()
        if not sources or len(set(sources)) != len(sources):
            raise UsageError(f"sources must be names, each once; got {list(sources)}")
        if audio_channels < 1 or sample_rate < 1 or segment_seconds <= 0:
            raise UsageError(
                "audio_channels, sample_rate and segment_seconds must be positive; "
                f"got {audio_channels}, {sample_rate}, {segment_seconds}"
            )
        self.sources = tuple(sources)
        self.audio_channels = audio_channels
        self.sample_rate = sample_rate
        self.segment_seconds = segment_seconds
        self.normalize = normalize

    def valid_length(self, frames: int) -> int:
        """Return the frames of mixture, with context, that the network needs for ``frames`` of estimates."""
        return frames

    def estimate(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C U"]:
        """Apply the network alone to a valid length V. Its U frames, at least those required, are the centre of V."""
        raise NotImplementedError

    def by_source(self, signals: Float[Tensor, "B S*C T"]) -> Float[Tensor, "B S C T"]:
        """Split the channel axis into sources and channels."""
        return signals.reshape(len(signals), len(self.sources), self.audio_channels, -1)

    def forward(self, mixture: Float[Tensor, "B C T"], frames: int | None = None) -> Float[Tensor, "B S C frames"]:
        """Return estimates of the ``frames`` in the centre of the mixture (default: all T).

        Up to ``valid_length(frames)``, the mixture around the centre is the context. A shorter mixture is padded with
        zeros.
        """
        if mixture.ndim != 3 or mixture.shape[1] != self.audio_channels or mixture.shape[-1] == 0:
            raise ValueError(f"a mixture (batch, {self.audio_channels}, frames) is needed, got {tuple(mixture.shape)}")
        frames = mixture.shape[-1] if frames is None else frames
        if not 0 < frames <= mixture.shape[-1]:
            raise ValueError(f"{frames} frames of estimates asked of a mixture of {mixture.shape[-1]}")
        mixture = centre_fit(mixture, self.valid_length(frames))
        if not self.normalize:
            return centre_fit(self.estimate(mixture), frames)
        mono = mixture.mean(dim=1, keepdim=True)
        mean = mono.mean(dim=-1, keepdim=True)
        deviation = mono.std(dim=-1, keepdim=True) + 1e-5  # silence stays silence
        estimates = centre_fit(self.estimate((mixture - mean) / deviation), frames)
        # Equal shares of the offset, so that estimates which add up to the mixture still do.
        return estimates * deviation[:, None] + mean[:, None] / len(self.sources)


def centre_fit(signal: Float[Tensor, "*B T"], frames: int) -> Float[Tensor, "*B frames"]:
    """Return the ``frames`` in the centre of a longer signal, or a shorter one with zeros at both ends.

    An odd frame goes to the right end, in both directions, so fitting to more frames and back is the identity.

    >>> import torch
    >>> centre_fit(torch.tensor([1.0, 2.0, 3.0]), 2).tolist(), centre_fit(torch.tensor([1.0, 2.0]), 5).tolist()
    ([1.0, 2.0], [0.0, 1.0, 2.0, 0.0, 0.0])
    """
    surplus = signal.shape[-1] - frames
    if surplus >= 0:
        return signal[..., surplus // 2 : surplus // 2 + frames]
    return F.pad(signal, (-surplus // 2, -surplus - (-surplus // 2)))


def count_parameters(model: nn.Module) -> int:
    """Return the number of values in a model's parameters.

    Build under ``torch.device("meta")`` to count without memory.
    """
    return sum(parameter.numel() for parameter in model.parameters())
