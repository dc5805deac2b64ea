"""Description of a detector on disk: its name, the identity of its weights, and its calibration. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.checkpoint import describe_model, weights_path
from remix_miner.detector.calibration import Calibration
from remix_miner.errors import DataError

PRETRAINED = Path(__file__).parent / "pretrained"
DETECTOR_NAME = "silent-source-detector"


@dataclass(frozen=True)
class DetectorDescription:
    """A detector's weights file, the SHA-256 of the weights, what describes them, and the calibration beside them."""

    weights: Path
    sha256: str
    description: dict[str, Any]
    calibration: Calibration | None

    @property
    def name(self) -> str:
        """The file's name without suffix, or the run folder's."""
        return self.weights.stem if self.weights.stem != "model" else self.weights.parent.name

    @property
    def built_in(self) -> bool:
        """Whether the detector is part of the package."""
        return self.weights.parent == PRETRAINED


def describe_detector(name_or_path: str | Path = "default") -> DetectorDescription:
    """Find a detector: a run folder, a file, or a built-in name.

    The calibration is ``calibration.json`` beside a run's weights, or ``<name>.calibration.json`` beside a single file.
    Raises `DataError` when there is no such file or it is not a detector.
    """
    path = PRETRAINED / f"{name_or_path}.safetensors"
    if Path(name_or_path).exists() or not path.is_file():
        path = weights_path(name_or_path)
    if not path.is_file():
        built_in = sorted(file.stem for file in PRETRAINED.glob("*.safetensors"))
        raise DataError(f"no detector {str(name_or_path)!r}: neither {path} nor a built-in one ({', '.join(built_in)})")
    description = describe_model(path)
    if description.get("name") != DETECTOR_NAME:
        raise DataError(
            f"{path} holds {description.get('name')!r}, not a {DETECTOR_NAME}; detectors come from train-detector"
        )
    beside = path.with_name("calibration.json") if path.stem == "model" else path.with_suffix(".calibration.json")
    return DetectorDescription(
        weights=path,
        sha256=description["sha256"],
        description=description,
        calibration=Calibration.load(beside) if beside.is_file() else None,
    )
