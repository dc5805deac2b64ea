"""Bench of a study: trains what an arm needs, once for all studies that share the folder, and scores test songs."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from remix_miner.checkpoint import weights_path
from remix_miner.config import to_mapping
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.runs.folder import RunFolder
from remix_miner.separators.base import Separator
from remix_miner.separators.loading import load_separator, save_separator
from remix_miner.separators.overlap_add import separate
from remix_miner.sources import SOURCES
from remix_miner.studies.perturbation import Perturbation, perturb
from remix_miner.studies.plan import Arm
from remix_miner.studies.scale import Scale
from remix_miner.studies.songs import Split, StudySongs, read_middle
from remix_miner.training.loop import Training
from remix_miner.training.run.distributed import Ranks, choose_device
from remix_miner.training.run.prepare import Inputs, prepare
from remix_miner.training.settings import TrainingSettings

AVERAGE = "average"
"""Folder of a run with the model that is scored: the averaged one, or the raw one where there is no average."""
Estimator = Callable[[Float32[np.ndarray, "C T"], str], Float32[np.ndarray, "S C T"]]
"""From a mixture and its song's name to estimates in the order of SOURCES."""
SetScores = dict[str, dict[str, list[float]]]
"""Song -> source -> uSDR in dB, one for each draw of the test set; nan for a silent reference."""


@dataclass(frozen=True)
class Bench:
    """Place of one seed's runs. ``work``: folder of songs and trained models, which studies may share.

    ``mined``: excerpts for arms with remix steps.
    """

    scale: Scale
    songs: StudySongs
    work: Path
    seed: int
    device: str = "auto"
    mined: Path | None = None

    @property
    def split(self) -> Split:
        """The songs of this seed."""
        return self.songs.split(self.scale.seeds.index(self.seed))

    def digest(self, arm: Arm) -> str:
        """Return a name for all that determines the scores of an arm: settings, songs, shifts, the study's options."""
        settings = self.scale.settings_of(arm, self.seed)
        return _digest(
            [
                self.model_name(settings, arm),
                arm.shifts,
                self.scale.test_seconds,
                [song.name for song in self.split.test],
                *([self.scale.options] if self.scale.options else []),
            ]
        )

    def model_name(self, settings: TrainingSettings, arm: Arm | None = None, parts: Sequence[str] = ()) -> str:
        """Return the name of a trained model's folder: the separator, then a digest of settings and songs."""
        songs = self._train_songs(arm)
        mined = str(self.mined.resolve()) if self.mined is not None and arm is not None and arm.remixed else None
        return f"{settings.separator.name}-{_digest([_stated(settings), [song.name for song in songs], mined, *parts])}"

    def train(self, arm: Arm) -> Separator:
        """Return the trained model of an arm; see `train_with`."""
        return self.train_with(self.scale.settings_of(arm, self.seed), arm)

    def train_with(
        self, settings: TrainingSettings, arm: Arm | None = None, parts: Mapping[str, str] | None = None
    ) -> Separator:
        """Return the averaged model of a training run (the raw one where there is no average).

        A run that is there is loaded, one that was interrupted continues. ``parts``: trained models that the separator
        is made of, by source.
        """
        folder = RunFolder(self.folder_of(settings, arm, parts))
        device = choose_device(self.device)
        if weights_path(folder.path / AVERAGE).is_file():
            finished: Separator = load_separator(folder.path / AVERAGE, device)
            return finished
        training = self.prepare(settings, folder, arm, parts)
        training.run()
        model = list(training.learner.candidates().values())[-1]
        model.eval()
        save_separator(folder.path / AVERAGE, model)
        return model

    def prepare(
        self,
        settings: TrainingSettings,
        folder: RunFolder,
        arm: Arm | None = None,
        parts: Mapping[str, str] | None = None,
    ) -> Training:
        """Return a training run before its next step."""
        mined = self.mined if arm is not None and arm.remixed else None
        inputs = Inputs(self._train_songs(arm), mined=mined, cache=self.work / "cache", parts=parts or {})
        ranks = Ranks(device=choose_device(self.device))
        return prepare(settings, inputs, folder, ranks, resume=folder.exists)

    def trained(self, arm: Arm) -> Path:
        """Return the folder of an arm's averaged model, trained where it is not there."""
        self.train(arm)
        return self.folder_of(self.scale.settings_of(arm, self.seed), arm) / AVERAGE

    def folder_of(
        self, settings: TrainingSettings, arm: Arm | None = None, parts: Mapping[str, str] | None = None
    ) -> Path:
        """Return the folder of a training run."""
        names = sorted(Path(part).parent.name for part in (parts or {}).values())
        return self.work / "models" / self.model_name(settings, arm, names)

    def estimator(self, model: Separator, shifts: int = 0) -> Estimator:
        """Return a trained model as an estimator; sources that it lacks are silence."""

        def estimate(mixture: Float32[np.ndarray, "C T"], song: str) -> Float32[np.ndarray, "S C T"]:
            found = separate(model, mixture, shifts=shifts, seed=self.seed).numpy()
            estimates = np.zeros((len(SOURCES), *mixture.shape), dtype=np.float32)
            for source, signal in zip(model.sources, found, strict=True):
                estimates[SOURCES.index(source)] = signal
            return estimates

        return estimate

    def score(self, estimate: Estimator, perturbation: Perturbation) -> SetScores:
        """Return the uSDR of each test song; a draw depends on the song's name and the draw's number alone."""
        return {song.name: self._score_song(estimate, song, perturbation) for song in self.split.test}

    def _score_song(self, estimate: Estimator, song: Path, perturbation: Perturbation) -> dict[str, list[float]]:
        stems, rate = read_middle(song, self.scale.test_seconds)
        found: dict[str, list[float]] = {source: [] for source in SOURCES}
        for draw in range(perturbation.draws):
            references = perturb(stems, rate, perturbation, np.random.default_rng([draw, *song.name.encode()]))
            for source, value in zip(
                SOURCES, usdr(references, estimate(references.sum(axis=0), song.name)), strict=True
            ):
                found[source].append(float(value))
        return found

    def _train_songs(self, arm: Arm | None) -> Sequence[Path]:
        return self.split.train if arm is None else self.split.drawn(arm.songs, self.seed)


