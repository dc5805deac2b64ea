"""Scattering transform against kymatio, and parts of a signal against the whole."""

import os
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from remix_miner.audio import downmix, read_audio, resample
from remix_miner.detector.features import Features
from remix_miner.detector.scattering.filters import CHANNELS, FIRST_ORDER, filter_parameters, paths
from remix_miner.detector.scattering.transform import Scattering
from remix_miner.device import Sampling

# kymatio pads to a power of two, evenly; at this length the padding is a multiple of 256 samples, so its
# coefficients lie where ours do (at others they are up to 255 samples off a multiple of 256).
ALIGNED_FRAMES = (1 << 17) - 2 * 256 * 99
AUDIO = Path(os.environ.get("REMIX_MINER_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))
DEVICES = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])


def kymatio_tensor(audio: torch.Tensor) -> torch.Tensor:
    """Return kymatio's coefficients (7, 54, frames) of audio (T,), without its factors 2^-j."""
    from kymatio.torch import Scattering1D

    transform = Scattering1D(J=8, shape=len(audio), Q=8)
    coefficients = transform(audio[None])[0]
    first, second, _ = filter_parameters()
    where = {tuple(-1 if np.isnan(v) else int(v) for v in n): i for i, n in enumerate(transform.meta()["n"])}
    result = torch.zeros(CHANNELS, FIRST_ORDER, coefficients.shape[-1])
    for channel, n1, n2 in paths():
        scale = 2.0 ** (first[n1][2] + (second[n2][2] if n2 >= 0 else 0))
        result[channel, n1] = coefficients[where[n1, n2]] * scale
    return result


def real_audio(frames: int) -> torch.Tensor:
    path = AUDIO / "library" / "kevin_macleod_vibe_ace.ogg"
    if not path.is_file():
        pytest.skip(f"no real audio at {AUDIO}; set REMIX_MINER_AUDIO")
    audio, rate = read_audio(path, frames=10 * 48_000)
    return torch.from_numpy(resample(downmix(audio)[None], rate, 16_000)[0][:frames].copy())


def test_paths_are_kymatios() -> None:
    from kymatio.torch import Scattering1D

    orders = Scattering1D(J=8, shape=4096, Q=8).meta()["order"]
    assert sum(channel == 0 for channel, _, _ in paths()) == (orders == 1).sum() == 54
    assert sum(channel > 0 for channel, _, _ in paths()) == (orders == 2).sum() == 179
    assert [sum(channel == c for channel, _, _ in paths()) for c in range(1, 7)] == [10, 18, 26, 34, 42, 49]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["random", "real"])
def test_agrees_with_kymatio(kind: str, device: str) -> None:
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(ALIGNED_FRAMES, generator=generator) if kind == "random" else real_audio(ALIGNED_FRAMES)
    ours = Scattering().to(device)(audio[None].to(device))[0].cpu()
    reference = kymatio_tensor(audio)
    assert ours.shape == reference.shape == (7, 54, ALIGNED_FRAMES // 256)
    assert (ours - reference).norm() < 1e-6 * reference.norm()
    # Paths in which the recording has nothing are rounding errors of the loudest path, in both.
    peak = reference.amax(dim=-1).clamp_min(0.01 * reference.max())
    assert ((ours - reference).abs().amax(dim=-1) <= 1e-5 * peak).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["random", "real"])
def test_sparse_samples_lose_next_to_nothing(kind: str, device: str) -> None:
    """Fewer samples alias more: by less than a thousandth of the whole, and of what the detector sees on average."""
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(ALIGNED_FRAMES, generator=generator) if kind == "random" else real_audio(ALIGNED_FRAMES)
    sparse = Scattering(sampling="sparse").to(device)(audio[None].to(device)).cpu()
    reference = kymatio_tensor(audio)[None]
    assert 0 < (sparse - reference).norm() < 1e-3 * reference.norm()
    features = Features()
    moved = (features.compress(sparse) - features.compress(reference)).abs()
    assert moved.mean() < 1e-3
    assert moved.max() < 0.15


@pytest.mark.parametrize("sampling", get_args(Sampling))
def test_does_not_depend_on_the_cut(sampling: Sampling) -> None:
    """A part of a track, with context, has the coefficients of the whole; so do other block lengths."""
    audio = torch.randn(1, 300_000, generator=torch.Generator().manual_seed(1))
    whole = Scattering(sampling=sampling)(audio)
    for start in (256 * 80, 256 * 333):
        part = Scattering(sampling=sampling)(audio[:, start : start + 140_000])
        inside = slice(16, part.shape[-1] - 17)
        first = start // 256
        expected = whole[..., first : first + part.shape[-1]][..., inside]
        error = (part[..., inside] - expected).abs().amax(dim=-1)
        assert (error <= 1e-4 * expected.amax(dim=-1)).all()
    other = Scattering(block_frames=1 << 15, sampling=sampling)(audio)
    assert torch.allclose(other, whole, rtol=1e-4, atol=1e-4 * whole.max().item())


@pytest.mark.parametrize("sampling", get_args(Sampling))
def test_is_linear_in_the_level_and_finite_on_silence(sampling: Sampling) -> None:
    audio = torch.randn(1, 20_000, generator=torch.Generator().manual_seed(2))
    scattering = Scattering(block_frames=1 << 15, sampling=sampling)
    assert torch.allclose(scattering(audio * 8), scattering(audio) * 8, rtol=1e-5)
    assert scattering(torch.zeros(1, 5_000)).abs().max() == 0


@pytest.mark.parametrize("sampling", get_args(Sampling))
@pytest.mark.parametrize("frames", [2, 255, 256, 257, 4_097, 80_000])
def test_length_is_one_coefficient_per_256_samples_begun(frames: int, sampling: Sampling) -> None:
    scattering = Scattering(block_frames=1 << 15, sampling=sampling)
    result = scattering(torch.randn(2, frames))
    assert result.shape == (2, 7, 54, -(-frames // 256))
    assert result.isfinite().all()


def test_channels_that_are_not_wanted_change_nothing_else() -> None:
    audio = torch.randn(1, 40_000, generator=torch.Generator().manual_seed(3))
    whole = Scattering(block_frames=1 << 15, sampling="sparse")(audio)
    for channels in ((0,), (0, 3, 4, 5, 6), (0, 1, 6)):
        some = Scattering(block_frames=1 << 15, sampling="sparse", channels=channels)(audio)
        assert torch.allclose(some, whole[:, list(channels)], rtol=1e-5, atol=1e-7)


def test_keeps_no_gradient_and_refuses_what_it_cannot_do() -> None:
    audio = torch.randn(1, 3_000, requires_grad=True)
    assert not Scattering(block_frames=1 << 14)(audio).requires_grad
    with pytest.raises(ValueError, match="at least 2 samples"):
        Scattering(block_frames=1 << 14)(torch.zeros(1, 1))
    with pytest.raises(ValueError, match="multiple of 512"):
        Scattering(block_frames=10_000)
    for channels in ((), (1, 2), (0, 7), (0, 2, 1), (0, 0)):
        with pytest.raises(ValueError, match="begin with 0, rise, and go to 6"):
            Scattering(channels=channels)
    with pytest.raises(ValueError, match="sparse, kymatio"):
        Scattering(sampling="dense")  # type: ignore[arg-type]
