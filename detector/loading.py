"""Loading of a detector: a run folder, a file, or the built-in ``default``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from remix_miner.checkpoint import load_weights
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.description import describe_detector
from remix_miner.detector.networks import SilentSourceDetector, build_detector
from remix_miner.device import Precision, Sampling
from remix_miner.errors import DataError


@dataclass(frozen=True)
class LoadedDetector:
    """A detector in evaluation mode, the SHA-256 of its weights, and the calibration beside them."""

    model: SilentSourceDetector
    name: str
    sha256: str
    description: dict[str, Any]
    calibration: Calibration | None

    def __repr__(self) -> str:
        return f"LoadedDetector({self.name!r}, {self.sha256[:12]}, {self.calibration!r})"


def load_detector(
    name_or_path: str | Path = "default",
    device: str = "cpu",
    precision: Precision = "float32",
    sampling: Sampling = "sparse",
) -> LoadedDetector:
    """Load a detector; weights stored as float16 are converted to float32, or to ``precision``.

    ``sampling``: of the scattering transform, see `Scattering`. The calibration is found as by `describe_detector`.
    Raises `DataError` when there is no such file or it is not a detector.
    """
    found = describe_detector(name_or_path)
    state = load_weights(found.weights)
    try:
        model = build_detector(found.description["settings"])
        model.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{found.weights} does not fit its own description: {error}") from error
    model.compute_in(precision)
    model.features.sample(sampling)
    if device == "cpu":
        # The memory layout that is fastest on a CPU.
        model.convolutions.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
    return LoadedDetector(
        model=model.to(device).eval(),
        name=found.name,
        sha256=found.sha256,
        description=found.description,
        calibration=found.calibration,
    )
