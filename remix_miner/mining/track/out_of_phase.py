"""Parts of a track that cancel in the mean of its channels, which is what the detector receives.

A source whose channels have opposite signs is weak in the mean or missing from it: drums with L = -R, vocals with
R = -0.7 L. Where audible parts cancel, the detector is also applied to the channel of which they take the largest
share, and only windows that are silent in both are mined. This is done only where the mean could be mined at all. A
single channel resembles the detector's training material, unlike the difference of two.

In a cell of a spectrogram, let A be the mean energy of the C channels and M the energy of their mean. In phase M = A,
for independent channels M = A / C on average, and M stays far below only by cancellation. Cells of 0.64 s with
M < A / (3 C) (for stereo: the side 7 dB above the mid) are cancelled; independent channels get there in one cell of a
thousand. A window matters when its cancelled cells hold -20 dB of its energy, the level at which a source is no longer
silent. In stereo, what is cancelled is at most 8.4 dB softer in one channel than in the other, so one channel is
enough. A sound lies in ten windows; where it reaches -20 dB in fewer than five of them, it does not matter.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np
import scipy.fft
from jaxtyping import Bool, Float32

from remix_miner.audio import Block, StreamResampler
from remix_miner.detector.evidence import Fusion, in_long_runs, runs, shortest_run
from remix_miner.detector.fused_stream import FusedStream, joint_stream
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import ProbabilityStream
from remix_miner.detector.windows import HOP_FRAMES, HOP_SECONDS, SAMPLE_RATE, WINDOW_FRAMES, WINDOW_SECONDS
from remix_miner.sources import SOURCES
from remix_miner.volume import SILENT_MINING_DB

CANCELLED = 1 / 3
LEAST_SHARE = 10 ** (SILENT_MINING_DB / 10)
GATE = 0.3
"""Least threshold at which a scan with these probabilities can be cut again."""
CONTEXT_WINDOWS = 64
"""Windows before and after a part that is judged, 4 s: as many as the margins of the detector's stream."""
LEAST_WINDOWS = 5
"""Fewer consecutive windows hold the edge of a sound that is softer than -20 dB."""
CHUNK_HOPS = 64
"""Taken together, so that the result does not depend on the blocks."""
HALF_WINDOW = WINDOW_FRAMES // HOP_FRAMES // 2


