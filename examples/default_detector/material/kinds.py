"""Generators of the kinds of sound on which detectors fail: functions (library, rng, split) -> `Part`, in `KINDS`.

Sub-basses and slap basses, muffled drums, hand percussion and brushes, plucked and gated synthesisers, strummed
guitars, leads that resemble voices, and processed voices.
"""

from collections.abc import Callable

import drum_machine
import gates
import guitars
import hand_percussion
import leads
import low_tones
import numpy as np
import sampler
import voices
from effects import filtered, studio
from generators import SYNTHESISED, font_drums, melodic_centre, one_of, oneshot_drums, part_seconds, treated_bass
from ingredients import Library
from pool import SAMPLE_RATE, Ingredient, Part
from processed import processed
from rhythms import STYLES, rhythm
from scores import bass_line, part
from soundfonts import DRUM_BANK

RNG = np.random.Generator
GUITARS = range(24, 32)
SLAP_BASSES = (36, 37)
BRUSH_KIT = 40
SOFT_STYLES = ("sparse brushes", "swing", "waltz", "ballad", "bossa", "snare only", "shuffle", "sparse")
HAND_STYLES = ("percussion", "salsa", "samba", "afro", "bossa", "shaker only", "tribal toms", "two step", "dembow")
HAND_KEYS = {
    "kick": (61, 64, 66, 41),
    "conga": (60, 61, 62, 63, 64),
    "tom": (60, 61, 65, 66, 78, 79),
    "rim": (75, 76, 77, 67),
    "snare": (62, 65, 39, 60),
    "clap": (39, 75),
    "cowbell": (56, 67, 68),
    "misc": (73, 74, 76, 77, 78, 79, 58),
    **dict.fromkeys(("shaker", "closed", "open", "ride", "crash"), (69, 70, 82, 54, 80, 81)),
}


def made(name: str) -> list[Ingredient]:
    return [Ingredient(name, SYNTHESISED)]


def sub_bass(library: Library, rng: RNG, split: str) -> Part:
    score = bass_line(rng, part_seconds(rng))
    audio, style = low_tones.low_line(rng, score.notes, score.seconds)
    if rng.random() < 0.35:
        dry = audio
        audio = treated_bass(rng, score, lambda: dry)
    return Part("bass", audio, f"{score.style}: {style}", made("low tones"))


def slap_bass(library: Library, rng: RNG, split: str) -> Part:
    style = str(rng.choice(["octaves", "syncopated", "eighths", "fills"]))
    score = bass_line(rng, part_seconds(rng), style)
    presets = [p for p in library.presets("bass", split) if p.program in SLAP_BASSES] if rng.random() < 0.5 else []
    if presets:
        preset = one_of(rng, presets, "slap basses")
        audio = treated_bass(rng, score, lambda: library.band(preset.font).play_score(preset, score))
        return Part("bass", audio, f"{score.style}: slap", [preset.ingredient])
    audio = treated_bass(rng, score, lambda: guitars.slap_bass(rng, score.notes, score.seconds))
    return Part("bass", audio, f"{score.style}: slap", made("slap strings"))


def muffled_drums(library: Library, rng: RNG, split: str) -> Part:
    """Drums of any kind without highs: cut at 120 to 700 Hz, twice or four times 12 dB per octave."""
    ways: list[Callable[[Library, RNG, str], Part]] = [machine_kit, machine_kit]
    ways += [oneshot_drums] if library.audio.exists() else []
    ways += [font_drums] if library.fonts else []
    drums = ways[rng.integers(len(ways))](library, rng, split)
    cutoff, audio = float(np.exp(rng.uniform(np.log(120), np.log(700)))), drums.audio
    for _ in range(int(rng.choice([2, 4]))):
        audio = filtered(audio, "lowpass", cutoff)
    return Part("drums", audio, f"{drums.style} below {cutoff:.0f} Hz", drums.ingredients)


def machine_kit(library: Library, rng: RNG, split: str) -> Part:
    beat = rhythm(rng, part_seconds(rng))
    audio = studio(sampler.play_rhythm(beat, drum_machine.drum_machine(rng)), "drums", rng)
    return Part("drums", audio, beat.style, made("drum machine"))


def hand_drums(library: Library, rng: RNG, split: str) -> Part:
    """Physical models of hand percussion, or the keys of General MIDI's hand percussion on any kit."""
    beat = rhythm(rng, part_seconds(rng), str(rng.choice(HAND_STYLES)) if rng.random() < 0.7 else None)
    presets = [p for p in library.presets("drums", split) if p.bank == DRUM_BANK] if rng.random() < 0.35 else []
    if presets:
        preset = one_of(rng, presets, "kits")
        audio = library.band(preset.font).play_rhythm(preset, beat, rng, HAND_KEYS)
        return Part("drums", studio(audio, "drums", rng), f"{beat.style}: keys of a kit", [preset.ingredient])
    sound, name = hand_percussion.ensemble(rng)
    audio = sampler.play_rhythm(beat, sound)
    return Part("drums", studio(audio, "drums", rng), f"{beat.style}: {name}", made("hand percussion"))


