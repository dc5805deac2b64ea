"""Export of separators to ONNX and TorchScript, checked against PyTorch on the same input.

An exported model takes one mixture of one length, (1, channels, input_frames), and gives the estimates of the frames in
their centre, (1, sources, channels, output_frames). Its metadata state sources, sample rate and both lengths.
"""

import contextlib
import copy
import json
import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from remix_miner.atomic import atomic_path
from remix_miner.errors import DataError, UsageError
from remix_miner.paths import display_name
from remix_miner.separators.base import Separator
from remix_miner.separators.external.convolved_spectrogram import with_convolutions

FORMATS = {"onnx": ".onnx", "torchscript": ".pt"}
TOLERANCE = 1e-4
"""Largest difference from PyTorch's estimates, relative to the largest of them where that is above 1."""
OPSET = 18


@dataclass(frozen=True)
class ExportReport:
    """Written file, and the deviation of its estimates from PyTorch's on noise."""

    path: Path
    file_format: str
    input_frames: int
    output_frames: int
    difference: float


class FixedLength(nn.Module):
    """A separator for mixtures of one length."""

    def __init__(self, model: Separator, frames: int) -> None:
        super().__init__()
        self.model, self.frames = model, frames

    def forward(self, mixture: Float[Tensor, "B C V"]) -> Float[Tensor, "B S C T"]:
        """Return the estimates of the frames in the centre."""
        estimates: Tensor = self.model(mixture, self.frames)
        return estimates


def export_separator(
    model: Separator, path: Path, file_format: str, segment_seconds: float | None = None
) -> ExportReport:
    """Write ``model`` for segments of ``segment_seconds`` (default: its own) and check the file against it.

    Raises `UsageError` where the model has operations that the format lacks, or onnxruntime is not installed;
    `DataError` where the exported estimates differ by more than `TOLERANCE`. Then nothing is written.
    """
    if file_format not in FORMATS:
        raise UsageError(f"unknown format {file_format!r}; choose among {', '.join(FORMATS)}")
    frames = max(1, round((segment_seconds or model.segment_seconds) * model.sample_rate))
    length = max(frames, model.valid_length(frames))
    fixed = FixedLength(model.cpu().eval(), frames).eval()
    generator = torch.Generator().manual_seed(0)
    example, mixture = 0.1 * torch.randn(2, 1, model.audio_channels, length, generator=generator)
    metadata = {
        "remix_miner": "separator",
        "name": str(getattr(model, "name", "")),
        "sources": ",".join(model.sources),
        "audio_channels": str(model.audio_channels),
        "sample_rate": str(model.sample_rate),
        "input_frames": str(length),
        "output_frames": str(frames),
    }
    with torch.no_grad(), atomic_path(path) as temporary:
        expected = fixed(mixture)  # not what the export is traced with
        if file_format == "onnx":
            _write_onnx(with_convolutions(copy.deepcopy(fixed), length), example, temporary, metadata)
            found = _run_onnx(temporary, mixture)
        else:
            traced = _traced(fixed, example, metadata["name"])
            traced.save(str(temporary), _extra_files={"remix_miner.json": json.dumps(metadata)})
            found = torch.jit.load(str(temporary))(mixture)  # type: ignore[no-untyped-call]
        difference = _difference(found, expected)
        if not difference <= TOLERANCE:
            raise DataError(
                f"the exported model differs from PyTorch's by {difference:.2g} (at most {TOLERANCE:g} is accepted); "
                f"{display_name(path)} was not written"
            )
    return ExportReport(path, file_format, length, frames, difference)


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        raise DataError(f"the exported model gives {tuple(found.shape)}, PyTorch {tuple(expected.shape)}")
    return float((found - expected).abs().max() / max(1.0, float(expected.abs().max())))


def _traced(fixed: FixedLength, example: Tensor, name: str) -> Any:
    try:
        with _quiet():
            return torch.jit.trace(fixed, example, check_trace=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # the tracer raises many kinds
        raise UsageError(f"{name} cannot be traced as TorchScript: {_first_line(error)}") from error


def _write_onnx(fixed: nn.Module, example: Tensor, path: Path, metadata: dict[str, str]) -> None:
    try:
        import onnx
    except ImportError as error:
        raise UsageError("export to ONNX needs an extra: pip install 'remix-miner[onnx]'") from error
    try:
        with _quiet():
            torch.onnx.export(
                fixed,
                (example,),
                str(path),
                input_names=["mixture"],
                output_names=["estimates"],
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # the exporter raises many kinds for what it lacks
        raise UsageError(
            f"{metadata['name']} has operations that ONNX lacks ({_first_line(error)}); demucs and the TFC-TDF-U-Nets "
            "can be exported, or try --format torchscript"
        ) from error
    document = onnx.load(str(path))
    for key, value in metadata.items():
        entry = document.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(document, str(path))


def _run_onnx(path: Path, mixture: Tensor) -> Tensor:
    from remix_miner.separators.external.onnx_model import load_onnx

    return load_onnx(path).run(mixture)


@contextlib.contextmanager
def _quiet() -> Any:
    """Suppress the exporters' warnings about values traced as constants, and the graph that a failure prints."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    # The exporter enables this output itself, whatever was set before.
    print_graph = torch._C._jit_onnx_log
    torch._C._jit_onnx_log = lambda *arguments: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch._C._jit_onnx_log = print_graph
        logger.setLevel(level)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
