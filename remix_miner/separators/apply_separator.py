"""Application of a separator, block by block, to audio of any rate, number of channels and length.

Estimates have the rate, channels and length of the audio. It is resampled (soxr HQ) to the model's rate and back. Mono
is repeated for a stereo model, and the estimates are averaged back to mono. Audio with more channels than the model is
averaged to mono first; its estimates have the model's channels. No gain is applied.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from remix_miner.audio import StreamResampler, downmix, to_channels
from remix_miner.separators.overlap_add import InferenceSettings, SeparationStream

Block = Float32[np.ndarray, "T C"]
StemBlock = Float32[np.ndarray, "S C T"]


def output_channels(model: Any, channels: int) -> int:
    """Return the number of channels of the estimates of a signal that has ``channels``."""
    return 1 if channels == 1 else int(model.audio_channels)


def conversions(model: Any, sample_rate: int, channels: int) -> list[str]:
    """Return the conversions of a signal for the model, in words."""
    notes = []
    if sample_rate != model.sample_rate:
        notes.append(f"resampled from {sample_rate} to the model's {model.sample_rate} Hz and back")
    if channels == 1 and model.audio_channels > 1:
        notes.append(f"mono repeated to {model.audio_channels} channels, estimates averaged back to mono")
    elif channels != model.audio_channels:
        notes.append(f"{channels} channels averaged to mono; estimates have {model.audio_channels}")
    return notes


def estimate_blocks(
    model: Any,
    blocks: Iterable[Block],
    sample_rate: int,
    channels: int,
    settings: InferenceSettings,
    device: torch.device | str | None = None,
) -> Iterator[StemBlock]:
    """Yield estimates of a signal that arrives in blocks (frames, channels), at its own rate and length."""
    width = int(model.audio_channels)
    sources = len(model.sources)
    stream = SeparationStream(model, settings, device=device)
    to_model = StreamResampler(sample_rate, model.sample_rate, width)
    from_model = StreamResampler(model.sample_rate, sample_rate, sources * width)
    received = emitted = 0

    def separated(block: Block, last: bool) -> StemBlock:
        samples = np.ascontiguousarray(to_model(block, last).T)
        estimates = stream.push(samples)
        if last:
            estimates = torch.cat([estimates, stream.finish()], dim=-1)
        flat = np.ascontiguousarray(estimates.flatten(0, 1).numpy().T)
        resampled = from_model(flat, last).T.reshape(sources, width, -1)
        return resampled if channels > 1 or width == 1 else np.stack([downmix(each)[None] for each in resampled])

    for block in blocks:
        received += len(block)
        estimates = separated(to_channels(block.T, width).T, last=False)
        estimates = estimates[..., : received - emitted]
        emitted += estimates.shape[-1]
        if estimates.shape[-1]:
            yield estimates
    rest = separated(np.zeros((0, width), dtype=np.float32), last=True)[..., : received - emitted]
    missing = received - emitted - rest.shape[-1]
    yield np.pad(rest, ((0, 0), (0, 0), (0, missing)))
