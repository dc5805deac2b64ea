"""Scan of one track: decode it in blocks, run the detector on 16 kHz mono, find the spans to cut."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from remix_miner.audio import AudioReader, SampleReader, StreamResampler, display_name, downmix
from remix_miner.detector.fused_stream import joint_stream
from remix_miner.detector.networks import SilentSourceDetector
from remix_miner.detector.stream import ProbabilityStream
from remix_miner.detector.windows import HOP_SECONDS, SAMPLE_RATE
from remix_miner.duplicates.fingerprints import FingerprintStream
from remix_miner.duplicates.recordings import Fingerprint
from remix_miner.errors import AudioError
from remix_miner.mining.messages import Found, KnownSpans
from remix_miner.mining.settings import ScanSettings
from remix_miner.mining.track.cut import find_spans
from remix_miner.mining.track.held_audio import HeldAudio, block_frames
from remix_miner.mining.track.judged_channels import could_be_mined, least_over_channels
from remix_miner.mining.track.out_of_phase import PhaseCheck
from remix_miner.mining.track.window_validity import WindowValidity
from remix_miner.sources import SOURCES

USABLE_RATES = (4000, 768_000)
"""Sample rates (Hz) outside these are a damaged header's."""


@dataclass(frozen=True)
class ScannedAudio:
    """Result of one pass over a track: its format, the spans to mine, and its audio as far as it was kept."""

    sample_rate: int
    channels: int
    frames: int
    probabilities: Float32[np.ndarray, "S W"]
    valid: Bool[np.ndarray, " W"]
    found: list[Found]
    note: str | None
    held: HeldAudio
    fingerprint: Fingerprint | None = None

    @property
    def seconds(self) -> float:
        return self.frames / self.sample_rate


def scan_audio(
    path: Path,
    model: SilentSourceDetector,
    settings: ScanSettings,
    *,
    held_bytes: int = 256 << 20,
    push_seconds: float = 0.0,
    with_fingerprint: bool = False,
    on_block: Callable[[float], None] = lambda seconds: None,
) -> ScannedAudio:
    """Find the spans of a file in which a source is silent.

    A damaged or truncated file is scanned as far as it decodes, with a ``note``. Windows that are silent in what
    the detector receives, or hold samples that were NaN or infinite, are never mined. Where audible parts cancel in
    the mean of the channels, and the mean could be mined, the detector is also applied to one channel. It receives at
    least ``push_seconds`` at a time, which makes large batches on a GPU and changes no result. ``with_fingerprint``:
    also take the fingerprint of the file, as `fingerprint_file` does. ``on_block`` is called with the seconds of each
    decoded block, and may raise to stop the scan. Raises `AudioError` if nothing can be decoded.
    """
    with AudioReader(path) as reader:
        held = HeldAudio(path, reader.channels, settings.channels, held_bytes)
        return scan_opened(
            reader,
            held,
            model,
            settings,
            push_seconds=push_seconds,
            with_fingerprint=with_fingerprint,
            on_block=on_block,
        )


