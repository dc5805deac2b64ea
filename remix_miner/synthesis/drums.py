"""Synthetic drums: seven kinds of kit whose pieces are synthesised anew for each song, played from step patterns."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from remix_miner.synthesis.score import Score, Section
from remix_miner.synthesis.sound import (
    Mono,
    Stereo,
    decay,
    envelope,
    filtered,
    place,
    reverberated,
    saturated,
    white,
)

TAKES = 3
"""Recordings of each piece, so that no two strokes in a row are the same samples."""

STEPS = 16
# Sixteen steps a bar: x a stroke, o a soft one, ? a stroke now and then.
PATTERNS: dict[str, dict[str, tuple[str, ...]]] = {
    "backbeat": {
        "kick": ("x.......x.......", "x.....x.x.x.....", "x..x..x...x....?", "x.x.....x.x....."),
        "snare": ("....x.......x...", "....x.......x..?", "....x..o.o..x..."),
        "hat": ("x.o.x.o.x.o.x.o.", "xoxoxoxoxoxoxoxo", "x...x...x...x..."),
    },
    "four": {
        "kick": ("x...x...x...x...",),
        "clap": ("....x.......x...", "................"),
        "hat": ("o.o.o.o.o.o.o.o.", "ooooooooooooooox", "................"),
        "open_hat": ("..x...x...x...x.", "..........x....."),
    },
    "halftime": {
        "kick": ("x.........x.....", "x.....x....x...."),
        "snare": ("........x.......",),
        "hat": ("x.o.x.o.x.o.x.o.", "x.xox.xox.xox.xx"),
    },
    "break": {
        "kick": ("x.x.......xx....", "x..x......x..x.."),
        "snare": ("....x..o.o..x..o", "....x..o.o....x."),
        "hat": ("x.x.x.x.x.x.x.x.",),
    },
    "trap": {
        "kick": ("x......x..x.....", "x.....x.......x."),
        "clap": ("........x.......",),
        "hat": ("x.x.x.xxx.x.xxx.", "xxx.x.x.xxxxx.x."),
    },
    "ride": {
        "kick": ("x.......?.......", "o...o...o...o..."),
        "snare": ("......?.....o..?", "....o.......o..."),
        "ride": ("x...x.x.x...x.x.", "x...x..xx...x..x"),
        "hat": ("....x.......x...",),
    },
    "driving": {
        "kick": ("x..xx..xx..xx..x", "x.x.x.x.x.x.x.x."),
        "snare": ("....x.......x...", "..x...x...x...x."),
        "ride": ("x.x.x.x.x.x.x.x.", "................"),
        "hat": ("................", "x.x.x.x.x.x.x.x."),
    },
    "hands": {
        "low_tom": ("x.....x.x.....x.", "x..x..x...x....."),
        "high_tom": ("..o.xo....o.xx..", "....x.x.....x.xo"),
        "clave": ("x..x..x...x.x...", "................"),
        "shaker": ("xoooxoooxoooxooo", "o.x.o.x.o.x.o.x."),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Kit:
    """Ranges from which a kit's pieces are drawn: hertz, and seconds to 1/e."""

    patterns: tuple[str, ...]
    kick_hz: tuple[float, float]
    kick_seconds: tuple[float, float]
    kick_click: tuple[float, float]
    snare_hz: tuple[float, float]
    snare_seconds: tuple[float, float]
    snare_tone: tuple[float, float]
    hat_hz: tuple[float, float]
    metallic: float
    drive: tuple[float, float]
    room: tuple[float, float]
    human_seconds: float
    top_hz: float = 20000.0


