"""uSDR of a separator on whole songs, within a time budget, the songs shared out over the ranks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64

from remix_miner.audio import Audio, resample, to_channels
from remix_miner.datasets.tracks import StemTrack
from remix_miner.evaluation.metrics.whole_track import usdr
from remix_miner.evaluation.references import reference_parts
from remix_miner.separators.base import Separator
from remix_miner.separators.overlap_add import separate
from remix_miner.training.run.distributed import Ranks
from remix_miner.training.settings import ValidationSettings


@dataclass(frozen=True)
class Validation:
    """uSDR in dB per source (mean over the songs where it is not silent; nan if it always is), and their mean.

    ``mixture_usdr``: the same for the mixture taken as every estimate, which a model must beat.
    """

    usdr: dict[str, float]
    mean: float
    mixture_usdr: dict[str, float]
    songs: int
    seconds: float

    def record(self) -> dict[str, Any]:
        """Return the validation as a record of the log."""
        return {
            "usdr_mean": self.mean,
            "usdr": self.usdr,
            "mixture_usdr": self.mixture_usdr,
            "songs": self.songs,
            "seconds": round(self.seconds, 2),
        }


class Validator:
    """Scores models on ``tracks``.

    Songs that do not fit into the time budget of the first validation are left out from then on, so that all figures
    of a run are of the same songs. `chosen` lists the others (indices into ``tracks``) and is part of the run's state.
    Every rank scores at least one of its songs.
    """

    def __init__(self, tracks: Sequence[StemTrack], settings: ValidationSettings, ranks: Ranks) -> None:
        self.tracks = list(tracks)
        self.settings = settings
        self.ranks = ranks
        self.chosen: list[int] | None = None

    def __call__(self, model: Separator) -> Validation:
        """Collective: every rank calls it at the same place and gets the same result."""
        started = time.monotonic()
        mine: dict[int, tuple[Float64[np.ndarray, " S"], Float64[np.ndarray, " S"]]] = {}
        songs = range(len(self.tracks)) if self.chosen is None else self.chosen
        for song in songs[self.ranks.rank :: self.ranks.world_size]:
            if self.chosen is None and mine and time.monotonic() - started > self.settings.budget_seconds:
                break
            mine[song] = self._score(model, self.tracks[song])
        scored = {song: scores for rank in self.ranks.gather(mine) for song, scores in rank.items()}
        self.chosen = sorted(scored)
        of_model, of_mixture = (
            dict(zip(model.sources, _mean_over_songs([scored[song][which] for song in self.chosen]), strict=True))
            for which in (0, 1)
        )
        known = [value for value in of_model.values() if not np.isnan(value)]
        mean = float(np.mean(known)) if known else float("nan")
        return Validation(of_model, mean, of_mixture, len(scored), time.monotonic() - started)

    def _score(self, model: Separator, track: StemTrack) -> tuple[Float64[np.ndarray, " S"], Float64[np.ndarray, " S"]]:
        start, frames = 0, track.frames
        if self.settings.seconds_per_track is not None:
            frames = min(frames, round(self.settings.seconds_per_track * track.sample_rate))
            start = (track.frames - frames) // 2
        parts = [reference_parts(track, source, model.sources) for source in model.sources]
        stems = [track.read(start, frames, names).sum(axis=0) for names in parts]
        references = np.stack([_as_model_input(stem, track, model) for stem in stems])
        mixture = _as_model_input(track.read_mixture(start, frames), track, model)
        with torch.random.fork_rng(devices=[]):  # training continues with its own random state
            estimates = separate(model, mixture, overlap=self.settings.overlap, shifts=self.settings.shifts)
        as_estimates: Float32[np.ndarray, "S C T"] = np.broadcast_to(mixture, references.shape)
        return usdr(references, estimates.numpy()), usdr(references, as_estimates)


def _as_model_input(audio: Audio, track: StemTrack, model: Separator) -> Audio:
    return resample(to_channels(audio, model.audio_channels), track.sample_rate, model.sample_rate)


def _mean_over_songs(scores: list[Float64[np.ndarray, " S"]]) -> list[float]:
    table = np.stack(scores)
    counts = (~np.isnan(table)).sum(axis=0)
    sums = np.nansum(table, axis=0)
    return [float(total / count) if count else float("nan") for total, count in zip(sums, counts, strict=True)]