def scan_opened(
    reader: AudioReader | SampleReader,
    held: HeldAudio,
    model: SilentSourceDetector,
    settings: ScanSettings,
    *,
    push_seconds: float = 0.0,
    with_fingerprint: bool = False,
    on_block: Callable[[float], None] = lambda seconds: None,
) -> ScannedAudio:
    """Find the spans of an opened file, or of samples, as `scan_audio` does; ``held`` takes the audio."""
    rate, name = reader.sample_rate, display_name(reader.path)
    if not USABLE_RATES[0] <= rate <= USABLE_RATES[1]:
        raise AudioError(f"{name} states a sample rate of {rate} Hz; its header is damaged")
    validity = WindowValidity(rate)
    phase = PhaseCheck(rate, reader.channels)
    peaks = FingerprintStream(rate) if with_fingerprint else None
    to_detector = StreamResampler(rate, SAMPLE_RATE, 1)
    stream = joint_stream(ProbabilityStream(model), settings.fusion)
    pieces: list[Float32[np.ndarray, "S N"]] = []
    waiting: list[Float32[np.ndarray, " T"]] = []
    loudest = 0.0

    def receive(mono: Float32[np.ndarray, " T"], last: bool = False) -> None:
        waiting.append(to_detector(mono[:, None], last=last)[:, 0].copy())
        validity.receive(waiting[-1])

    for block in reader.blocks(block_frames(rate, reader.channels)):
        loudest = max(loudest, float(block.max()), -float(block.min()))
        validity.mark(len(block), reader.bad_frames)
        phase.push(block)
        held.append(block)
        mono = downmix(block.T)
        if peaks is not None:
            peaks.push(mono)
        receive(mono)
        if sum(map(len, waiting)) >= push_seconds * SAMPLE_RATE:
            pieces.append(stream.push(np.concatenate(waiting)))
            waiting.clear()
        on_block(len(block) / rate)
    if not reader.frames_read:
        raise AudioError(f"{name}: {reader.problem or 'holds no audio'}")
    receive(np.zeros(0, dtype=np.float32), last=True)
    pieces.append(stream.push(np.concatenate(waiting)))
    pieces.append(stream.finish())
    probabilities = np.concatenate(pieces, axis=1)
    valid = validity.windows(probabilities.shape[1])
    cancelling = phase.windows(len(valid)) & valid
    judged = cancelling & could_be_mined(probabilities, settings.thresholds, settings.min_seconds)
    if judged.any():
        original = held.original_blocks()
        of_channels = least_over_channels(original, rate, phase.to_judge(judged), model, settings.fusion, on_block)
        probabilities = np.minimum(probabilities, of_channels)
    probabilities[:, cancelling & ~judged] = 0  # the channels are not judged there, so no threshold may mine it
    found = find_spans(probabilities, valid, reader.frames_read, rate, settings)
    notes = _notes(reader, settings)
    if validity.silent:
        what = "nothing that the detector receives is above -85 dB of full scale" if loudest else "digital silence"
        notes.append(f"{what}: nothing to mine")
    if judged.any():
        seconds = judged.sum() * HOP_SECONDS
        notes.append(f"parts are out of phase between channels for {seconds:.1f} s: a channel is judged there")
    return ScannedAudio(
        sample_rate=rate,
        channels=reader.channels,
        frames=reader.frames_read,
        probabilities=probabilities,
        valid=valid,
        found=found,
        note="; ".join(notes) or None,
        held=held,
        fingerprint=Fingerprint(peaks.finish(), reader.frames_read / rate) if peaks is not None else None,
    )


def known_audio(path: Path, known: KnownSpans, settings: ScanSettings) -> ScannedAudio:
    """Return the audio of a file whose spans are known; it is decoded when it is read. Raises `AudioError`."""
    with AudioReader(path) as reader:
        if reader.sample_rate != known.sample_rate:
            raise AudioError(f"{display_name(path)} has {reader.sample_rate} Hz, was scanned with {known.sample_rate}")
        held = HeldAudio(path, reader.channels, settings.channels, most_bytes=0)
        nothing = np.zeros((len(SOURCES), 0), dtype=np.float32)
        valid = np.zeros(0, dtype=bool)
        return ScannedAudio(known.sample_rate, reader.channels, known.frames, nothing, valid, known.found, None, held)


def _notes(reader: AudioReader | SampleReader, settings: ScanSettings) -> list[str]:
    """Return the problems of a scanned track."""
    seconds = reader.frames_read / reader.sample_rate
    notes = [reader.problem] if reader.problem else []
    if reader.bad_values:
        notes.append(f"{reader.bad_values} samples are NaN, infinite or absurd: not mined around them")
    if seconds < settings.min_seconds:
        notes.append(f"lasts {seconds:.2f} s, less than the shortest excerpt ({settings.min_seconds:g} s)")
    return notes
