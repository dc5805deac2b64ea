"""Device choice, precision of the networks, and sampling of the scattering transform."""

from typing import Literal

from remix_miner.errors import UsageError

Precision = Literal["float32", "bfloat16"]
Sampling = Literal["sparse", "kymatio"]
"""Of the scattering transform's envelopes; see `remix_miner.detector.scattering.transform`."""


def resolve_device(name: str = "auto") -> str:
    """Return the torch device that ``name`` asks for: 'auto' is 'cuda' where there is a GPU, else 'cpu'.

    Raises `UsageError` for a device that torch does not support or this machine does not have.
    """
    if name == "cpu":
        return name
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"--device is cpu, cuda, cuda:N or auto, got {name!r}") from error
    if device.type == "cuda" and not (device.index or 0) < torch.cuda.device_count():
        raise UsageError(f"--device {name}: this machine has {torch.cuda.device_count()} GPUs; use --device cpu")
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"device {name!r} cannot be used here: {str(error).splitlines()[0]}; try --device cpu"
        ) from error
    return name


def share_of_device(name: str, worker: int, gpus: int) -> str:
    """Return the device of one of several workers: 'cuda' is spread over all GPUs, any other name stays.

    >>> [share_of_device("cuda", worker, gpus=2) for worker in range(3)], share_of_device("cuda:1", 4, gpus=2)
    (['cuda:0', 'cuda:1', 'cuda:0'], 'cuda:1')
    """
    return f"cuda:{worker % gpus}" if name == "cuda" and gpus > 1 else name
