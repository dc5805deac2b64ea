"""Spans to mine in a track, and their audio as a shard stores it."""

import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Bool, Float32

from remix_miner.audio import Block, resample
from remix_miner.detector.spans import Span, silent_spans
from remix_miner.errors import AudioError
from remix_miner.mining.messages import Found
from remix_miner.mining.settings import ScanSettings
from remix_miner.sources import SOURCES


def find_spans(
    probabilities: Float32[np.ndarray, "S W"],
    valid: Bool[np.ndarray, " W"],
    frames: int,
    sample_rate: int,
    settings: ScanSettings,
) -> list[Found]:
    """Return the spans to mine, in the order in which they end. Excerpts of one source do not overlap.

    With ``settings.together`` every source has the same spans: those in which all of them pass their thresholds.
    """
    found = []
    for source, spans in spans_to_mine(probabilities, valid, frames, sample_rate, settings).items():
        for span in spans:
            found += _excerpts(source, span, frames, sample_rate, settings)
    return sorted(found, key=lambda span: (span.start_frame + span.frames, SOURCES.index(span.source)))


def spans_to_mine(
    probabilities: Float32[np.ndarray, "S W"],
    valid: Bool[np.ndarray, " W"],
    frames: int,
    sample_rate: int,
    settings: ScanSettings,
) -> dict[str, list[Span]]:
    """Return the spans of each mined source in order, before those longer than ``max_seconds`` are divided."""
    if settings.together:
        for source, threshold in settings.thresholds.items():
            valid = valid & (probabilities[SOURCES.index(source)] >= threshold)
    spans = {}
    for source, threshold in settings.thresholds.items():
        row = probabilities[SOURCES.index(source)]
        long_enough = silent_spans(row, threshold, frames / sample_rate, settings.min_seconds, valid)
        spans[source] = [span for span in long_enough if _excerpts(source, span, frames, sample_rate, settings)]
    return spans


def _excerpts(source: str, span: Span, frames: int, sample_rate: int, settings: ScanSettings) -> list[Found]:
    """Return a span as one excerpt, as several equal ones if longer than ``max_seconds``, as none if too short."""
    start = math.ceil(round(span.start_seconds * sample_rate, 6))
    end = min(math.floor(round(span.end_seconds * sample_rate, 6)), frames)
    if end - start < settings.min_seconds * sample_rate:
        return []
    parts = math.ceil((end - start) / (settings.max_seconds * sample_rate))
    edges = [start + (end - start) * part // parts for part in range(parts + 1)]
    return [
        Found(source, first, last - first, float(span.probability_mean), float(span.probability_min))
        for first, last in itertools.pairwise(edges)
    ]


def cut(blocks: Iterable[Block], found: list[Found]) -> Iterator[tuple[Found, Block]]:
    """Yield the audio (frames, channels) of each span, in the given order (by end). Reading stops after the last.

    Spans may overlap: those of different sources often do. Raises `AudioError` when the blocks end too early.
    """
    waiting = list(found)
    if not waiting:
        return
    pieces: dict[int, list[Block]] = {id(span): [] for span in waiting}
    position = 0
    for block in blocks:
        for span in waiting:
            first, last = span.start_frame - position, span.start_frame + span.frames - position
            if first < len(block):
                pieces[id(span)].append(block[max(first, 0) : max(last, 0)])
        position += len(block)
        while waiting and waiting[0].start_frame + waiting[0].frames <= position:
            span = waiting.pop(0)
            yield span, np.concatenate(pieces.pop(id(span)))
        if not waiting:
            return
    if waiting:
        raise AudioError(f"the audio ended at frame {position}, before the spans that were found in it")


def excerpt_audio(audio: Block, sample_rate: int, settings: ScanSettings) -> Block:
    """Return an excerpt (frames, channels), which has the shard's channels, at the shard's sample rate."""
    if sample_rate == settings.sample_rate:
        return audio
    return np.ascontiguousarray(resample(np.ascontiguousarray(audio.T), sample_rate, settings.sample_rate).T)
