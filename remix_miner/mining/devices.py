"""On what the detector runs: this machine's CPU or its GPUs, shared out among workers."""

import torch

from remix_miner.errors import UsageError


def resolve_device(name: str) -> str:
    """'auto' is 'cuda' where there is a GPU, else 'cpu'; a GPU that is not there is a `UsageError`."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device is cpu, cuda, cuda:N or auto, got {name!r}") from error
    if device.type == "cuda" and not (device.index or 0) < torch.cuda.device_count():
        raise UsageError(f"--device {name}: this machine has {torch.cuda.device_count()} GPUs; use --device cpu")
    return name


def share_of_device(name: str, worker: int, gpus: int) -> str:
    """The device of one of many workers: 'cuda' goes round all GPUs, any other name is taken as it is.

    >>> [share_of_device("cuda", worker, gpus=2) for worker in range(3)], share_of_device("cuda:1", 4, gpus=2)
    (['cuda:0', 'cuda:1', 'cuda:0'], 'cuda:1')
    """
    return f"cuda:{worker % gpus}" if name == "cuda" and gpus > 1 else name