class PhaseCheck:
    """Detector of windows in which audible parts cancel, for a track in blocks.

    Energies are taken per hop of the detector (64 ms). Four seconds whose channels agree within -20 dB in every hop
    cost two sums, mono nothing. Memory does not depend on the length.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.channels = channels
        self._hop = round(HOP_SECONDS * sample_rate)
        self._length = 1 << (self._hop.bit_length() - 2)  # of a spectrum: a quarter to a half of a hop
        self._bins = 1 + min(self._length // 2, int(self._length * SAMPLE_RATE / 2 / sample_rate))
        self._rest: Block = np.zeros((0, channels), dtype=np.float32)
        # Of each channel and of their mean; nothing before the track.
        self._energies = np.zeros((HALF_WINDOW, channels + 1, self._bins), dtype=np.float32)
        self._found: list[Bool[np.ndarray, " N"]] = []
        self._shares: list[Float32[np.ndarray, "N C"]] = []

    def push(self, block: Block) -> None:
        """Take the next block (frames, channels)."""
        if self.channels == 1:
            return
        audio = np.concatenate([self._rest, block])
        chunk = CHUNK_HOPS * self._hop
        for start in range(0, len(audio) - chunk + 1, chunk):
            self._append(audio[start : start + chunk].reshape(CHUNK_HOPS, self._hop, self.channels))
        self._rest = audio[len(audio) // chunk * chunk :].copy()

    def windows(self, count: int) -> Bool[np.ndarray, " W"]:
        """Return which of the first ``count`` windows hold audible parts that cancel. Call once, at the end."""
        found = np.zeros(count, dtype=bool)
        if self.channels > 1:
            self.push(np.zeros(((CHUNK_HOPS + HALF_WINDOW) * self._hop, self.channels), dtype=np.float32))
            known = np.concatenate([np.zeros(0, dtype=bool), *self._found])[:count]
            found[: len(known)] = in_long_runs(known, LEAST_WINDOWS)
        return found

    def to_judge(self, windows: Bool[np.ndarray, " W"]) -> Bool[np.ndarray, "C W"]:
        """Return the channel to judge for each of ``windows``: of a run, that with the largest share of what cancels.

        Call it after `windows`.
        """
        judged = np.zeros((self.channels, len(windows)), dtype=bool)
        shares = np.concatenate(self._shares) if self._shares else np.zeros((0, self.channels), dtype=np.float32)
        for first, after in runs(windows):
            judged[shares[first:after].sum(axis=0).argmax(), first:after] = True
        return judged

    def _append(self, hops: Float32[np.ndarray, "N T C"]) -> None:
        energies = np.zeros((len(hops), self.channels + 1, self._bins), dtype=np.float32)
        mean = hops @ np.full(self.channels, 1 / self.channels, dtype=np.float32)
        everything = np.einsum("ntc,ntc->n", hops, hops) / self.channels
        if (everything - np.einsum("nt,nt->n", mean, mean) > LEAST_SHARE * everything).any():
            window = np.hanning(self._length).astype(np.float32)
            pieces = np.ascontiguousarray(hops[:, : self._length].transpose(2, 0, 1)) * window
            spectra = scipy.fft.rfft(pieces, axis=-1)[..., : self._bins]  # (C, N, F)
            energies[:, :-1] = (spectra.real**2 + spectra.imag**2).transpose(1, 0, 2)
            spectrum = spectra.mean(axis=0)
            energies[:, -1] = spectrum.real**2 + spectrum.imag**2
        energies = np.concatenate([self._energies, energies])
        count = len(energies) - 2 * HALF_WINDOW + 1
        if count > 0:
            sums = np.cumsum(np.concatenate([np.zeros((1, *energies.shape[1:])), energies]), axis=0)
            windows = np.maximum(sums[2 * HALF_WINDOW :] - sums[:count], 0.0)  # (count, C + 1, F)
            channels, of_mean = windows[:, :-1], windows[:, -1]
            cells = of_mean < CANCELLED / self.channels * channels.mean(axis=1)
            cancelled, total = np.einsum("wcf,wf->wc", channels, cells), channels.sum(axis=2)  # (count, C)
            self._found.append(cancelled.sum(axis=1) > LEAST_SHARE * total.sum(axis=1))
            self._shares.append((cancelled / np.maximum(total, 1e-12)).astype(np.float32))
            energies = energies[count:]
        self._energies = energies


def could_be_mined(
    probabilities: Float32[np.ndarray, "S W"], thresholds: Mapping[str, float], min_seconds: float
) -> Bool[np.ndarray, " W"]:
    """Return the windows in which a source of ``thresholds`` has P >= `GATE` for at least ``min_seconds``.

    No other window lies in a span at any threshold from `GATE` on. A lower threshold takes the place of `GATE`.
    """
    possible = np.zeros(probabilities.shape[1], dtype=bool)
    for source, threshold in thresholds.items():
        over_gate = probabilities[SOURCES.index(source)] >= min(GATE, threshold)
        possible |= in_long_runs(over_gate, shortest_run(min_seconds))
    return possible


def least_over_channels(
    blocks: Iterable[Block],
    sample_rate: int,
    windows: Bool[np.ndarray, "C W"],
    model: SilentSourceDetector,
    fusion: Fusion | None = None,
    on_block: Callable[[float], None] = lambda seconds: None,
) -> Float32[np.ndarray, "S W"]:
    """Return each source's least probability over the channels in which a window is marked, 1 in all other windows.

    ``blocks`` (frames, channels) are the whole track; only the marked parts and their context are computed.
    """
    least = np.ones((len(model.sources), windows.shape[1]), dtype=np.float32)
    channels = [_Channel(model, sample_rate, fusion, marked, least) for marked in windows]
    position = 0
    for block in blocks:
        on_block(0.0)
        for number, channel in enumerate(channels):
            channel.push(block[:, number], position)
        position += len(block)
        if not any(channel.parts for channel in channels):
            break
    for channel in channels:
        channel.finish()
    return least


def joined_parts(windows: Bool[np.ndarray, " W"], context: int) -> list[tuple[int, int]]:
    """Return (first, after last) of the marked windows with ``context`` on both sides, where they overlap joined.

    >>> joined_parts(np.array([0, 1, 0, 0, 0, 0, 1, 1], dtype=bool), 1)
    [(0, 3), (5, 8)]
    """
    parts: list[tuple[int, int]] = []
    for place in np.flatnonzero(windows).tolist():
        first, after = max(place - context, 0), min(place + context + 1, len(windows))
        if parts and first <= parts[-1][1]:
            parts[-1] = parts[-1][0], after
        else:
            parts.append((first, after))
    return parts


class _Channel:
    """The detector, with its second opinion where there is one, on the marked parts of one channel."""

    def __init__(
        self,
        model: SilentSourceDetector,
        sample_rate: int,
        fusion: Fusion | None,
        marked: Bool[np.ndarray, " W"],
        least: Float32[np.ndarray, "S W"],
    ) -> None:
        self.parts = joined_parts(marked, CONTEXT_WINDOWS)
        self._model = model
        self._rate = sample_rate
        # Parts may be shorter than an excerpt.
        self._fusion = None if fusion is None else dataclasses.replace(fusion, min_seconds=WINDOW_SECONDS)
        self._marked = marked
        self._least = least
        self._stream: ProbabilityStream | FusedStream | None = None
        self._resampler = StreamResampler(sample_rate, SAMPLE_RATE, 1)
        self._pieces: list[Float32[np.ndarray, "S N"]] = []

    def push(self, samples: Float32[np.ndarray, " T"], position: int) -> None:
        """Take the samples of the next block, which begins at frame ``position`` of the track."""
        while self.parts:
            # Window w of a stream is centred at its frame 1024 w: a part begins at the centre of its first window.
            start, end = (edge * HOP_FRAMES * self._rate // SAMPLE_RATE for edge in self.parts[0])
            if start >= position + len(samples):
                return
            if self._stream is None:
                self._begin(*self.parts[0])
            self._send(samples[max(start - position, 0) : max(end - position, 0)])
            if end > position + len(samples):
                return
            self.finish()

    def finish(self) -> None:
        """End the part at hand and take its probabilities in the marked windows."""
        if self._stream is None:
            return
        self._send(np.zeros(0, dtype=np.float32), last=True)
        probabilities = np.concatenate([*self._pieces, self._stream.finish()], axis=1)
        first, _ = self.parts.pop(0)
        part = self._least[:, first : first + probabilities.shape[1]]
        marked = self._marked[first : first + part.shape[1]]
        part[:, marked] = np.minimum(part[:, marked], probabilities[:, : part.shape[1]][:, marked])
        self._stream = None

    def _begin(self, first: int, after: int) -> None:
        self._resampler = StreamResampler(self._rate, SAMPLE_RATE, 1)
        self._stream = joint_stream(ProbabilityStream(self._model), self._fusion, self._marked[first:after])
        self._pieces = []

    def _send(self, samples: Float32[np.ndarray, " T"], last: bool = False) -> None:
        assert self._stream is not None
        self._pieces.append(self._stream.push(self._resampler(samples[:, None], last=last)[:, 0]))
