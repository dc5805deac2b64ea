"""Variation of arrangements in MIDI: other drum kits, other instruments of a family, and a solo over the chords."""

import mido
import numpy as np
from charts import Chart
from midi import DRUM_CHANNEL

KITS = {"jazz": (0, 32, 40, 40), "electronic": (0, 8, 24, 25, 16), "folk": (0, 8, 40, 0), "pop": (0, 8, 16, 25)}
SOLOISTS = {
    "jazz": (11, 26, 56, 59, 65, 66, 67, 71),
    "electronic": (80, 81, 84, 87, 28, 62),
    "folk": (22, 21, 40, 24, 25, 73, 105, 110),
    "pop": (25, 27, 29, 65, 22, 18, 81),
}
FAMILIES = (
    (0, 1, 2, 3, 4, 5),
    (16, 17, 18),
    (24, 25),
    (26, 27, 28),
    (32, 33, 34, 35),
    (36, 37),
    (38, 39),
    (48, 49, 50, 51),
    (56, 57, 59),
    (61, 62, 63),
    (64, 65, 66, 67),
    (80, 81, 84, 86, 87),
    (88, 89, 92, 93, 94, 95),
)
SCALES = {"m": (0, 2, 3, 5, 7, 9, 10), "7": (0, 2, 4, 5, 7, 9, 10), "": (0, 2, 4, 5, 7, 9, 11)}


def family(program: int) -> tuple[int, ...]:
    """Return the programs that may stand for a program: those of its family, or itself."""
    return next((f for f in FAMILIES if program in f), (program,))


def arranged(song: mido.MidiFile, rng: np.random.Generator, genre: str) -> mido.MidiFile:
    """Return the song with a random drum kit of the genre, and instruments drawn anew within their families."""
    out = mido.MidiFile(type=0, ticks_per_beat=song.ticks_per_beat)
    chosen: dict[tuple[int, int], int] = {}
    track = mido.MidiTrack([mido.Message("program_change", channel=DRUM_CHANNEL, program=int(rng.choice(KITS[genre])))])
    for message in song.tracks[0]:
        if message.type == "program_change" and message.channel == DRUM_CHANNEL:
            track.append(mido.MetaMessage("marker", text="kit", time=message.time))
        elif message.type == "program_change":
            key = (message.channel, message.program)
            if key not in chosen:
                chosen[key] = int(rng.choice(family(message.program)))
            track.append(message.copy(program=chosen[key]))
        else:
            track.append(message)
    out.tracks.append(track)
    return out


def with_solo(song: mido.MidiFile, chart: Chart, rng: np.random.Generator, genre: str) -> mido.MidiFile:
    """Return the song with a melody on a free channel: steps through each chord's scale, with phrases and rests."""
    used = {message.channel for message in song.tracks[0] if not message.is_meta and hasattr(message, "channel")}
    channel = next(c for c in range(16) if c not in used | {DRUM_CHANNEL})
    beat = song.ticks_per_beat
    bar = round(sum(m.time for m in song.tracks[0]) / len(chart.bars) / beat) * beat
    events: list[tuple[int, mido.Message]] = [
        (0, mido.Message("program_change", channel=channel, program=int(rng.choice(SOLOISTS[genre]))))
    ]
    step, swing = int(rng.integers(0, 7)), beat * (2 / 3 if genre == "jazz" else 1 / 2)
    for number, (root, kind) in enumerate(chart.bars):
        if rng.random() < 0.2:
            continue
        scale = SCALES[next(k for k in ("m", "7", "") if kind.startswith(k) or not k)]
        place = 0.0
        while place < bar:
            at = number * bar + int(place // beat * beat + (swing if place % beat else 0))
            eighths = int(rng.choice([1, 1, 1, 2, 2, 3, 4]))
            step = int(np.clip(step + rng.integers(-2, 3), -3, 11))
            pitch = 60 + root % 12 + 12 * (step // 7) + scale[step % 7] - (12 if root > 6 else 0)
            if rng.random() < 0.85:
                on = mido.Message("note_on", channel=channel, note=pitch, velocity=int(rng.integers(60, 115)))
                events.append((at, on))
                events.append((at + int(eighths * beat * 0.45), on.copy(velocity=0)))
            place += eighths * beat / 2
    return with_events(song, events)


def with_events(song: mido.MidiFile, events: list[tuple[int, mido.Message]]) -> mido.MidiFile:
    """Return the song with further messages, each at its tick."""
    out = mido.MidiFile(type=0, ticks_per_beat=song.ticks_per_beat)
    track, tick = mido.MidiTrack(), 0
    for at, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=at - tick))
        tick = at
    out.tracks.append(mido.merge_tracks([song.tracks[0], track]))
    return out
