"""Data sets for Music-Source-Separation-Training: a CSV (type 3), a folder per stem (type 2), and its configuration.

The settings follow from how its reader treats files:

- It pads files shorter than a chunk with zeros, which are false training examples of silence. ``chunk_size`` is
  therefore at most the length of the shortest file.
- It draws chunks below ``min_mean_abs`` again, without end if every file of a stem is quiet. ``min_mean_abs`` is
  therefore 0 where a stem has no loud file. Elsewhere it keeps silent parts of a target from half of the examples.
- It reads a file that cannot be decoded as zeros, a false label. Every file is therefore read back after writing.
- It takes files of any sample rate for files of one. Songs are therefore resampled to the rate of the excerpts.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from remix_miner.atomic import write_text
from remix_miner.audio import read_audio
from remix_miner.errors import DataError
from remix_miner.export.files import ExcerptAudio, Written, check_space, put_audio
from remix_miner.export.manifest import Entry
from remix_miner.export.msst_config import MIN_MEAN_ABS, MsstData, filled_config, part_of_config
from remix_miner.export.settings import ExportSettings
from remix_miner.export.songs import SongPart, load_songs, safe_name
from remix_miner.export.spans import Span
from remix_miner.sources import SOURCES

SongFile = tuple[Path, str, SongPart]


def export_msst(
    folder: Path, out: Path, spans: Sequence[Span], settings: ExportSettings
) -> tuple[list[Entry], Written]:
    """Write ``out/train/<label>/*``, ``out/train.csv``, ``out/config.yaml``, and ``out/valid`` of labelled songs.

    Raises `DataError` for excerpts of several sample rates, and for a configuration that does not fit.
    """
    written = Written()
    kind, label = settings.audio, settings.label
    excerpts = [(out / "train" / label / f"{span.name}.{kind}", span) for span in spans]
    sample_rate = _sample_rate(spans)
    parts = _song_parts(out, settings, sample_rate)
    data = _data(out, settings, spans, parts)
    _config(settings, data)  # raises before anything is written
    sizes = [(path, span.frames * 8) for path, span in excerpts]
    sizes += [(path, part.pcm_bytes) for path, _, part in parts if part.own_file(path.suffix[1:]) is None]
    check_space(out, sizes)
    audio = ExcerptAudio(folder)
    entries = []
    for path, span in sorted(excerpts, key=lambda pair: (pair[1].shard, pair[1].shard_start)):
        put_audio(path, span.frames, lambda span=span: audio.read(span), kind, written)  # type: ignore[misc]
        gain = written.gains.get(path, 1.0)
        entries.append(Entry(str(path.relative_to(out)), label, span, gain=gain))
    audio.close()
    for path, name, part in parts:
        part.put(path, path.suffix[1:], written)
        gain = written.gains.get(path, 1.0)
        entries.append(Entry(str(path.relative_to(out)), name, None, part.song.name, part.song.seconds, gain))
    rows = sorted((entry.label, entry.file) for entry in entries if entry.file.startswith("train/"))
    _write_csv(out, rows)
    files = [(name, out / path) for name, path in rows]
    data = replace(data, quiet_stems=[name for name in data.instruments if not _has_loud_file(name, files)])
    config, notes = _config(settings, data)
    write_text(out / "config.yaml", config)
    written.notes += [*notes, *_remarks(data, {name for name, _ in rows})]
    return entries, written


def _sample_rate(spans: Sequence[Span]) -> int:
    rates = sorted({round(span.frames / span.seconds) for span in spans})
    if len(rates) > 1:
        raise DataError(
            f"the excerpts have {' and '.join(map(str, rates))} Hz, a data set has one sample rate: export folders of "
            "different rates apart"
        )
    return rates[0]


def _data(out: Path, settings: ExportSettings, spans: Sequence[Span], parts: Sequence[SongFile]) -> MsstData:
    train = [part.song.frames for path, _, part in parts if path.is_relative_to(out / "train")]
    target = target_of(settings)
    isolated = len(settings.without) == len(SOURCES) - 1
    names = [settings.label, target] if isolated else [target, settings.label]
    return MsstData(out, min([*(span.frames for span in spans), *train]), _sample_rate(spans), names)


def _config(settings: ExportSettings, data: MsstData) -> tuple[str, list[str]]:
    """Return the text of the configuration, and notes for the user."""
    return (part_of_config(data), []) if settings.config is None else filled_config(settings.config, data)


def _has_loud_file(name: str, files: Sequence[tuple[str, Path]]) -> bool:
    """Return whether a file of the stem has chunks that the reader takes at `MIN_MEAN_ABS`."""
    return any(label == name and float(np.abs(read_audio(path)[0]).mean()) >= 2 * MIN_MEAN_ABS for label, path in files)


def _remarks(data: MsstData, present: set[str]) -> list[str]:
    return [
        f"no file of {name!r} is loud: min_mean_abs is 0, so that the reader does not draw without end"
        if name in present
        else f"there is no file of {name!r}, without which the reader stops: add songs with --stems, or rows with this "
        "name to train.csv"
        for name in data.quiet_stems
    ]


def _song_parts(out: Path, settings: ExportSettings, sample_rate: int) -> list[SongFile]:
    """Return (file, label, content) for the labelled songs: two stems to train; these and the mixture to validate."""
    label, kind = settings.label, settings.audio
    rest = tuple(source for source in SOURCES if source not in settings.without)
    stems = {label: rest, target_of(settings): settings.without}
    parts = []
    for song in load_songs(settings.stems, "train", sample_rate):
        for name, sources in stems.items():
            if all(source in song.absent for source in sources):
                continue  # a silent file would be drawn as often as any other
            parts.append((out / "train" / name / f"{safe_name(song)}.{kind}", name, SongPart(song, sources)))
    for song in load_songs(settings.stems, "valid", sample_rate):
        for name, sources in {**stems, "mixture": SOURCES}.items():
            parts.append((out / "valid" / safe_name(song) / f"{name}.wav", name, SongPart(song, sources)))
    return parts


def target_of(settings: ExportSettings) -> str:
    """Return the stem that is absent from the excerpts: 'vocals' for 'no_vocals', 'no_other' for 'other'.

    >>> target_of(ExportSettings("msst", ("vocals",))), target_of(ExportSettings("msst", ("drums", "bass", "vocals")))
    ('vocals', 'no_other')
    """
    left = [source for source in SOURCES if source not in settings.without]
    if len(settings.without) == 1:
        return settings.without[0]
    return f"no_{left[0]}" if len(left) == 1 else "_".join(settings.without)


def _write_csv(out: Path, rows: Sequence[tuple[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["instrum", "path"])
    writer.writerows([label, str((out / path).resolve())] for label, path in sorted(rows))
    write_text(out / "train.csv", text.getvalue())
