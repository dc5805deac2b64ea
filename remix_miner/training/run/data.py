"""Data of a run: songs to train on and to validate on, and mined excerpts, checked before the first step."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.datasets.corpora import load_stem_tracks, load_target_tracks
from remix_miner.datasets.segments import Corpus, SegmentReader
from remix_miner.datasets.tracks import StemTrack
from remix_miner.errors import DataError, UsageError
from remix_miner.mined.excerpts import MinedExcerpts
from remix_miner.mined.shards.files import shard_paths
from remix_miner.separators.base import Separator
from remix_miner.sources import SOURCES
from remix_miner.training.batches.isolated import isolated_gains
from remix_miner.training.settings import TrainingSettings
from remix_miner.training.targets import share_of_excerpts


@dataclass(frozen=True)
class TrainingData:
    """Songs to train on, songs to validate on and where these come from, excerpts to remix with (or None).

    ``share``: of a target's examples that excerpts make; 0 in a run without a target, which has remix steps instead.
    """

    reader: SegmentReader
    valid: list[StemTrack]
    excerpts: MinedExcerpts | None
    share: float = 0.0
    valid_from: str = "--valid"
    left_out: int = 0  # songs of the stems that are not trained on, since --valid names them too

    def describe(self) -> dict[str, Any]:
        """Return what settings.json states of the data, with a fingerprint by which a resumed run recognises them."""
        mined = None
        if self.excerpts is not None:
            mined = {
                "folder": os.path.abspath(self.excerpts.folder),
                "excerpts": len(self.excerpts),
                "hours": {source: self.excerpts.seconds_of(source) / 3600 for source in self.excerpts.sources},
                "shards": [[path.name, path.stat().st_size] for path in shard_paths(self.excerpts.folder)],
                "share_of_examples": self.share,
            }
        valid = [[track.name, track.frames] for track in self.valid]
        text = json.dumps([self.reader.fingerprint, valid, mined and [mined["excerpts"], mined["shards"]]])
        return {
            "fingerprint": hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(),
            "train": [track.name for track in self.reader.tracks],
            "train_hours": sum(track.seconds for track in self.reader.tracks) / 3600,
            "valid": [track.name for track in self.valid],
            "valid_from": self.valid_from,
            "mined": mined,
        }

    def provenance(self) -> dict[str, Any]:
        """Return what the model's JSON states of the data: by these names, scores on training songs are recognised."""
        found: dict[str, Any] = {
            "train_songs": [track.name for track in self.reader.tracks],
            "valid_songs": [track.name for track in self.valid],
        }
        if self.excerpts is not None:
            found["mined_hours"] = {
                source: round(self.excerpts.seconds_of(source) / 3600, 4) for source in self.excerpts.sources
            }
        return found


def load_training_data(
    stems: Sequence[str | Path],
    valid: Sequence[str | Path],
    mined: str | Path | None,
    model: Separator,
    settings: TrainingSettings,
) -> TrainingData:
    """Open the corpora ``stems`` (and ``valid``, songs to validate on) and the shards ``mined`` for ``model``.

    Songs of a split 'test' are never used. Without ``valid`` and without a split 'valid', some artists are held out.
    Songs of ``stems`` that are in ``valid`` too are not trained on.
    Raises `DataError` when there is nothing to train on, a song's rate or channels are not the model's (unless
    ``settings.resample``), shards hold no excerpts of the model's sources, or there are isolated files of the target
    alone and no excerpts.
    """
    unknown = [source for source in model.sources if source not in SOURCES]
    if unknown and settings.target is None:
        raise UsageError(f"{model.name} separates {', '.join(unknown)}, but stems are {', '.join(SOURCES)}")
    corpora = [_load(path, settings) for path in stems]
    weights: Sequence[float | None] = settings.corpus_weights or [None] * len(corpora)
    if len(weights) != len(corpora):
        raise UsageError(f"corpus_weights has {len(weights)} numbers for {len(corpora)} --stems folders")
    train = [[track for track in tracks if track.split in ("train", None)] for tracks in corpora]
    to_validate = [track for path in valid for track in _load(path, settings) if track.split != "test"]
    valid_from, left_out = "--valid", 0
    if valid:
        folders = {_identity(track) for track in to_validate}
        kept = [[track for track in tracks if _identity(track) not in folders] for tracks in train]
        train, left_out = kept, sum(map(len, train)) - sum(map(len, kept))
    elif settings.validation.every_epochs:
        to_validate, valid_from = (
            [track for tracks in corpora for track in tracks if track.split == "valid"],
            "split 'valid'",
        )
        if not to_validate:
            seed = settings.seed if settings.split_seed is None else settings.split_seed
            train, to_validate = hold_out(train, settings.validation.held_out, seed)
            stated = any(track.artist != track.name for track in to_validate)
            unit = "artist" if stated else "song (no name states an artist, as 'Artist - Title' does)"
            valid_from = f"held out by {unit} with --split-seed {seed}; name others with --valid"
    empty = [str(path) for path, tracks in zip(stems, train, strict=True) if not tracks]
    if empty:
        raise DataError(f"no songs to train on in {', '.join(empty)}; see remix-miner check-data")
    _check_format([track for tracks in train for track in tracks] + to_validate, model, settings.resample)
    chosen = [Corpus(tracks, weight) for tracks, weight in zip(train, weights, strict=True)]
    reader = SegmentReader(chosen, model.sample_rate, model.audio_channels)
    if settings.mixing.match_isolated:
        reader.gains = isolated_gains(reader)
    excerpts = _open_mined(mined, model, settings)
    if excerpts is None and settings.target and all(track.isolated == settings.target for track in reader.tracks):
        raise DataError(
            f"the stems are isolated {settings.target} alone, so there is nothing to separate them from; add songs "
            "with stems, or excerpts (--mined)"
        )
    return TrainingData(reader, to_validate, excerpts, _share(excerpts, reader, settings), valid_from, left_out)


