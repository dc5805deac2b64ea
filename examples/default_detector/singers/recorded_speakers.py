"""Recordings of speakers with free licences: letters, syllables and words from Debian packages.

``klettres-data``, ``ktuberling-data``, ``gcin-voice``, ``asterisk-core-sounds-*-g722``, unpacked into one folder: some
fifty voices in thirty languages. A speaker is a collection and a language. Single syllables suit sung parts best.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from pool import SAMPLE_RATE, Ingredient

COLLECTIONS = {
    "klettres/*": ("klettres", "GPL-2.0 or later"),
    "ktuberling/sounds/*": ("ktuberling", "GPL-2.0 or later"),
    "asterisk/sounds/*_*_*_*": ("asterisk", "CC BY-SA 3.0 or CC BY 3.0"),
}
GCIN_LICENCES = {"3": "GPL-3.0 or LGPL-3.0", "5": "CC BY 3.0"}
MIN_UTTERANCES = 12


@dataclass(frozen=True)
class Speaker:
    ingredient: Ingredient
    utterances: tuple[Path, ...]

    def say(self, rng: np.random.Generator, words: int) -> np.ndarray:
        """(T,) at 16 kHz: as many utterances, in random order, with the pauses at their ends cut."""
        chosen = [self.utterances[i] for i in rng.integers(len(self.utterances), size=words)]
        return np.concatenate([utterance(path) for path in chosen])


def speakers(folder: Path) -> list[Speaker]:
    """The speakers found below ``folder`` (the packages' ``usr/share``) who say at least `MIN_UTTERANCES` things."""
    found = []
    for pattern, (collection, licence) in COLLECTIONS.items():
        for voice in sorted(p for p in folder.glob(pattern) if p.is_dir() and "@" not in p.name):
            files = sorted(
                p for p in voice.rglob("*") if p.suffix in (".ogg", ".wav", ".g722") and p.parent.name != "silence"
            )
            found.append(Speaker(Ingredient(f"speaker/{collection}-{voice.name}", licence), tuple(files)))
    for number, licence in GCIN_LICENCES.items():
        files = sorted(folder.glob(f"gcin-voice/ogg/*/{number}.ogg"))
        found.append(Speaker(Ingredient(f"speaker/gcin-{number}", licence), tuple(files)))
    return [speaker for speaker in found if len(speaker.utterances) >= MIN_UTTERANCES]


@lru_cache(maxsize=2000)
def utterance(path: Path) -> np.ndarray:
    """One recording, (T,) float32 at 16 kHz and -20 dB RMS, from its first to its last loud sample; at most 4 s."""
    if path.suffix == ".g722":
        import av

        with av.open(str(path)) as container:
            blocks = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
        sound, rate = np.concatenate(blocks).astype(np.float32) / 32768, SAMPLE_RATE
    else:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        sound = audio.mean(axis=1)
    sound = soxr.resample(sound, rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(sound) > 0.05 * np.max(np.abs(sound), initial=0.0))
    if not len(loud):
        return np.zeros(0, np.float32)
    sound = sound[loud[0] : loud[-1]][: 4 * SAMPLE_RATE]
    return (sound * 0.1 / (np.sqrt(np.mean(np.square(sound))) + 1e-6)).astype(np.float32)
