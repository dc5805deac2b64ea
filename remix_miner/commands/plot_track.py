"""``remix-miner plot-track``: picture of the detector's probabilities over one song."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from remix_miner.commands._options.common import device_option, note, show, verb
from remix_miner.commands._options.labelled import calibration_option

if TYPE_CHECKING:
    from remix_miner.datasets.tracks import PairTrack, StemTrack


@verb(
    "Draw one song: spectrogram, probability of silence of each source with its threshold, harvested spans, and the "
    "true relative volumes where stems are given. FILE is an audio file or a folder with the stems of one song, whose "
    "sum is then the mixture. Probabilities, thresholds and spans are those of a scan of the file.",
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

    from remix_miner.api.detector import Detector
    from remix_miner.device import resolve_device
    from remix_miner.figures.predicted_song import song_volumes
    from remix_miner.figures.style import check_picture

    check_picture(out)
    silence_of = Detector(detector, calibration_path, resolve_device(device))
    if silence_of.calibration is None:
        note(f"detector {silence_of.name!r} has no calibration: no thresholds, no spans")
    truth = _one_track(stems or file) if stems or file.is_dir() else None
    if truth is not None and file.is_dir():
        song = silence_of(truth.read().sum(axis=0), truth.sample_rate, min_seconds)
        song = dataclasses.replace(song, name=file.name)
    else:
        song = silence_of(file, min_seconds=min_seconds)
    for remark in song.remarks:
        note(remark)
    song.plot(None if truth is None else song_volumes(truth, len(song.times))).save(out)
    lines = [
        f"{source:7} harvested {sum(span.seconds for span in spans):.1f} s" for source, spans in song.spans.items()
    ]
    result = {
        "picture": str(out),
        "seconds": song.seconds,
        "spans": {source: [dataclasses.asdict(span) for span in spans] for source, spans in song.spans.items()},
        "remarks": list(song.remarks),
    }
    show(result, as_json, "\n".join([*lines, f"picture in {out}"]))


def _one_track(folder: Path) -> "StemTrack | PairTrack":
    """Return the only track of a folder; raise `DataError` where it has several."""
    from remix_miner.datasets.corpora import load_pair_tracks, load_stem_tracks
    from remix_miner.datasets.layouts.folders import is_pair
    from remix_miner.errors import DataError

    tracks = load_pair_tracks(folder) if folder.is_dir() and is_pair(folder) else load_stem_tracks(folder)
    if len(tracks) != 1:
        raise DataError(f"{folder} holds {len(tracks)} songs; name the folder of one")
    return tracks[0]
