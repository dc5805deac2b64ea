"""Two-stem data set for Demucs 4: ``{train,valid}/NAME/{target,no_target,mixture}.wav`` and its metadata."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from remix_miner.atomic import write_json
from remix_miner.audio import read_audio
from remix_miner.export.files import Audio, ExcerptAudio, Written, check_space, put_audio, put_link
from remix_miner.export.manifest import Entry
from remix_miner.export.settings import ExportSettings
from remix_miner.export.songs import SongPart, load_songs, safe_name
from remix_miner.export.spans import Span
from remix_miner.sources import SOURCES


def export_demucs(
    folder: Path, out: Path, spans: Sequence[Span], settings: ExportSettings
) -> tuple[list[Entry], Written]:
    """Write the data set. In an excerpt the target is digital silence, and the rest is the mixture (a hard link).

    Labelled songs keep their split. Without validation songs, a share of the excerpts' tracks is the validation set.
    """
    written = Written()
    (target,) = settings.without
    songs = {split: load_songs(settings.stems, split) for split in ("train", "valid")}
    share = 0.0 if songs["valid"] else settings.valid_share
    places = [(out / split_of(span.track, share) / span.name, span) for span in spans]
    sizes = [(path / f"{name}.wav", span.frames * 8) for path, span in places for name in (target, "mixture")]
    check_space(out, sizes)
    audio = ExcerptAudio(folder)
    entries = []
    metadata: dict[str, dict[str, object]] = {"train": {}, "valid": {}}
    for path, span in sorted(places, key=lambda pair: (pair[1].shard, pair[1].shard_start)):
        mixture = path / "mixture.wav"
        put_audio(mixture, span.frames, lambda span=span: audio.read(span), "wav", written)  # type: ignore[misc]
        put_link(mixture, path / f"no_{target}.wav", written)
        put_audio(path / f"{target}.wav", span.frames, lambda span=span: _silence(audio, span), "wav", written)  # type: ignore[misc]
        metadata[path.parent.name][path.name] = track_metadata(mixture)
        entries += [
            Entry(str((path / f"{name}.wav").relative_to(out)), name, span)
            for name in (target, f"no_{target}", "mixture")
        ]
    audio.close()
    rest = tuple(source for source in SOURCES if source != target)
    for split, some in songs.items():
        for song in some:
            path = out / split / safe_name(song)
            for name, sources in ((target, (target,)), (f"no_{target}", rest), ("mixture", SOURCES)):
                SongPart(song, sources).put(path / f"{name}.wav", "wav", written)
                entries.append(Entry(str((path / f"{name}.wav").relative_to(out)), name, None, song.name, song.seconds))
            metadata[split][path.name] = track_metadata(path / "mixture.wav")
    write_json(metadata_path(out), [metadata["train"], metadata["valid"]])
    return entries, written


def metadata_path(out: Path) -> Path:
    """Return the file that Demucs reads with ``dset.wav=OUT dset.metadata=OUT/metadata``, OUT an absolute path."""
    signature = hashlib.sha1(str(out.resolve()).encode()).hexdigest()[:8]
    return out / "metadata" / f"wav_{signature}.json"


def track_metadata(mixture: Path) -> dict[str, object]:
    """Return length, mean and standard deviation of the mono mixture, as Demucs computes them."""
    audio, sample_rate = read_audio(mixture)
    mono = audio.mean(axis=0, dtype=np.float64)
    return {
        "length": audio.shape[1],
        "mean": float(mono.mean()),
        "std": float(mono.std(ddof=1)),
        "samplerate": sample_rate,
    }


def split_of(track: str, valid_share: float) -> str:
    """Return 'valid' for a share of the tracks, else 'train', by a hash of the name.

    All excerpts of a track are therefore in one split.
    """
    digest = hashlib.sha256(track.encode("utf-8", "surrogateescape")).digest()
    return "valid" if int.from_bytes(digest[:8], "big") < valid_share * 2**64 else "train"


def _silence(audio: ExcerptAudio, span: Span) -> tuple[Audio, int]:
    mixture, sample_rate = audio.read(span)
    return np.zeros_like(mixture), sample_rate
