"""Ensembles on files: members run one after another, with intermediate estimates on disk.

Memory holds one model and one block per open file, for any number of models and songs of any length.
Estimates are float32 wav between stages, at the song's own rate and channels.
"""

import contextlib
import gc
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from remix_miner.atomic import atomic_path, write_json
from remix_miner.audio import AudioReader, AudioWriter, display_name, to_channels
from remix_miner.errors import AudioError, DataError, UsageError, WriteError
from remix_miner.evaluation.ensembles.blend import blend_files
from remix_miner.evaluation.ensembles.recipe import EnsembleRecipe, Member, Stage
from remix_miner.schema import load_json
from remix_miner.separators.apply_separator import estimate_blocks, output_channels
from remix_miner.separators.overlap_add import InferenceSettings
from remix_miner.separators.records import ENSEMBLE_RECORD, output_folders

Block = Float32[np.ndarray, "T C"]
Stems = Float32[np.ndarray, "S C T"]


@dataclass(frozen=True)
class _Song:
    """A file, the folder of its final estimates, and the folder of its estimates between stages."""

    path: Path
    folder: Path
    work: Path

    def estimate(self, source: str) -> Path:
        return self.work / f"{source}.wav"


def run_recipe(
    recipe: EnsembleRecipe,
    load: Callable[[str], Any],
    paths: Sequence[Path],
    out: Path,
    *,
    models: Mapping[str, str] | None = None,
    device: torch.device | str | None = None,
    advance: Callable[[str], None] = lambda note: None,
    remark: Callable[[Path, str, bool], None] = lambda path, text, failed: None,
) -> list[Path]:
    """Write estimates of every source of the recipe for every file: ``out/<song>/<source>.wav``. Return the folders.

    ``load(member)`` gives the model of a member; it is called once per stage that uses it. ``models`` names them for
    the record: songs already done with the same recipe and models are skipped, others are an error. ``advance`` is
    called with a label after each member and song, and after each stage and song. ``remark(path, text, failed)`` is
    called for a song that is damaged or holds values that are no numbers, and, with ``failed``, for a song that could
    not be separated: it is left out, and the others are done.
    """
    folders = output_folders(paths, out)
    record = {"recipe": asdict(recipe), "models": dict(models or {})}
    songs = [
        _Song(path, folder, folder / ".work")
        for path, folder in folders.items()
        if not _finished(folder, record, recipe.sources)
    ]
    if not songs:
        return list(folders.values())
    for song in songs:
        song.work.mkdir(parents=True, exist_ok=True)
    for number, stage in enumerate(recipe.stages):
        members = sorted({member for weights in stage.weights.values() for member in weights})
        for name in members:
            model = load(name)
            wanted = [source for source, weights in stage.weights.items() if name in weights]
            for song in list(songs):
                try:
                    _apply_member(model, recipe.member(name), name, wanted, stage, song, device)
                except WriteError:
                    raise
                except (AudioError, DataError, OSError) as error:
                    remark(song.path, str(error), True)
                    songs.remove(song)
                    del folders[song.path]
                    shutil.rmtree(song.work, ignore_errors=True)
                advance(f"{name}: {display_name(song.path.name)}")
            del model
            gc.collect()
        for song in songs:
            for source in stage.weights:
                shares = {song.work / f"{name}.{source}.wav": share for name, share in stage.shares(source).items()}
                blend_files(shares, song.estimate(source))
                for path in shares:
                    path.unlink()
            if stage.residual_shares:
                _refine(stage, song)
            advance(f"stage {number + 1}: {display_name(song.path.name)}")
    for song in songs:
        for source in recipe.sources:
            song.estimate(source).replace(song.folder / f"{source}.wav")
        shutil.rmtree(song.work)
        for text in _input_problems(song.path):
            remark(song.path, text, False)
        write_json(song.folder / ENSEMBLE_RECORD, {"input": str(song.path.resolve()), **record})
    return list(folders.values())


def refine_with_residuals(mixture: Float32[np.ndarray, "C T"], stems: Stems, shares: Sequence[float]) -> Stems:
    """Average each source with the mixture less the others; then take the mixture less the others.

    r_k = clip(mixture - sum_{j != k} x_j, -1, 1); y_k = shares_k r_k + (1 - shares_k) x_k; result_k = mixture -
    sum_{j != k} y_j. ``mixture`` lacks what earlier stages took out. The last steps of MVSep's 2023 solution.

    The results add up to mixture - (K - 1)(S - 1) R, with K sources, shares that sum to S, and the residual
    R = mixture - sum_k x_k (unless it is clipped): with the published shares, whose sum is 4/3, two thirds of R are
    lacking. They add up to the mixture where the estimates do, or where S = 1.
    """
    weights = np.asarray(shares, dtype=np.float32)[:, None, None]
    residuals = np.clip(mixture - (stems.sum(axis=0) - stems), -1, 1)
    averaged = weights * residuals + (1 - weights) * stems
    refined: Stems = mixture - (averaged.sum(axis=0) - averaged)
    return refined


