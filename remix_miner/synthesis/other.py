"""Synthetic accompaniment ('other'): keys, guitars, pads, strings, brass and leads; chords, arpeggios, melodies."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from remix_miner.synthesis.score import BEATS, Score, Section
from remix_miner.synthesis.sound import (
    Mono,
    Spectrum,
    Stereo,
    envelope,
    filtered,
    harmonic_tone,
    hertz,
    loudness,
    place,
    reverberated,
    saturated,
    white,
)


@dataclass(frozen=True)
class Timbre:
    """A family of instruments: the shape of its spectrum and envelope, and its playing styles."""

    roles: tuple[str, ...]
    tilt: tuple[float, float]  # amplitude of harmonic n is n ** -tilt
    ring_seconds: tuple[float, float]  # 0: sustained
    damping: float = 0.0  # how much faster high harmonics fade
    attack: tuple[float, float] = (0.003, 0.01)
    release: float = 0.08
    odd: float = 0.0  # 1: odd harmonics only
    detune: float = 0.0
    vibrato: float = 0.0  # semitones
    tremolo: float = 0.0
    cutoff_hz: tuple[float, float] = (20000.0, 20000.0)
    swell: float = 0.0  # brightness that grows in the attack, as of brass
    pluck: bool = False
    drive: float = 0.0
    noise: float = 0.0


TIMBRES = {
    "piano": Timbre(("chords", "stabs", "arpeggio"), (1.1, 1.7), (0.8, 2.0), 0.12, (0.002, 0.005), 0.12, detune=0.0006,
                    noise=0.02),
    "electric piano": Timbre(("chords", "stabs"), (1.8, 2.6), (0.9, 1.8), 0.5, (0.002, 0.006), 0.1, tremolo=0.3),
    "organ": Timbre(("chords", "pad"), (0.5, 1.0), (0, 0), attack=(0.005, 0.02), release=0.05, tremolo=0.15,
                    cutoff_hz=(1500, 5000)),
    "acoustic guitar": Timbre(("strum", "arpeggio"), (1.0, 1.5), (0.5, 1.2), 0.25, pluck=True),
    "clean guitar": Timbre(("strum", "arpeggio", "stabs"), (1.0, 1.6), (0.7, 1.6), 0.3, pluck=True,
                            cutoff_hz=(3000, 6000)),
    "distorted guitar": Timbre(("power", "chug"), (0.8, 1.2), (1.5, 4.0), 0.1, pluck=True,
                               cutoff_hz=(3000, 5500), drive=8.0),
    "pad": Timbre(("pad",), (0.9, 1.4), (0, 0), attack=(0.2, 0.6), release=0.5, detune=0.006, cutoff_hz=(600, 3500)),
    "strings": Timbre(("pad", "lead"), (0.9, 1.3), (0, 0), attack=(0.08, 0.25), release=0.25, detune=0.004,
                      vibrato=0.15, cutoff_hz=(2500, 7000)),
    "brass": Timbre(("stabs", "lead", "pad"), (0.7, 1.1), (0, 0), attack=(0.03, 0.08), release=0.08, detune=0.002,
                    vibrato=0.08, cutoff_hz=(1200, 4000), swell=1.0),
    "synth pluck": Timbre(("arpeggio", "stabs"), (0.9, 1.2), (0.12, 0.4), 0.4, release=0.05, detune=0.003),
    "square lead": Timbre(("lead", "arpeggio"), (1.0, 1.2), (0, 0), attack=(0.005, 0.02), odd=1.0, vibrato=0.15,
                          cutoff_hz=(2500, 9000)),
    "saw lead": Timbre(("lead", "stabs"), (1.0, 1.1), (0, 0), attack=(0.005, 0.02), detune=0.005, vibrato=0.12,
                       cutoff_hz=(2500, 9000)),
    "flute": Timbre(("lead",), (2.2, 3.0), (0, 0), attack=(0.04, 0.09), vibrato=0.2, noise=0.08),
    "bells": Timbre(("arpeggio", "lead"), (1.6, 2.4), (0.4, 1.2), 0.8, odd=0.7),
}  # fmt: skip
LEADERS = tuple(name for name, timbre in TIMBRES.items() if "lead" in timbre.roles)


def play_other(score: Score, rng: Generator) -> Stereo:
    """Return the 'other' stem (2, frames): one to three instruments, and a lead melody where vocals rest."""
    names = [
        str(name) for name in rng.choice(list(TIMBRES), size=rng.choice([1, 2, 3], p=[0.3, 0.45, 0.25]), replace=False)
    ]
    stem: Stereo = np.zeros((2, score.frames), dtype=np.float32)
    for index, name in enumerate(names):
        timbre = TIMBRES[name]
        roles = (
            timbre.roles if index == 0 or timbre.roles == ("lead",) else tuple(r for r in timbre.roles if r != "lead")
        )
        instrument = Instrument(timbre, rng)
        layer: Stereo = np.zeros_like(stem)
        role = str(rng.choice(roles))
        pan = rng.uniform(-0.7, 0.7) if index or len(names) > 1 else rng.uniform(-0.2, 0.2)
        for section in score.playing("other"):
            if index and section.name in ("intro", "break", "outro") and rng.random() < 0.35:
                continue
            _PLAYERS[role](instrument, score, section, layer, pan, rng)
        level = loudness(layer, score.sample_rate)
        if level > 0:
            stem += layer * np.float32(rng.uniform(0.5, 1.0) / level)
    leader = Instrument(TIMBRES[str(rng.choice(LEADERS))], rng)
    layer = np.zeros_like(stem)
    for section in score.playing("other"):
        if "vocals" not in section.playing and len(score.sections) > 1 and rng.random() < 0.5:
            _lead(leader, score, section, layer, rng.uniform(-0.3, 0.3), rng)
    level = loudness(layer, score.sample_rate)
    if level > 0:
        stem += layer * np.float32(rng.uniform(0.5, 0.9) / level)
    return reverberated(stem, score.sample_rate, rng.uniform(0.4, 1.8), rng.uniform(0.05, 0.35), rng)


class Instrument:
    """One instrument with its own constants; notes are cached."""

    def __init__(self, timbre: Timbre, rng: Generator) -> None:
        self.timbre, self.rng = timbre, rng
        self.tilt = rng.uniform(*timbre.tilt)
        self.ring_seconds = rng.uniform(*timbre.ring_seconds)
        self.attack = rng.uniform(*timbre.attack)
        self.cutoff_hz = rng.uniform(*timbre.cutoff_hz)
        self.pick_position = rng.uniform(0.1, 0.4)
        self.body = rng.uniform(0.4, 1.6, 64)
        self.wobble_hz = rng.uniform(4.5, 7.0)
        self.tune = 2 ** (rng.normal(0, 4) / 1200)
        self._held: dict[tuple[int, int], Mono] = {}

    def note(self, pitch: int, frames: int, sample_rate: int) -> Mono:
        key = (pitch, frames // 64)
        if key not in self._held:
            self._held[key] = self._play(hertz(pitch) * self.tune, max(frames, 64), sample_rate)
        return self._held[key]

    def _play(self, hz: float, frames: int, sample_rate: int) -> Mono:
        timbre, rng = self.timbre, self.rng
        if timbre.ring_seconds[1] == 0:
            frames += int(timbre.release * sample_rate)
        seconds = np.arange(frames, dtype=np.float32) / sample_rate
        pitch: float | np.ndarray = hz
        if timbre.vibrato:
            depth = timbre.vibrato / 12 * np.log(2) * np.clip(seconds / 0.4 - 0.5, 0, 1)
            pitch = hz * (1 + depth * np.sin(2 * np.pi * self.wobble_hz * seconds + rng.uniform(0, 6)))
        strings = (1.0, 1 + timbre.detune, 1 - timbre.detune) if timbre.detune else (1.0,)
        tone = np.zeros(frames, dtype=np.float32)
        for ratio in strings:
            tone += harmonic_tone(pitch * ratio, frames, sample_rate, self._spectrum(hz), rng.uniform(0, 6.28, 64))
        if timbre.noise:
            breath = filtered(white(frames, rng), sample_rate, "bandpass", (hz, min(6 * hz, 9000)), 1)
            level = np.float32(timbre.noise * np.abs(tone).max())
            tone += breath * level * (np.exp(-seconds / 0.03) if timbre.ring_seconds[1] else 1)
        if timbre.tremolo:
            tone *= 1 - timbre.tremolo * (0.5 + 0.5 * np.sin(2 * np.pi * self.wobble_hz * seconds))
        tone *= envelope(frames, sample_rate, self.attack, timbre.release)
        return np.asarray(tone / max(float(np.abs(tone).max()), 1e-9), dtype=np.float32)

    def _spectrum(self, hz: float) -> Spectrum:
        timbre = self.timbre

        def spectrum(seconds: np.ndarray, harmonic_hz: np.ndarray) -> np.ndarray:
            number = np.round(harmonic_hz / hz)
            amplitude = number ** -np.float32(self.tilt) * np.resize(self.body, number.shape[1]).astype(np.float32)
            amplitude *= 1 - timbre.odd * (1 - number % 2)
            edge = self.cutoff_hz * (1 - timbre.swell * 0.7 * np.exp(-seconds / (2 * self.attack)))
            amplitude /= 1 + (harmonic_hz / edge) ** 4
            if timbre.pluck:
                amplitude *= np.abs(np.sin(np.pi * self.pick_position * number)) + 0.05
            if timbre.ring_seconds[1]:
                amplitude *= np.exp(-seconds / self.ring_seconds * (1 + timbre.damping * (number - 1)))
            return np.asarray(amplitude)

        return spectrum


def _voicing(chord: tuple[int, ...], low: int) -> list[int]:
    """Return the chord's pitches, each in the octave from ``low``."""
    return sorted({low + (pitch - low) % 12 for pitch in chord})


