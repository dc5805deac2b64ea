"""Hand percussion by physical models: rattles of colliding grains, struck membranes, brushes swept over a drum.

Rattles: Cook 1997, 'Physically Informed Sonic Modeling (PhISM)': energy that decays, collisions at random, resonances.
Membranes: decaying modes at the ratios of an ideal circular membrane, detuned, with a noise of the hand.
"""

from collections.abc import Callable

import numpy as np
from drum_machine import decay, log_uniform
from effects import filtered
from pool import SAMPLE_RATE
from rhythms import Hit, Rhythm
from scipy.signal import lfilter

RNG = np.random.Generator
MEMBRANE_RATIOS = np.array([1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501])
# lowest and highest pitch (Hz) of the open stroke, seconds that it rings, share of the hand's noise
MEMBRANES = {
    "conga": ((130, 330), (0.1, 0.35), 0.3),
    "bongo": ((280, 620), (0.05, 0.15), 0.3),
    "djembe": ((70, 420), (0.06, 0.25), 0.6),
    "cajon": ((60, 180), (0.05, 0.12), 0.8),
    "frame drum": ((60, 160), (0.15, 0.6), 0.2),
    "tabla": ((90, 400), (0.15, 0.7), 0.2),
    "udu": ((70, 250), (0.1, 0.4), 0.15),
    "tom with fingers": ((70, 220), (0.1, 0.3), 0.15),
}
# resonances (Hz) and their pole radius of the grains of a rattle
RATTLES = {
    "maraca": ((3200,), 0.96),
    "shaker": ((3000, 5500), 0.6),
    "cabasa": ((3000,), 0.7),
    "sekere": ((5500,), 0.6),
    "tambourine": ((2300, 5600, 7200), 0.985),
    "sleigh bells": ((2500, 5300, 6500, 7300), 0.995),
    "egg": ((5500, 7000), 0.5),
    "rain of seeds": ((1800, 4000), 0.9),
}


def rattle(rng: RNG, name: str) -> Callable[[Hit], np.ndarray]:
    """Return strokes of a rattle, each with new collisions: soft or sharp, long or short."""
    resonances, radius = RATTLES[name]
    resonances = tuple(min(hertz * rng.uniform(0.8, 1.2), 7600) for hertz in resonances)
    grains, ring = log_uniform(rng, 100, 3000), rng.uniform(0.008, 0.06)
    attack = rng.uniform(0.003, 0.05)

    def sound(hit: Hit) -> np.ndarray:
        frames = int(0.35 * SAMPLE_RATE)
        time = np.arange(frames) / SAMPLE_RATE
        shake = np.minimum(time / attack, 1) * np.exp(-np.maximum(time - attack, 0) / ring)
        struck = (rng.random(frames) < grains / SAMPLE_RATE) * rng.uniform(0.2, 1, frames)
        noise = rng.uniform(-1, 1, frames) * lfilter([1.0], [1, -0.95], struck) * shake
        out = sum(
            lfilter([1 - radius], [1, -2 * radius * np.cos(2 * np.pi * hertz / SAMPLE_RATE), radius**2], noise)
            for hertz in resonances
        )
        return hit.velocity * filtered(out, "highpass", 500)

    return sound


