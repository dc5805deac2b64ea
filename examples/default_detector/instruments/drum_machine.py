"""Kits of synthesised drums with random settings: a falling sine, noise in a band, squares that ring, each decaying."""

from collections.abc import Callable

import numpy as np
from effects import filtered
from pool import SAMPLE_RATE
from rhythms import Hit
from synthesizers import oscillator

RNG = np.random.Generator


def drum_machine(rng: RNG) -> Callable[[Hit], np.ndarray]:
    """A kit of synthesised drums, each drawn when it is first struck: (hit) -> (T,)."""
    drums: dict[str, np.ndarray] = {}

    def sound(hit: Hit) -> np.ndarray:
        if hit.role not in drums:
            drums[hit.role] = MAKERS.get(hit.role, noise_burst)(rng, rng.standard_normal(SAMPLE_RATE * 2), hit.role)
        return hit.velocity * drums[hit.role]

    return sound


def decay(seconds: float, time_constant: float, attack: float = 0.0005) -> np.ndarray:
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.exp(-time / time_constant) * np.minimum(time / attack, 1)


def falling_sine(hertz: float, octaves: float, fall: float, seconds: float) -> np.ndarray:
    """A sine that starts ``octaves`` above ``hertz`` and falls to it with the time constant ``fall``."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return np.sin(2 * np.pi * np.cumsum(hertz * 2 ** (octaves * np.exp(-time / fall))) / SAMPLE_RATE)


def log_uniform(rng: RNG, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def kick(rng: RNG, noise: np.ndarray, role: str) -> np.ndarray:
    length = log_uniform(rng, 0.05, 0.3)
    body = falling_sine(rng.uniform(38, 75), rng.uniform(1, 4.5), rng.uniform(0.008, 0.05), 1.2) * decay(1.2, length)
    band = filtered(noise[: len(body)], "bandpass", rng.uniform(800, 5000))
    click = band * decay(1.2, rng.uniform(0.001, 0.01))
    out = body + rng.uniform(0, 0.8) * click
    return np.tanh(out * rng.uniform(0.7, 6)) if rng.random() < 0.6 else out


def snare(rng: RNG, noise: np.ndarray, role: str) -> np.ndarray:
    tone = falling_sine(rng.uniform(130, 280), rng.uniform(0.1, 1), 0.02, 0.8)
    tone = tone * decay(0.8, rng.uniform(0.03, 0.12))
    hiss = filtered(noise[: len(tone)], "highpass", rng.uniform(400, 2500))
    hiss = hiss * decay(0.8, log_uniform(rng, 0.04, 0.25))
    return np.tanh((rng.uniform(0.1, 1) * tone + rng.uniform(0.3, 1) * hiss) * rng.uniform(0.7, 3))


def clap(rng: RNG, noise: np.ndarray, role: str) -> np.ndarray:
    """Two to four short bursts, then a longer one."""
    hiss = filtered(noise, "bandpass", rng.uniform(800, 2200), rng.uniform(0.7, 2.5))[:SAMPLE_RATE]
    out = np.zeros(SAMPLE_RATE)
    for gap in np.cumsum(rng.uniform(0.006, 0.016, int(rng.integers(2, 5)))):
        start = int(gap * SAMPLE_RATE)
        out[start:] += (hiss * decay(1.0, 0.005))[: SAMPLE_RATE - start]
    return out + rng.uniform(0.3, 1) * hiss * decay(1.0, rng.uniform(0.04, 0.2))


def metal(rng: RNG, noise: np.ndarray, role: str) -> np.ndarray:
    """Hats and cymbals: six squares that do not agree, noise, or both, without lows."""
    lengths = {"closed": (0.012, 0.06), "open": (0.1, 0.5), "ride": (0.2, 0.6), "crash": (0.4, 1.0)}[role]
    shape = decay(2.0, log_uniform(rng, *lengths))
    squares, ring = rng.choice([0.0, 0.5, 1.0]), np.zeros(len(shape))
    for hertz in rng.uniform(1, 3.5, 6) * rng.uniform(300, 900):
        ring += oscillator("square", np.full(len(shape), hertz)) / 6
    body = squares * ring + rng.choice([0.3, 1.0]) * noise[: len(shape)]
    body = filtered(body, "highpass", rng.uniform(1500, 5500))
    return filtered(body, "highpass", rng.uniform(1000, 3000)) * shape


def skin(rng: RNG, noise: np.ndarray, role: str) -> np.ndarray:
    """Toms, congas and nameless percussion."""
    lowest, highest = {"tom": (60, 200), "conga": (140, 420), "misc": (80, 1500)}[role]
    out = falling_sine(rng.uniform(lowest, highest), rng.uniform(0.05, 2), rng.uniform(0.01, 0.1), 1.0)
    out = out * decay(1.0, rng.uniform(0.03, 0.3))
    stroke = rng.uniform(0, 0.4) * filtered(noise[: len(out)], "bandpass", rng.uniform(500, 4000))
    return out + stroke * decay(1.0, 0.02)


def cowbell(rng: RNG, noise: np.ndarray, role: str) -> np.ndarray:
    hertz, body = rng.uniform(400, 800), np.zeros(SAMPLE_RATE)
    for ratio in (1.0, rng.uniform(1.35, 1.6)):
        body += oscillator("square", np.full(SAMPLE_RATE, hertz * ratio))
    return filtered(body, "bandpass", hertz * 1.6, 1) * decay(1.0, rng.uniform(0.04, 0.2))


def rim(rng: RNG, noise: np.ndarray, role: str) -> np.ndarray:
    tone = falling_sine(rng.uniform(400, 2200), 0.2, 0.01, 0.3)
    return (tone + 0.4 * filtered(noise[: len(tone)], "highpass", 1500)) * decay(0.3, rng.uniform(0.006, 0.03))


def noise_burst(rng: RNG, noise: np.ndarray, role: str) -> np.ndarray:
    """Shakers."""
    hiss = filtered(noise[:8000], "highpass", rng.uniform(2000, 5000))
    return hiss * decay(0.5, rng.uniform(0.01, 0.06), rng.uniform(0.001, 0.03))


MAKERS: dict[str, Callable[[RNG, np.ndarray, str], np.ndarray]] = {
    "kick": kick,
    "snare": snare,
    "clap": clap,
    **dict.fromkeys(("closed", "open", "ride", "crash"), metal),
    **dict.fromkeys(("tom", "conga", "misc"), skin),
    "cowbell": cowbell,
    "rim": rim,
}
