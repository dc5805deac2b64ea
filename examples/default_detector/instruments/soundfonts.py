"""General MIDI soundfonts through FluidSynth: every program and drum kit of every bank, one part at a time.

Parts are rendered at 32 kHz and resampled to 16 kHz, so that the aliasing of FluidSynth's interpolation is outside the
band. Needs the packages ``fluidsynth`` and ``pyfluidsynth``.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soxr
from pool import SAMPLE_RATE, Ingredient
from rhythms import Rhythm
from scores import Score
from splits import split_of

RENDER_RATE = 32000
BLOCK = 64
DRUM_BANK = 128
LICENCES = {
    "FluidR3": "MIT",
    "MuseScore": "MIT",
    "TimGM6mb": "GPL-2.0",
    "OPL-3": "CC BY-SA 4.0",
    "sf_GMbank": "LGPL-2.1",
    "Black_Pearl": "CC BY-SA 3.0",
    "Red_Zeppelin": "CC BY-SA 3.0",
}
BASS_PROGRAMS = range(32, 40)
# Choirs and voice leads (neither vocals nor plainly other), bowed contrabass, timpani, and sound effects.
DOUBTFUL_PROGRAMS = frozenset({43, 47, 52, 53, 54, 85, 91, *range(120, 128)})
PERCUSSION_PROGRAMS = frozenset({113, 115, 116, 117, 118, 119})
DRUM_KEYS = {
    "kick": (35, 36),
    "snare": (38, 40),
    "clap": (39,),
    "rim": (37, 75),
    "closed": (42, 44),
    "open": (46,),
    "ride": (51, 53, 59),
    "crash": (49, 57, 55, 52),
    "tom": (41, 43, 45, 47, 48, 50),
    "conga": (60, 61, 62, 63, 64, 65, 66),
    "cowbell": (56, 67, 68),
    "shaker": (69, 70, 82, 54),
    "misc": (58, 73, 74, 76, 77, 80, 81),
}


def source_of(program: int) -> str | None:
    """Return the source of a General MIDI program, or None if it is ambiguous.

    >>> source_of(33), source_of(0), source_of(52), source_of(116)
    ('bass', 'other', None, 'drums')
    """
    if program in DOUBTFUL_PROGRAMS:
        return None
    return "bass" if program in BASS_PROGRAMS else "drums" if program in PERCUSSION_PROGRAMS else "other"


@dataclass(frozen=True)
class Preset:
    font: Path
    bank: int
    program: int
    name: str

    @property
    def ingredient(self) -> Ingredient:
        """Named by program, not by font: fonts share recordings, so a program is held out in all of them."""
        kind = "kit" if self.bank == DRUM_BANK else "gm"
        licence = next(v for k, v in LICENCES.items() if self.font.name.startswith(k))
        return Ingredient(f"{kind}{self.program:03d} {self.name} of {self.font.stem} bank {self.bank}", licence)

    @property
    def split(self) -> str:
        """A program is held out in all fonts; so are the variants of a kit, which General MIDI numbers in eights."""
        name = f"kit{self.program // 8 * 8:03d}" if self.bank == DRUM_BANK else f"gm{self.program:03d}"
        return "heldout" if "Red_Zeppelin" in self.font.name else split_of(name)


class Band:
    """FluidSynth with one font loaded."""

    def __init__(self, font: Path) -> None:
        import fluidsynth

        if not any(font.name.startswith(known) for known in LICENCES):
            raise ValueError(
                f"{font.name} is a font of unknown licence; known are {', '.join(LICENCES)} (see LICENCES)"
            )
        self.font = font
        dry = {"synth.reverb.active": 0, "synth.chorus.active": 0}
        self.synth = fluidsynth.Synth(gain=0.4, samplerate=RENDER_RATE, **dry)
        self.id = self.synth.sfload(str(font))

    @cached_property
    def presets(self) -> list[Preset]:
        banks = [*range(0, 20), DRUM_BANK]
        names = ((b, p, self.synth.sfpreset_name(self.id, b, p)) for b in banks for p in range(128))
        decoded = ((b, p, n.decode("latin-1") if isinstance(n, bytes) else n) for b, p, n in names if n)
        return [Preset(self.font, b, p, n) for b, p, n in decoded if b == DRUM_BANK or source_of(p)]

    def _render(self, preset: Preset, events: list[tuple[float, int, int]], seconds: float) -> np.ndarray:
        """Events are (seconds, key, velocity), velocity 0 ends a note; (T,) float64 at 16 kHz."""
        synth = self.synth
        synth.system_reset()
        synth.get_samples(RENDER_RATE)  # what the part before left in filters and delay lines
        channel = 9 if preset.bank == DRUM_BANK else 0
        synth.program_select(channel, self.id, preset.bank, preset.program)
        blocks, at = [], 0
        for when, key, velocity in [*sorted(events), (seconds, -1, 0)]:
            # Whole blocks only: the synthesiser keeps what is left of one, which would shift the next part.
            frames = round(min(when, seconds) * RENDER_RATE / BLOCK) * BLOCK - at
            if frames > 0:
                blocks.append(synth.get_samples(frames).reshape(-1, 2))
                at += frames
            if key >= 0 and velocity:
                synth.noteon(channel, key, velocity)
            elif key >= 0:
                synth.noteoff(channel, key)
        mono = np.concatenate(blocks).astype(np.float32).mean(axis=1) / 32768
        return soxr.resample(mono, RENDER_RATE, SAMPLE_RATE).astype(np.float64)

    def play_score(self, preset: Preset, score: Score) -> np.ndarray:
        events = []
        for note in score.notes:
            velocity = int(np.clip(30 + 97 * note.velocity, 1, 127))
            events += [
                (note.start_seconds, note.pitch, velocity),
                (note.start_seconds + note.seconds - 0.002, note.pitch, 0),
            ]
        return self._render(preset, events, score.seconds)

    def play_rhythm(
        self,
        preset: Preset,
        rhythm: Rhythm,
        rng: np.random.Generator,
        drum_keys: dict[str, tuple[int, ...]] = DRUM_KEYS,
    ) -> np.ndarray:
        keys = {role: rng.choice(k, size=min(len(k), int(rng.integers(1, 4)))) for role, k in drum_keys.items()}
        if preset.bank != DRUM_BANK:
            keys = {role: rng.integers(40, 80, 2) for role in keys}
        events = []
        for hit in rhythm.hits:
            key = int(rng.choice(keys[hit.role]))
            velocity = int(np.clip(20 + 107 * hit.velocity, 1, 127))
            events += [(hit.start_seconds, key, velocity), (hit.start_seconds + 0.2, key, 0)]
        return self._render(preset, events, rhythm.seconds)