KITS = {
    "acoustic": Kit(("backbeat", "halftime", "break", "ride"), (45, 65), (0.06, 0.14), (0.2, 0.7),
                    (160, 230), (0.06, 0.14), (0.3, 0.9), (5000, 8000), 0.4, (0.0, 0.8), (0.1, 0.35), 0.008),
    "rock": Kit(("backbeat", "driving", "halftime"), (48, 70), (0.07, 0.16), (0.4, 1.2),
                (150, 210), (0.09, 0.2), (0.3, 0.8), (4000, 7000), 0.5, (0.5, 2.0), (0.2, 0.5), 0.006),
    "jazz": Kit(("ride",), (60, 85), (0.06, 0.12), (0.05, 0.2),
                (190, 260), (0.05, 0.12), (0.2, 0.6), (4500, 7500), 0.6, (0.0, 0.2), (0.15, 0.4), 0.012),
    "eighties": Kit(("four", "backbeat", "trap"), (40, 52), (0.15, 0.5), (0.02, 0.2),
                    (170, 200), (0.06, 0.16), (0.4, 1.0), (6500, 9500), 0.95, (0.0, 1.0), (0.0, 0.15), 0.0),
    "house": Kit(("four", "break"), (46, 58), (0.1, 0.22), (0.3, 0.9),
                 (180, 240), (0.08, 0.18), (0.2, 0.6), (7000, 10000), 0.8, (0.3, 2.0), (0.0, 0.2), 0.0),
    "lofi": Kit(("break", "backbeat", "halftime"), (48, 66), (0.06, 0.16), (0.1, 0.5),
                (150, 230), (0.05, 0.15), (0.2, 0.8), (3500, 6000), 0.3, (1.0, 4.0), (0.1, 0.3), 0.012, 7000.0),
    "percussion": Kit(("hands",), (70, 95), (0.08, 0.18), (0.1, 0.4),
                      (180, 320), (0.04, 0.1), (0.6, 1.2), (5000, 8000), 0.2, (0.0, 0.5), (0.1, 0.4), 0.01),
}  # fmt: skip
PANS = {
    "hat": 0.3,
    "open_hat": 0.3,
    "ride": -0.4,
    "crash": 0.45,
    "high_tom": -0.3,
    "low_tom": 0.35,
    "shaker": 0.5,
    "clave": -0.5,
}
LEVELS = {
    "kick": 1.0, "snare": 0.8, "clap": 0.6, "hat": 0.25, "open_hat": 0.25, "ride": 0.25, "crash": 0.35,
    "high_tom": 0.7, "low_tom": 0.8, "shaker": 0.3, "clave": 0.35,
}  # fmt: skip


def play_drums(score: Score, rng: Generator) -> Stereo:
    """Return the drum stem (2, frames) of a song."""
    kit = KITS[str(rng.choice(list(KITS), p=[0.24, 0.2, 0.08, 0.16, 0.14, 0.12, 0.06]))]
    player = _Player(score, kit, rng)
    for section in score.playing("drums"):
        player.play(section)
    stem = saturated(player.canvas, rng.uniform(*kit.drive) * 0.4) if player.canvas.any() else player.canvas
    if kit.top_hz < 20000:
        stem = filtered(stem, score.sample_rate, "lowpass", kit.top_hz, 2)
    return reverberated(stem, score.sample_rate, rng.uniform(0.2, 0.9), rng.uniform(*kit.room), rng)