def membrane(rng: RNG, name: str) -> Callable[[Hit], np.ndarray]:
    """Return strokes of a drum played by hand: open, bass, muted and slap, by chance and by how loud they are."""
    (low, high), (short, long), hand = MEMBRANES[name]
    base, ring = rng.uniform(low, high), log_uniform(rng, short, long)
    detuned = MEMBRANE_RATIOS * rng.uniform(0.97, 1.03, len(MEMBRANE_RATIOS))
    bend = rng.choice([0.0, rng.uniform(0, 0.4)]) if name in ("tabla", "udu") else rng.uniform(0, 0.05)
    second = base * rng.uniform(1.2, 1.8)

    def sound(hit: Hit) -> np.ndarray:
        stroke = rng.choice(["open", "open", "bass", "muted", "slap" if hit.velocity > 0.6 else "muted"])
        hertz = {"bass": base * 0.6, "slap": second}.get(stroke, base if rng.random() < 0.6 else second)
        length = ring * {"muted": 0.25, "slap": 0.2, "bass": 1.3}.get(stroke, 1.0)
        time = np.arange(int(1.2 * SAMPLE_RATE)) / SAMPLE_RATE
        glide = np.cumsum(1 + bend * np.exp(-time / 0.05)) / SAMPLE_RATE
        weights = np.exp(-np.arange(len(detuned)) * rng.uniform(0.3, 1.0)) * rng.uniform(0.5, 1, len(detuned))
        weights = weights * (np.arange(len(detuned)) > 2 if stroke == "slap" else 1)
        out = np.zeros(len(time))
        for i, ratio in enumerate(detuned):
            if hertz * ratio < 7500:
                out += weights[i] * np.sin(2 * np.pi * hertz * ratio * glide) * np.exp(-time * (1 + 0.5 * i) / length)
        touch = filtered(rng.standard_normal(len(time)), "bandpass", rng.uniform(600, 3500), 0.7)
        out += hand * (3 if stroke == "slap" else 1) * touch * decay(1.2, rng.uniform(0.004, 0.02))[: len(time)]
        return hit.velocity * out * np.minimum(time / 0.001, 1)

    return sound


def ensemble(rng: RNG) -> tuple[Callable[[Hit], np.ndarray], str]:
    """Return a group of one to three drums and a rattle, and its name: each role of a rhythm is one of them."""
    drums = [str(name) for name in rng.choice(list(MEMBRANES), int(rng.integers(1, 4)), replace=False)]
    grains = str(rng.choice(list(RATTLES)))
    skins = [membrane(rng, name) for name in drums]
    high = rattle(rng, grains)
    loud = rng.uniform(0.3, 1.5)
    roles: dict[str, Callable[[Hit], np.ndarray]] = {}

    def sound(hit: Hit) -> np.ndarray:
        if hit.role in ("shaker", "closed", "open", "ride", "crash"):
            return loud * high(hit)
        if hit.role not in roles:
            roles[hit.role] = skins[len(roles) % len(skins)]
        return roles[hit.role](hit)

    return sound, ", ".join([*drums, grains])


def brushed(rng: RNG, rhythm: Rhythm) -> np.ndarray:
    """Return a snare drum played with brushes: swept circles between soft taps, with a light cymbal, (T,)."""
    frames = int(rhythm.seconds * SAMPLE_RATE)
    time = np.arange(frames) / SAMPLE_RATE
    turns = float(rng.choice([0.5, 1.0, 1.0, 2.0])) / rhythm.beat_seconds
    speed = np.abs(np.sin(np.pi * turns * time + rng.uniform(0, 3))) ** rng.uniform(0.7, 3)
    sweep = filtered(rng.standard_normal(frames), "bandpass", rng.uniform(1500, 5000), rng.uniform(0.3, 1))
    floor = rng.choice([0.0, rng.uniform(0, 0.4)])
    out = rng.uniform(0.05, 0.5) * sweep * (floor + (1 - floor) * speed)
    body = rng.uniform(150, 260)
    for hit in rhythm.hits:
        start, kind = int(hit.start_seconds * SAMPLE_RATE), hit.role
        tail = time[: min(int(0.7 * SAMPLE_RATE), frames - start)]
        noise = rng.standard_normal(len(tail))
        if kind in ("snare", "clap", "rim", "conga", "misc", "cowbell", "shaker"):
            stroke = 0.7 * filtered(noise, "highpass", 900) * np.exp(-tail / rng.uniform(0.015, 0.08))
            stroke += 0.4 * np.sin(2 * np.pi * body * tail) * np.exp(-tail / 0.05)
        elif kind in ("kick", "tom"):
            stroke = np.sin(2 * np.pi * 55 * tail * (1 + np.exp(-tail / 0.02))) * np.exp(-tail / 0.09)
        else:
            stroke = 0.25 * filtered(noise, "highpass", 4500) * np.exp(-tail / rng.uniform(0.05, 0.4))
        out[start : start + len(tail)] += hit.velocity * stroke * np.minimum(tail / 0.004, 1)
    return out
