"""Export in the MUSDB18-HQ layout: excerpts in which three sources are silent, so that the fourth is the mixture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from remix_miner.export.files import ExcerptAudio, Written, check_space, put_audio, put_link
from remix_miner.export.manifest import Entry
from remix_miner.export.settings import ExportSettings
from remix_miner.export.spans import Span


def export_musdb(
    folder: Path, out: Path, spans: Sequence[Span], settings: ExportSettings
) -> tuple[list[Entry], Written]:
    """Write ``out/train/<name>/{mixture,drums,bass,other,vocals}.wav``; silent sources are digital silence."""
    written = Written()
    places = [(out / "train" / span.name, span) for span in spans]
    check_space(out, [(path / "mixture.wav", 4 * span.frames * 8) for path, span in places])
    audio = ExcerptAudio(folder)
    entries = []
    for path, span in sorted(places, key=lambda pair: (pair[1].shard, pair[1].shard_start)):
        mixture = path / "mixture.wav"
        put_audio(mixture, span.frames, lambda span=span: audio.read(span), "wav", written)  # type: ignore[misc]
        put_link(mixture, path / f"{settings.label}.wav", written)
        first, *others = (path / f"{source}.wav" for source in settings.without)

        def silence(span: Span = span) -> tuple[np.ndarray, int]:
            sound, sample_rate = audio.read(span)
            return np.zeros_like(sound), sample_rate

        put_audio(first, span.frames, silence, "wav", written)
        for other in others:
            put_link(first, other, written)
        entries += [
            Entry(str((path / f"{name}.wav").relative_to(out)), name, span)
            for name in ("mixture", settings.label, *settings.without)
        ]
    audio.close()
    return entries, written
