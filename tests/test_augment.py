import pytest
import torch
from torch import Generator, nn

from remix_miner.errors import UsageError
from remix_miner.training.batches.augment import (
    Augmentation,
    AugmentSettings,
    ChannelSwap,
    Gain,
    Remix,
    Shift,
    SignFlip,
)

EVERYTHING = AugmentSettings(shift_seconds=0.5, gain_min=0.25, gain_max=1.25, remix_group=2)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def numbered(batch: int = 64, frames: int = 6) -> torch.Tensor:
    """Stems (batch, 4, 2, frames) in which no two values are alike."""
    return torch.arange(1.0, batch * 8 * frames + 1).reshape(batch, 4, 2, frames)


def test_a_shift_cuts_one_stretch_out_of_each_source() -> None:
    stems = numbered()
    shifted = Shift(2)(stems, seeded())
    assert shifted.shape == (64, 4, 2, 4)
    starts = shifted[..., 0] - stems[..., 0]
    assert set(starts.unique().tolist()) == {0, 1, 2}
    assert torch.equal(starts[..., 0], starts[..., 1]), "the same for both channels"
    assert torch.equal(shifted - shifted[..., :1], torch.arange(4.0).expand_as(shifted))
    assert len({tuple(row) for row in starts[..., 0].tolist()}) > 10, "each source its own"


def test_a_swap_reverses_the_channels_of_about_half_of_the_sources() -> None:
    stems = numbered()
    swapped = ChannelSwap(0.5)(stems, seeded())
    changed = (swapped != stems).flatten(2).any(-1)
    assert torch.equal(swapped[changed], stems.flip(-2)[changed])
    assert 0.4 < changed.float().mean() < 0.6
    assert torch.equal(ChannelSwap(1.0)(stems[:, :, :1], seeded()), stems[:, :, :1]), "mono has nothing to swap"


@pytest.mark.parametrize("per_channel", [False, True])
def test_signs_flip_per_source_or_per_channel(per_channel: bool) -> None:
    signs = (SignFlip(0.5, per_channel)(numbered(), seeded()) / numbered()).unique(dim=-1)
    assert signs.shape[-1] == 1
    assert set(signs.flatten().tolist()) == {-1, 1}
    assert 0.4 < (signs > 0).float().mean() < 0.6
    assert per_channel == (signs[:, :, 0] != signs[:, :, 1]).any().item()


def test_gains_are_uniform_per_source() -> None:
    factors = (Gain(0.25, 1.25)(numbered(), seeded()) / numbered())[..., 0, 0]
    assert 0.25 <= factors.min() < 0.3
    assert 1.2 < factors.max() <= 1.25
    assert abs(factors.mean() - 0.75) < 0.05
    assert len(factors.unique()) > 200


def test_a_remix_permutes_each_source_within_its_group() -> None:
    stems = numbered()
    mixed = Remix(4)(stems, seeded())
    item = ((mixed[:, :, 0, 0] - 1) // 48).long()
    assert torch.equal(mixed, stems[item, torch.arange(4)])
    assert torch.equal(item // 4, torch.arange(64)[:, None].expand(64, 4) // 4), "nothing leaves its group"
    assert torch.equal(item.sort(dim=0).values, torch.arange(64)[:, None].expand(64, 4)), "nothing is lost"
    assert not torch.equal(item[:, 0], item[:, 1]), "each source on its own"


def test_the_generator_decides_and_the_input_is_untouched() -> None:
    augmentation = Augmentation(EVERYTHING, sample_rate=4)
    stems = numbered(8)
    before = stems.clone()
    first, again, other = (augmentation(stems, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(stems, before)
    assert first.shape[-1] == stems.shape[-1] - augmentation.margin_frames == 4


def test_augmented_stems_of_silence_are_silence() -> None:
    assert not Augmentation(EVERYTHING, sample_rate=4)(torch.zeros(4, 4, 2, 9), seeded()).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("module", [Shift(2), ChannelSwap(), SignFlip(), Gain(), Remix(4)])
def test_a_gpu_makes_the_same_batch(module: nn.Module) -> None:
    torch.testing.assert_close(module(numbered().cuda(), seeded()).cpu(), module(numbered(), seeded()))


def test_unusable_settings_are_refused() -> None:
    for settings in ({"swap_probability": 2.0}, {"gain_min": 0.0}, {"remix_group": 1}, {"shift_seconds": -1.0}):
        with pytest.raises(UsageError, match=next(iter(settings))):
            AugmentSettings(**settings)
    with pytest.raises(UsageError, match="divisor"):
        Remix(4)(numbered(6), seeded())


def test_consistent_augmentation_keeps_the_mixture_of_a_song() -> None:
    """All sources of an item get the same swap and the same signs; items differ."""
    stems = torch.rand(64, 4, 2, 8, generator=torch.Generator().manual_seed(0)) + 0.1
    augmentation = Augmentation(AugmentSettings(consistent=True), 8000)
    changed = augmentation(stems, torch.Generator().manual_seed(1))
    mixture = augmentation(stems.sum(dim=1, keepdim=True), torch.Generator().manual_seed(1))
    torch.testing.assert_close(changed.sum(dim=1, keepdim=True), mixture)
    signs = (changed.mean(dim=-1) > 0)[:, 0].tolist()
    assert {tuple(pair) for pair in signs} == {(True, True), (True, False), (False, True), (False, False)}
    loose = Augmentation(AugmentSettings(), 8000)(stems, torch.Generator().manual_seed(1))
    assert not torch.allclose(loose.sum(dim=1, keepdim=True).abs(), mixture.abs())
