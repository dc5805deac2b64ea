"""Generators of drums that louder parts mask, and of the parts that mask them: functions as in `kinds`, in `MASKING`.

Kick and snare without cymbals, folk percussion; fuzz bass, gliding 808s, power chords of driven guitars, reeds.
"""

from collections.abc import Callable
from dataclasses import replace

import drum_machine
import gates
import guitars
import hand_percussion
import low_tones
import numpy as np
import sampler
from effects import equaliser, filtered, studio
from generators import LOW_SHARE, SYNTHESISED, low_share, one_of, part_seconds
from ingredients import Library
from pool import SAMPLE_RATE, Ingredient, Part
from rhythms import Hit, Rhythm, rhythm
from scores import Note, Score, bass_line, part, random_harmony
from synthesizers import frequency, oscillator

RNG = np.random.Generator
DRY_ROLES = (("kick",), ("kick", "snare"), ("kick", "snare"), ("kick", "snare", "tom"), ("kick", "rim"))
DRY_STYLES = ("rock", "punk", "ballad", "funk", "disco", "hip hop", "half time", "shuffle", "dembow", "breakbeat")
FOLK_STYLES = ("march", "waltz", "shuffle", "shaker only", "snare only", "kick only", "percussion", "two step")
REEDS = (*range(20, 24), *range(64, 72), 109, 111)
"""General MIDI programs: reed organ, accordion, harmonica, bandoneon, saxophones to clarinet, bagpipe, shanai."""
POWER_CHORDS = ("sustained", "palm-muted", "gallop", "offbeat")


def made(name: str) -> list[Ingredient]:
    return [Ingredient(name, SYNTHESISED)]


def amplified(rng: RNG, x: np.ndarray, drive_db: float, cabinet_hz: float) -> np.ndarray:
    """Return a part through a driven amplifier and a loudspeaker that cuts above ``cabinet_hz``, 24 dB per octave."""
    x = x / (np.max(np.abs(x), initial=0.0) + 1e-9)
    driven = np.tanh(10 ** (drive_db / 20) * x + rng.choice([0.0, 0.2]))
    for _ in range(2):
        driven = filtered(driven, "lowpass", cabinet_hz)
    driven = filtered(driven, "peak", rng.uniform(1000, 3000), rng.uniform(0.7, 2), rng.uniform(0, 6))
    return filtered(driven, "highpass", 40.0)


def dry_kit(library: Library, rng: RNG, split: str) -> Part:
    """Kick and snare without cymbals or room, each stroke cut after 60 to 300 ms."""
    style, roles = str(rng.choice(DRY_STYLES)), DRY_ROLES[rng.integers(len(DRY_ROLES))]
    beat = rhythm(rng, part_seconds(rng), style)
    moved = {"clap": "snare"} if "snare" in roles else {}
    hits = [replace(hit, role=moved.get(hit.role, hit.role)) for hit in beat.hits]
    beat = replace(beat, hits=[hit for hit in hits if hit.role in roles] or [Hit(0.0, "kick", 1.0)])
    shots = library.shots("drums", split) if library.audio.exists() and rng.random() < 0.75 else []
    sound, used = sampler.kit(rng, shots) if shots else (drum_machine.drum_machine(rng), made("drum machine"))
    length, fade = int(rng.uniform(0.06, 0.3) * SAMPLE_RATE), int(0.02 * SAMPLE_RATE)

    def cut(hit: Hit) -> np.ndarray:
        stroke = sound(hit)[:length].copy()
        stroke[-fade:] *= np.linspace(1, 0, len(stroke[-fade:]))
        return stroke

    audio = sampler.play_rhythm(beat, cut)
    audio = equaliser(audio, rng) if rng.random() < 0.5 else audio
    return Part("drums", filtered(audio, "highpass", 25.0), f"{style}: {' and '.join(roles)} alone", used)


