"""Configuration for Music-Source-Separation-Training: a part to copy, or one of its files, completed.

Its files are YAML with tags of Python, which only its own reader accepts. Lines are therefore replaced as text, and
everything else, comments included, stays as it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from remix_miner.errors import DataError, UsageError
from remix_miner.paths import display_name

CHUNK_FRAMES = 131_584
"""Chunk of the trainer's RoFormer configurations: 2.98 s at 44.1 kHz, which fits excerpts of 5 s."""

MIN_MEAN_ABS = 0.001
"""The trainer's usual limit for the mean absolute value of a chunk."""

CHUNK_STEP = 512
COLUMN_STEP = 32
"""Columns of a spectrogram come in multiples of this where a copied chunk is shortened: U-Nets halve them."""

PART = """\
# Put into the config of Music-Source-Separation-Training; every other setting stays that of the model.
# Train with:  --dataset_type 3 --data_path {csv} --valid_path {valid}
#         or:  --dataset_type 2 --data_path {train} --valid_path {valid}
# Delete metadata_*.pkl in the results folder after the data set has changed.
audio:
  chunk_size: {chunk}     # at most the shortest file ({shortest} samples): shorter files would be padded with zeros
  sample_rate: {rate}
  min_mean_abs: {quiet}     # quieter chunks are drawn again, without end if all are: 0 where a stem has no loud file
training:
  instruments: [{instruments}]
  target_instrument: {target}
"""

Blocks = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class MsstData:
    """What a configuration must state about an export: its folder, shortest file, sample rate and two stems.

    ``quiet_stems``: stems without a file of at least twice `MIN_MEAN_ABS`.
    """

    out: Path
    shortest: int
    sample_rate: int
    instruments: Sequence[str]
    quiet_stems: Sequence[str] = ()

    @property
    def target(self) -> str:
        return self.instruments[0]


def part_of_config(data: MsstData) -> str:
    """Return the settings of the data set, to be copied into a configuration."""
    return PART.format(
        csv=(data.out / "train.csv").resolve(),
        train=(data.out / "train").resolve(),
        valid=(data.out / "valid").resolve(),
        chunk=chunk_frames(data.shortest),
        shortest=data.shortest,
        rate=data.sample_rate,
        quiet=0.0 if data.quiet_stems else MIN_MEAN_ABS,
        instruments=", ".join(data.instruments),
        target=data.target,
    )


def chunk_frames(shortest: int) -> int:
    """Return a chunk length in whole hops, at most the shortest file.

    >>> chunk_frames(220_500), chunk_frames(40_000)
    (131584, 39936)
    """
    return max(min(CHUNK_FRAMES, shortest // CHUNK_STEP * CHUNK_STEP), 1)


def filled_config(path: Path, data: MsstData) -> tuple[str, list[str]]:
    """Return the trainer's configuration ``path`` with the settings of ``data``, and notes for the user.

    A chunk that is longer than the shortest file is shortened to a multiple of `COLUMN_STEP` columns. A configuration
    for one target keeps one, another keeps all. Raises `UsageError` for a file that is no such configuration, and for
    one of another sample rate; `DataError` if the shortest file is too short for any chunk.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{display_name(path)} cannot be read: {error}") from error
    chunk, rate = value_in(text, "audio", "chunk_size"), value_in(text, "audio", "sample_rate")
    if chunk is None or not chunk.isdigit() or value_in(text, "training", "instruments") is None:
        raise UsageError(
            f"{display_name(path)} is no configuration of Music-Source-Separation-Training: audio.chunk_size and "
            "training.instruments are needed"
        )
    if rate is not None and rate != str(data.sample_rate):
        raise UsageError(
            f"{display_name(path)} is for {rate} Hz, the data set has {data.sample_rate} Hz: choose another one, or "
            "scan again with --sample-rate"
        )
    notes = []
    fitting = int(chunk)
    if fitting > data.shortest:
        hop = value_in(text, "audio", "hop_length") or ""
        fitting = _shortened(data.shortest, int(hop) if hop.isdigit() else CHUNK_STEP)
        notes.append(
            f"chunk_size {chunk} is longer than the shortest file and became {fitting}; with --min-seconds "
            f"{int(chunk) / data.sample_rate:.2f} it stays"
        )
    listed = f"[{', '.join(data.instruments)}]"
    whole = value_in(text, "training", "target_instrument") in (None, "null", "~", "")
    blocks = {
        "audio": {"chunk_size": str(fitting), "sample_rate": str(data.sample_rate)},
        "training": {"instruments": listed, "target_instrument": "null" if whole else data.target},
        "model": {"num_stems": str(len(data.instruments) if whole else 1), "sources": listed},
    }
    quiet = value_in(text, "audio", "min_mean_abs")
    if data.quiet_stems or quiet is None or float(quiet) > MIN_MEAN_ABS:
        blocks["audio"]["min_mean_abs"] = "0.0" if data.quiet_stems else str(MIN_MEAN_ABS)
    blocks["model"] = {key: value for key, value in blocks["model"].items() if value_in(text, "model", key) is not None}
    return replaced(text, blocks), notes


def _shortened(shortest: int, hop: int) -> int:
    columns = shortest // hop // COLUMN_STEP * COLUMN_STEP
    if columns == 0:
        raise DataError(f"the shortest file has {shortest} samples, too few for a chunk: raise --min-seconds")
    return hop * (columns - 1)


def value_in(text: str, block: str, key: str) -> str | None:
    """Return the text behind ``key`` in a top-level ``block``, '' where lines below hold it, None where it is missing.

    >>> value_in("audio:\\n  chunk_size: 100 # short\\n", "audio", "chunk_size")
    '100'
    """
    inside = False
    for line in text.splitlines():
        if line[:1].strip() and not line.startswith("#"):
            inside = line.split("#")[0].rstrip() == f"{block}:"
        elif inside and (found := re.match(rf"\s+{re.escape(key)}\s*:(.*)", line)):
            return found.group(1).split("#")[0].strip()
    return None


def replaced(text: str, blocks: Blocks) -> str:
    """Return ``text`` with the entries of top-level blocks replaced, missing ones added to their block or at the end.

    >>> replaced("training:\\n  instruments:\\n  - a\\n  lr: 1", {"training": {"instruments": "[v]"}})
    'training:\\n  instruments: [v]\\n  lr: 1\\n'
    """
    kept: list[str] = []
    rest = {block: dict(entries) for block, entries in blocks.items()}
    block, indent, removing = "", 0, False
    for line in text.splitlines():
        body = line.split("#")[0].rstrip()
        depth = len(line) - len(line.lstrip())
        removing = removing and (not body or depth > indent or (depth == indent and body.lstrip().startswith("- ")))
        if removing and body:
            continue
        if body and depth == 0:
            block = body.rstrip(":").strip()
        key = body.split(":")[0].strip()
        if depth and key in rest.get(block, {}):
            kept.append(f"{' ' * depth}{key}: {rest[block].pop(key)}")
            indent, removing = depth, True
        else:
            kept.append(line)
    for name, entries in rest.items():
        lines = [f"  {key}: {value}" for key, value in entries.items()]
        place = next((number for number, line in enumerate(kept) if line.split("#")[0].rstrip() == f"{name}:"), None)
        if place is None and lines:
            kept += [f"{name}:", *lines]
        elif place is not None:
            kept[place + 1 : place + 1] = lines
    return "\n".join(kept) + "\n"
