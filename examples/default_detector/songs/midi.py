"""MIDI files as songs with exact stems: General MIDI programs name the source, FluidSynth or TiMidity renders it.

A note belongs to the source of the program that its channel has at that time. Notes of ambiguous programs (choirs,
sound effects; `soundfonts.DOUBTFUL_PROGRAMS`) are in no stem and thus not in the mixture.
"""

import re
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np
import soundfile
from soundfonts import source_of

DRUM_CHANNEL = 9
DRUM_FONTS = ("Black_Pearl", "Red_Zeppelin")  # one kit, on the bank of melodic programs
Keep = Callable[[str, int], bool]
"""Whether a note of a source at a tick sounds."""


def merged(path: Path) -> mido.MidiFile:
    """Return a file with one track, so that program changes of any track precede the notes they concern."""
    file = mido.MidiFile(path, clip=True)
    single = mido.MidiFile(type=0, ticks_per_beat=file.ticks_per_beat)
    single.tracks.append(mido.merge_tracks(file.tracks))
    return single


def note_sources(song: mido.MidiFile) -> list[str | None]:
    """Return the source of each message: None for those that are no note and for notes of ambiguous programs."""
    programs = [0] * 16
    found: list[str | None] = []
    for message in song.tracks[0]:
        if message.type == "program_change":
            programs[message.channel] = message.program
        if message.type == "note_on" and message.velocity:
            drums = message.channel == DRUM_CHANNEL
            found.append("drums" if drums else source_of(programs[message.channel]))
        else:
            found.append(None)
    return found


def only(song: mido.MidiFile, source: str, keep: Keep) -> mido.MidiFile:
    """Return the song with the notes of one source alone; everything that is no note stays."""
    out = mido.MidiFile(type=0, ticks_per_beat=song.ticks_per_beat)
    track = mido.MidiTrack()
    tick, waiting = 0, 0
    for message, belongs in zip(song.tracks[0], note_sources(song), strict=True):
        tick += message.time
        starts = message.type == "note_on" and message.velocity
        if starts and (belongs != source or not keep(source, tick)):
            waiting += message.time
            continue
        track.append(message.copy(time=message.time + waiting))
        waiting = 0
    out.tracks.append(track)
    return out


def programs_of(instruments: Path) -> set[int]:
    """Return the programs that a .cfg of patches has; all of them for a soundfont."""
    if instruments.suffix != ".cfg":
        return set(range(128))
    melodic = instruments.read_text(encoding="utf-8").partition("bank 0")[2]
    return {int(number) for number in re.findall(r"^\s*(\d+)\s+\S+\.pat", melodic, re.M)}


def playable(song: mido.MidiFile, available: set[int]) -> mido.MidiFile:
    """Return the song with each missing program replaced by the nearest of the same source."""
    out = mido.MidiFile(type=0, ticks_per_beat=song.ticks_per_beat)
    track = mido.MidiTrack()
    for message in song.tracks[0]:
        if message.type == "program_change" and message.channel != DRUM_CHANNEL and message.program not in available:
            alike = [p for p in available if source_of(p) == source_of(message.program)]
            message = message.copy(program=min(alike, key=lambda p: abs(p - message.program), default=message.program))
        track.append(message)
    out.tracks.append(track)
    return out


def off_the_drum_channel(song: mido.MidiFile) -> mido.MidiFile:
    """Return the drums of a song on the first melodic channel, where fonts of one kit have it."""
    out = mido.MidiFile(type=0, ticks_per_beat=song.ticks_per_beat)
    on_drums = (m.copy(channel=0) if getattr(m, "channel", None) == DRUM_CHANNEL else m for m in song.tracks[0])
    kept = [mido.MetaMessage("marker", time=m.time) if m.type == "program_change" else m for m in on_drums]
    out.tracks.append(mido.MidiTrack(kept))
    return out


def sources_in(song: mido.MidiFile) -> set[str]:
    return {source for source in note_sources(song) if source}


def played(song: mido.MidiFile, instruments: Path, sample_rate: int) -> np.ndarray:
    """Render a file with a soundfont (FluidSynth) or a .cfg of patches (TiMidity): (T, 2) float32."""
    with tempfile.TemporaryDirectory() as folder:
        midi, wave = Path(folder, "song.mid"), Path(folder, "song.wav")
        song.save(midi)
        if instruments.suffix == ".cfg":
            command = ["timidity", str(midi), "-c", str(instruments), "-Ow", "-s", str(sample_rate), "-o", str(wave)]
            command += ["-A40", "--output-24bit", "--reverb=d", "--chorus=d", "--quiet=2"]
        else:
            command = ["fluidsynth", "-ni", "-q", "-r", str(sample_rate), "-g", "0.3", "-O", "float", "-T", "wav"]
            command += ["-F", str(wave), str(instruments), str(midi)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not wave.exists():
            raise RuntimeError(f"{command[0]} cannot render: {done.stderr.strip()[-300:]}")
        audio: np.ndarray = soundfile.read(wave, dtype="float32", always_2d=True)[0]
        return audio


def stems(
    song: mido.MidiFile, instruments: dict[str, Path], sample_rate: int, keep: Keep = lambda source, tick: True
) -> dict[str, np.ndarray]:
    """Render the sources of a song, each with its own soundfont: source -> (T, 2)."""
    rendered = {}
    for source in sorted(sources_in(song)):
        alone = playable(only(song, source, keep), programs_of(instruments[source]))
        if instruments[source].name.startswith(DRUM_FONTS):
            alone = off_the_drum_channel(alone)
        rendered[source] = played(alone, instruments[source], sample_rate)
    return rendered