def _finished(folder: Path, record: Mapping[str, Any], sources: Sequence[str]) -> bool:
    """Return whether a folder holds this ensemble's estimates. Those of another ensemble are an error."""
    try:
        earlier = load_json(folder / ENSEMBLE_RECORD, "a record")
    except DataError:
        return False
    if not isinstance(earlier, dict):
        return False
    if any(earlier.get(name) != json.loads(json.dumps(value)) for name, value in record.items()):
        raise UsageError(f"{folder} holds estimates of another recipe or other models; choose another --out")
    return all((folder / f"{source}.wav").is_file() for source in sources)


def _apply_member(
    model: Any, member: Member, name: str, wanted: Sequence[str], stage: Stage, song: _Song, device: Any
) -> None:
    """Write the member's estimate of each wanted source to ``work/<member>.<source>.wav``."""
    settings = InferenceSettings(overlap=member.overlap, shifts=member.shifts, polarity=member.polarity)
    rules = {source: _rule(member, name, source, tuple(model.sources)) for source in wanted}
    sign = np.float32(-1 if member.invert else 1)
    with AudioReader(song.path) as header:
        rate, channels, frames = header.sample_rate, header.channels, header.frames
    width = output_channels(model, channels)
    with contextlib.ExitStack() as stack:
        writers = {
            source: stack.enter_context(
                AudioWriter(
                    stack.enter_context(atomic_path(song.work / f"{name}.{source}.wav")), rate, width, frames=frames
                )
            )
            for source in wanted
        }
        inputs = (sign * block for block in _input_blocks(song, stage))
        complements = _input_blocks(song, stage) if any(complement for _, complement in rules.values()) else None
        held = np.zeros((0, width), dtype=np.float32)
        for estimates in estimate_blocks(model, inputs, rate, channels, settings, device):
            count = estimates.shape[-1]
            if complements is not None:
                while len(held) < count:
                    held = np.concatenate([held, to_channels(next(complements).T, width).T])
            for source, (rows, complement) in rules.items():
                total = sign * estimates[rows].sum(axis=0).T
                writers[source].write(held[:count] - total if complement else total)
            held = held[count:]


def _rule(member: Member, name: str, source: str, available: tuple[str, ...]) -> tuple[list[int], bool]:
    """Return the rows of the model's estimates to add up, and whether to subtract their sum from the input."""
    complement = source in member.complements
    parts = member.complements.get(source) or member.sums.get(source) or [source]
    lacking = [part for part in parts if part not in available]
    if lacking:
        raise UsageError(
            f"member {name!r} is to give {source}, but its model separates {', '.join(available)}, "
            f"not {', '.join(lacking)}"
        )
    return [available.index(part) for part in parts], complement


def _input_blocks(song: _Song, stage: Stage) -> Iterator[Block]:
    """Return the song in blocks, less the estimates that the stage subtracts."""
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(AudioReader(song.path))
        others = [stack.enter_context(AudioReader(song.estimate(source))) for source in stage.subtract]
        streams = [other.blocks(int(10 * reader.sample_rate)) for other in others]
        for block in reader.blocks(int(10 * reader.sample_rate)):
            taken = [next(stream) for stream in streams]
            if any(len(each) != len(block) for each in taken):
                raise DataError(f"{display_name(song.path)} changed while it was separated")
            width = max([block.shape[1], *(each.shape[1] for each in taken)]) if block.shape[1] <= 2 else 2
            yield to_channels(block.T, width).T - sum(each for each in taken) if taken else block


def _input_problems(path: Path) -> list[str]:
    """Return the problems of a completely read song: an early end, and values that were replaced by zeros."""
    with AudioReader(path) as reader:
        for _ in reader.blocks():
            pass
        found = [f"{reader.problem}; separated as far as it decodes"] if reader.problem else []
        if reader.bad_values:
            found.append(f"{reader.bad_values:,} samples of the file are NaN or infinite and were read as zeros")
    return found


def _refine(stage: Stage, song: _Song) -> None:
    """Apply `refine_with_residuals` to a song's files, block by block."""
    sources = list(stage.weights)
    shares = [stage.residual_shares[source] for source in sources]
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(AudioReader(song.estimate(source))) for source in sources]
        size = int(10 * readers[0].sample_rate)
        writers = [
            stack.enter_context(
                AudioWriter(
                    stack.enter_context(atomic_path(song.estimate(source))),
                    reader.sample_rate,
                    reader.channels,
                    frames=reader.frames,
                )
            )
            for source, reader in zip(sources, readers, strict=True)
        ]
        streams = [reader.blocks(size) for reader in readers]
        for block in _input_blocks(song, stage):
            stems = np.stack([next(stream).T for stream in streams])
            mixture = to_channels(block.T, stems.shape[1])
            for writer, refined in zip(writers, refine_with_residuals(mixture, stems, shares), strict=True):
                writer.write(refined.T)
