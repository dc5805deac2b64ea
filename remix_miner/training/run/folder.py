"""A run's folder: what was asked (settings.json), what happened (log.jsonl), the best model, and the state to resume.

settings.json             settings, data with their fingerprint, versions, code, command
log.jsonl                 one JSON object a line: steps, validations
model.safetensors, .json  the best model so far
resume.pt                 everything needed to go on
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch

from remix_miner.atomic import atomic_path, write_json, write_text
from remix_miner.checkpoint import versions
from remix_miner.errors import DataError, UsageError
from remix_miner.runs import checkpoints
from remix_miner.runs.code_version import code_version

Record = dict[str, Any]


class RunFolder:
    """Reads and writes one run. Only the first rank may write."""

    def __init__(self, path: str | Path, tensorboard: bool = False) -> None:
        self.path = Path(path)
        self._log = self.path / "log.jsonl"
        self._board_kind = _summary_writer() if tensorboard else None
        self._board: Any = None

    @property
    def exists(self) -> bool:
        """Whether a run came as far here as its first checkpoint."""
        return (self.path / checkpoints.NAME).is_file()

    def write_description(self, settings: Record, data: Record, model: Record, resumed: bool = False) -> None:
        """Say what this run is, before its first step; a resumed run keeps the descriptions before it."""
        description: Record = {
            "settings": settings,
            "model": model,
            "data": data,
            "versions": versions(),
            "code": code_version(),
            "command": sys.argv,
        }
        if not resumed:
            self._log.unlink(missing_ok=True)  # of a run that never came to a checkpoint
        else:
            before = self.read_description()
            description["resumed_from"] = [*before.pop("resumed_from", []), before]
        write_json(self.path / "settings.json", description)

    def read_description(self) -> Record:
        """What `write_description` said."""
        path = self.path / "settings.json"
        try:
            description: Record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} holds no run: {path.name} cannot be read ({error})") from error
        return description

    def log(self, record: Record) -> None:
        """Append a record; nan and infinity become null."""
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self._log, "a", encoding="utf-8") as file:
            file.write(json.dumps(finite(record), ensure_ascii=False, allow_nan=False) + "\n")
        if self._board_kind is not None:
            self._board = self._board or self._board_kind(str(self.path / "tensorboard"))
            for name, value in record.items():
                if isinstance(value, float):
                    self._board.add_scalar(f"{record['kind']}/{name}", value, record["step"])

    def read_log(self) -> list[Record]:
        """All records so far; a last line that was cut by a crash is left out."""
        records = []
        for line in self._log.read_text(encoding="utf-8").splitlines() if self._log.is_file() else []:
            try:
                records.append(json.loads(line))
            except ValueError:
                break
        return records

    def forget_after(self, step: int) -> None:
        """Drop the log's records after ``step``, which a resumed run will write again."""
        kept = [record for record in self.read_log() if record["step"] <= step]
        write_text(self._log, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in kept))

    def save_state(self, state: Record) -> None:
        """Write the state to resume from."""
        checkpoints.save_checkpoint(self.path, state)

    def load_state(self) -> Record:
        """The state to resume from."""
        return checkpoints.load_checkpoint(self.path)

    def keep_batch(self, batch: Any, step: int) -> Path:
        """Save a batch for inspection (`torch.load(path, weights_only=True)`): its tensors by name."""
        path = self.path / f"nonfinite-step-{step}.pt"
        with atomic_path(path) as temporary:
            torch.save(dict(vars(batch)), temporary)
        return path


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError("--tensorboard needs the optional extra: pip install 'remix-miner[tensorboard]'") from error
    return SummaryWriter


def finite(value: Any) -> Any:
    """``value`` as JSON can hold it: nan and infinity in it become None."""
    """``value`` as JSON can hold it: nan and infinity become None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: finite(item) for name, item in value.items()}
    return value
