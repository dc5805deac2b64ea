"""Training the silent-source detector: draw mixes, estimate, sum of binary cross-entropies, step.

Défossez et al. 2019, sections 4.1 and 5.2. Validation is on songs, whole, by the area under the ROC curve per source;
the averaged weights with the best mean area are kept.
"""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from remix_miner.atomic import atomic_path, write_json
from remix_miner.checkpoint import save_model, versions
from remix_miner.config import to_mapping
from remix_miner.detector.features import Level
from remix_miner.detector.loading import LoadedDetector
from remix_miner.detector.networks import NAME, Network, SilentSourceDetector, build_detector
from remix_miner.detector.training.material import PEAK, Material, Song, WeakSong
from remix_miner.detector.training.mixing import Mixer, MixingSettings
from remix_miner.detector.training.validation import silence_auc, validation_mixes
from remix_miner.detector.windows import HOP_FRAMES, HOP_SECONDS, SAMPLE_RATE, window_volumes_db
from remix_miner.errors import DataError, UsageError
from remix_miner.progress import Progress
from remix_miner.volume import SILENT_TRAINING_DB


@dataclass(frozen=True)
class NetworkSettings:
    """Constructor settings of `SilentSourceDetector`; None takes the network's own width and hidden size."""

    network: Network = "small"
    width: int | None = None
    hidden: int | None = None
    dropout: float = 0.18
    level: Level = "local"
    level_frames: int = 255
    floor: float = 3e-5


@dataclass(frozen=True)
class DetectorTrainingSettings:
    """Everything that decides a detector's weights, beside the material.

    Length is given by ``steps``, or, where that is None, by ``epochs`` passes over as many segments as the songs have
    at ``stride_seconds`` (the paper's epoch, section 5.2). ``silent_db``: V_i at or below it is the label 'silent'.
    ``teacher_share``: how much of a label is the teacher's probability, where there is a teacher.
    """

    network: NetworkSettings = field(default_factory=NetworkSettings)
    mixing: MixingSettings = field(default_factory=MixingSettings)
    steps: int | None = None
    epochs: int = 40
    stride_seconds: float = 0.5
    batch_size: int = 32
    learning_rate: float = 5e-4
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_steps: int = 100
    weight_decay: float = 0.0
    clip_norm: float = 5.0
    ema_decay: float = 0.998
    silent_db: float = SILENT_TRAINING_DB
    teacher_share: float = 0.5
    precision: Literal["float32", "bfloat16"] = "float32"
    validate_every: int = 250
    seed: int = 0

    def __post_init__(self) -> None:
        if self.batch_size < 1 or (self.steps is not None and self.steps < 1):
            raise ValueError("batch_size and steps are positive")
        if not 0 <= self.teacher_share <= 1:
            raise ValueError(f"teacher_share is in [0, 1], got {self.teacher_share}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is in [0, 1), got {self.ema_decay}")


def silence_labels(volumes_db: Float[Tensor, "*B S W"], silent_db: float) -> Float[Tensor, "*B S W"]:
    """1 where V_i <= ``silent_db``, 0 above, nan where the mixture is silent and no label exists."""
    return torch.where(volumes_db.isnan(), torch.nan, (volumes_db <= silent_db).float())


def masked_bce(logits: Float[Tensor, "B S W"], labels: Float[Tensor, "B S W"]) -> Tensor:
    """Sum over sources of the mean binary cross-entropy over labelled windows; nan labels count for nothing."""
    known = ~labels.isnan()
    losses = F.binary_cross_entropy_with_logits(logits, labels.nan_to_num(0.0), reduction="none") * known
    result: Tensor = (losses.sum(dim=(0, 2)) / known.sum(dim=(0, 2)).clamp_min(1)).sum()
    return result


@torch.no_grad()
def taught(
    labels: Float[Tensor, "B S W"], audio: Float[Tensor, "B T"], teacher: SilentSourceDetector, share: float
) -> Float[Tensor, "B S W"]:
    """Labels of which ``share`` is the teacher's probability, and all of it where only some sources are known.

    Windows without any label keep having none: the mixture may be silent there.
    """
    probabilities = torch.sigmoid(teacher(audio))
    mixed = torch.where(labels.isnan(), probabilities, (1 - share) * labels + share * probabilities)
    return mixed.masked_fill(labels.isnan().all(dim=1, keepdim=True), torch.nan)


