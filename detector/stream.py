"""Streaming inference: probabilities of silence for audio in blocks, in memory that does not grow with the track.

Coefficients and convolutions have a finite receptive field, so overlapping blocks and pieces give the result of the
whole track. The recurrence depends on all of its input, so it runs on parts with a margin on both sides whose outputs
are dropped. Blocks, pieces and parts start at fixed positions in the track. The result therefore does not depend on
the size of the pushed blocks.
"""

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.scattering.transform import CONTEXT_FRAMES, CPU_BLOCKS, reflect_padded
from remix_miner.detector.windows import SCATTERING_HOP_FRAMES, window_count

PART_WINDOWS = 960
MARGIN_WINDOWS = 64
PARTS_AT_ONCE = 4
"""Parts in one batch of the recurrence. Reading its weights from memory is most of its cost."""

PIECE_WINDOWS = 480
"""Windows in one pass of the convolutions; the activations of more do not fit the cache."""

REACH_WINDOWS = 5
"""Receptive field of the convolutions, in windows on each side."""

FRAMES_PER_WINDOW = 4

Probabilities = Float32[np.ndarray, "S W"]


class ProbabilityStream:
    """P_i of mono audio at 16 kHz, computed in blocks; `push` and `finish` together return every window once.

    Memory, beside the pushed block: a minute of audio, a minute and a half of coefficients and five minutes of the
    convolutions' output (5 MB at most), for any length of track.
    """

    def __init__(self, model: SilentSourceDetector) -> None:
        self.model = model
        self._scattering = model.features.scattering
        self._device = next(model.parameters()).device
        self._audio = torch.zeros(0)  # from CONTEXT_FRAMES before the next block on, once _started
        self._started = False
        self._frames = 0
        self._coefficients = _Buffer()
        self._windows = _Buffer()
        self._next_window = 0

    @torch.inference_mode()
    def push(self, mono: Float32[np.ndarray, " T"]) -> Probabilities:
        """Add audio; return the probabilities (S, n) that are complete."""
        self._frames += len(mono)
        self._audio = torch.cat((self._audio, torch.from_numpy(np.array(mono, dtype=np.float32))))
        if not self._started and self._frames > CONTEXT_FRAMES + 1:
            self._audio = reflect_padded(self._audio[None], CONTEXT_FRAMES, 0)[0]
            self._started = True
        if self._started:
            self._transform_whole_blocks()
        return self._emit(last=False)

    @torch.inference_mode()
    def finish(self) -> Probabilities:
        """End the track; return the remaining probabilities, none for fewer than 2 samples in all."""
        if self._frames < 2:
            return np.zeros((len(self.model.sources), 0), dtype=np.float32)
        missing = -(-self._frames // SCATTERING_HOP_FRAMES) - self._coefficients.end
        if not self._started:
            self._coefficients.append(self._scattering(self._audio[None].to(self._device))[0])
        elif missing > 0:
            block = self._scattering.block_frames
            blocks = -(-missing * SCATTERING_HOP_FRAMES // self._scattering.step_frames)
            wanted = (blocks - 1) * self._scattering.step_frames + block
            self._audio = reflect_padded(self._audio[None], 0, wanted - len(self._audio))[0]
            self._transform_whole_blocks(limit=missing)
        return self._emit(last=True)

    def _transform_whole_blocks(self, limit: int | None = None) -> None:
        block, step = self._scattering.block_frames, self._scattering.step_frames
        count = max((len(self._audio) - block) // step + 1, 0)
        if limit is None:  # the same blocks in a batch for any size of push, for equal rounding
            count -= count % CPU_BLOCKS
        if not count:
            return
        blocks = self._audio.unfold(0, block, step)[:count]
        coefficients = self._scattering.of_blocks(blocks.to(self._device)).permute(1, 2, 0, 3).flatten(2)
        self._coefficients.append(coefficients[..., :limit])
        self._audio = self._audio[len(blocks) * step :]

    def _emit(self, last: bool) -> Probabilities:
        total = window_count(self._frames) if last else None
        self._convolve(total)
        found: list[Tensor] = []
        while (parts := self._whole_parts()) and (last or parts == PARTS_AT_ONCE):
            start = self._margin_start
            after = start + parts * PART_WINDOWS + MARGIN_WINDOWS
            windows = self._windows.part(start, after + MARGIN_WINDOWS)
            windows = windows.unfold(-1, PART_WINDOWS + 2 * MARGIN_WINDOWS, PART_WINDOWS).transpose(0, 1)
            first, *others = self.model.sequence(windows)
            found.append(first[:, self._next_window - start : -MARGIN_WINDOWS])
            found += [other[:, MARGIN_WINDOWS:-MARGIN_WINDOWS] for other in others]
            self._next_window = after
            self._windows.drop_before(after - MARGIN_WINDOWS)
        if total is not None and self._next_window < total:
            start = self._margin_start
            found.append(self.model.sequence(self._windows.part(start, total)[None])[0, :, self._next_window - start :])
            self._next_window = total
        if not found:
            return np.zeros((len(self.model.sources), 0), dtype=np.float32)
        return torch.sigmoid(torch.cat(found, dim=-1)).float().cpu().numpy()

    @property
    def _margin_start(self) -> int:
        """First window of the next part's margin."""
        return max(self._next_window - MARGIN_WINDOWS, 0)

    def _whole_parts(self) -> int:
        """Return the number of next parts with both margins, at most PARTS_AT_ONCE."""
        there = (self._windows.end - self._margin_start - 2 * MARGIN_WINDOWS) // PART_WINDOWS
        return min(max(there, 0), PARTS_AT_ONCE)

    def _convolve(self, total: int | None) -> None:
        """Convolve the available coefficients, in whole pieces, or up to window ``total``."""
        level = self.model.features.level_frames // 2
        while total is None or self._windows.end < total:
            first = self._windows.end
            after = first + PIECE_WINDOWS
            end = (after + REACH_WINDOWS) * FRAMES_PER_WINDOW
            if total is None and self._coefficients.end < end + level:
                break
            start = max(first - REACH_WINDOWS, 0)
            first_coefficient = max(start * FRAMES_PER_WINDOW - level, 0)
            features = self.model.features.compress(self._coefficients.part(first_coefficient, end + level)[None])
            features = features[..., start * FRAMES_PER_WINDOW - first_coefficient : end - first_coefficient]
            self._windows.append(self.model.windows(features)[0, :, first - start :][:, :PIECE_WINDOWS])
            self._coefficients.drop_before((after - REACH_WINDOWS) * FRAMES_PER_WINDOW - level)


class _Buffer:
    """Buffer of the end of a sequence (.., n), addressed by the position in the whole sequence."""

    def __init__(self) -> None:
        self._pieces: list[Tensor] = []
        self._begin = 0
        self.end = 0

    def append(self, piece: Tensor) -> None:
        self._pieces.append(piece)
        self.end += piece.shape[-1]

    def part(self, start: int, end: int) -> Tensor:
        """Return ``start`` to ``end``, or to the present end of the sequence."""
        self._pieces = [torch.cat(self._pieces, dim=-1)] if len(self._pieces) > 1 else self._pieces
        return self._pieces[0][..., start - self._begin : end - self._begin]

    def drop_before(self, position: int) -> None:
        position = min(max(position, self._begin), self.end)
        if position > self._begin:
            self._pieces = [self.part(position, self.end).clone()]
            self._begin = position


def track_probabilities(model: SilentSourceDetector, mono: Float32[np.ndarray, " T"]) -> Probabilities:
    """Return P_i of every window of a whole track (S, W), exactly as a scan computes them."""
    stream = ProbabilityStream(model)
    return np.concatenate((stream.push(mono), stream.finish()), axis=1)
