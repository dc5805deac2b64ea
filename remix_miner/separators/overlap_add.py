"""Overlap-add separation of signals of any length, in batches of segments with normalised triangular weights.

A stream takes the mixture in blocks and returns final estimates, so that memory does not grow with the track.
For any segment, overlap, shifts and blocks, a model that returns its input results in the mixture.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.config import Bounds, Seed, Settings
from remix_miner.separators.passes import Pass, offsets, triangle

DEFAULT_SEGMENT_SECONDS = 10.0


@dataclass(frozen=True)
class InferenceSettings(Settings):
    """How a model is applied; results record it, since each setting changes scores by tenths of a dB."""

    segment_seconds: Annotated[float, Bounds(above=0, most=86_400)] | None = None
    """None: what the model suggests, else 10 s."""
    overlap: Annotated[float, Bounds(0, below=1)] = 0.25
    """Share of a segment that the next one covers again."""
    shifts: Annotated[int, Bounds(0, 1000)] = 0
    """Average over this many distinct random shifts of 0 to 0.5 s: the 'shift trick' (Défossez et al. 2019)."""
    max_shift_seconds: Annotated[float, Bounds(0, 3600)] = 0.5
    seed: Seed = 0
    batch_size: Annotated[int, Bounds(1, 65536)] = 4
    """Segments given to the model at once: speed and memory, not results."""
    polarity: bool = False
    """Average with the estimate from the inverted mixture, which cancels what is even in the model."""
    consistency: bool = False
    """Spread mixture - sum of estimates evenly over the sources, so that they sum to the mixture exactly."""


@torch.inference_mode()
def separate(
    model: nn.Module,
    mixture: Float[Tensor, "C T"] | Float[np.ndarray, "C T"],
    *,
    segment_seconds: float | None = None,
    overlap: float = 0.25,
    shifts: int = 0,
    seed: int = 0,
    batch_size: int = 4,
    polarity: bool = False,
    consistency: bool = False,
    device: torch.device | str | None = None,
) -> Float[Tensor, "S C T"]:
    """Return estimates (float32, on the CPU) of a whole mixture at ``model.sample_rate``; see `InferenceSettings`.

    The model is put in evaluation mode while it runs and left as it was; ``device`` None leaves it where it is.
    """
    settings = InferenceSettings(
        segment_seconds, overlap, shifts, seed=seed, batch_size=batch_size, polarity=polarity, consistency=consistency
    )
    stream = SeparationStream(model, settings, device=device)
    samples = mixture if isinstance(mixture, Tensor) else torch.from_numpy(np.ascontiguousarray(mixture))
    blocks = torch.split(samples, stream.block_frames, dim=-1)
    return torch.cat([*(stream.push(block) for block in blocks), stream.finish()], dim=-1)


class SeparationStream:
    """Estimates of a mixture that arrives in blocks; the result depends on the blocks only by float rounding."""

    def __init__(
        self, model: nn.Module, settings: InferenceSettings, *, device: torch.device | str | None = None
    ) -> None:
        applied: Any = model
        self.model = applied if device is None else applied.to(device)
        self.settings = settings
        self.channels: int = self.model.audio_channels
        seconds = settings.segment_seconds or getattr(model, "segment_seconds", None) or DEFAULT_SEGMENT_SECONDS
        sample_rate: int = self.model.sample_rate
        self.segment = max(1, round(seconds * sample_rate))
        self.stride = max(1, round((1 - settings.overlap) * self.segment))
        self.block_frames = self.stride * settings.batch_size
        """A good size for blocks: each completes about one batch per pass."""
        # What a model needs around a segment comes from the track itself, and is silence beyond its ends.
        whole = max(self.segment, int(self.model.valid_length(self.segment)))
        self._before = (whole - self.segment) // 2
        self._after = whole - self.segment - self._before
        self._window = triangle(self.segment)
        self._passes = [
            Pass(sign, -offset, len(self.model.sources), self.channels)
            for offset in offsets(settings.shifts, round(settings.max_shift_seconds * sample_rate), settings.seed)
            for sign in ((1.0, -1.0) if settings.polarity else (1.0,))
        ]
        self._first = self._passes_start() - self._before  # track frame of the first sample held
        self._held = torch.zeros(self.channels, -self._first)
        self._received = 0
        self._emitted = 0
        self._finished = False

    def push(self, block: Float[Tensor, "C _"] | Float[np.ndarray, "C _"]) -> Float[Tensor, "S C _"]:
        """Take the next frames of the mixture; return the estimates that became final."""
        samples = torch.as_tensor(block, dtype=torch.float32, device="cpu")
        if samples.ndim != 2 or samples.shape[0] != self.channels:
            raise ValueError(f"blocks are ({self.channels}, frames), got {tuple(samples.shape)}")
        self._held = torch.cat([self._held, samples], dim=-1)
        self._received += samples.shape[-1]
        return self._advance()

    def finish(self) -> Float[Tensor, "S C _"]:
        """Return the remaining estimates, as if silence followed. Call it once, at the end."""
        self._finished = True
        last = max(each.last_start(self._received, self.segment, self.stride) for each in self._passes)
        missing = last + self.segment + self._after - (self._first + self._held.shape[-1])
        if self._received and missing > 0:
            self._held = torch.cat([self._held, self._held.new_zeros(self.channels, missing)], dim=-1)
        return self._advance()

    @torch.inference_mode()
    def _advance(self) -> Tensor:
        jobs = list(self._ready())
        with _evaluating(self.model):
            for position in range(0, len(jobs), self.settings.batch_size):
                self._run(jobs[position : position + self.settings.batch_size])
        final = self._received if self._finished else min(self._passes_start(), self._received)
        return self._emit(max(final, self._emitted))

    def _ready(self) -> Iterator[tuple[Pass, int]]:
        """Return the segments, pass by pass, whose samples and context are complete."""
        available = self._first + self._held.shape[-1]
        for each in self._passes:
            while each.next_start + self.segment + self._after <= available:
                if self._finished and each.next_start > each.last_start(self._received, self.segment, self.stride):
                    break
                yield each, each.next_start
                each.next_start += self.stride

    def _run(self, jobs: list[tuple[Pass, int]]) -> None:
        width = self._before + self.segment + self._after
        begins = [start - self._before - self._first for _, start in jobs]
        batch = torch.stack(
            [each.sign * self._held[:, b : b + width] for (each, _), b in zip(jobs, begins, strict=True)]
        )
        place = next(self.model.parameters(), batch).device
        output = self.model(batch.to(place), self.segment).float().cpu()
        if output.shape[-1] != self.segment:
            raise ValueError(f"the model gave {output.shape[-1]} frames where {self.segment} were asked for")
        for (each, start), estimate in zip(jobs, output, strict=True):
            each.add(start - self._emitted, each.sign * estimate, self._window)

    def _emit(self, final: int) -> Tensor:
        frames = final - self._emitted
        parts = [each.take(frames) for each in self._passes]
        estimates = parts[0] if len(parts) == 1 else torch.stack(parts).mean(dim=0)
        if self.settings.consistency:
            begin = self._emitted - self._first
            residual = self._held[:, begin : begin + frames] - estimates.sum(dim=0)
            estimates = estimates + residual / len(estimates)
        self._emitted = final
        keep_from = min(self._passes_start() - self._before, self._emitted)
        drop = min(max(keep_from - self._first, 0), self._held.shape[-1])
        self._held = self._held[:, drop:].clone()
        self._first += drop
        return estimates

    def _passes_start(self) -> int:
        return min(each.next_start for each in self._passes)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def settings_mapping(settings: InferenceSettings, model: Any) -> dict[str, Any]:
    """Return the settings as results record them, with the segment length in use."""
    seconds = settings.segment_seconds or getattr(model, "segment_seconds", None) or DEFAULT_SEGMENT_SECONDS
    return {**asdict(settings), "segment_seconds": float(seconds)}