class MixBatches(Dataset[tuple[Tensor, Tensor]]):
    """Batch ``step`` of a run: (audio or features, labels). It depends on the seed and the step alone."""

    def __init__(
        self,
        material: Material,
        settings: DetectorTrainingSettings,
        model: SilentSourceDetector | None,
        teacher: SilentSourceDetector | None = None,
    ) -> None:
        self.mixer = Mixer(material, settings.mixing)
        self.weak = [song for song in material.weak if len(song.audio) >= settings.mixing.frames]
        self.settings = settings
        self.features = None if model is None else model.features
        self.teacher = teacher

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([self.settings.seed, step])
        audio, labels = zip(*(self._example(rng) for _ in range(self.settings.batch_size)), strict=True)
        heard, targets = torch.from_numpy(np.stack(audio)), torch.stack(labels)
        if self.features is not None:
            if self.teacher is not None:
                targets = taught(targets, heard, self.teacher, self.settings.teacher_share)
            heard = self.features(heard).half()
        return heard, targets

    def _example(self, rng: np.random.Generator) -> tuple[Float[np.ndarray, " T"], Tensor]:
        if self.weak and rng.random() < self.settings.mixing.weak:
            return _weak_example(self.weak[rng.integers(len(self.weak))], self.settings.mixing.segment_windows, rng)
        mix = self.mixer.draw(rng)
        labels = silence_labels(window_volumes_db(torch.from_numpy(mix.stems)), self.settings.silent_db)
        labels[~torch.from_numpy(mix.known)] = torch.nan
        return mix.mixture, labels


