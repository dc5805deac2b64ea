"""Overlap-add: what must hold for any segment, overlap, length, block size, shift and batch."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from remix_miner.errors import UsageError
from remix_miner.separators.overlap_add import InferenceSettings, SeparationStream, separate
from remix_miner.separators.passes import offsets

RATE = 1000


class Identity(nn.Module):
    """Every source is the mixture; needs ``context`` frames around what it estimates."""

    sources = ("drums", "bass")
    sample_rate = RATE
    audio_channels = 2
    segment_seconds = 0.2

    def __init__(self, context: int = 0, gain: float = 1.0) -> None:
        super().__init__()
        self.context = context
        self.gain = gain
        self.widths: list[tuple[int, int]] = []

    def valid_length(self, frames: int) -> int:
        return frames + -frames % 4 + self.context if self.context else frames

    def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
        self.widths.append((mixture.shape[0], mixture.shape[-1]))
        kept = frames or mixture.shape[-1]
        begin = (mixture.shape[-1] - kept) // 2
        return self.gain * mixture[:, None, :, begin : begin + kept].expand(-1, 2, -1, -1)


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(1, 700),
    segment=st.integers(1, 300),
    overlap=st.floats(0, 0.95),
    shifts=st.integers(0, 3),
    batch=st.integers(1, 5),
    context=st.sampled_from([0, 10]),
    polarity=st.booleans(),
    consistency=st.booleans(),
)
def test_overlap_add_of_the_identity_returns_the_mixture(
    frames: int, segment: int, overlap: float, shifts: int, batch: int, context: int, polarity: bool, consistency: bool
) -> None:
    mixture = torch.randn(2, frames, generator=torch.Generator().manual_seed(frames))
    model = Identity(context, gain=0.5 if consistency else 1.0)
    estimates = separate(
        model,
        mixture,
        segment_seconds=segment / RATE,
        overlap=overlap,
        shifts=shifts,
        batch_size=batch,
        polarity=polarity,
        consistency=consistency,
    )
    expected = mixture[None].expand(2, -1, -1) * (0.5 if consistency else 1.0)
    torch.testing.assert_close(estimates, expected, atol=1e-6, rtol=1e-6)
    assert max(size for size, _ in model.widths) <= batch


def test_every_batch_has_one_valid_length_and_evaluation_mode_is_undone() -> None:
    model = Identity(context=10).train()
    separate(model, torch.randn(2, 1234), segment_seconds=0.11)
    assert {width for _, width in model.widths} == {model.valid_length(110)}
    assert model.training


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 900), max_size=8), shifts=st.integers(0, 2), seed=st.integers(0, 3))
def test_a_stream_gives_the_same_whatever_its_blocks(cuts: list[int], shifts: int, seed: int) -> None:
    model = _smoother()
    mixture = torch.randn(2, 900, generator=torch.Generator().manual_seed(1))
    wanted = separate(model, mixture, segment_seconds=0.15, overlap=0.3, shifts=shifts, seed=seed)
    stream = SeparationStream(model, InferenceSettings(0.15, 0.3, shifts, seed=seed))
    bounds = [0, *sorted(cuts), 900]
    pieces = [stream.push(mixture[:, a:b]) for a, b in itertools.pairwise(bounds)]
    torch.testing.assert_close(torch.cat([*pieces, stream.finish()], dim=-1), wanted, atol=1e-6, rtol=1e-5)


def test_a_stream_holds_a_bounded_number_of_frames() -> None:
    stream = SeparationStream(Identity(), InferenceSettings(0.2, 0.5, shifts=2))
    held = []
    for _ in range(200):
        stream.push(torch.randn(2, 100))
        held.append(stream._held.shape[-1] + sum(each._weight.shape[-1] for each in stream._passes))
    assert max(held[100:]) <= max(held[10:100]) < 3 * (200 + 500) + 600


def test_shifts_are_distinct_and_average_the_model_over_the_grid() -> None:
    assert sorted(offsets(500, 500, seed=0)) == list(range(500))
    with pytest.raises(UsageError, match="501 distinct shifts"):
        SeparationStream(Identity(), InferenceSettings(shifts=501, max_shift_seconds=500 / RATE))


def test_polarity_cancels_what_is_even_in_the_model() -> None:
    class Rectifier(Identity):
        def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
            return super().forward(mixture + mixture.square(), frames)

    mixture = torch.randn(2, 500)
    estimates = separate(Rectifier(), mixture, polarity=True)
    torch.testing.assert_close(estimates, mixture[None].expand(2, -1, -1), atol=1e-5, rtol=1e-5)


def test_consistent_estimates_sum_to_the_mixture() -> None:
    mixture = torch.randn(2, 777)
    estimates = separate(_smoother(), mixture, segment_seconds=0.1, shifts=2, consistency=True)
    torch.testing.assert_close(estimates.sum(dim=0), mixture, atol=1e-5, rtol=1e-5)


def test_an_empty_mixture_gives_empty_estimates() -> None:
    assert separate(Identity(), torch.zeros(2, 0)).shape == (2, 2, 0)


def test_context_around_a_segment_comes_from_the_track() -> None:
    class Neighbours(Identity):
        """Estimates that hold the samples 5 frames later: without context, seams would show."""

        def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
            return mixture[:, None, :, 10 : 10 + (frames or 0)].expand(-1, 2, -1, -1)

    mixture = torch.randn(2, 1000)
    estimates = separate(Neighbours(context=10), mixture, segment_seconds=0.1, overlap=0.5)
    torch.testing.assert_close(estimates[0, :, :-5], mixture[:, 5:], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("wrong", [{"overlap": 1.0}, {"overlap": -0.1}, {"segment_seconds": 0.0}, {"batch_size": 0}])
def test_impossible_settings_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        separate(Identity(), torch.zeros(2, 10), **wrong)


def _smoother() -> nn.Module:
    """A fixed convolution whose output near a segment's edges differs from that in its middle."""

    class Smoother(Identity):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.convolution = nn.Conv1d(2, 4, 31, padding=15)

        def forward(self, mixture: Tensor, frames: int | None = None) -> Tensor:
            return self.convolution(mixture).unflatten(1, (2, 2))

    return Smoother()