def mixture_as_estimates(mixture: Float32[np.ndarray, "C T"], song: str) -> Float32[np.ndarray, "S C T"]:
    """Return the mixture as the estimate of every source: what a separator must beat."""
    return np.broadcast_to(mixture, (len(SOURCES), *mixture.shape))


class Stopwatch:
    """An estimator that measures itself. ``cost``: CPU seconds per second of audio."""

    def __init__(self, estimate: Estimator) -> None:
        self.estimate, self.seconds, self.frames = estimate, 0.0, 0

    def __call__(self, mixture: Float32[np.ndarray, "C T"], song: str) -> Float32[np.ndarray, "S C T"]:
        started = time.process_time()
        estimates = self.estimate(mixture, song)
        self.seconds += time.process_time() - started
        self.frames += mixture.shape[-1]
        return estimates

    def cost(self, sample_rate: int) -> float:
        """Return the CPU seconds for a second of audio."""
        return round(self.seconds * sample_rate / max(self.frames, 1), 4)


def with_seed(bench: Bench, seed: int) -> Bench:
    """Return the same bench for another seed."""
    return dataclasses.replace(bench, seed=seed)


_ABSENT = object()


def _stated(settings: TrainingSettings) -> dict[str, Any]:
    """Return the settings that differ from the defaults: a setting that is added later changes no name."""
    defaults = to_mapping(TrainingSettings())

    def changed(values: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
        found = {}
        for name, value in values.items():
            before = default.get(name, _ABSENT)
            if isinstance(value, dict) and isinstance(before, dict):
                value = changed(value, before)
                if value:
                    found[name] = value
            elif value != before:
                found[name] = value
        return found

    return changed(to_mapping(settings), defaults)


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:12]