def _weak_example(song: WeakSong, windows: int, rng: np.random.Generator) -> tuple[Float[np.ndarray, " T"], Tensor]:
    first = int(rng.integers(len(song.audio) // HOP_FRAMES - windows + 1))
    cut = song.audio[first * HOP_FRAMES : (first + windows) * HOP_FRAMES].astype(np.float32) / PEAK
    return cut, torch.from_numpy(song.silent[:, first : first + windows].copy())


def train_detector(
    material: Material,
    validation: Sequence[Song],
    settings: DetectorTrainingSettings,
    out: Path,
    *,
    device: str = "cpu",
    workers: int = 0,
    resume: bool = False,
    initial: LoadedDetector | None = None,
    teacher: LoadedDetector | None = None,
    provenance: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train into the run folder ``out`` and return its summary (steps, best validation areas).

    ``out`` gets settings.json, log.jsonl, the best weights as model.safetensors with model.json, and training.pt to
    resume from. ``initial``: start from these weights instead of random ones. ``teacher``: a detector, of any network,
    whose probabilities are part of the labels (``teacher_share``), and all of them where a source is not known. Raises
    `UsageError` when ``out`` holds a run and ``resume`` is not set, `DataError` when a loss is not a number.
    """
    state_path = out / "training.pt"
    if state_path.exists() and not resume:
        raise UsageError(f"{out} holds a run; continue it with --resume or choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    plain = to_mapping(settings)
    decided_by = plain if teacher is None else {**plain, "teacher": teacher.sha256}
    torch.manual_seed(settings.seed)
    model = build_detector(dataclasses.asdict(settings.network)).to(device)
    if initial is not None:
        if initial.model.settings != model.settings:
            raise UsageError(
                f"{initial.name} has other network settings ({initial.model.settings}) than {model.settings}"
            )
        model.load_state_dict(initial.model.state_dict())
    if teacher is not None:
        teacher.model.to(device)
    origins = {"initial": initial, "teacher": teacher}
    provenance = (provenance or {}) | {
        role: {"name": one.name, "sha256": one.sha256} for role, one in origins.items() if one is not None
    }
    average: Any = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.0), use_buffers=True)  # type: ignore[no-untyped-call]
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = settings.steps or _steps_of_epochs(material.songs, settings)
    mixes = validation_mixes(validation)
    progress_state: dict[str, Any] = {"step": 0, "best": None}
    if resume and state_path.exists():
        progress_state = _restore(state_path, model, average, optimizer, decided_by)
    write_json(out / "settings.json", {"settings": plain, "versions": versions(), "provenance": provenance})
    steps_left = range(progress_state["step"], steps)
    asked = None if teacher is None else teacher.model
    batches = _batches(material, settings, model, asked, device, workers, steps_left)
    with Progress("training the detector", total=steps, unit="steps") as progress:
        progress.advance(progress_state["step"])
        for step, (heard, labels) in zip(steps_left, batches, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(settings, step, steps)
            model.train()
            heard, labels = heard.to(device), labels.to(device)
            if heard.dim() == 2 and teacher is not None:
                labels = taught(labels, heard, teacher.model, settings.teacher_share)
            features = model.features(heard) if heard.dim() == 2 else heard.float()
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
                logits = model.logits(features)
            loss = masked_bce(logits.float(), labels)
            if not torch.isfinite(loss):
                raise DataError(f"loss is {loss.item()} at step {step}; lower learning_rate or check the material")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
            optimizer.step()
            # A young average would mostly be the random start: its memory grows with its age up to the decay asked for.
            decay = min(settings.ema_decay, (step + 1) / (step + 10))
            average.multi_avg_fn = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
            average.update_parameters(model)
            record: dict[str, Any] = {"step": step + 1, "loss": round(loss.item(), 5)}
            due = (step + 1) % settings.validate_every == 0 or step + 1 == steps
            if due:
                record["auc"] = silence_auc(average.module.eval(), mixes)
                better = _mean(record["auc"]) >= _mean(progress_state["best"])
                progress_state = {"step": step + 1, "best": record["auc"] if better else progress_state["best"]}
                if better:
                    description = {
                        "name": NAME,
                        "settings": model.settings,
                        "step": step + 1,
                        "validation_auc": record["auc"],
                    }
                    save_model(out, average.module.state_dict(), {**description, "training": plain, **provenance})
                _save(state_path, model, average, optimizer, decided_by, progress_state)
            with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(record) + "\n")
            progress.advance(note=f"loss {loss.item():.3f}")
    return {"steps": steps, "validation_auc": progress_state["best"], "out": str(out)}


def learning_rate(settings: DetectorTrainingSettings, step: int, steps: int) -> float:
    """Linear warm-up, then constant (the paper's) or half a cosine down to zero."""
    warm = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    if settings.schedule == "constant":
        return settings.learning_rate * warm
    return settings.learning_rate * warm * 0.5 * (1 + float(np.cos(np.pi * step / steps)))


def _batches(
    material: Material,
    settings: DetectorTrainingSettings,
    model: SilentSourceDetector,
    teacher: SilentSourceDetector | None,
    device: str,
    workers: int,
    steps: range,
) -> Iterator[tuple[Tensor, Tensor]]:
    on_cpu = torch.device(device).type == "cpu"
    dataset = MixBatches(material, settings, model, teacher) if on_cpu else MixBatches(material, settings, None)
    # A generator of its own: without one the loader draws from the stream that dropout uses, and a resumed run differs.
    own = torch.Generator().manual_seed(settings.seed)
    loader = DataLoader(
        dataset, batch_size=None, sampler=steps, num_workers=workers, pin_memory=not on_cpu, generator=own
    )
    return iter(loader)


def _steps_of_epochs(songs: Sequence[Song], settings: DetectorTrainingSettings) -> int:
    length = settings.mixing.segment_windows * HOP_SECONDS
    seconds = [song.stems.shape[1] / SAMPLE_RATE for song in songs]
    extracts = sum(int(max(total - length, 0) / settings.stride_seconds) + 1 for total in seconds)
    if not extracts:
        raise UsageError("epochs count extracts of songs with stems, and there are none; set steps instead")
    return max(settings.epochs * extracts // settings.batch_size, 1)


def _mean(areas: dict[str, float | None] | None) -> float:
    known = [area for area in (areas or {}).values() if area is not None]
    return sum(known) / len(known) if known else 0.0


def _save(
    path: Path, model: Any, average: Any, optimizer: Any, settings: dict[str, Any], progress: dict[str, Any]
) -> None:
    state = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
        "progress": progress,
        "settings": json.dumps(settings, sort_keys=True),
    }
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def _restore(path: Path, model: Any, average: Any, optimizer: Any, settings: dict[str, Any]) -> dict[str, Any]:
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["settings"] != json.dumps(settings, sort_keys=True):
        raise UsageError(
            f"{path} was trained with other settings or another teacher; see settings.json beside it, "
            "or choose another --out"
        )
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    progress: dict[str, Any] = state["progress"]
    return progress