def folk_percussion(library: Library, rng: RNG, split: str) -> Part:
    """Frame drum or stomp, spoons or claps, and a tambourine or shaker, in dances and marches."""
    beat = rhythm(rng, part_seconds(rng), str(rng.choice(FOLK_STYLES)))
    low = hand_percussion.membrane(rng, str(rng.choice(["frame drum", "cajon", "tom with fingers"])))
    middle = spoons(rng) if rng.random() < 0.5 else drum_machine.drum_machine(rng)
    rattle = str(rng.choice(["tambourine", "tambourine", "shaker", "egg", "sleigh bells", "maraca"]))
    high = hand_percussion.rattle(rng, rattle)
    playing = rng.random(3) < 0.75
    if not playing.any():
        playing[rng.integers(3)] = True
    levels = playing * rng.uniform(0.3, 1.2, 3)

    def sound(hit: Hit) -> np.ndarray:
        if hit.role in ("kick", "tom", "conga"):
            return levels[0] * low(hit)
        if hit.role in ("snare", "clap", "rim", "cowbell", "misc"):
            return levels[1] * middle(replace(hit, role="clap"))
        return levels[2] * high(hit)

    audio = sampler.play_rhythm(_with_every_role(beat, rng), sound)
    return Part("drums", studio(audio, "drums", rng), f"{beat.style}: folk percussion, {rattle}", made("percussion"))


def _with_every_role(beat: Rhythm, rng: RNG) -> Rhythm:
    """Return the rhythm with some of its strokes doubled by the two other instruments, as by further players."""
    roles, chance = np.array(["kick", "snare", "shaker"]), rng.uniform(0.2, 0.8)
    doubled = [replace(hit, role=str(rng.choice(roles))) for hit in beat.hits if rng.random() < chance]
    return replace(beat, hits=[*beat.hits, *doubled])


def spoons(rng: RNG) -> Callable[[Hit], np.ndarray]:
    """Return strokes of wood or bone: two or three modes between 1 and 5 kHz that ring for 5 to 40 ms."""
    modes = rng.uniform(1000, 5000, int(rng.integers(2, 4)))
    ring = drum_machine.log_uniform(rng, 0.005, 0.04)

    def sound(hit: Hit) -> np.ndarray:
        time = np.arange(int(0.3 * SAMPLE_RATE)) / SAMPLE_RATE
        tone = sum(np.sin(2 * np.pi * hertz * rng.uniform(0.98, 1.02) * time) for hertz in modes)
        click = rng.standard_normal(len(time)) * np.exp(-time / 0.002)
        return hit.velocity * (tone + click) * np.exp(-time / ring)

    return sound


def fuzz_bass(library: Library, rng: RNG, split: str) -> Part:
    """Electric basses through a driven amplifier, with the clean low end mixed in."""
    score = bass_line(rng, part_seconds(rng), str(rng.choice(["roots", "eighths", "sustained", "fills", "pump"])))
    found = library.instruments("bass", split) if library.samples else []
    shots = library.shots("bass", split) if library.audio.exists() else []
    way = int(rng.integers(3))
    if way == 0 and found:
        instrument = one_of(rng, found, "instruments")
        dry, used = instrument.play(score.notes, score.seconds, rng.uniform(0.02, 0.3)), [instrument.ingredient]
    elif way == 1 and shots:
        shot = one_of(rng, shots, "one-shots")
        dry, used = sampler.play_notes(score.notes, shot, score.seconds, rng, ceiling=47.0), [shot.ingredient]
    else:
        dry, used = guitars.play_strings(rng, score, body=False), made("plucked strings")
    fuzz = amplified(rng, dry, rng.uniform(6, 40), drum_machine.log_uniform(rng, 700, 5000))
    low = filtered(dry / (np.max(np.abs(dry), initial=0.0) + 1e-9), "lowpass", 200)
    audio = rng.uniform(0.2, 1.0) * fuzz + rng.uniform(0.3, 1.5) * low
    return Part("bass", audio if low_share(audio) >= LOW_SHARE else dry, f"{score.style}: fuzz bass", used)


def glide_808(library: Library, rng: RNG, split: str) -> Part:
    """808s with a kick's attack whose notes glide into one another over 50 to 400 ms."""
    score = bass_line(rng, part_seconds(rng), str(rng.choice(["roots", "sustained", "sparse", "syncopated", "fills"])))
    audio = low_tones.glided_808(rng, score.notes, score.seconds)
    audio = equaliser(audio, rng) if rng.random() < 0.3 else audio
    return Part("bass", filtered(audio, "highpass", 25.0), f"{score.style}: gliding 808", made("low tones"))


