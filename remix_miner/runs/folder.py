"""Folder of a training run: settings.json, log.jsonl, the best model, and the checkpoint.

settings.json             settings, data with their fingerprint, versions, code, command
log.jsonl                 one JSON object a line: steps, validations
model.safetensors, .json  the best model so far
resume.pt                 state to continue from
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch

from remix_miner.atomic import atomic_path, remove_temporary_files, write_json, write_text
from remix_miner.checkpoint import versions
from remix_miner.errors import DataError, UsageError
from remix_miner.runs import checkpoints
from remix_miner.runs.code_version import code_version

Record = dict[str, Any]


class RunFolder:
    """Reads and writes the files of one run. In distributed training only the first rank writes.

    ``kind`` is what is trained, 'separator' or 'detector': a run of one is not resumed as the other.
    """

    def __init__(self, path: str | Path, tensorboard: bool = False, kind: str = "separator") -> None:
        self.path = Path(path)
        self.kind = kind
        self._log = self.path / "log.jsonl"
        self._board_class = _summary_writer() if tensorboard else None
        self._board: Any = None

    @property
    def exists(self) -> bool:
        """Whether the folder holds a checkpoint of a run."""
        return (self.path / checkpoints.NAME).is_file()

    def require_new(self) -> None:
        """Raise `UsageError` where the folder holds a run already, or is a file."""
        if self.exists:
            raise UsageError(f"{self.path} holds a run; pass --resume to continue it, or another --out")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"--out {self.path} is a file; name a folder for the run")

    def require_run(self) -> None:
        """Raise `UsageError` where the folder holds no run of this kind to resume."""
        if not self.exists:
            raise UsageError(f"{self.path} holds no run to resume; leave --resume out to start one")
        found = self.read_description().get("kind", self.kind)
        if found != self.kind and found in ("separator", "detector"):
            verbs = {"separator": "train", "detector": "train-detector"}
            raise UsageError(
                f"{self.path} holds the run of a {found}; resume it with remix-miner {verbs.get(found, 'train')}"
            )

    def write_description(self, settings: Record, data: Record, model: Record, resumed: bool = False) -> None:
        """Write settings.json, before the first step. A resumed run keeps the earlier descriptions in it.

        Also removes what a killed process left behind: temporary files, and the log of a run without a checkpoint.
        """
        description: Record = {
            "kind": self.kind,
            "settings": settings,
            "model": model,
            "data": data,
            "versions": versions(),
            "code": code_version(),
            "command": sys.argv,
        }
        remove_temporary_files(self.path)
        if resumed:
            before = self.read_description()
            description["resumed_from"] = [*before.pop("resumed_from", []), before]
        else:
            self._log.unlink(missing_ok=True)
        write_json(self.path / "settings.json", description)

    def read_description(self) -> Record:
        """Return the content of settings.json."""
        path = self.path / "settings.json"
        try:
            description: Record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} holds no run: {path.name} cannot be read ({error})") from error
        for section in ("settings", "data", "model"):
            if not isinstance(description, dict) or not isinstance(description.get(section), dict):
                raise DataError(f"{path} does not describe a run: it has no {section!r}; start anew with another --out")
        if not isinstance(description.get("resumed_from", []), list):
            raise DataError(f"{path} does not describe a run: 'resumed_from' is not a list; remove it")
        return description

    def log(self, record: Record) -> None:
        """Append a record with at least ``kind`` and ``step``; nan and infinity become null."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self._log, "a", encoding="utf-8") as file:
            file.write(json.dumps(finite(record), ensure_ascii=False, allow_nan=False) + "\n")
        if self._board_class is not None:
            self._board = self._board or self._board_class(str(self.path / "tensorboard"))
            for name, value in record.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{record['kind']}/{name}", value, record["step"])

    def read_log(self) -> list[Record]:
        """Return all records; a last line that a crash cut short is left out."""
        records = []
        for line in self._log.read_text(encoding="utf-8").splitlines() if self._log.is_file() else []:
            try:
                records.append(json.loads(line))
            except ValueError:
                break
        return records

    def truncate_log(self, step: int) -> None:
        """Remove the records of the log after ``step``; a resumed run writes them again."""
        kept = [record for record in self.read_log() if record["step"] <= step]
        write_text(self._log, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept))

    def save_state(self, state: Record) -> None:
        """Write the checkpoint."""
        checkpoints.save_checkpoint(self.path, state)

    def load_state(self) -> Record:
        """Return the checkpoint."""
        return checkpoints.load_checkpoint(self.path)

    def keep_batch(self, batch: Any, step: int) -> Path:
        """Save a batch for inspection (`torch.load(path, weights_only=True)`): its tensors by name."""
        path = self.path / f"nonfinite-step-{step}.pt"
        with atomic_path(path) as temporary:
            torch.save(dict(vars(batch)), temporary)
        return path


def finite(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: nan and infinity become None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    return value


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs the optional extra: pip install 'remix-miner[tensorboard]'") from error
    return SummaryWriter