def _chord(
    player: Instrument, score: Score, canvas: Stereo, bar: int, beat: float, beats: float, pan: float, gain: float,
    low: int, spread_seconds: float = 0.0,
) -> None:  # fmt: skip
    frames = int(beats * score.beat_seconds * score.sample_rate)
    pitches = _voicing(score.chords[bar], low)
    for index, pitch in enumerate(pitches):
        start = score.frame(bar, beat) + int(index * spread_seconds * score.sample_rate)
        place(canvas, start, player.note(pitch, frames, score.sample_rate), gain, pan + 0.2 * (index - 1))


def _bars(section: Section) -> range:
    return range(section.start_bar, section.start_bar + section.bars)


def _chords(player: Instrument, score: Score, section: Section, canvas: Stereo, pan: float, rng: Generator) -> None:
    rhythm = ((0.0, 2.0), (2.0, 2.0)) if rng.random() < 0.5 else tuple((float(beat), 1.0) for beat in range(BEATS))
    low = int(rng.integers(50, 62))
    for bar in _bars(section):
        for beat, beats in rhythm:
            _chord(player, score, canvas, bar, beat, beats, pan, rng.uniform(0.7, 1.0), low, 0.008)


def _pad(player: Instrument, score: Score, section: Section, canvas: Stereo, pan: float, rng: Generator) -> None:
    low = int(rng.integers(50, 65))
    for bar in _bars(section):
        _chord(player, score, canvas, bar, 0, BEATS, pan, 0.9, low)


