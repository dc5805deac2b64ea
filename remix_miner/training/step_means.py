"""Means of losses and speed over the steps between two lines of the log."""

import time

from remix_miner.runs.folder import Record


class StepMeans:
    """Means since the last log line, each over the steps with that number."""

    def __init__(self) -> None:
        self.last_loss = float("nan")
        self._clear()

    def _clear(self) -> None:
        self._values: dict[str, list[float]] = {}
        self._steps = 0
        self._since = time.monotonic()

    def add(self, record: Record) -> None:
        self.last_loss = record["loss"]
        self._steps += 1
        for name, value in record.items():
            self._values.setdefault(name, []).append(value)

    def summary(self, batch_size: int) -> Record:
        seconds = time.monotonic() - self._since
        means = {name: sum(values) / len(values) for name, values in self._values.items()}
        counts = {"remix_steps": len(self._values.get("remix_loss", []))}
        record = {**means, **counts, "examples_per_second": round(self._steps * batch_size / seconds, 2)}
        self._clear()
        return record
