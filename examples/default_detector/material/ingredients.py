"""Ingredients on this machine: one-shots, soundfonts, sampled instruments. Each kind is searched for once."""

from dataclasses import dataclass, field
from pathlib import Path

import multisamples
import recorded_speakers
import sampler
from soundfonts import DRUM_BANK, Band, Preset, source_of
from splits import split_of


@dataclass
class Library:
    """Folders of ingredients; those not given are not used. ``audio`` holds oneshots/, loops/ and singing16k/."""

    audio: Path
    fonts: list[Path] = field(default_factory=list)
    drumkits: Path | None = None
    samples: Path | None = None
    recorded: Path | None = None
    _shots: dict[tuple[str, str], list[sampler.OneShot]] = field(default_factory=dict)
    _bands: dict[Path, Band] = field(default_factory=dict)
    _presets: dict[tuple[str, str], list[Preset]] = field(default_factory=dict)
    _speakers: list[recorded_speakers.Speaker] | None = None
    _instruments: list[multisamples.Instrument] | None = None

    def shots(self, source: str, split: str) -> list[sampler.OneShot]:
        """One-shots of a source; for the split ``measure``, those whose licence is unclear."""
        if (source, split) not in self._shots:
            found = sampler.one_shots(self.audio, unclear=split == "measure")
            if self.drumkits and split != "measure":
                found += sampler.drumkit_one_shots(self.drumkits)
            self._shots[source, split] = sampler.of_split(found, source, split)
        return self._shots[source, split]

    def band(self, font: Path) -> Band:
        if font not in self._bands:
            self._bands[font] = Band(font)
        return self._bands[font]

    def presets(self, source: str, split: str) -> list[Preset]:
        """The fonts' programs, and for drums their kits, that belong to a source."""
        if (source, split) not in self._presets:
            every = [preset for font in self.fonts for preset in self.band(font).presets if preset.split == split]
            self._presets[source, split] = [
                p for p in every if (source == "drums" if p.bank == DRUM_BANK else source_of(p.program) == source)
            ]
        return self._presets[source, split]

    def instruments(self, source: str, split: str) -> list[multisamples.Instrument]:
        if self._instruments is None:
            self._instruments = multisamples.instruments(self.samples) if self.samples else []
        return [i for i in self._instruments if i.source == source and split_of(i.ingredient.name) == split]

    def speakers(self, split: str) -> list[recorded_speakers.Speaker]:
        if self._speakers is None:
            self._speakers = recorded_speakers.speakers(self.recorded) if self.recorded else []
        return [s for s in self._speakers if split_of(s.ingredient.name) == split]
