"""Drum parts as events (seconds, role, velocity): a style's pattern, varied bar by bar, with swing, fills and rests."""

from dataclasses import dataclass

import numpy as np

ROLES = ("kick", "snare", "clap", "rim", "closed", "open", "ride", "crash", "tom", "conga", "cowbell", "shaker", "misc")

# Sixteen steps to a bar: X loud, x normal, o soft, ? sometimes, - rest. Twelve steps are a bar of triplets.
STYLES: dict[str, tuple[tuple[float, float], dict[str, str]]] = {
    "rock": ((90, 150), {"kick": "X-------X-x-----", "snare": "----X-------X---", "closed": "x-x-x-x-x-x-x-x-"}),
    "rock ride": ((90, 160), {"kick": "X--?----X-x-----", "snare": "----X-------X---", "ride": "x-x-x-x-x-x-x-x-"}),
    "punk": ((150, 210), {"kick": "X-x-X-x-X-x-X-x-", "snare": "--X---X---X---X-", "open": "x---x---x---x---"}),
    "ballad": ((55, 85), {"kick": "X-----x-X-------", "snare": "--------X-------", "closed": "x-o-x-o-x-o-x-o-"}),
    "metal": (
        (120, 200),
        {
            "kick": "XxxxXxxxXxxxXxxx",
            "snare": "----X-------X---",
            "crash": "x-------?-------",
            "ride": "x---x---x---x---",
        },
    ),
    "funk": (
        (88, 118),
        {
            "kick": "X--x--?---x--?--",
            "snare": "----X-?o-o--X--o",
            "closed": "xoxoxoxoxoxoxoxo",
            "open": "--------------?-",
        },
    ),
    "disco": (
        (110, 130),
        {
            "kick": "X---X---X---X---",
            "snare": "----X-------X---",
            "closed": "x-o-x-o-x-o-x-o-",
            "open": "--x---x---x---x-",
        },
    ),
    "house": (
        (118, 130),
        {
            "kick": "X---X---X---X---",
            "clap": "----X-------X---",
            "open": "--x---x---x---x-",
            "shaker": "oooooooooooooooo",
        },
    ),
    "techno": (
        (125, 145),
        {
            "kick": "X---X---X---X---",
            "closed": "--x---x---x---x-",
            "rim": "---?--?---?--?--",
            "misc": "-?-----?-?-----?",
        },
    ),
    "minimal": (
        (120, 130),
        {
            "kick": "X---X---X---X---",
            "rim": "------?---?-----",
            "closed": "?-o?-o?-o?-o?-o-",
            "clap": "------------?---",
        },
    ),
    "electro": (
        (118, 132),
        {
            "kick": "X-----X---x-----",
            "snare": "----X-------X---",
            "closed": "xxxxxxxxxxxxxxxx",
            "cowbell": "?--?--?---?-----",
        },
    ),
    "synth pop": (
        (100, 130),
        {
            "kick": "X---X---X---X---",
            "snare": "----X-------X--?",
            "closed": "x-x-x-x-x-x-x-x-",
            "tom": "------------??--",
        },
    ),
    "trap": (
        (65, 80),
        {
            "kick": "X------?--x--?--",
            "clap": "--------X-------",
            "closed": "xxxxxxxxxxxxxxxx",
            "open": "------?---------",
        },
    ),
    "drill": (
        (68, 75),
        {
            "kick": "X--?------x--?--",
            "snare": "--------X----?--",
            "closed": "x--x--x-x--x--x-",
            "rim": "---?------?-----",
        },
    ),
    "hip hop": ((75, 98), {"kick": "X--?---?x-?-----", "snare": "----X-------X---", "closed": "x-x-x-x-x-x-x-x-"}),
    "boom bap": (
        (84, 98),
        {
            "kick": "X-x----x--x-----",
            "snare": "----X-------X---",
            "closed": "x-xox-xox-xox-xo",
            "open": "--------------?-",
        },
    ),
    "drum and bass": (
        (160, 180),
        {
            "kick": "X---------x-----",
            "snare": "----X-------X---",
            "closed": "x-x-x-xox-x-x-xo",
            "ride": "?---?---?---?---",
        },
    ),
    "breakbeat": (
        (120, 172),
        {
            "kick": "X-x-------xx----",
            "snare": "----X--o-o--X--o",
            "closed": "x-x-x-x-x-x-x-x-",
            "crash": "?---------------",
        },
    ),
    "dubstep": ((68, 72), {"kick": "X-----?---?-----", "snare": "--------X-------", "closed": "x-?x--x-?-x--x-?"}),
    "two step": (
        (128, 138),
        {
            "kick": "X---------X--?--",
            "snare": "----X-------X---",
            "closed": "--xo--xo--xo-xx-",
            "shaker": "o-oo-o-oo-oo-o-o",
        },
    ),
    "reggae": (
        (65, 90),
        {
            "kick": "--------X-------",
            "rim": "--------X-------",
            "closed": "x-o-x-o-x-o-x-o-",
            "tom": "?---------------",
        },
    ),
    "dembow": ((88, 104), {"kick": "X---X---X---X---", "snare": "---X--X----X--X-", "closed": "?-x-?-x-?-x-?-x-"}),
    "bossa": (
        (110, 150),
        {
            "kick": "X--xX--xX--xX--x",
            "rim": "X--x--x---x--x--",
            "closed": "xxxxxxxxxxxxxxxx",
            "shaker": "xoxoxoxoxoxoxoxo",
        },
    ),
    "samba": (
        (95, 115),
        {
            "kick": "x--xX--xx--xX--x",
            "conga": "x-xx-x-xx-xx-x-x",
            "shaker": "XooXXooXXooXXooX",
            "cowbell": "x-x-xx-x-x-xx-x-",
        },
    ),
    "salsa": (
        (85, 110),
        {
            "conga": "o-x-o-XXo-x-o-XX",
            "cowbell": "X-x-X-xxX-x-X-xx",
            "rim": "X--X--X---X-X---",
            "shaker": "x-oxx-oxx-oxx-ox",
        },
    ),
    "afro": (
        (100, 125),
        {
            "kick": "X---X---X---X---",
            "conga": "x-?x-?x-x-?x-?xx",
            "cowbell": "x-x--x-x-x--x-x-",
            "shaker": "xoxoxoxoxoxoxoxo",
        },
    ),
    "percussion": ((80, 140), {"conga": "x?-x?-x-x?-x?-x?", "misc": "?-?-?-?-?-?-?-?-", "shaker": "xoxoxoxoxoxoxoxo"}),
    "tribal toms": ((90, 140), {"tom": "X-xxo-x-X-xxo-xx", "kick": "X-------X-------", "misc": "?---?---?---?---"}),
    "march": ((90, 130), {"snare": "XoxoXoxoXooooXox", "kick": "X-------X-------", "crash": "?---------------"}),
    "swing": (
        (110, 200),
        {"ride": "x--x-xx--x-x", "closed": "---x-----x--", "kick": "o--o--o--o--", "snare": "?----?---?-?"},
    ),
    "shuffle": ((90, 140), {"kick": "X----?X----x", "snare": "---X-----X--", "closed": "x-xx-xx-xx-x"}),
    "waltz": ((90, 170), {"kick": "X-----------", "snare": "----o---o---", "ride": "x---x-x-x-x-"}),
    "half time": ((130, 160), {"kick": "X-----x---------", "snare": "--------X-------", "ride": "x---x---x---x---"}),
    "kick only": ((90, 150), {"kick": "X---X---X---X--?"}),
    "hats only": ((80, 175), {"closed": "xoxoxoxoxoxoxoxo", "open": "------?-------?-"}),
    "shaker only": ((80, 135), {"shaker": "XoxoXoxoXoxoXoxo"}),
    "claps only": ((80, 130), {"clap": "----X-------X-?-"}),
    "snare only": ((80, 170), {"snare": "?---X--?-?--X--?"}),
    "cymbals": ((60, 120), {"crash": "X-------?-------", "ride": "x---?---x---?---"}),
    "sparse": ((60, 110), {"kick": "x---------------", "rim": "----------?-----", "ride": "x---------x-----"}),
    "sparse brushes": (
        (60, 120),
        {"snare": "o-oo----o-oo----", "ride": "x---x-x-x---x-x-", "kick": "o---------------"},
    ),
    "glitch": (
        (80, 160),
        {
            "misc": "?x??-?x?-??x?-?x",
            "closed": "??x???x?x????x??",
            "kick": "X--?--?---?--?--",
            "rim": "?--?-??-?-?--??-",
        },
    ),
}

