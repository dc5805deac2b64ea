"""Scores of synthetic songs: tempo, key, chords, sections, and the sources that play in each section."""

from dataclasses import dataclass

from numpy.random import Generator

from remix_miner.sources import SOURCES

BEATS = 4
PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
# Degrees of the scale, one a bar.
PROGRESSIONS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 4), (0, 2, 3, 4), (0, 3, 0, 4), (1, 4, 0, 0), (0, 6, 5, 6),
    (0, 5, 2, 6), (0, 3, 5, 4), (0, 0, 3, 3), (3, 4, 2, 5),
)  # fmt: skip
FORMS = (
    ("intro", "verse", "chorus", "break", "chorus", "outro"),
    ("intro", "verse", "chorus", "solo", "chorus", "outro"),
    ("verse", "chorus", "break", "verse", "chorus", "outro"),
    ("intro", "verse", "break", "chorus", "solo", "chorus"),
    ("intro", "chorus", "verse", "chorus", "break", "chorus"),
)
LONG_FORM = ("intro", "verse", "chorus", "break", "verse", "chorus", "break", "chorus", "solo", "chorus", "outro")
LONG_FORM_SECONDS = 180
LENGTHS = {"intro": 0.8, "verse": 1.2, "chorus": 1.15, "break": 0.8, "solo": 0.9, "outro": 0.7}
# Probability that a source rests during a section. Set so that, over many songs, the share of silent time is that of
# MUSDB18 (11% drums, 13% bass, 2.6% other, 32% vocals; Défossez et al. 2019, section 5.1).
REST = {
    "intro": {"drums": 0.40, "bass": 0.45, "other": 0.08, "vocals": 0.97},
    "verse": {"drums": 0.03, "bass": 0.04, "other": 0.01, "vocals": 0.02},
    "chorus": {"drums": 0.00, "bass": 0.01, "other": 0.00, "vocals": 0.02},
    "break": {"drums": 0.45, "bass": 0.45, "other": 0.17, "vocals": 0.65},
    "solo": {"drums": 0.05, "bass": 0.08, "other": 0.00, "vocals": 0.97},
    "outro": {"drums": 0.25, "bass": 0.25, "other": 0.08, "vocals": 0.85},
}
SHORTEST_REST_SECONDS, LONGEST_REST_SECONDS = 4.2, 20.0


@dataclass(frozen=True)
class Section:
    """A stretch of whole bars in which the same sources play."""

    name: str
    start_bar: int
    bars: int
    playing: frozenset[str]


@dataclass(frozen=True)
class Score:
    """Structure that the four parts of a song share. ``chords``: one a bar, as pitches above the tonic's octave."""

    sample_rate: int
    frames: int
    tempo: float
    tonic: int
    mode: str
    swing: float
    sections: tuple[Section, ...]
    chords: tuple[tuple[int, ...], ...]

    @property
    def key(self) -> str:
        return f"{PITCH_NAMES[self.tonic]} {self.mode}"

    @property
    def scale(self) -> tuple[int, ...]:
        return MODES[self.mode]

    @property
    def bars(self) -> int:
        return len(self.chords)

    @property
    def beat_seconds(self) -> float:
        return 60 / self.tempo

    def frame(self, bar: float, beat: float = 0.0) -> int:
        """Return the frame of a position; the second half of each beat is delayed by ``swing`` beats."""
        late = self.swing if 0.25 < beat % 1 < 0.75 else 0.0
        return round((bar * BEATS + beat + late) * self.beat_seconds * self.sample_rate)

    def playing(self, source: str) -> list[Section]:
        """Return the sections in which a source plays."""
        return [section for section in self.sections if source in section.playing]


def compose(rng: Generator, seconds: float, sample_rate: int, only: str | None = None) -> Score:
    """Return a score of ``seconds``; with ``only``, one long section in which that source plays alone."""
    tempo = round(float(rng.triangular(66, 112, 172)), 1)
    bar_seconds = BEATS * 60 / tempo
    bars = max(int(seconds / bar_seconds + 0.999), 1)
    tonic, mode = int(rng.integers(12)), str(rng.choice(list(MODES), p=[0.4, 0.4, 0.1, 0.1]))
    alone = (Section("part", 0, bars, frozenset({only or ""})),)
    sections = _sections(rng, bars, bar_seconds) if only is None else alone
    progressions = {name: PROGRESSIONS[rng.integers(len(PROGRESSIONS))] for name in ("chorus", "break")}
    usual = PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    thirds = int(rng.choice([3, 4, 5], p=[0.6, 0.3, 0.1]))
    chords = tuple(
        _chord(MODES[mode], progressions.get(section.name, usual)[bar % 4], tonic, thirds)
        for section in sections
        for bar in range(section.bars)
    )
    swing = float(rng.choice([0.0, 0.0, 0.0, 0.08, 0.16]))
    return Score(sample_rate, int(seconds * sample_rate), tempo, tonic, mode, swing, sections, chords)


def _chord(scale: tuple[int, ...], degree: int, tonic: int, notes: int) -> tuple[int, ...]:
    return tuple(tonic + 12 * ((degree + 2 * k) // 7) + scale[(degree + 2 * k) % 7] for k in range(notes))


def _sections(rng: Generator, bars: int, bar_seconds: float) -> tuple[Section, ...]:
    shortest = int(SHORTEST_REST_SECONDS / bar_seconds + 0.999)
    longest = max(int(LONGEST_REST_SECONDS / bar_seconds), shortest)
    seconds = bars * bar_seconds
    form: tuple[str, ...] = FORMS[rng.integers(len(FORMS))]
    if seconds > 75:
        form = LONG_FORM * max(round(seconds / LONG_FORM_SECONDS), 1)
    fitting = max(int(seconds / rng.uniform(SHORTEST_REST_SECONDS, 7.5)), 1)
    if fitting < len(form):
        start = int(rng.integers(len(form) - fitting + 1))
        form = form[start : start + fitting]
    lengths = [LENGTHS[name] * rng.uniform(0.8, 1.25) for name in form]
    wanted = [max(round(bars * length / sum(lengths)), shortest) for length in lengths]
    wanted = [min(count, longest) if name not in ("verse", "chorus") else count for name, count in zip(form, wanted)]
    sections: list[Section] = []
    start = 0
    for index, (name, count) in enumerate(zip(form, wanted)):
        left = bars - start
        # The last section takes what is left, and no section leaves a rest shorter than a rest may be.
        if index == len(form) - 1 or left - count < shortest:
            count = left
        if count <= 0:
            break
        previous = sections[-1].playing if sections else frozenset(SOURCES)
        sections.append(Section(name, start, count, _players(rng, name, previous, count * bar_seconds)))
        start += count
    return tuple(sections)


def _players(rng: Generator, name: str, previous: frozenset[str], seconds: float) -> frozenset[str]:
    resting = {source for source in SOURCES if rng.random() < REST[name][source]}
    # Two rests in a row must not add up to more than a rest may be; a very long section is played by all.
    resting = {source for source in resting if source in previous}
    if seconds > LONGEST_REST_SECONDS:
        resting = set()
    if len(resting) > 2 and not (len(resting) == 3 and rng.random() < 0.5):
        resting -= {"other"}
    return frozenset(SOURCES) - (resting if len(resting) < len(SOURCES) else {"vocals"})
