"""Parts of a track that cancel in the mean of its channels, which is what the detector receives.

A source whose channels have opposite signs is weak in the mean or missing from it: drums with L = -R, vocals with
R = -0.7 L. Where audible parts cancel, the detector is also applied to the channel of which they take the largest
share (`judged_channels`), and only windows that are silent in both are mined. A single channel resembles the
detector's training material, unlike the difference of two.

In a cell of a spectrogram, let A be the mean energy of the C channels and M the energy of their mean. In phase M = A,
for independent channels M = A / C on average, and M stays far below only by cancellation. Cells of 0.64 s with
M < A / (3 C) (for stereo: the side 7 dB above the mid) are cancelled; independent channels get there in one cell of a
thousand. A window matters when its cancelled cells hold -20 dB of its energy, the level at which a source is no longer
silent. In stereo, what is cancelled is at most 8.4 dB softer in one channel than in the other, so one channel is
enough. A sound lies in ten windows; where it reaches -20 dB in fewer than five of them, it does not matter.
"""

import numpy as np
import scipy.fft
from jaxtyping import Bool, Float32

from remix_miner.audio import Block
from remix_miner.detector.evidence import in_long_runs, runs
from remix_miner.detector.windows import HOP_FRAMES, HOP_SECONDS, SAMPLE_RATE, WINDOW_FRAMES
from remix_miner.volume import SILENT_MINING_DB

CANCELLED = 1 / 3
LEAST_SHARE = 10 ** (SILENT_MINING_DB / 10)
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