VELOCITY = {"X": 1.0, "x": 0.75, "o": 0.4, "?": 0.6}


@dataclass(frozen=True)
class Hit:
    """A stroke: time (seconds), role (one of `ROLES`), velocity (0 to 1)."""

    start_seconds: float
    role: str
    velocity: float


@dataclass(frozen=True)
class Rhythm:
    style: str
    tempo: float
    seconds: float
    hits: list[Hit]

    @property
    def beat_seconds(self) -> float:
        return 60 / self.tempo


def rhythm(rng: np.random.Generator, seconds: float, style: str | None = None) -> Rhythm:
    """A part in ``style`` (a random one by default) of ``seconds``, at a tempo of the style's range.

    Bars vary: steps come and go, instruments enter and leave for four bars at a time, every fourth or eighth bar may
    end in a fill, and now and then a whole bar rests.
    """
    style = style or str(rng.choice(list(STYLES)))
    (slow, fast), pattern = STYLES[style]
    tempo = float(rng.uniform(slow, fast))
    steps = len(next(iter(pattern.values())))
    step_seconds = 60 / tempo * 4 / steps
    swing = rng.choice([0.0, rng.uniform(0.05, 0.33)]) if steps == 16 else 0.0
    looseness, density = rng.choice([0.0, 0.004, 0.012]), rng.uniform(0.2, 0.8)
    period = int(rng.choice([2, 4, 4, 8]))
    gates = {role: VELOCITY_FLOOR + (1 - VELOCITY_FLOOR) * rng.random() for role in pattern}
    hits: list[Hit] = []
    bar, start = 0, float(rng.choice([0.0, rng.uniform(0, 2)]))
    playing = set(pattern)
    while start + bar * steps * step_seconds < seconds:
        if bar % 4 == 0:
            playing = {role for role in pattern if rng.random() < 0.88} or set(pattern)
        fill = bar % period == period - 1 and rng.random() < 0.4 and len(pattern) > 2
        rest = rng.random() < 0.04
        for role, marks in pattern.items():
            if rest or role not in playing:
                continue
            for step, mark in enumerate(marks):
                if mark == "-" or (mark == "?" and rng.random() > density) or (fill and step >= steps * 3 // 4):
                    continue
                if rng.random() < 0.03:
                    continue
                late = swing * step_seconds if step % 2 else 0.0
                when = start + (bar * steps + step) * step_seconds + late + rng.normal(0, looseness)
                velocity = float(np.clip(VELOCITY[mark] * gates[role] * rng.uniform(0.85, 1.1), 0.05, 1))
                repeats = (
                    int(rng.choice([2, 3, 4]))
                    if style in ("trap", "drill", "glitch") and role == "closed" and rng.random() < 0.12
                    else 1
                )
                hits += [Hit(when + r * step_seconds / repeats, role, velocity) for r in range(repeats)]
        if fill:
            hits += _fill(rng, start + (bar * steps + steps * 3 // 4) * step_seconds, steps // 4, step_seconds, pattern)
        if bar % period == 0 and bar and "crash" not in pattern and len(pattern) > 2 and rng.random() < 0.35:
            hits.append(Hit(start + bar * steps * step_seconds, "crash", 0.8))
        bar += 1
    return Rhythm(style, tempo, seconds, [h for h in hits if 0 <= h.start_seconds < seconds])


VELOCITY_FLOOR = 0.45


def _fill(
    rng: np.random.Generator, start: float, steps: int, step_seconds: float, pattern: dict[str, str]
) -> list[Hit]:
    roles = ["tom", "snare", "tom", "kick"] if "snare" in pattern else [*pattern, "tom"]
    return [
        Hit(start + step * step_seconds, str(rng.choice(roles)), float(rng.uniform(0.5, 1)))
        for step in range(steps)
        if rng.random() < 0.85
    ]
