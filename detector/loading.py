"""Loading of a detector: a run folder, a file, or the built-in ``default``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from remix_miner.checkpoint import load_model, weights_path
from remix_miner.detector.calibration import Calibration
from remix_miner.detector.networks import NAME, SilentSourceDetector, build_detector
from remix_miner.device import Precision, Sampling
from remix_miner.errors import DataError

PRETRAINED = Path(__file__).parent / "pretrained"


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

    ``sampling``: of the scattering transform, see `Scattering`. The calibration is ``calibration.json`` beside a run's
    weights, or ``<name>.calibration.json`` beside a single file. Raises `DataError` when there is no such file or it
    is not a detector.
    """
    path = PRETRAINED / f"{name_or_path}.safetensors"
    if Path(name_or_path).exists() or not path.is_file():
        path = weights_path(name_or_path)
    if not path.is_file():
        built_in = sorted(file.stem for file in PRETRAINED.glob("*.safetensors"))
        raise DataError(f"no detector {str(name_or_path)!r}: neither {path} nor a built-in one ({', '.join(built_in)})")
    state, description = load_model(path)
    if description.get("name") != NAME:
        raise DataError(f"{path} holds {description.get('name')!r}, not a {NAME}; detectors come from train-detector")
    try:
        model = build_detector(description["settings"])
        model.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        )
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{path} does not fit its own description: {error}") from error
    model.compute_in(precision)
    model.features.sample(sampling)
    if device == "cpu":
        # The memory layout that is fastest on a CPU.
        model.convolutions.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stubs
    beside = path.with_name("calibration.json") if path.stem == "model" else path.with_suffix(".calibration.json")
    return LoadedDetector(
        model=model.to(device).eval(),
        name=path.stem if path.stem != "model" else path.parent.name,
        sha256=description["sha256"],
        description=description,
        calibration=Calibration.load(beside) if beside.is_file() else None,
    )
