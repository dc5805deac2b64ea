"""Input features of the networks: log scattering coefficients relative to the local level.

The paper does not state a normalisation (Défossez et al. 2019, appendix A), so level and floor are settings. Division
by the local level makes the features independent of loudness, like the relative volume.
"""

from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from remix_miner.detector.scattering.filters import ALL_CHANNELS
from remix_miner.detector.scattering.transform import Scattering
from remix_miner.device import Sampling

Level = Literal["local", "none"]
MIN_LEVEL = 1e-6
"""Lower limit of the level. Below it coefficients are rounding error, which the division must not amplify."""


class Features(nn.Module):
    """Audio (B, T) at 16 kHz -> (B, C, 54, frames): log(S / level + floor).

    ``level``: ``local`` divides by the sum of the first-order coefficients, averaged over ``level_frames``
    coefficients (16 ms each) around each; ``none`` keeps the signal's own amplitude. ``floor`` is added
    to the coefficients, relative to the level. A silent input gives log(floor) everywhere. ``channels``: those of the
    transform, see `Scattering`.
    """

    def __init__(
        self,
        level: Level = "local",
        level_frames: int = 255,
        floor: float = 3e-5,
        channels: tuple[int, ...] = ALL_CHANNELS,
    ) -> None:
        super().__init__()
        if level not in get_args(Level):
            raise ValueError(f"level is one of {', '.join(get_args(Level))}, got {level!r}")
        if level_frames % 2 == 0 or level_frames < 1:
            raise ValueError(f"level_frames is odd and positive, got {level_frames}")
        if floor <= 0:
            raise ValueError(f"floor is positive, got {floor}")
        self.level: Level = level
        self.level_frames = level_frames
        self.floor = floor
        self.scattering = Scattering(sampling="sparse", channels=channels)

    def forward(self, audio: Float[Tensor, "B T"]) -> Float[Tensor, "B C 54 frames"]:
        return self.compress(self.scattering(audio))

    def sample(self, sampling: Sampling) -> None:
        """Set the sampling of the transform's envelopes."""
        device = self.scattering.get_buffer("average").device
        self.scattering = Scattering(sampling=sampling, channels=self.scattering.channels).to(device)

    def compress(self, coefficients: Float[Tensor, "B C 54 frames"]) -> Float[Tensor, "B C 54 frames"]:
        """Return the features of scattering coefficients."""
        if self.level == "local":
            total = coefficients[:, 0].sum(dim=1, keepdim=True)
            half = self.level_frames // 2
            level = F.avg_pool1d(total, self.level_frames, stride=1, padding=half, count_include_pad=False)
            coefficients = coefficients / level[:, None].clamp_min(MIN_LEVEL)
        # A low-pass in the frequency domain can leave silence slightly below zero.
        return coefficients.clamp_min(0).add_(self.floor).log_()
