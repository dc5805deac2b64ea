"""Which device computes, in which numbers, and at which points."""

from typing import Literal

from remix_miner.errors import UsageError

Precision = Literal["float32", "bfloat16"]
Sampling = Literal["sparse", "kymatio"]
"""Of the scattering transform's envelopes; see `remix_miner.detector.scattering`."""


def pick_device(name: str = "auto") -> str:
    """A torch device name: ``auto`` is a CUDA GPU where there is one, else the CPU. Raises where it is not there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"device {name!r} cannot be used here: {str(error).splitlines()[0]}; try --device cpu"
        ) from error
    return name
