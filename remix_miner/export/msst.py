"""Data sets for Music-Source-Separation-Training: a CSV (type 3), a folder per stem (type 2), and a part of its config.

The settings follow from how its reader treats short, quiet and unreadable files:

- It pads files shorter than a chunk with zeros, which are false training examples of silence. ``chunk_size`` is
  therefore at most the length of the shortest file.
- It draws chunks below ``min_mean_abs`` again, in an endless loop for a file that is quiet throughout. ``min_mean_abs``
  is therefore 0.
- It reads a file that cannot be decoded as zeros, a false label. Every file is therefore read back after writing.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from remix_miner.atomic import write_text
from remix_miner.export.files import ExcerptAudio, Written, check_space, put_audio
from remix_miner.export.manifest import Entry
from remix_miner.export.settings import ExportSettings
from remix_miner.export.songs import SongPart, load_songs, safe_name
from remix_miner.export.spans import Span
from remix_miner.sources import SOURCES

CHUNK_FRAMES = 131_584
"""The usual chunk of the reader's transformer configurations: 2.98 s at 44.1 kHz, which fits excerpts of 5 s."""

CHUNK_STEP = 512

CONFIG = """\
# Put into the config of Music-Source-Separation-Training; every other setting stays that of the model.
# Train with:  --dataset_type 3 --data_path {csv} --valid_path {valid}
#         or:  --dataset_type 2 --data_path {train} --valid_path {valid}
# Delete metadata_*.pkl in the results folder after the data set has changed.
audio:
  chunk_size: {chunk}     # at most the shortest file ({shortest} samples): shorter files would be padded with zeros
  sample_rate: {rate}
  min_mean_abs: 0.0       # a quiet file would otherwise be drawn again without end
training:
  instruments: [{instruments}]
  target_instrument: {target}
"""


def export_msst(
    folder: Path, out: Path, spans: Sequence[Span], settings: ExportSettings
) -> tuple[list[Entry], Written]:
    """Write ``out/train/<label>/*``, ``out/train.csv``, ``out/config.yaml``, and ``out/valid`` of labelled songs."""
    written = Written()
    kind, label = settings.audio, settings.label
    excerpts = [(out / "train" / label / f"{span.name}.{kind}", span) for span in spans]
    parts = _song_parts(out, settings)
    sizes = [(path, span.frames * 8) for path, span in excerpts]
    sizes += [(path, part.pcm_bytes) for path, _, part in parts if part.own_file(path.suffix[1:]) is None]
    check_space(out, sizes)
    audio = ExcerptAudio(folder)
    lengths, rates, entries = [], set(), []
    for path, span in sorted(excerpts, key=lambda pair: (pair[1].shard, pair[1].shard_start)):
        put_audio(path, span.frames, lambda span=span: audio.read(span), kind, written)  # type: ignore[misc]
        lengths.append(span.frames)
        rates.add(round(span.frames / span.seconds))
        gain = written.gains.get(path, 1.0)
        entries.append(Entry(str(path.relative_to(out)), label, span, gain=gain))
    audio.close()
    for path, name, part in parts:
        part.put(path, path.suffix[1:], written)
        rates.add(part.song.sample_rate)
        if path.is_relative_to(out / "train"):
            lengths.append(part.song.frames)
        gain = written.gains.get(path, 1.0)
        entries.append(Entry(str(path.relative_to(out)), name, None, part.song.name, part.song.seconds, gain))
    _write_csv(out, [(entry.label, entry.file) for entry in entries if entry.file.startswith("train/")])
    _write_config(out, settings, min(lengths), rates)
    return entries, written


def _song_parts(out: Path, settings: ExportSettings) -> list[tuple[Path, str, SongPart]]:
    """Return (file, label, content) for the labelled songs: two stems to train; these and the mixture to validate."""
    label, kind = settings.label, settings.audio
    rest = tuple(source for source in SOURCES if source not in settings.without)
    stems = {label: rest, target_of(settings): settings.without}
    parts = []
    for song in load_songs(settings.stems, "train"):
        for name, sources in stems.items():
            parts.append((out / "train" / name / f"{safe_name(song)}.{kind}", name, SongPart(song, sources)))
    for song in load_songs(settings.stems, "valid"):
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


def chunk_frames(shortest: int) -> int:
    """Return a chunk length in whole hops, at most the shortest file.

    >>> chunk_frames(220_500), chunk_frames(40_000)
    (131584, 39936)
    """
    return max(min(CHUNK_FRAMES, shortest // CHUNK_STEP * CHUNK_STEP), 1)


def _write_csv(out: Path, rows: Sequence[tuple[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["instrum", "path"])
    writer.writerows([label, str((out / path).resolve())] for label, path in sorted(rows))
    write_text(out / "train.csv", text.getvalue())


def _write_config(out: Path, settings: ExportSettings, shortest: int, rates: set[int]) -> None:
    target = target_of(settings)
    isolated = len(settings.without) == len(SOURCES) - 1
    names = [settings.label, target] if isolated else [target, settings.label]
    values = {
        "csv": (out / "train.csv").resolve(),
        "train": (out / "train").resolve(),
        "valid": (out / "valid").resolve(),
        "chunk": chunk_frames(shortest),
        "shortest": shortest,
        "rate": max(rates),
        "instruments": ", ".join(names),
        "target": names[0],
    }
    write_text(out / "config.yaml", CONFIG.format(**values))
