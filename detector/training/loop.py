"""Training loop of the silent-source detector: steps, validation, checkpoints.

The loss is a sum of binary cross-entropies (Défossez et al. 2019, sections 4.1 and 5.2). The metric of validation is
the area under the ROC curve per source on whole songs; the averaged weights with the best mean area are kept.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from remix_miner.checkpoint import save_model
from remix_miner.config import to_mapping
from remix_miner.detector.description import DETECTOR_NAME
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.training.batches import DetectorBatch, load_batches
from remix_miner.detector.training.material import Material, Song
from remix_miner.detector.training.settings import DetectorTrainingSettings, learning_rate
from remix_miner.detector.training.targets import distillation_targets, masked_bce
from remix_miner.detector.training.validation import silence_auc, validation_mixes
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE
from remix_miner.errors import DataError, UsageError
from remix_miner.processes.interrupts import Interrupts
from remix_miner.progress import Progress
from remix_miner.runs.average import Ema
from remix_miner.runs.checkpoints import STOPPING, CheckpointSchedule, random_state, set_random_state
from remix_miner.runs.folder import RunFolder
from remix_miner.runs.precision import autocast, gradient_scaler

Areas = dict[str, float | None]


class DetectorTraining:
    """A training run into ``folder``; `run` trains to the last step, `resume` continues from a checkpoint.

    ``teacher``: a detector with any network. Its probabilities have the share ``teacher_share`` in the labels, and are
    the labels where a source has none. ``description``: added to the model's JSON.
    """

    def __init__(
        self,
        model: SilentSourceDetector,
        material: Material,
        validation_songs: list[Song],
        settings: DetectorTrainingSettings,
        folder: RunFolder,
        *,
        device: torch.device,
        teacher: SilentSourceDetector | None = None,
        description: dict[str, Any] | None = None,
    ) -> None:
        self.model = model.to(device)
        self.material = material
        self.settings = settings
        self.folder = folder
        self.device = device
        self.teacher = None if teacher is None else teacher.to(device)
        self.description = description or {}
        self.average = Ema(self.model, settings.ema_decay, memory="growing") if settings.ema_decay else None
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.scaler = gradient_scaler(device, settings.precision)
        self.validation_mixes = validation_mixes(validation_songs)
        self.schedule = CheckpointSchedule(settings.checkpoint_every)
        self.steps = settings.steps or _steps_of_epochs(material.songs, settings)
        self.step = 0
        self.best: Areas | None = None

    def run(self, workers: int = 0) -> dict[str, Any]:
        """Train to the last step; return the number of steps and the best validation's areas.

        Raises KeyboardInterrupt after Ctrl-C, with a checkpoint of the last step written.
        """
        batches = load_batches(
            self.material,
            self.settings,
            self.model,
            self.teacher,
            device=self.device,
            workers=workers,
            steps=range(self.step, self.steps),
        )
        with Interrupts(STOPPING) as interrupts, Progress("training the detector", self.steps, "steps") as progress:
            progress.advance(self.step)
            for batch in batches:
                loss = self._train_on(batch)
                self.step += 1
                self.folder.log({"kind": "step", "step": self.step, "loss": round(loss, 5)})
                progress.advance(note=f"loss {loss:.3f}")
                if self.step % self.settings.validate_every == 0 or self.step == self.steps:
                    self._validate()
                if interrupts.requested or self.schedule.due(self.step) or self.step == self.steps:
                    self.save()
                if interrupts.requested and self.step < self.steps:
                    raise KeyboardInterrupt(f"step {self.step} is saved, and --resume continues there")
        return {"steps": self.steps, "validation_auc": self.best, "out": str(self.folder.path)}

    def _train_on(self, batch: DetectorBatch) -> float:
        """Make one optimiser step and return its loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.settings, self.step, self.steps)
        self.model.train()
        features, labels = self._features_and_labels(batch)
        with autocast(self.device, self.settings.precision):
            logits = self.model.logits(features)
        loss = masked_bce(logits.float(), labels)
        if not torch.isfinite(loss):
            raise DataError(f"loss is {loss.item()} at step {self.step}; lower learning_rate or check the material")
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model)
        return loss.item()

    def _features_and_labels(self, batch: DetectorBatch) -> tuple[Tensor, Float[Tensor, "B S W"]]:
        """Return the network's features and the labels on the device; on a CPU the workers have computed both."""
        received, labels = batch.input.to(self.device), batch.labels.to(self.device)
        if received.dim() > 2:
            return received.float(), labels
        if self.teacher is not None:
            labels = distillation_targets(labels, received, self.teacher, self.settings.teacher_share)
        return self.model.features(received), labels

    def _validate(self) -> None:
        """Score the averaged weights on whole songs; keep them where they are at least as good as the best so far."""
        model = self.average.model if self.average is not None else self.model.eval()
        areas = silence_auc(model, self.validation_mixes)
        self.folder.log({"kind": "validation", "step": self.step, "auc": areas})
        if _mean(areas) >= _mean(self.best):
            self.best = areas
            found = {"step": self.step, "validation_auc": areas, "training": to_mapping(self.settings)}
            description = {"name": DETECTOR_NAME, "settings": self.model.settings, **found, **self.description}
            save_model(self.folder.path, model.state_dict(), description)

    def save(self) -> None:
        """Write a checkpoint of everything that the next steps depend on."""
        self.folder.save_state(
            {
                "step": self.step,
                "best": self.best,
                "model": self.model.state_dict(),
                "average": self.average.state_dict() if self.average is not None else None,
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                "random": random_state(self.device),
            }
        )
        self.schedule.saved()

    def resume(self) -> None:
        """Continue from the folder's checkpoint, and remove later records from the log."""
        state = self.folder.load_state()
        self.step, self.best = state["step"], state["best"]
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        set_random_state(state["random"], self.device)
        self.folder.truncate_log(self.step)


def _steps_of_epochs(songs: list[Song], settings: DetectorTrainingSettings) -> int:
    length = settings.mixing.segment_windows * HOP_SECONDS
    seconds = [song.stems.shape[1] / SAMPLE_RATE for song in songs]
    extracts = sum(int(max(total - length, 0) / settings.stride_seconds) + 1 for total in seconds)
    if not extracts:
        raise UsageError("epochs count extracts of songs with stems, and there are none; set steps instead")
    return max(settings.epochs * extracts // settings.batch_size, 1)


def _mean(areas: Areas | None) -> float:
    known = [area for area in (areas or {}).values() if area is not None]
    return sum(known) / len(known) if known else 0.0
