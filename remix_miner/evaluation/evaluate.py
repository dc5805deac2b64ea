"""Evaluation on a corpus: of finished estimates, or of a model. Songs are scored in parallel."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from remix_miner.atomic import remove_temporary_files
from remix_miner.audio import to_channels, write_audio
from remix_miner.checkpoint import versions
from remix_miner.datasets.tracks import StemTrack, Track
from remix_miner.errors import DataError
from remix_miner.evaluation.cost import Cost
from remix_miner.evaluation.estimates import FoundEstimates, check_estimate, missing_estimates
from remix_miner.evaluation.oracles import ORACLES
from remix_miner.evaluation.provenance import songs_in_training, write_estimates_record
from remix_miner.evaluation.references import with_reference
from remix_miner.evaluation.results import Result, corpus_fingerprint
from remix_miner.evaluation.score_files import Files
from remix_miner.evaluation.scoring_pool import scoring_pool
from remix_miner.progress import Progress
from remix_miner.separators.apply_separator import conversions, estimate_blocks
from remix_miner.separators.loading import LoadedSeparator
from remix_miner.separators.overlap_add import InferenceSettings, settings_mapping
from remix_miner.separators.regrouping import StemSums, four_of_more
from remix_miner.sources import SOURCES

READ_SECONDS = 30.0
TRAINED_ON = "trained or chosen on"


def score_estimates(
    tracks: Sequence[Track],
    found: FoundEstimates,
    metrics: Sequence[str],
    *,
    name: str,
    corpus: str,
    sources: Sequence[str] = SOURCES,
    workers: int = 1,
    allow_missing: bool = False,
    kept: Path | None = None,
) -> Result:
    """Score finished estimates. Every file is checked against its reference before the first is scored.

    ``sources``: names to score where there are estimates, see `remix_miner.evaluation.references`. Raises `DataError`
    where estimates are missing, unless ``allow_missing``: then the result's notes list them.
    """
    _unique_names(tracks)
    sources = [source for source in sources if any(source in files for files in found.tracks.values())]
    if not sources:
        raise DataError("no estimates found: expected <track>/<source>.wav or <track>_<source>.wav")
    _check_references(tracks, sources)
    missing = missing_estimates(found.tracks, [track.name for track in tracks], sources)
    if missing and not allow_missing:
        raise DataError(
            f"estimates are missing for {len(missing)} of {len(tracks)} tracks ({'; '.join(missing[:3])}"
            f"{'; ...' if len(missing) > 3 else ''}); add them, or score the rest with --allow-missing"
        )
    jobs = [
        (track, files)
        for track in tracks
        if all(source in (files := found.tracks.get(track.name, {})) for source in sources)
    ]
    for track, files in jobs:
        for source in sources:
            check_estimate(files[source], track.sample_rate, track.channels, track.frames)
    rows = []
    with Progress("scoring", total=len(jobs), unit="tracks") as progress, scoring_pool(workers, len(jobs)) as submit:
        for future in [submit(track, files, sources, metrics) for track, files in jobs]:
            rows.append(future.result())
            progress.advance()
    return Result(
        name,
        sources,
        metrics,
        describe_corpus(tracks, corpus),
        rows,
        estimates=None if kept is None else str(kept),
        notes=[f"estimates missing: {text}" for text in missing],
        versions=versions(),
    )


def evaluate_model(
    model: LoadedSeparator | str,
    tracks: Sequence[StemTrack],
    metrics: Sequence[str],
    *,
    name: str,
    corpus: str,
    folder: Path,
    settings: InferenceSettings,
    device: str = "cpu",
    workers: int = 1,
    keep: bool = False,
) -> Result:
    """Separate every track into ``folder/<track>/<source>.wav`` (float32) and score it while the next is separated.

    ``model``: a separator, or the name of an oracle. Files are deleted once scored, unless ``keep``.
    """
    _unique_names(tracks)
    oracle = isinstance(model, str)
    notes: list[str] = []
    if not isinstance(model, str):
        model, notes = _as_four(model, tracks)
    names = SOURCES if isinstance(model, str) else tuple(model.model.sources)
    sources = _scored_sources(tracks, names)
    if keep and not isinstance(model, str):
        write_estimates_record(folder, model.identity, model.provenance)
    cost = Cost("cpu" if oracle else device)
    futures: list[tuple[Future[dict[str, Any]], Files]] = []
    with (
        Progress("separating and scoring", total=2 * len(tracks), unit="steps") as progress,
        scoring_pool(workers, len(tracks)) as submit,
    ):
        for track in tracks:
            started = time.perf_counter()
            remove_temporary_files(folder / track.name)
            files = (
                _write_oracle(model, track, folder)
                if isinstance(model, str)
                else _write_estimates(model.model, track, folder, settings, device)
            )
            cost.compute_seconds += time.perf_counter() - started
            cost.audio_seconds += track.seconds
            futures.append((submit(track, files, sources, metrics), files))
            progress.advance(note=track.name)
        rows = []
        for future, files in futures:
            rows.append(future.result())
            progress.advance()
            if not keep:
                for path in files.values():
                    path.unlink()
    return Result(
        name,
        sources,
        metrics,
        describe_corpus(tracks, corpus),
        rows,
        model={"name": model, "identity": f"oracle:{model}", "settings": None}
        if isinstance(model, str)
        else model.description,
        inference=None if isinstance(model, str) else _inference(settings, model.model, tracks),
        cost=cost.document(),
        estimates=str(folder) if keep else None,
        notes=[
            *notes,
            *(f"not scored, since the songs have no such stem: {name}" for name in names if name not in sources),
            *([] if isinstance(model, str) else _training_note(model, tracks)),
        ],
        versions=versions(),
    )


def describe_corpus(tracks: Sequence[Track], name: str) -> dict[str, Any]:
    """Return the description of the scored songs that a result holds."""
    return {
        "name": name,
        "tracks": len(tracks),
        "seconds": round(sum(track.seconds for track in tracks), 3),
        "sample_rates": sorted({track.sample_rate for track in tracks}),
        "fingerprint": corpus_fingerprint([(track.name, track.frames) for track in tracks]),
    }


def _write_estimates(model: Any, track: StemTrack, folder: Path, settings: InferenceSettings, device: str) -> Files:
    step = int(READ_SECONDS * track.sample_rate)
    blocks = (track.read_mixture(begin, min(step, track.frames - begin)).T for begin in range(0, track.frames, step))
    estimates = np.concatenate(
        list(estimate_blocks(model, blocks, track.sample_rate, track.channels, settings, device)), axis=-1
    )
    # A mono model is scored on stereo songs with its estimates in both channels; the result states this.
    fitted = {source: to_channels(each, track.channels) for source, each in zip(model.sources, estimates, strict=True)}
    return _write(fitted, track, folder)


def _inference(settings: InferenceSettings, model: Any, tracks: Sequence[StemTrack]) -> dict[str, Any]:
    shapes = {(track.sample_rate, track.channels) for track in tracks}
    done = sorted({text for rate, channels in shapes for text in conversions(model, rate, channels)})
    return {**settings_mapping(settings, model), "conversions": done}


def _write_oracle(name: str, track: StemTrack, folder: Path) -> Files:
    estimates = ORACLES[name](track.read(), track.read_mixture())
    return _write(dict(zip(SOURCES, estimates, strict=True)), track, folder)


def _write(estimates: Mapping[str, np.ndarray], track: StemTrack, folder: Path) -> Files:
    files = {source: folder / track.name / f"{source}.wav" for source in estimates}
    for source, path in files.items():
        write_audio(path, estimates[source], track.sample_rate)
    return files


def _scored_sources(tracks: Sequence[Track], names: Sequence[str]) -> list[str]:
    """Return those of ``names`` for which every track has a reference: the four in their order, then the others."""
    common = [name for name in names if all(name in with_reference(track, names) for track in tracks)]
    if not common:
        raise DataError(
            f"the model separates {', '.join(names)}; the songs have stems for none of them ("
            f"{', '.join(tracks[0].sources) if tracks else 'no songs'})"
        )
    return [*(source for source in SOURCES if source in common), *(name for name in common if name not in SOURCES)]


def _as_four(model: LoadedSeparator, tracks: Sequence[Track]) -> tuple[LoadedSeparator, list[str]]:
    """Add the sources that four-stem songs count as 'other' to that estimate, and return a note that states it."""
    sums = four_of_more(model.model.sources, SOURCES)
    if sums is None or any(set(track.sources) != set(SOURCES) for track in tracks):
        return model, []
    note = f"other is scored as the sum of the model's {', '.join(sums['other'])}, as the songs' stems have it"
    return replace(model, model=StemSums(model.model, sums)), [note]


def _training_note(model: LoadedSeparator, tracks: Sequence[Track]) -> list[str]:
    seen = songs_in_training(model.provenance, [track.name for track in tracks])
    listed = ", ".join(seen[:5]) + (", ..." if len(seen) > 5 else "")
    return [f"{TRAINED_ON} {len(seen)} of these songs: {listed}"] if seen else []


def _check_references(tracks: Sequence[Track], sources: Sequence[str]) -> None:
    for track in tracks:
        lacking = set(sources) - set(with_reference(track, sources))
        if lacking:
            raise DataError(
                f"{track.name!r} has no reference for {', '.join(sorted(lacking))}; its stems are "
                f"{', '.join(track.sources)}"
            )


def _unique_names(tracks: Sequence[Track]) -> None:
    names = [track.name for track in tracks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"several tracks have the same name: {', '.join(twice[:5])}; choose one --split or corpus")
