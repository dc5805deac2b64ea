"""Generators of parts: functions (library, rng, split) -> `Part`, by name in `GENERATORS`."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import drum_machine
import numpy as np
import sampler
import speech as speakers
import synthesizers
import voices
from effects import studio
from ingredients import Library
from pool import SAMPLE_RATE, Ingredient, Part
from rhythms import rhythm
from scores import Score, bass_line, part
from soundfonts import Preset

from remix_miner.synthesis.song import synthesize_part

RNG = np.random.Generator
T = TypeVar("T")
SYNTHESISED = "made by the script (no recording)"
SYNTH_PROGRAMS = range(80, 104)
LOW_SHARE = 0.15


def one_of(rng: RNG, found: Sequence[T], what: str) -> T:
    """Return a uniformly random item. Raises `ValueError` if there are none."""
    if not found:
        raise ValueError(f"found no {what} of this source and split; see docs/background/default_detector_material.md")
    return found[rng.integers(len(found))]


def part_seconds(rng: RNG) -> float:
    return float(rng.uniform(15, 30))


def melodic_centre(rng: RNG) -> int:
    """Return a register in which a single synthesiser line is not a bass."""
    return int(rng.integers(54, 78))


def low_share(audio: np.ndarray) -> float:
    """Return the share of the energy below 250 Hz. A bass that loses it to an effect no longer counts as a bass."""
    power = np.square(np.abs(np.fft.rfft(audio)))
    return float(power[: int(250 / SAMPLE_RATE * len(audio))].sum() / (power.sum() + 1e-12))


def treated_bass(rng: RNG, score: Score, play: Callable[[], np.ndarray]) -> np.ndarray:
    """Play and treat a bass until at least `LOW_SHARE` of its energy is low; after eight failures, without effects."""
    for _ in range(8):
        audio = studio(play(), "bass", rng, score.beat_seconds)
        if low_share(audio) >= LOW_SHARE:
            return audio
    return play()


def oneshot_drums(library: Library, rng: RNG, split: str) -> Part:
    beat = rhythm(rng, part_seconds(rng))
    sound, used = sampler.kit(rng, library.shots("drums", split))
    audio = studio(sampler.play_rhythm(beat, sound), "drums", rng)
    return Part("drums", audio, beat.style, used)


def machine_drums(library: Library, rng: RNG, split: str) -> Part:
    beat = rhythm(rng, part_seconds(rng))
    audio = studio(sampler.play_rhythm(beat, drum_machine.drum_machine(rng)), "drums", rng)
    return Part("drums", audio, beat.style, [Ingredient("drum machine", SYNTHESISED)])


def oneshot_bass(library: Library, rng: RNG, split: str) -> Part:
    score = bass_line(rng, part_seconds(rng))
    shots = library.shots("bass", split)
    shot = one_of(rng, shots, "one-shots")
    audio = treated_bass(rng, score, lambda: sampler.play_notes(score.notes, shot, score.seconds, rng, ceiling=47.0))
    return Part("bass", audio, f"{score.style}: {shot.path.stem}", [shot.ingredient])


def oneshot_other(library: Library, rng: RNG, split: str) -> Part:
    score = part(rng, part_seconds(rng))
    shots = library.shots("other", split)
    shot = one_of(rng, shots, "one-shots")
    ceiling = 58.0 if rng.random() < 0.3 else np.inf
    audio = sampler.play_notes(score.notes, shot, score.seconds, rng, ceiling=ceiling)
    treated = studio(audio, "other", rng, score.beat_seconds)
    return Part("other", treated, f"{score.style}: {shot.path.stem}", [shot.ingredient])


def oneshot_vocals(library: Library, rng: RNG, split: str) -> Part:
    score = part(rng, part_seconds(rng), centre=int(rng.integers(52, 70)))
    shots = library.shots("vocals", split)
    shot = one_of(rng, shots, "one-shots")
    audio = sampler.play_notes(score.notes, shot, score.seconds, rng, reach=9.0)
    return Part("vocals", studio(audio, "vocals", rng), f"{score.style}: {shot.path.stem}", [shot.ingredient])


def synth_bass(library: Library, rng: RNG, split: str) -> Part:
    score = bass_line(rng, part_seconds(rng))
    make = synthesizers.BASS_PATCHES[rng.integers(len(synthesizers.BASS_PATCHES))]
    audio = treated_bass(rng, score, lambda: synthesizers.play(score.notes, make(rng, "bass").voice, score.seconds))
    return Part("bass", audio, f"{score.style}: {make.__name__}", [Ingredient("synthesiser", SYNTHESISED)])


def synth_other(library: Library, rng: RNG, split: str) -> Part:
    score = part(rng, part_seconds(rng), centre=melodic_centre(rng))
    make = synthesizers.OTHER_PATCHES[rng.integers(len(synthesizers.OTHER_PATCHES))]
    patch = make(rng, "other")
    audio = studio(synthesizers.play(score.notes, patch.voice, score.seconds), "other", rng, score.beat_seconds)
    return Part("other", audio, f"{score.style}: {patch.name}", [Ingredient("synthesiser", SYNTHESISED)])


def _preset(library: Library, rng: RNG, source: str, split: str) -> Preset:
    presets = library.presets(source, split)
    return one_of(rng, presets, "programs in --fonts")


def font_drums(library: Library, rng: RNG, split: str) -> Part:
    beat, preset = rhythm(rng, part_seconds(rng)), _preset(library, rng, "drums", split)
    audio = library.band(preset.font).play_rhythm(preset, beat, rng)
    return Part("drums", studio(audio, "drums", rng), beat.style, [preset.ingredient])


def font_bass(library: Library, rng: RNG, split: str) -> Part:
    score, preset = bass_line(rng, part_seconds(rng)), _preset(library, rng, "bass", split)
    audio = treated_bass(rng, score, lambda: library.band(preset.font).play_score(preset, score))
    return Part("bass", audio, score.style, [preset.ingredient])


def font_other(library: Library, rng: RNG, split: str) -> Part:
    preset = _preset(library, rng, "other", split)
    score = part(rng, part_seconds(rng), centre=melodic_centre(rng) if preset.program in SYNTH_PROGRAMS else None)
    audio = library.band(preset.font).play_score(preset, score)
    return Part("other", studio(audio, "other", rng, score.beat_seconds), score.style, [preset.ingredient])


def multisample_bass(library: Library, rng: RNG, split: str) -> Part:
    found, score = library.instruments("bass", split), bass_line(rng, part_seconds(rng))
    instrument = one_of(rng, found, "instruments in --samples")
    audio = treated_bass(rng, score, lambda: instrument.play(score.notes, score.seconds, rng.uniform(0.02, 0.3)))
    return Part("bass", audio, score.style, [instrument.ingredient])


def multisample_other(library: Library, rng: RNG, split: str) -> Part:
    found, score = library.instruments("other", split), part(rng, part_seconds(rng))
    instrument = one_of(rng, found, "instruments in --samples")
    audio = instrument.play(score.notes, score.seconds, rng.uniform(0.02, 0.5))
    return Part("other", studio(audio, "other", rng, score.beat_seconds), score.style, [instrument.ingredient])


def singing(library: Library, rng: RNG, split: str) -> Part:
    found, seconds = voices.recordings(library.audio, split), part_seconds(rng)
    singers = sorted({r.ingredient.name for r in found})
    singer = one_of(rng, singers, "dry singing in --audio")
    recording = one_of(rng, [r for r in found if r.ingredient.name == singer], "recordings")
    audio, style = voices.sung(rng, voices.excerpt(rng, recording.path, seconds), seconds)
    return Part("vocals", studio(audio[: 30 * SAMPLE_RATE], "vocals", rng), style, [recording.ingredient])


def speech(library: Library, rng: RNG, split: str) -> Part:
    command, who = speakers.speaker(rng, split)
    return _voiced(speakers.reader(command), who, rng, treated=0.35)


def recorded_speech(library: Library, rng: RNG, split: str) -> Part:
    found = library.speakers(split)
    speaker = one_of(rng, found, "speakers in --recorded")
    return _voiced(speaker.say, speaker.ingredient, rng, treated=0.6)


def _voiced(say: speakers.Say, who: Ingredient, rng: RNG, treated: float) -> Part:
    how = [speakers.spoken, speakers.rapped, speakers.sung_speech, speakers.sung_speech][rng.integers(4)]
    audio, style = how(rng, say, part_seconds(rng)), how.__name__
    if rng.random() < treated and np.any(audio):
        treatment = [voices.vocoder, voices.layered, voices.another_singer][rng.integers(3)]
        audio, style = treatment(audio.astype(np.float32), rng), f"{style}, {treatment.__name__}"
    return Part("vocals", studio(audio, "vocals", rng), style, [who])


def formant_vocals(library: Library, rng: RNG, split: str) -> Part:
    voice = synthesize_part("vocals", int(rng.integers(2**31)), part_seconds(rng), SAMPLE_RATE).mean(axis=0)
    style = "formant synthesis"
    if rng.random() < 0.3:
        treatment = [voices.vocoder, voices.layered][rng.integers(2)]
        voice, style = treatment(voice, rng), f"{style}, {treatment.__name__}"
    return Part("vocals", studio(voice, "vocals", rng), style, [Ingredient("formant synthesiser", SYNTHESISED)])


GENERATORS: dict[str, Callable[[Library, RNG, str], Part]] = {
    "oneshot-drums": oneshot_drums,
    "machine-drums": machine_drums,
    "font-drums": font_drums,
    "oneshot-bass": oneshot_bass,
    "synth-bass": synth_bass,
    "font-bass": font_bass,
    "multisample-bass": multisample_bass,
    "oneshot-other": oneshot_other,
    "synth-other": synth_other,
    "font-other": font_other,
    "multisample-other": multisample_other,
    "oneshot-vocals": oneshot_vocals,
    "singing": singing,
    "speech": speech,
    "recorded-speech": recorded_speech,
    "formant-vocals": formant_vocals,
}
