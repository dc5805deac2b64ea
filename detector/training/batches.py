"""Batches of detector training: mixes and weakly labelled segments, drawn in worker processes."""

import signal
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.training.material import PEAK, Material, WeakSong
from remix_miner.detector.training.mixing import DetectorMixer
from remix_miner.detector.training.settings import DetectorTrainingSettings
from remix_miner.detector.training.targets import distillation_targets, silence_labels
from remix_miner.detector.window_volumes import window_volumes_db
from remix_miner.detector.windows import HOP_FRAMES


class DetectorBatch(NamedTuple):
    """Input and labels (B, S, W). ``input`` is audio (B, T), or on a CPU the network's features as float16."""

    input: Tensor
    labels: Tensor


class DetectorBatches(Dataset[DetectorBatch]):
    """Data set of a run's batches by step; a batch depends on the seed and its step only.

    ``model``: the network whose features the workers compute, or None for audio. ``teacher``: see
    `targets.distillation_targets`.
    """

    def __init__(
        self,
        material: Material,
        settings: DetectorTrainingSettings,
        model: SilentSourceDetector | None,
        teacher: SilentSourceDetector | None = None,
    ) -> None:
        self.mixer = DetectorMixer(material, settings.mixing)
        self.weak = [song for song in material.weak if len(song.audio) >= settings.mixing.frames]
        self.settings = settings
        self.features = None if model is None else model.features
        self.teacher = teacher

    def __getitem__(self, step: int) -> DetectorBatch:
        rng = np.random.default_rng([self.settings.seed, step])
        examples = [self._example(rng) for _ in range(self.settings.batch_size)]
        audio = torch.from_numpy(np.stack([mixture for mixture, _ in examples]))
        labels = torch.stack([labels for _, labels in examples])
        if self.features is None:
            return DetectorBatch(audio, labels)
        if self.teacher is not None:
            labels = distillation_targets(labels, audio, self.teacher, self.settings.teacher_share)
        return DetectorBatch(self.features(audio).half(), labels)

    def _example(self, rng: np.random.Generator) -> tuple[Float[np.ndarray, " T"], Float[Tensor, "S W"]]:
        if self.weak and rng.random() < self.settings.mixing.weak:
            return _weak_example(self.weak[rng.integers(len(self.weak))], self.settings.mixing.segment_windows, rng)
        mix = self.mixer.draw(rng)
        labels = silence_labels(window_volumes_db(torch.from_numpy(mix.stems)), self.settings.silent_db)
        labels[~torch.from_numpy(mix.known)] = torch.nan
        return mix.mixture, labels


def load_batches(
    material: Material,
    settings: DetectorTrainingSettings,
    model: SilentSourceDetector,
    teacher: SilentSourceDetector | None,
    *,
    device: torch.device,
    workers: int,
    steps: range,
) -> Iterator[DetectorBatch]:
    """Iterate over the batches ``steps``. On a CPU the workers compute features and teacher probabilities too."""
    on_cpu = device.type == "cpu"
    batches = DetectorBatches(material, settings, *((model, teacher) if on_cpu else (None,)))
    # The loader seeds its workers from this generator, not from the global one that dropout uses: a resumed run would
    # differ otherwise.
    generator = torch.Generator().manual_seed(settings.seed)
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        pin_memory=not on_cpu,
        generator=generator,
        worker_init_fn=_ignore_interrupts,
    )
    return iter(loader)


def _ignore_interrupts(worker: int) -> None:
    """Ignore Ctrl-C in a worker; the training loop handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _weak_example(
    song: WeakSong, windows: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " T"], Float[Tensor, "S W"]]:
    first = int(rng.integers(len(song.audio) // HOP_FRAMES - windows + 1))
    cut = song.audio[first * HOP_FRAMES : (first + windows) * HOP_FRAMES].astype(np.float32) / PEAK
    return cut, torch.from_numpy(song.silent[:, first : first + windows].copy())
