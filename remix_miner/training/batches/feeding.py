"""Batches for a training loop, drawn ahead by worker processes, in order, and the same for any number of workers.

Torch's DataLoader allocates shared memory for every batch, and its workers sometimes abort when stopped while a large
batch is in transfer (seen with torch 2.13). Here each worker writes into a few buffers that it shares with the
loop all the time, and only short messages pass between them.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import fields, replace
from multiprocessing.connection import Connection
from typing import Any, Generic, Self

import torch
from torch import Tensor

from remix_miner.errors import RemixMinerError, UsageError
from remix_miner.processes.environment import one_thread_each
from remix_miner.training.batches.sampler import Kind, Sampler, TensorBatch


class Feed(Generic[Kind]):
    """Batches of ``sampler`` from its current step on, on ``device``, augmented there.

    ``workers`` processes (0: this one) call `Sampler.draw` for the batches to come, each holding up to ``prefetch`` of
    them; since a batch depends on its number alone, what is fed does not depend on the workers. They are spawned with
    the first batch, read files only, on one thread each, and end with the loop's process, however that ends. An error
    in a worker is raised here.
    """

    def __init__(
        self,
        sampler: Sampler[Kind],
        *,
        workers: int = 0,
        prefetch: int = 2,
        device: torch.device | str = "cpu",
    ) -> None:
        if workers < 0 or prefetch < 1:
            raise UsageError(f"workers is 0 or more and prefetch at least 1, got {workers} and {prefetch}")
        self.sampler = sampler
        self.workers = workers
        self.prefetch = prefetch
        self.device = torch.device(device)
        self._workers: list[_Worker] = []

    def __iter__(self) -> Iterator[Kind]:
        return self

    def __next__(self) -> Kind:
        step = self.sampler.step
        if self.workers and not self._workers:
            self._start(step)
        drawn = self._workers[step % self.workers].take(self.device) if self.workers else self.sampler.draw(step)
        self.sampler.step += 1
        return self.sampler.augment(drawn.to(self.device), step)

    def state_dict(self) -> dict[str, int]:
        """Return the state of the sampler; batches that are drawn ahead do not count."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue from ``state``; batches that were drawn ahead are dropped."""
        self.close()
        self.sampler.load_state_dict(state)

    def close(self) -> None:
        """Stop the workers; the next batch starts them again."""
        for worker in self._workers:
            worker.stop()
        self._workers = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _start(self, step: int) -> None:
        shapes = self.sampler.draw(step)
        for first in range(step, step + self.workers):
            slots = [shapes.map_tensors(_shared_like) for _ in range(self.prefetch)]
            self._workers.append(_Worker(self.sampler, slots, first, self.workers))
        self._workers.sort(key=lambda worker: worker.step % self.workers)


class _Worker:
    """Process that draws batches ``step``, ``step + stride``, ... ahead of time, into ``slots``."""

    def __init__(self, sampler: Sampler[Any], slots: list[Any], step: int, stride: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.slots = slots
        self.step = step
        self.stride = stride
        self.requested = step
        self.connection, worker_end = context.Pipe()
        self.process = context.Process(target=_work, args=(sampler, slots, worker_end), daemon=True)
        with one_thread_each():
            self.process.start()
        worker_end.close()
        for _ in slots:
            self._ask()

    def take(self, device: torch.device) -> Any:
        """Return the next batch, copied out of its slot, which the worker then fills again."""
        try:
            answer = self.connection.recv()
        except (EOFError, ConnectionResetError) as error:
            self.process.join(timeout=5)
            raise RemixMinerError(
                f"a worker that reads batches exited with code {self.process.exitcode}: killed, or out of memory? "
                "Fewer workers, or 0, need less"
            ) from error
        if isinstance(answer, BaseException):
            raise answer
        slot = self.slots[self.step // self.stride % len(self.slots)]
        batch = replace(answer, **_tensors(slot)).map_tensors(lambda tensor: tensor.to(device, copy=True))
        self.step += self.stride
        self._ask()
        return batch

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()

    def _ask(self) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # `take` reports it
            self.connection.send((self.requested, self.requested // self.stride % len(self.slots)))
        self.requested += self.stride


def _work(sampler: Sampler[Any], slots: list[Any], connection: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the loop handles it
    torch.set_num_threads(1)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            step, slot = connection.recv()
            try:
                drawn: TensorBatch = sampler.draw(step)
                for name, tensor in _tensors(drawn).items():
                    getattr(slots[slot], name).copy_(tensor)
                # Tensors are in the slot; the rest of the batch is sent.
                connection.send(drawn.map_tensors(lambda tensor: tensor.new_empty(0)))
            except (EOFError, BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:
                connection.send(error)


def _shared_like(tensor: Tensor) -> Tensor:
    shared: Tensor = torch.empty_like(tensor).share_memory_()  # type: ignore[no-untyped-call]
    return shared


def _tensors(batch: TensorBatch) -> dict[str, Tensor]:
    values = {item.name: getattr(batch, item.name) for item in fields(batch)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}
