"""Probabilities of silence for audio that arrives in blocks, in bounded memory, whatever the length of the track.

The network is recurrent over the whole of what it is given, so its input is cut into parts that are fixed by the
position in the track, each with a margin on both sides whose outputs are dropped. The result therefore does not
depend on the blocks that the audio came in.
"""

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from remix_miner.detector.geometry import SCATTERING_HOP_FRAMES, window_count
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.scattering import CONTEXT_FRAMES, continued

PART_WINDOWS = 480
MARGIN_WINDOWS = 64
FRAMES_PER_WINDOW = 4

Probabilities = Float32[np.ndarray, "S W"]


class ProbabilityStream:
    """Feed mono audio at 16 kHz with `push`, end with `finish`; together they return every window's P_i once.

    Memory: about 45 s of audio and 80 s of coefficients, independent of the track's length and of the blocks' sizes.
    """

    def __init__(self, model: SilentSourceDetector) -> None:
        self.model = model
        self._scattering = model.features.scattering
        self._device = next(model.parameters()).device
        self._audio = torch.zeros(0)  # from CONTEXT_FRAMES before the next block on, once _started
        self._started = False
        self._frames = 0
        self._coefficients: list[Tensor] = []  # from coefficient _first_coefficient on
        self._first_coefficient = 0
        self._held = 0
        self._next_window = 0

    def push(self, mono: Float32[np.ndarray, " T"]) -> Probabilities:
        """Take more audio; return the probabilities (S, n) that no later audio can change."""
        self._frames += len(mono)
        self._audio = torch.cat((self._audio, torch.from_numpy(np.array(mono, dtype=np.float32))))
        if not self._started and self._frames > CONTEXT_FRAMES + 1:
            self._audio = continued(self._audio[None], CONTEXT_FRAMES, 0)[0]
            self._started = True
        if self._started:
            self._transform_whole_blocks()
        return self._emit(last=False)

    def finish(self) -> Probabilities:
        """End of the track: the remaining probabilities. Fewer than 2 samples in all give none."""
        if self._frames < 2:
            return np.zeros((len(self.model.sources), 0), dtype=np.float32)
        done = self._first_coefficient + self._held
        missing = -(-self._frames // SCATTERING_HOP_FRAMES) - done
        if not self._started:
            self._hold(self._scattering(self._audio[None].to(self._device))[0])
        elif missing > 0:
            block = self._scattering.block_frames
            blocks = -(-missing * SCATTERING_HOP_FRAMES // self._scattering.step_frames)
            wanted = (blocks - 1) * self._scattering.step_frames + block
            self._audio = continued(self._audio[None], 0, wanted - len(self._audio))[0]
            self._transform_whole_blocks(limit=missing)
        return self._emit(last=True)

    def _transform_whole_blocks(self, limit: int | None = None) -> None:
        block, step = self._scattering.block_frames, self._scattering.step_frames
        if len(self._audio) < block:
            return
        blocks = self._audio.unfold(0, block, step)
        coefficients = self._scattering.of_blocks(blocks.to(self._device)).permute(1, 2, 0, 3).flatten(2)
        self._hold(coefficients[..., :limit])
        self._audio = self._audio[len(blocks) * step :]

    def _hold(self, coefficients: Tensor) -> None:
        self._coefficients.append(coefficients)
        self._held += coefficients.shape[-1]

    def _emit(self, last: bool) -> Probabilities:
        level = self.model.features.level_frames // 2
        total = window_count(self._frames) if last else None
        found: list[Tensor] = []
        while total is None or self._next_window < total:
            after = self._next_window + PART_WINDOWS
            reach = (after + MARGIN_WINDOWS) * FRAMES_PER_WINDOW
            available = self._first_coefficient + self._held
            if total is None and available < reach + level:
                break
            end = min(reach, available) if last else reach
            start = max(self._next_window - MARGIN_WINDOWS, 0) * FRAMES_PER_WINDOW
            found.append(
                self._part(start, end, level)[:, self._next_window - start // FRAMES_PER_WINDOW :][:, :PART_WINDOWS]
            )
            self._next_window = min(after, total) if total is not None else after
            self._drop_before((self._next_window - MARGIN_WINDOWS) * FRAMES_PER_WINDOW - level)
        if not found:
            return np.zeros((len(self.model.sources), 0), dtype=np.float32)
        return torch.cat(found, dim=-1).numpy()

    @torch.inference_mode()
    def _part(self, start: int, end: int, level: int) -> Tensor:
        """Probabilities from coefficients ``start`` to ``end``, whose level looks ``level`` further on both sides."""
        held = torch.cat(self._coefficients, dim=-1)
        self._coefficients = [held]
        first = max(start - level, self._first_coefficient)
        seen = held[..., first - self._first_coefficient : end + level - self._first_coefficient]
        features = self.model.features.compress(seen[None])[..., start - first : end - first]
        return torch.sigmoid(self.model.logits(features))[0].float().cpu()

    def _drop_before(self, coefficient: int) -> None:
        dropped = min(max(coefficient - self._first_coefficient, 0), self._held)
        if dropped:
            self._coefficients = [torch.cat(self._coefficients, dim=-1)[..., dropped:].clone()]
            self._first_coefficient += dropped
            self._held -= dropped


def track_probabilities(model: SilentSourceDetector, mono: Float32[np.ndarray, " T"]) -> Probabilities:
    """P_i of every window of a whole track (S, W), exactly as a scan computes them."""
    stream = ProbabilityStream(model)
    return np.concatenate((stream.push(mono), stream.finish()), axis=1)