def chord_score(rng: RNG, seconds: float) -> Score:
    """Return power chords (root, fifth, often the octave) on the low strings of a guitar."""
    style, harmony = str(rng.choice(POWER_CHORDS)), random_harmony(rng)
    tempo, root = float(rng.uniform(80, 190)), 40 + int(rng.integers(0, 8))
    step = 15 / tempo
    pattern = {
        "sustained": {0: 8.0, 8: 8.0},
        "palm-muted": {i: (1.8 if i % 8 == 0 else 0.6) for i in range(0, 16, 2)},
        "gallop": {i + j: 0.7 for i in range(0, 16, 4) for j in (0, 2, 3)},
        "offbeat": {0: 3.0, 3: 3.0, 6: 4.0, 10: 2.0, 12: 4.0},
    }[style]
    intervals = (0, 7, 12) if rng.random() < 0.7 else (0, 7)
    notes = []
    for bar in range(int(np.ceil(seconds / (16 * step)))):
        if rng.random() < 0.05:
            continue
        low = root + (harmony.pitch(harmony.chord(bar)) - harmony.tonic) % 12
        for place, length in pattern.items():
            start, level = (bar * 16 + place) * step, float(rng.uniform(0.7, 1.0))
            notes += [Note(start + 0.004 * k, length * step, low + up, level) for k, up in enumerate(intervals)]
    return Score(f"power chords, {style}", tempo, seconds, [note for note in notes if note.start_seconds < seconds])


def power_chords(library: Library, rng: RNG, split: str) -> Part:
    """Driven guitars: waveguide strings or a sampled electric guitar, often doubled."""
    score = chord_score(rng, part_seconds(rng))
    found = [i for i in library.instruments("other", split) if "guitar" in i.name] if library.samples else []
    drive, cabinet = rng.uniform(15, 45), drum_machine.log_uniform(rng, 2500, 6500)
    audio, used = np.zeros(int(score.seconds * SAMPLE_RATE)), list[Ingredient]()
    for _ in range(int(rng.integers(1, 3))):
        if found and rng.random() < 0.5:
            instrument = one_of(rng, found, "guitars")
            dry = instrument.play(score.notes, score.seconds, 0.05)
            used.append(instrument.ingredient)
        else:
            dry = guitars.play_strings(rng, score, body=False)
            used += made("plucked strings")
        audio = audio + amplified(rng, dry, drive, cabinet)
    return Part("other", studio(audio, "other", rng), score.style, used)


def reed_other(library: Library, rng: RNG, split: str) -> Part:
    """Accordions, saxophones and other reeds: of soundfonts, sampled, or synthesised with a musette beat."""
    style = str(rng.choice(["comping", "melody", "riff", "counter", "stabs", "strum", "lead", "pad"]))
    score = part(rng, part_seconds(rng), style, int(rng.integers(54, 76)))
    presets = [p for p in library.presets("other", split) if p.program in REEDS]
    sampled = [i for i in library.instruments("other", split) if "saxophone" in i.name] if library.samples else []
    way = rng.random()
    if way < 0.5 and presets:
        preset = one_of(rng, presets, "reeds")
        audio, used = library.band(preset.font).play_score(preset, score), [preset.ingredient]
    elif way < 0.75 and sampled:
        notes = gates.monophonic(score.notes)
        audio, used = sampled[0].play(notes, score.seconds, rng.uniform(0.02, 0.2)), [sampled[0].ingredient]
    else:
        audio, used = accordion(rng, score), made("free reeds")
    return Part("other", studio(audio, "other", rng, score.beat_seconds), f"reeds: {score.style}", used)


def accordion(rng: RNG, score: Score) -> np.ndarray:
    """Return free reeds, (T,): two or three detuned pulses a note, which swell and end without decay."""
    out = np.zeros(int(score.seconds * SAMPLE_RATE))
    detune, width, swell = rng.uniform(0.03, 0.2), rng.uniform(0.1, 0.4), rng.uniform(0.01, 0.06)
    octave = rng.choice([0, 0, 12])
    for note in score.notes:
        frames, start = int((note.seconds + 0.04) * SAMPLE_RATE), int(note.start_seconds * SAMPLE_RATE)
        time = np.arange(frames) / SAMPLE_RATE
        pitches = (note.pitch - detune, note.pitch + detune, note.pitch + octave)
        tone = sum(oscillator("pulse", np.full(frames, frequency(p)), rng.random(), width) for p in pitches)
        shape = np.minimum(time / swell, 1) * np.clip((time[-1] - time) / 0.04, 0, 1)
        tone = (note.velocity * tone * shape)[: len(out) - start]
        out[start : start + len(tone)] += tone
    return filtered(out, "lowpass", rng.uniform(2500, 6000))


MASKING: dict[str, Callable[[Library, RNG, str], Part]] = {
    "dry-kit": dry_kit,
    "folk-percussion": folk_percussion,
    "fuzz-bass": fuzz_bass,
    "glide-808": glide_808,
    "power-chords": power_chords,
    "reed-other": reed_other,
}
