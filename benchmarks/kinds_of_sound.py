"""Probabilities of silence for synthesised sounds of kinds on which detectors fail.

    python benchmarks/kinds_of_sound.py [--detector default] [--seconds 20]

Each kind is rendered alone (mono, 16 kHz, seeded). The table has, per source, the median P(silent) over the windows.
The source of a sound should be near 0, the others near 1.
"""

import argparse
import zlib
from collections.abc import Callable

import numpy as np
import torch
from scipy.signal import butter, lfilter, sosfilt

from remix_miner.detector.loading import load_detector
from remix_miner.detector.stream import track_probabilities
from remix_miner.sources import SOURCES

RATE = 16_000
BEAT_SECONDS = 0.5
Sound = Callable[[np.random.Generator, int], np.ndarray]


def sub_bass(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A sine with a new note every two seconds, 35 to 65 Hz."""
    notes = np.repeat(rng.uniform(35, 65, frames // (2 * RATE) + 1), 2 * RATE)[:frames]
    return 0.3 * np.sin(2 * np.pi * np.cumsum(notes) / RATE)


def glide_808(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Decaying low notes, each of which falls in pitch."""
    return _on_beats(
        frames, 2, lambda t: np.sin(2 * np.pi * np.cumsum(45 + 60 * np.exp(-t * 12)) / RATE) * np.exp(-t * 2)
    )


def electric_bass(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Decaying saw notes through a low-pass filter: an easy bass."""
    notes = iter(rng.uniform(45, 110, frames // RATE * 4 + 8))
    saw = _on_beats(frames, 1, lambda t: 2 * (next(notes) * t % 1 - 0.5) * np.exp(-t * 3))
    return _low_pass(saw, 900)


def muffled_drums(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Kick and snare with nothing above 500 Hz."""
    return _low_pass(drum_kit(rng, frames), 400)


def drum_kit(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Kick, snare and hi-hat: easy drums."""
    kick = _on_beats(
        frames, 2, lambda t: np.sin(2 * np.pi * np.cumsum(50 + 120 * np.exp(-t * 40)) / RATE) * np.exp(-t * 9)
    )
    snare = _on_beats(frames, 2, lambda t: rng.normal(0, 0.4, len(t)) * np.exp(-t * 18), offset=1)
    hat = _on_beats(frames, 0.5, lambda t: _high_pass(rng.normal(0, 0.15, len(t)), 5000) * np.exp(-t * 60))
    return kick + snare + hat


def shaker(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Soft bursts of high noise."""
    return _on_beats(
        frames, 0.5, lambda t: _high_pass(rng.normal(0, 0.1, len(t)), 3000) * np.sin(np.pi * t / t[-1]) ** 2
    )


def brushes(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Noise that swells slowly, with a soft stroke on every second beat."""
    sweep = (
        0.05 * rng.normal(0, 1, frames) * (0.6 + 0.4 * np.sin(2 * np.pi * np.arange(frames) / RATE / BEAT_SECONDS / 2))
    )
    return _high_pass(sweep, 1500) + _on_beats(
        frames, 2, lambda t: rng.normal(0, 0.15, len(t)) * np.exp(-t * 25), offset=1
    )


def plucked_synth(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Short notes with a hard attack."""
    notes = iter(rng.choice([220.0, 262.0, 330.0, 392.0, 440.0], frames // RATE * 8 + 16))
    return _on_beats(frames, 0.5, lambda t: _saw(next(notes), t) * np.exp(-t * 14) * 0.3)


def gated_synth(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A chord that a gate cuts into sixteenths."""
    t = np.arange(frames) / RATE
    chord = sum(_saw(frequency, t) for frequency in (220, 277, 330)) * 0.12
    return chord * (np.floor(t / (BEAT_SECONDS / 4)) % 2)


def lead_synth(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A legato line with vibrato and a formant-like filter: no voice."""
    return _line(rng, frames, vibrato=0.01, resonances=((900, 0.97), (1600, 0.95)))


def saxophone_like(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A reedy line with breath noise: no voice."""
    line = _line(rng, frames, vibrato=0.006, resonances=((600, 0.95), (1400, 0.96), (2600, 0.93)))
    return line + 0.01 * _high_pass(rng.normal(0, 1, frames), 2000)


def vowel_voice(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A pulse train through the formants of changing vowels."""
    formants = (((730, 0.985), (1090, 0.98), (2440, 0.97)), ((270, 0.985), (2290, 0.98), (3010, 0.97)))
    source = _line(rng, frames, vibrato=0.02, resonances=())
    pieces = [_resonate(source[start : start + RATE], formants[start // RATE % 2]) for start in range(0, frames, RATE)]
    voice = np.concatenate(pieces)
    return 0.3 * voice / np.abs(voice).max()


def chorused_voice(rng: np.random.Generator, frames: int) -> np.ndarray:
    """The same voice, doubled with changing delays."""
    dry = vowel_voice(rng, frames)
    places = np.arange(frames)
    delays = (0.02 + 0.006 * np.sin(2 * np.pi * np.outer((0.7, 1.1, 1.7), places) / RATE)) * RATE
    return dry / 2 + sum(np.interp(places - delay, places, dry) for delay in delays) / 4


def near_sine_glides(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A sine with a weak second harmonic that slides to a new note every second, 38 to 60 Hz."""
    notes = np.repeat(rng.uniform(38, 60, frames // RATE + 1), RATE)[:frames]
    phase = 2 * np.pi * np.cumsum(_low_pass(notes - notes[0], 4) + notes[0]) / RATE
    return 0.3 * (np.sin(phase) + 0.1 * np.sin(2 * phase))


def slap_bass(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Short low notes with a snap of noise at the start."""
    notes = iter(rng.choice([55.0, 65.4, 73.4, 110.0], frames // RATE * 8 + 16))
    snap = _high_pass(rng.normal(0, 0.4, RATE), 1500)
    return _on_beats(frames, 0.5, lambda t: _saw(next(notes), t) * np.exp(-t * 9) + snap[: len(t)] * np.exp(-t * 250))


def hand_drums(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Two membranes struck by hand in eighths: modes of a circular membrane that decay within a fifth of a second."""
    lows = iter(rng.choice([180.0, 240.0], frames // RATE * 8 + 16))

    def stroke(t: np.ndarray) -> np.ndarray:
        base, level = next(lows), rng.uniform(0.3, 1)
        modes = sum(np.sin(2 * np.pi * base * r * t) * np.exp(-t * 18 * r) / r for r in (1.0, 1.594, 2.136, 2.653))
        return level * (modes + 0.2 * rng.normal(0, 1, len(t)) * np.exp(-t * 150))

    return _on_beats(frames, 0.5, stroke)


def strummed_guitar(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Strummed chords of six plucked strings, without drums."""
    chords = [[82.4, 123.5, 164.8, 207.7, 246.9, 329.6], [110.0, 164.8, 220.0, 277.2, 329.6, 440.0]]
    order = iter(rng.integers(0, 2, frames // RATE * 8 + 16))

    def strum(t: np.ndarray) -> np.ndarray:
        audio, chord = np.zeros(len(t)), chords[int(next(order))]
        for number, frequency in enumerate(chord):
            start = int(number * 0.01 * RATE)
            audio[start:] += _plucked(rng, frequency, len(t) - start)
        return 0.15 * audio

    return _on_beats(frames, 1, strum)


def slide_guitar(rng: np.random.Generator, frames: int) -> np.ndarray:
    """Overdriven partials that slide from note to note: no voice."""
    notes = np.repeat(rng.choice([220.0, 247.0, 294.0, 330.0], frames // RATE + 1), RATE)[:frames]
    pitch = _low_pass(notes - notes[0], 4) + notes[0]
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.008 * np.sin(2 * np.pi * 5 * np.arange(frames) / RATE))) / RATE
    tone = sum(np.sin(k * phase) / k for k in range(1, 12))
    return 0.2 * _low_pass(np.tanh(3 * tone), 4000)


def reversed_voice(rng: np.random.Generator, frames: int) -> np.ndarray:
    """The formant voice backwards in phrases of two seconds."""
    dry = vowel_voice(rng, frames) * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * np.arange(frames) / RATE))
    return np.concatenate([dry[start : start + 2 * RATE][::-1] for start in range(0, frames, 2 * RATE)])


def ring_modulated_voice(rng: np.random.Generator, frames: int) -> np.ndarray:
    """The formant voice times a sine of 90 Hz."""
    return vowel_voice(rng, frames) * np.sin(2 * np.pi * 90 * np.arange(frames) / RATE)


KINDS: dict[str, tuple[str, Sound]] = {
    "sub-bass sine, 35 to 65 Hz": ("bass", sub_bass),
    "808 with glides": ("bass", glide_808),
    "near-sine that glides": ("bass", near_sine_glides),
    "slap bass": ("bass", slap_bass),
    "electric bass (easy)": ("bass", electric_bass),
    "drum kit (easy)": ("drums", drum_kit),
    "muffled drums": ("drums", muffled_drums),
    "shaker": ("drums", shaker),
    "brushes": ("drums", brushes),
    "hand drums": ("drums", hand_drums),
    "plucked synthesiser": ("other", plucked_synth),
    "gated synthesiser": ("other", gated_synth),
    "strummed guitar": ("other", strummed_guitar),
    "lead synthesiser": ("other", lead_synth),
    "saxophone-like lead": ("other", saxophone_like),
    "slide guitar": ("other", slide_guitar),
    "formant voice": ("vocals", vowel_voice),
    "formant voice with chorus": ("vocals", chorused_voice),
    "formant voice, reversed": ("vocals", reversed_voice),
    "formant voice, ring-modulated": ("vocals", ring_modulated_voice),
}


def probabilities_of(detector: str, seconds: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the median P(silent) of the four sources, per kind."""
    model = load_detector(detector).model
    medians = {}
    for name, (_, sound) in KINDS.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        mono = sound(rng, int(seconds * RATE)).astype(np.float32)
        medians[name] = np.median(track_probabilities(model, mono), axis=1)
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detector", default="default")
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| sound | is | " + " | ".join(SOURCES) + " |\n|---|---|" + "---|" * len(SOURCES))
    for name, medians in probabilities_of(options.detector, options.seconds).items():
        cells = (
            f"**{p:.2f}**" if KINDS[name][0] == source else f"{p:.2f}"
            for source, p in zip(SOURCES, medians, strict=True)
        )
        print(f"| {name} | {KINDS[name][0]} | " + " | ".join(cells) + " |")


def _on_beats(frames: int, beats: float, note: Callable[[np.ndarray], np.ndarray], offset: float = 0.0) -> np.ndarray:
    """Return notes at a fixed distance in beats, each as long as the distance."""
    gap = int(beats * BEAT_SECONDS * RATE)
    audio = np.zeros(frames)
    for start in range(int(offset * BEAT_SECONDS * RATE), frames, gap):
        piece = note(np.arange(gap) / RATE)[: frames - start]
        audio[start : start + len(piece)] += piece
    return 0.5 * audio


def _line(
    rng: np.random.Generator, frames: int, vibrato: float, resonances: tuple[tuple[float, float], ...]
) -> np.ndarray:
    """A monophonic melody of saw waves, filtered by resonances (Hz, pole radius)."""
    notes = np.repeat(rng.choice([196.0, 220.0, 247.0, 294.0, 330.0, 392.0], frames // RATE * 2 + 2), RATE // 2)[
        :frames
    ]
    wobble = 1 + vibrato * np.sin(2 * np.pi * 5.5 * np.arange(frames) / RATE)
    phase = np.cumsum(_low_pass(notes, 20) * wobble) / RATE
    audio = _resonate(2 * (phase % 1 - 0.5), resonances)
    return 0.2 * audio / np.abs(audio).max()


def _resonate(audio: np.ndarray, resonances: tuple[tuple[float, float], ...]) -> np.ndarray:
    for frequency, radius in resonances:
        audio = lfilter([1.0], [1, -2 * radius * np.cos(2 * np.pi * frequency / RATE), radius**2], audio)
    return audio


def _plucked(rng: np.random.Generator, frequency: float, frames: int) -> np.ndarray:
    """Return a plucked string by Karplus and Strong (1983)."""
    period = round(RATE / frequency)
    burst = np.zeros(frames)
    burst[:period] = rng.uniform(-1, 1, period)[:frames]
    loop = np.zeros(period + 2)
    loop[0], loop[period], loop[period + 1] = 1, -0.498, -0.498
    string: np.ndarray = lfilter([1.0], loop, burst)
    return string


def _saw(frequency: float, t: np.ndarray) -> np.ndarray:
    return 2 * (frequency * t % 1 - 0.5)


def _low_pass(audio: np.ndarray, frequency: float) -> np.ndarray:
    filtered: np.ndarray = sosfilt(butter(4, frequency, fs=RATE, output="sos"), audio)
    return filtered


def _high_pass(audio: np.ndarray, frequency: float) -> np.ndarray:
    filtered: np.ndarray = sosfilt(butter(4, frequency, "highpass", fs=RATE, output="sos"), audio)
    return filtered


if __name__ == "__main__":
    main()