def _stabs(player: Instrument, score: Score, section: Section, canvas: Stereo, pan: float, rng: Generator) -> None:
    beats = ((0.5, 1.5, 2.5, 3.5), (0.0, 0.75, 1.5, 2.5), (1.0, 3.0), (0.0, 1.5, 3.0))[rng.integers(4)]
    low = int(rng.integers(55, 67))
    for bar in _bars(section):
        for beat in beats:
            _chord(player, score, canvas, bar, beat, 0.4, pan, rng.uniform(0.7, 1.0), low)


def _strum(player: Instrument, score: Score, section: Section, canvas: Stereo, pan: float, rng: Generator) -> None:
    beats = ((0, 1, 1.5, 2.5, 3, 3.5), (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5), (0, 1.5, 2, 3))[rng.integers(3)]
    low = int(rng.integers(45, 57))
    for bar in _bars(section):
        for beat in beats:
            _chord(player, score, canvas, bar, beat, 1.0, pan, rng.uniform(0.5, 1.0), low, rng.uniform(0.008, 0.02))


def _arpeggio(player: Instrument, score: Score, section: Section, canvas: Stereo, pan: float, rng: Generator) -> None:
    step = float(rng.choice([0.25, 0.5]))
    low, order = int(rng.integers(52, 66)), rng.permutation(8)
    frames = int(step * 1.5 * score.beat_seconds * score.sample_rate)
    for bar in _bars(section):
        ladder = _voicing(score.chords[bar], low)
        ladder += [pitch + 12 for pitch in ladder]
        for index in range(int(BEATS / step)):
            pitch = ladder[order[index % 8] % len(ladder)]
            place(
                canvas,
                score.frame(bar, index * step),
                player.note(pitch, frames, score.sample_rate),
                rng.uniform(0.6, 1),
                pan,
            )