def hold_out(
    corpora: Sequence[Sequence[StemTrack]], share: float, seed: int
) -> tuple[list[list[StemTrack]], list[StemTrack]]:
    """Return the corpora without the songs of some artists, and these songs.

    ``share`` of the artists that have songs are held out, at least one, drawn by ``seed``; their isolated files are in
    neither part.

    Artists are ordered by name before the draw, so it depends on names and the seed alone.
    """
    artists = sorted({track.artist for tracks in corpora for track in tracks if track.isolated is None})
    if len(artists) < 2:
        raise DataError(
            f"{len(artists)} artist in the stems: nothing to hold out for validation; pass --valid FOLDER, "
            "or --set validation.every_epochs=0 to train without"
        )
    count = min(max(round(share * len(artists)), 1), len(artists) - 1)
    held = set(np.random.default_rng(seed).permutation(artists)[:count].tolist())
    kept = [[track for track in tracks if track.artist not in held] for tracks in corpora]
    return kept, [track for tracks in corpora for track in tracks if track.artist in held and track.isolated is None]


def _load(path: str | Path, settings: TrainingSettings) -> list[StemTrack]:
    return load_target_tracks(path, settings.target) if settings.target is not None else load_stem_tracks(path)


def _share(excerpts: MinedExcerpts | None, reader: SegmentReader, settings: TrainingSettings) -> float:
    if excerpts is None or settings.target is None:
        return 0.0
    if settings.excerpts.share is not None:
        return settings.excerpts.share
    labelled = sum(track.seconds for track in reader.tracks if track.isolated != settings.target)
    return share_of_excerpts(excerpts.seconds_of(settings.target), labelled)


def _identity(track: StemTrack) -> str:
    return os.path.realpath(track.folder)


def _check_format(tracks: Iterable[StemTrack], model: Separator, resample: bool) -> None:
    for track in tracks:
        if not resample and (track.sample_rate, track.channels) != (model.sample_rate, model.audio_channels):
            raise DataError(
                f"{track.name!r} in {track.folder} has {track.sample_rate} Hz and {track.channels} channels, the model "
                f"{model.sample_rate} Hz and {model.audio_channels}; convert the song, build the model for it (--set "
                f"separator.settings.sample_rate={track.sample_rate}), or allow conversion with --set resample=true"
            )


def _open_mined(mined: str | Path | None, model: Separator, settings: TrainingSettings) -> MinedExcerpts | None:
    if mined is None:
        return None
    if settings.target is not None and settings.excerpts.share == 0:
        raise UsageError(f"--mined {mined} would not be used: excerpts.share is 0; set it, such as to 0.5")
    if settings.target is None and not settings.remix.probability:
        raise UsageError(f"--mined {mined} would not be used: remix.probability is 0; set it, such as to 0.25")
    excerpts = MinedExcerpts(mined, sources=[settings.target] if settings.target is not None else model.sources)
    if not settings.resample and excerpts.sample_rate != model.sample_rate:
        raise DataError(
            f"the shards of {mined} have {excerpts.sample_rate} Hz, the model {model.sample_rate}; mine at that rate, "
            "or allow conversion with --set resample=true"
        )
    return excerpts
