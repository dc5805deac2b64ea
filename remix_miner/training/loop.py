"""The training loop: supervised steps, remix steps between them, validation, checkpoints.

A run stops after any step and continues exactly (to the last bit on a CPU): weights, averages, both optimisers, random
states and the samplers' positions are all in one checkpoint.
"""

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch

from remix_miner.errors import DataError
from remix_miner.processes.interrupts import Interrupts
from remix_miner.progress import Progress
from remix_miner.runs.checkpoints import STOPPING, CheckpointSchedule, random_state, set_random_state
from remix_miner.runs.folder import Record, RunFolder, finite
from remix_miner.separators.base import count_parameters
from remix_miner.separators.loading import save_separator
from remix_miner.training.batches.feeding import Feed
from remix_miner.training.batches.samplers import RemixBatch, StemBatch
from remix_miner.training.batches.target_batches import TargetBatch, TargetSampler
from remix_miner.training.learner import Learner
from remix_miner.training.step_means import StepMeans
from remix_miner.training.steps import NonFiniteLoss, main_step, remix_step
from remix_miner.training.validation import Validator


class Training:
    """One run. ``stems`` and ``remixes`` feed this rank's batches; without ``remixes`` there are no remix steps.

    `run` trains until the settings' last epoch and returns the best validation's record, or None without validation.
    ``remix_share``: share of the settings' remix steps that are made. ``provenance``: what the model's JSON states of
    its data. `notices`: lines to show before the first step.
    """

    def __init__(
        self,
        learner: Learner,
        stems: Feed[StemBatch] | Feed[TargetBatch],
        remixes: Feed[RemixBatch] | None,
        validator: Validator | None,
        folder: RunFolder,
        steps_per_epoch: int,
        *,
        remix_share: float = 1.0,
        provenance: Record | None = None,
    ) -> None:
        self.learner = learner
        self.settings = learner.settings
        self.ranks = learner.ranks
        self.stems = stems
        self.remixes = remixes
        self.validator = validator if self.settings.validation.every_epochs else None
        self.folder = folder
        self.steps_per_epoch = steps_per_epoch
        self.remix_probability = self.settings.remix.probability * remix_share
        self.provenance = provenance or {}
        self.notices: list[str] = []
        # The same on every rank: a rank that took a remix step alone would drift away from the others.
        self.remix_generator = torch.Generator().manual_seed(self.settings.seed)
        self.epoch = 0
        self.step = 0  # within the epoch
        self.best: Record | None = None
        self.schedule = CheckpointSchedule(self.settings.checkpoint_every_steps)
        self._means = StepMeans()

    def run(self) -> Record | None:
        total = self.settings.epochs * self.steps_per_epoch
        with Interrupts(STOPPING) as interrupts, self._closing_feeds(), _progress(total, self.ranks.first) as progress:
            progress.advance(self.steps_done)
            while self.epoch < self.settings.epochs:
                self.learner.start_epoch(self.epoch)
                while self.step < self.steps_per_epoch:
                    self._means.add(self._one_step())
                    progress.advance(1, self._note())
                    self._after_step(interrupts)
                self.epoch, self.step = self.epoch + 1, 0
                self._end_epoch()
        return self.best

    def describe(self) -> str:
        """Return a line for people: the model, the length of the run, its remix steps."""
        model, songs = self.learner.model, self.validator.tracks if self.validator else []
        remix = f", remixed with probability {self.remix_probability:.3g}" if self.remixes is not None else ""
        if isinstance(self.stems.sampler, TargetSampler):
            remix = f", {self.stems.sampler.share:.0%} of the examples made of excerpts"
        return (
            f"{model.name}, {count_parameters(model) / 1e6:.2f} M parameters, {self.steps_done} of "
            f"{self.settings.epochs * self.steps_per_epoch} steps done{remix}, {len(songs)} songs to validate on"
        )

    @property
    def steps_done(self) -> int:
        """Number of main steps since the start of the run."""
        return self.epoch * self.steps_per_epoch + self.step

    def _one_step(self) -> Record:
        """Make a main step, and with the settings' probability a remix step after it."""
        try:
            record: Record = {"loss": main_step(self.learner, self.stems)}
            if self.remixes is not None and self._draw_remix() < self.remix_probability:
                record |= remix_step(self.learner, self.remixes)
        except NonFiniteLoss as error:
            path = self.folder.keep_batch(error.batch, self.steps_done)
            raise DataError(
                f"the loss is {error.loss} in step {self.steps_done} (epoch {self.epoch}); the batch is kept in "
                f"{path}. If it holds bad audio, repair that and --resume; otherwise start anew with a lower "
                "optimizer.learning_rate or with optimizer.clip_norm"
            ) from error
        self.learner.update_average()
        self.step += 1
        return record

    @contextlib.contextmanager
    def _closing_feeds(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.stems.close()
            if self.remixes is not None:
                self.remixes.close()

    def _draw_remix(self) -> float:
        return torch.rand((), generator=self.remix_generator).item()

    def _after_step(self, interrupts: Interrupts) -> None:
        if self.steps_done % self.settings.log_every_steps == 0:
            summaries = self.ranks.gather(self._means.summary(self.settings.batch_size))
            means = {name: sum(summary[name] for summary in summaries) / len(summaries) for name in summaries[0]}
            self._log(kind="step", **means, learning_rate=self.learner.optimizer.param_groups[0]["lr"])
        # Ranks decide together: each has its own clock, and may be the only one that a signal reaches.
        stop, due = self.ranks.any(interrupts.requested, self.schedule.due(self.steps_done))
        if stop or (due and self.step < self.steps_per_epoch):
            self.save()
        if stop:
            raise KeyboardInterrupt(f"step {self.steps_done} is saved, and --resume continues there")

    def _end_epoch(self) -> None:
        if self.validator is None:
            self._keep("raw", {})
        elif self.epoch % self.settings.validation.every_epochs == 0 or self.epoch == self.settings.epochs:
            self._validate(self.validator)
        self.save()

    def _validate(self, validator: Validator) -> None:
        """Score the raw and the averaged model; keep the better one if it beats all before it."""
        for which, model in self.learner.candidates().items():
            record = {"model": which, **validator(model).record()}
            self._log(kind="validation", **record)
            if self.best is None or _rank(record) > _rank(self.best):
                self.best = {"epoch": self.epoch, "step": self.steps_done, **record}
                self._keep(which, self.best)

    def _keep(self, which: str, validation: Record) -> None:
        if self.ranks.first:
            trained = {"epoch": self.epoch, "step": self.steps_done, "which": which, "validation": finite(validation)}
            save_separator(self.folder.path, self.learner.candidates()[which], trained=trained, **self.provenance)

    def save(self) -> None:
        """Write the checkpoint. Collective: every rank contributes its random state and its position in the data."""
        mine = {
            "random": random_state(self.ranks.device),
            "stems": self.stems.state_dict(),
            "remixes": self.remixes.state_dict() if self.remixes is not None else None,
        }
        states = self.ranks.gather(mine)
        if self.ranks.first:
            self.folder.save_state(
                {
                    "epoch": self.epoch,
                    "step": self.step,
                    "best": self.best,
                    "remix_generator": self.remix_generator.get_state(),
                    "chosen": self.validator.chosen if self.validator is not None else None,
                    "learner": self.learner.state_dict(),
                    "ranks": states,
                }
            )
        self.ranks.gather(None)  # the file is there before any rank continues or exits
        self.schedule.saved()

    def resume(self) -> None:
        """Continue from the folder's checkpoint; the number of processes must be the same."""
        state = self.folder.load_state()
        if len(state["ranks"]) != self.ranks.world_size:
            raise DataError(
                f"the run was made by {len(state['ranks'])} processes, this is {self.ranks.world_size}; "
                "resume it with as many, since each has its own position in the data"
            )
        mine = state["ranks"][self.ranks.rank]
        self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
        self.remix_generator.set_state(state["remix_generator"])
        self.learner.load_state_dict(state["learner"])
        self.stems.load_state_dict(mine["stems"])
        if self.remixes is not None:
            self.remixes.load_state_dict(mine["remixes"])
        if self.validator is not None:
            self.validator.chosen = state["chosen"]
        set_random_state(mine["random"], self.ranks.device)
        if self.ranks.first:
            self.folder.truncate_log(self.steps_done)

    def _log(self, **record: Any) -> None:
        if self.ranks.first:
            self.folder.log({**record, "epoch": self.epoch, "step": self.steps_done})

    def _note(self) -> str:
        best = f", best uSDR {self.best['usdr_mean']:.2f} dB" if self.best else ""
        return f"epoch {self.epoch + 1}/{self.settings.epochs}, loss {self._means.last_loss:.4g}{best}"


def _rank(validation: Record) -> float:
    """Return the score that models are compared by; without any score, the lowest."""
    mean: float = validation["usdr_mean"]
    return -math.inf if math.isnan(mean) else mean


def _progress(total: int, first: bool) -> Any:
    return Progress("training", total, "steps") if first else contextlib.nullcontext(_Silent())


class _Silent:
    """Progress of ranks other than the first: none."""

    def advance(self, steps: float = 1, note: str | None = None) -> None:
        pass