def _riff(player: Instrument, score: Score, section: Section, canvas: Stereo, rng: Generator, chug: bool) -> None:
    """Play power chords, driven as a whole and doubled left and right, as rock guitars are."""
    low = int(rng.integers(38, 46))
    for side in (-0.8, 0.8):
        line: Stereo = np.zeros((2, canvas.shape[1]), dtype=np.float32)
        late = int(rng.uniform(0, 0.012) * score.sample_rate)
        for bar in _bars(section):
            root = low + (score.chords[bar][0] - low) % 12
            strokes = tuple((k / 2, 0.3 if k % 4 else 0.5) for k in range(8)) if chug else ((0.0, 1.9), (2.0, 1.9))
            for beat, beats in strokes:
                frames = int(beats * score.beat_seconds * score.sample_rate)
                for pitch in (root, root + 7, root + 12):
                    place(line, score.frame(bar, beat) + late, player.note(pitch, frames, score.sample_rate), 0.5)
        driven = saturated(line[0], player.timbre.drive)
        driven = filtered(
            filtered(driven, score.sample_rate, "lowpass", player.cutoff_hz, 2), score.sample_rate, "highpass", 90
        )
        place(canvas, 0, driven, 0.5, side)


def _power(player: Instrument, score: Score, section: Section, canvas: Stereo, pan: float, rng: Generator) -> None:
    _riff(player, score, section, canvas, rng, chug=False)


def _chug(player: Instrument, score: Score, section: Section, canvas: Stereo, pan: float, rng: Generator) -> None:
    _riff(player, score, section, canvas, rng, chug=True)


def _lead(player: Instrument, score: Score, section: Section, canvas: Stereo, pan: float, rng: Generator) -> None:
    """Play a melody of scale steps with chord tones on strong beats, without long rests."""
    centre, degree = int(rng.integers(64, 78)), int(rng.integers(7))
    for bar in _bars(section):
        beat = 0.0
        while beat < BEATS:
            beats = float(rng.choice([0.5, 1.0, 1.5, 2.0], p=[0.4, 0.35, 0.1, 0.15]))
            degree += int(rng.integers(-2, 3))
            pitch = score.tonic + score.scale[degree % 7]
            if beat == 0:
                pitch = score.chords[bar][rng.integers(3)]
            pitch = centre + (pitch - centre) % 12
            frames = int(min(beats, BEATS - beat) * 0.95 * score.beat_seconds * score.sample_rate)
            if rng.random() < 0.9:
                place(
                    canvas,
                    score.frame(bar, beat),
                    player.note(pitch, frames, score.sample_rate),
                    rng.uniform(0.7, 1),
                    pan,
                )
            beat += beats


_PLAYERS = {
    "chords": _chords, "pad": _pad, "stabs": _stabs, "strum": _strum, "arpeggio": _arpeggio, "power": _power,
    "chug": _chug, "lead": _lead,
}  # fmt: skip