def soft_percussion(library: Library, rng: RNG, split: str) -> Part:
    """Rattles alone, or soft bursts of noise: shakers, brushes of electronic music, tape hiss in rhythm."""
    style = str(rng.choice(["shaker only", "hats only", "two step", "bossa", "minimal", "glitch"]))
    beat = rhythm(rng, part_seconds(rng), style)
    name = str(rng.choice(list(hand_percussion.RATTLES)))
    sounds = [hand_percussion.rattle(rng, name), hand_percussion.rattle(rng, name), soft_noise(rng), soft_noise(rng)]
    order: dict[str, int] = {}
    audio = sampler.play_rhythm(beat, lambda hit: sounds[order.setdefault(hit.role, len(order)) % len(sounds)](hit))
    return Part("drums", studio(audio, "drums", rng), f"{style}: {name} and noise", made("soft percussion"))


def soft_noise(rng: RNG) -> Callable[[sampler.Hit], np.ndarray]:
    """Return strokes of noise in a band, with a slow start and no hard transient."""
    attack, ring = rng.uniform(0.004, 0.06), drum_machine.log_uniform(rng, 0.02, 0.25)
    band, q = drum_machine.log_uniform(rng, 300, 6500), rng.uniform(0.4, 3)

    def sound(hit: sampler.Hit) -> np.ndarray:
        time = np.arange(int(0.8 * SAMPLE_RATE)) / SAMPLE_RATE
        shape = np.minimum(time / attack, 1) ** 2 * np.exp(-np.maximum(time - attack, 0) / ring)
        return hit.velocity * filtered(rng.standard_normal(len(time)), "bandpass", band, q) * shape

    return sound


def brushes(library: Library, rng: RNG, split: str) -> Part:
    """Swept and tapped brushes, synthesised or from the fonts' brush kits."""
    beat = rhythm(rng, part_seconds(rng), str(rng.choice(SOFT_STYLES)))
    kits = [p for p in library.presets("drums", split) if p.bank == DRUM_BANK and p.program == BRUSH_KIT]
    if kits and rng.random() < 0.4:
        preset = one_of(rng, kits, "brush kits")
        audio = library.band(preset.font).play_rhythm(preset, beat, rng)
        return Part("drums", studio(audio, "drums", rng), f"{beat.style}: brush kit", [preset.ingredient])
    return Part("drums", studio(hand_percussion.brushed(rng, beat), "drums", rng), beat.style, made("brushes"))


def plucked_other(library: Library, rng: RNG, split: str) -> Part:
    style = str(rng.choice(["arpeggio", "pluck", "stabs", "riff", "melody", "comping"]))
    score = part(rng, part_seconds(rng), style, melodic_centre(rng))
    audio = studio(gates.plucks(rng, score), "other", rng, score.beat_seconds)
    return Part("other", audio, f"plucked {score.style}", made("plucked synthesiser"))


def gated_other(library: Library, rng: RNG, split: str) -> Part:
    score = part(rng, part_seconds(rng), str(rng.choice(["pad", "drone", "comping"])), melodic_centre(rng))
    audio = studio(gates.gated(rng, score), "other", rng, score.beat_seconds)
    return Part("other", audio, f"gated {score.style}", made("gated synthesiser"))


def strummed_other(library: Library, rng: RNG, split: str) -> Part:
    score = guitars.strummed_score(rng, part_seconds(rng))
    presets = [p for p in library.presets("other", split) if p.program in GUITARS] if rng.random() < 0.6 else []
    if presets:
        preset = one_of(rng, presets, "guitars")
        audio = library.band(preset.font).play_score(preset, score)
        return Part("other", studio(audio, "other", rng), score.style, [preset.ingredient])
    return Part("other", studio(guitars.play_strings(rng, score), "other", rng), score.style, made("plucked strings"))


def lead_other(library: Library, rng: RNG, split: str) -> Part:
    score = part(rng, part_seconds(rng), str(rng.choice(["melody", "lead", "riff"])), int(rng.integers(58, 80)))
    audio, name = leads.lead(rng, gates.monophonic(score.notes), score.seconds)
    return Part("other", studio(audio, "other", rng, score.beat_seconds), f"{name}: {score.style}", made("leads"))


def processed_vocals(library: Library, rng: RNG, split: str) -> Part:
    """Singing, or where `--recorded` is given a third of the time speech, through the effects of electronic music."""
    speakers, seconds = library.speakers(split), part_seconds(rng)
    if speakers and rng.random() < 0.35:
        speaker = one_of(rng, speakers, "speakers")
        dry, who = speaker.say(rng, 30)[: int(seconds * SAMPLE_RATE)], speaker.ingredient
    else:
        found = voices.recordings(library.audio, split)
        singer = one_of(rng, sorted({r.ingredient.name for r in found}), "dry singing in --audio")
        recording = one_of(rng, [r for r in found if r.ingredient.name == singer], "recordings")
        dry, who = voices.excerpt(rng, recording.path, seconds), recording.ingredient
    audio, style = processed(rng, dry)
    return Part("vocals", studio(audio[: 30 * SAMPLE_RATE], "vocals", rng), style, [who])


KINDS: dict[str, Callable[[Library, RNG, str], Part]] = {
    "sub-bass": sub_bass,
    "slap-bass": slap_bass,
    "muffled-drums": muffled_drums,
    "hand-drums": hand_drums,
    "soft-percussion": soft_percussion,
    "brushes": brushes,
    "plucked-other": plucked_other,
    "gated-other": gated_other,
    "strummed-other": strummed_other,
    "lead-other": lead_other,
    "processed-vocals": processed_vocals,
}
assert set(SOFT_STYLES) | set(HAND_STYLES) <= set(STYLES)
