"""``remix-miner plot-track``: picture of the detector's probabilities over one song."""

from pathlib import Path

import click

from remix_miner.commands._options.common import device_option, note, show, verb
from remix_miner.commands._options.labelled import calibration_for, calibration_option


@verb(
    "Draw one song: spectrogram, probability of silence of each source with its threshold, harvested spans, and the "
    "true relative volumes where stems are given. FILE is an audio file or a folder with the stems of one song, whose "
    "sum is then the mixture. Probabilities and thresholds are those of the detector alone, without the second opinion "
    "on vocals that a scan may use.",
    "remix-miner plot-track song.mp3 --out song.png",
)
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A PNG, SVG or PDF file.")
@click.option("--detector", default="default", show_default=True, help="A run folder, a file, or a built-in name.")
@click.option("--stems", type=click.Path(path_type=Path, exists=True), help="Folder with the stems of FILE.")
@calibration_option
@click.option("--min-seconds", default=5.0, show_default=True, help="Shortest span.")
@device_option
def command(
    file: Path,
    out: Path,
    detector: str,
    stems: Path | None,
    calibration_path: Path | None,
    min_seconds: float,
    device: str,
    as_json: bool,
) -> None:
    import dataclasses

    from remix_miner.detector.loading import load_detector
    from remix_miner.detector.spans import silent_spans
    from remix_miner.device import resolve_device
    from remix_miner.figures.predicted_song import predict_song
    from remix_miner.figures.song import song_figure
    from remix_miner.figures.style import check_picture, save_picture
    from remix_miner.sources import SOURCES

    check_picture(out)
    loaded = load_detector(detector, device=resolve_device(device))
    calibration = calibration_for(loaded, calibration_path)
    if calibration is None:
        note(f"detector {loaded.name!r} has no calibration: no thresholds, no spans")
    song = predict_song(loaded.model, file, stems)
    thresholds: dict[str, float | None] = dict.fromkeys(SOURCES)
    if calibration is not None:
        thresholds.update({source: fitted.threshold for source, fitted in calibration.sources.items()})
    save_picture(song_figure(song, thresholds, min_seconds=min_seconds), out)
    spans = {
        source: silent_spans(song.probabilities[index], threshold, song.seconds, min_seconds, song.valid)
        for index, source in enumerate(SOURCES)
        if (threshold := thresholds[source]) is not None
    }
    lines = [f"{source:7} harvested {sum(span.seconds for span in found):.1f} s" for source, found in spans.items()]
    result = {
        "picture": str(out),
        "seconds": song.seconds,
        "spans": {source: [dataclasses.asdict(span) for span in found] for source, found in spans.items()},
    }
    show(result, as_json, "\n".join([*lines, f"picture in {out}"]))