class _Player:
    def __init__(self, score: Score, kit: Kit, rng: Generator) -> None:
        self.canvas: Stereo = np.zeros((2, score.frames), dtype=np.float32)
        self.score, self.kit, self.rng = score, kit, rng
        self.pattern_name = str(rng.choice(kit.patterns))
        self.width = rng.uniform(0.2, 1.0)
        self.mirror = rng.choice([-1.0, 1.0])
        self.levels = {piece: level * rng.uniform(0.6, 1.4) for piece, level in LEVELS.items()}
        self.pieces: dict[str, list[Mono]] = {}

    def play(self, section: Section) -> None:
        patterns = {piece: str(self.rng.choice(lines)) for piece, lines in PATTERNS[self.pattern_name].items()}
        energy = {"chorus": 1.0, "verse": 0.85, "break": 0.7, "intro": 0.75}.get(section.name, 0.85)
        for bar in range(section.bars):
            fill = bar == section.bars - 1 and section.bars > 2 and self.rng.random() < 0.6
            last_step = STEPS // 2 if fill else STEPS
            for piece, pattern in patterns.items():
                for step, mark in enumerate(pattern[:last_step]):
                    if (
                        mark == "x"
                        or (mark == "o" and self.rng.random() < 0.9)
                        or (mark == "?" and self.rng.random() < 0.4)
                    ):
                        self.strike(piece, section.start_bar + bar, step / 4, energy * (0.4 if mark == "o" else 1.0))
            if fill:
                self.fill(section.start_bar + bar, energy)
        if section.name in ("chorus", "solo") and self.rng.random() < 0.7:
            self.strike("crash", section.start_bar, 0, 1.0)

    def fill(self, bar: int, energy: float) -> None:
        pieces = ["snare", "high_tom", "low_tom"] if self.pattern_name != "hands" else ["high_tom", "low_tom"]
        for step in range(STEPS // 2, STEPS):
            if self.rng.random() < 0.75:
                piece = pieces[min((step - STEPS // 2) * len(pieces) * 2 // STEPS, len(pieces) - 1)]
                self.strike(piece, bar, step / 4, energy * self.rng.uniform(0.6, 1.0))

    def strike(self, piece: str, bar: int, beat: float, velocity: float) -> None:
        if piece not in self.pieces:
            first = make_piece(piece, self.kit, self.score.sample_rate, self.rng)
            takes = [_retake(first, self.score.sample_rate, self.rng) for _ in range(TAKES - 1)]
            self.pieces[piece] = [first, *takes]
        late = self.rng.normal(0, self.kit.human_seconds) if self.kit.human_seconds else 0.0
        start = self.score.frame(bar, beat) + int(late * self.score.sample_rate)
        gain = self.levels[piece] * velocity * self.rng.uniform(0.8, 1.0)
        pan = PANS.get(piece, 0.0) * self.width * self.mirror
        place(self.canvas, max(start, 0), self.pieces[piece][self.rng.integers(TAKES)], gain, pan)


def _retake(sound: Mono, sample_rate: int, rng: Generator) -> Mono:
    """Return the same piece struck at another spot: slightly brighter or duller."""
    duller = filtered(sound, sample_rate, "lowpass", rng.uniform(4000, 12000), 1)
    share = np.float32(rng.uniform(0.0, 0.5))
    return sound * (1 - share) + duller * share


def make_piece(piece: str, kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    """Return one stroke (T,), peak 1, of a piece drawn from the kit's ranges."""
    sound = _MAKERS[piece](kit, sample_rate, rng)
    sound = saturated(sound, rng.uniform(*kit.drive))
    sound = sound * envelope(len(sound), sample_rate, 0.0005, 0.02)
    return np.asarray(sound / max(float(np.abs(sound).max()), 1e-9), dtype=np.float32)


def _sweep(from_hz: float, to_hz: float, fall: float, frames: int, sample_rate: int) -> Mono:
    hz = to_hz + (from_hz - to_hz) * decay(frames, sample_rate, fall)
    return np.sin(2 * np.pi * np.cumsum(hz, dtype=np.float64) / sample_rate).astype(np.float32)


def _kick(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    length = rng.uniform(*kit.kick_seconds)
    frames = int(min(5 * length, 1.2) * sample_rate)
    hz = rng.uniform(*kit.kick_hz)
    body = _sweep(hz * rng.uniform(2, 5), hz, rng.uniform(0.01, 0.04), frames, sample_rate) * decay(
        frames, sample_rate, length
    )
    click = filtered(white(frames, rng), sample_rate, "highpass", rng.uniform(1000, 3500), 1)
    click *= decay(frames, sample_rate, rng.uniform(0.002, 0.008)) * np.float32(rng.uniform(*kit.kick_click) * 0.3)
    return np.asarray(body + click, dtype=np.float32)


def _snare(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    length = rng.uniform(*kit.snare_seconds)
    frames = int(5 * length * sample_rate)
    hz = rng.uniform(*kit.snare_hz)
    tone = sum(
        (
            _sweep(1.3 * hz * mode, hz * mode, 0.01, frames, sample_rate)
            * decay(frames, sample_rate, 0.6 * length / mode)
        )
        for mode in (1.0, rng.uniform(1.5, 1.9))
    )
    wires = filtered(white(frames, rng), sample_rate, "bandpass", (rng.uniform(400, 1500), rng.uniform(6000, 14000)), 1)
    wires *= decay(frames, sample_rate, length)
    return np.asarray(tone * np.float32(0.5 * rng.uniform(*kit.snare_tone)) + wires, dtype=np.float32)


def _clap(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    frames = int(0.35 * sample_rate)
    bursts = np.zeros(frames, dtype=np.float32)
    for start in (0.0, *np.cumsum(rng.uniform(0.006, 0.014, 3))):
        first = int(start * sample_rate)
        bursts[first:] += decay(frames - first, sample_rate, 0.006)
    bursts[first:] += np.float32(0.6) * decay(frames - first, sample_rate, rng.uniform(0.04, 0.1))
    centre = rng.uniform(900, 1800)
    return filtered(white(frames, rng), sample_rate, "bandpass", (centre / 1.6, centre * 2), 1) * bursts


def _metal(seconds: float, kit: Kit, sample_rate: int, rng: Generator, partials: int = 6) -> Mono:
    """Return inharmonic squares and noise above the kit's hat frequency, as in drum machines and cymbals."""
    frames = int(4 * seconds * sample_rate)
    time = np.arange(frames, dtype=np.float32) / sample_rate
    metal = np.zeros(frames, dtype=np.float32)
    for hz in rng.uniform(400, 1200, partials):
        metal += np.sign(np.sin(np.float32(2 * np.pi * hz * rng.uniform(1, 4)) * time))
    sound = metal * np.float32(kit.metallic / partials**0.5) + white(frames, rng) * np.float32(1.2 - kit.metallic)
    ringing = filtered(sound, sample_rate, "highpass", rng.uniform(*kit.hat_hz), 3)
    return np.asarray(ringing * decay(frames, sample_rate, seconds))


def _hat(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    return _metal(rng.uniform(0.015, 0.045), kit, sample_rate, rng)


def _open_hat(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    return _metal(rng.uniform(0.08, 0.2), kit, sample_rate, rng)


def _crash(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    return _metal(rng.uniform(0.3, 0.6), kit, sample_rate, rng, partials=12)


def _ride(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    sound = _metal(rng.uniform(0.15, 0.3), kit, sample_rate, rng, partials=10)
    ping = decay(len(sound), sample_rate, 0.08) * np.float32(rng.uniform(0.2, 0.6))
    tone = np.sin(2 * np.pi * rng.uniform(2500, 4500) / sample_rate * np.arange(len(sound), dtype=np.float32))
    return np.asarray(sound + ping * tone, dtype=np.float32)


def _tom(hz: float, kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    length = rng.uniform(0.08, 0.22)
    frames = int(5 * length * sample_rate)
    skin = _sweep(hz * rng.uniform(1.2, 1.7), hz, 0.04, frames, sample_rate) * decay(frames, sample_rate, length)
    stick = filtered(white(frames, rng), sample_rate, "bandpass", (600, 5000), 1) * decay(frames, sample_rate, 0.01)
    return np.asarray(skin + np.float32(rng.uniform(0.1, 0.4)) * stick, dtype=np.float32)


def _shaker(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    frames = int(rng.uniform(0.06, 0.12) * sample_rate)
    band = (rng.uniform(3000, 6000), rng.uniform(9000, 14000))
    grains = filtered(white(frames, rng), sample_rate, "bandpass", band, 1)
    return np.asarray(grains * envelope(frames, sample_rate, 0.025, 0.03))


def _clave(kit: Kit, sample_rate: int, rng: Generator) -> Mono:
    frames = int(0.12 * sample_rate)
    hz = rng.uniform(600, 2600)
    wood = _sweep(hz, hz, 0.01, frames, sample_rate)
    return np.asarray(wood * decay(frames, sample_rate, rng.uniform(0.012, 0.04)))


_MAKERS = {
    "kick": _kick, "snare": _snare, "clap": _clap, "hat": _hat, "open_hat": _open_hat, "crash": _crash, "ride": _ride,
    "high_tom": lambda kit, rate, rng: _tom(rng.uniform(150, 260), kit, rate, rng),
    "low_tom": lambda kit, rate, rng: _tom(rng.uniform(75, 140), kit, rate, rng),
    "shaker": _shaker, "clave": _clave,
}  # fmt: skip
