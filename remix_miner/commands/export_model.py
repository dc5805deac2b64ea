"""``remix-miner export-model``: a trained separator as ONNX or TorchScript, checked against PyTorch."""

from pathlib import Path

import click

from remix_miner.commands._options.common import note, show, verb


@verb(
    "Write MODEL (a run folder, a weights file or a built-in name) as one file for other programs. The file takes "
    "mixtures of one length; its metadata state sources, sample rate and lengths. It is written only if its estimates "
    "are those of PyTorch to 1e-4. 'separate' takes the ONNX file as MODEL.",
    "remix-miner export-model runs/tiny --format onnx --out tiny.onnx",
)
@click.argument("model")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["onnx", "torchscript"]),
    default="onnx",
    show_default=True,
    help="Of the file.",
)
@click.option("--out", type=click.Path(path_type=Path), default=None, help="The file; default: MODEL.onnx or MODEL.pt.")
@click.option("--segment-seconds", type=float, default=None, help="Length of a segment; default: the model's own.")
def command(model: str, file_format: str, out: Path | None, segment_seconds: float | None, as_json: bool) -> None:
    from remix_miner.outputs import check_output_file
    from remix_miner.separators.external.exporting import FORMATS, export_separator
    from remix_miner.separators.loading import open_separator

    target = out if out is not None else Path(Path(model).name).with_suffix(FORMATS[file_format])
    check_output_file(target)
    loaded = open_separator(model)
    report = export_separator(loaded.model, target, file_format, segment_seconds)
    if target.suffix != FORMATS[file_format]:
        note(f"{target.name}: the usual suffix is {FORMATS[file_format]}")
    document = {
        "model": loaded.identity,
        "file": str(target),
        "format": file_format,
        "sources": list(loaded.model.sources),
        "sample_rate": loaded.model.sample_rate,
        "input_frames": report.input_frames,
        "output_frames": report.output_frames,
        "difference": report.difference,
    }
    text = (
        f"{target}: {loaded.identity}, {report.input_frames} frames of mixture to {report.output_frames} of estimates; "
        f"largest difference from PyTorch {report.difference:.1e}"
    )
    show(document, as_json, text)
