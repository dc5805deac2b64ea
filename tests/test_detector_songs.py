"""Songs with exact stems for the default detector: who plays, which split, what is muted."""

import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

FOLDER = Path(__file__).parents[1] / "examples" / "default_detector"
FOLDERS = tuple(FOLDER / name for name in ("songs", "instruments", "material"))

PROJECT = """<lmms-project><song><trackcontainer>
  <track type="0" name="lead" muted="0"><instrumenttrack><instrument name="sid"><sid/></instrument></instrumenttrack>
    <pattern><note key="60"/></pattern></track>
  <track type="0" name="empty" muted="0"><pattern/></track>
  <track type="0" name="unused" muted="1"><pattern><note key="60"/></pattern></track>
  <track type="1" name="beat" muted="0"><bbtrack><trackcontainer>
    <track type="0" name="kick" muted="0"><instrumenttrack><instrument name="kicker"><kicker/></instrument>
    </instrumenttrack><pattern><note key="57"/></pattern></track>
  </trackcontainer></bbtrack></track>
</trackcontainer></song></lmms-project>"""


@pytest.fixture(scope="module", autouse=True)
def scripts() -> Iterator[None]:
    before = sys.path.copy()
    sys.path[:0] = map(str, FOLDERS)
    yield
    sys.path[:] = before
    for folder in FOLDERS:
        for path in folder.glob("*.py"):
            sys.modules.pop(path.stem, None)


def test_a_project_is_muted_but_for_the_wanted_tracks(tmp_path: Path) -> None:
    import lmms_songs

    path = tmp_path / "song.mmp"
    path.write_text(PROJECT)
    played = lmms_songs.instrument_tracks(lmms_songs.document(path))
    assert [track.get("name") for track in played] == ["lead", "kick"]
    only_kick = ElementTree.fromstring(lmms_songs.with_tracks(path, [1]))
    muted = {track.get("name"): track.get("muted") for track in only_kick.iter("track")}
    assert muted == {"lead": "1", "empty": "1", "unused": "1", "beat": "0", "kick": "0"}


def test_no_producer_is_in_both_splits_and_no_track_has_two_sources() -> None:
    import lmms_songs

    projects = lmms_songs.table()
    train, test = ({p.artist for p in projects if p.split == split} for split in ("train", "test"))
    assert train
    assert test
    assert not train & test
    for project in projects:
        numbers = [number for tracks in project.tracks.values() for number in tracks]
        assert len(numbers) == len(set(numbers)), project.name
        assert sorted(numbers) == list(range(len(numbers))), project.name  # every track is assigned or left out


def test_stems_are_one_length_at_one_gain_and_an_absent_source_is_silent(tmp_path: Path) -> None:
    import stems

    rng = np.random.default_rng(0)
    drums, bass = rng.normal(0, 0.5, (14 * 32000, 2)), 0.25 * rng.normal(0, 0.5, (13 * 32000, 2))
    assert stems.write_song(tmp_path / "song", {"drums": drums, "bass": bass}, 32000) == pytest.approx(14, abs=0.01)
    read = {source: soundfile.read(tmp_path / "song" / f"{source}.flac") for source in stems.SOURCES}
    assert {(len(audio), rate) for audio, rate in read.values()} == {(14 * 16000, 16000)}
    assert not np.any(read["vocals"][0])
    ratio = np.std(read["drums"][0][:200000]) / np.std(read["bass"][0][:200000])
    assert ratio == pytest.approx(4, rel=0.02)
    assert stems.write_song(tmp_path / "short", {"drums": drums[:32000]}, 32000) == 0
    assert not (tmp_path / "short").exists()


def test_a_song_whose_other_source_plays_the_bass_is_not_kept(tmp_path: Path) -> None:
    import stems

    time = np.arange(14 * 16000) / 16000
    low, high = (np.sin(2 * np.pi * hertz * time)[:, None] for hertz in (60, 600))
    assert stems.doubtful_bass({"other": low + high}, 16000)
    assert not stems.doubtful_bass({"other": high}, 16000)
    assert not stems.doubtful_bass({"other": low + high, "bass": low}, 16000)
    assert stems.write_song(tmp_path / "song", {"other": low + high}, 16000) == 0


def test_notes_belong_to_the_program_of_their_time_and_ambiguous_ones_to_none() -> None:
    mido = pytest.importorskip("mido")
    import midi

    song = mido.MidiFile(type=0)
    track = mido.MidiTrack()
    for program in (33, 0, 52, 117):
        track.append(mido.Message("program_change", channel=0, program=program, time=10))
        track.append(mido.Message("note_on", channel=0, note=60, velocity=90, time=10))
        track.append(mido.Message("note_on", channel=0, note=60, velocity=0, time=10))
    track.append(mido.Message("note_on", channel=9, note=36, velocity=90, time=10))
    song.tracks.append(track)
    found = [s for m, s in zip(track, midi.note_sources(song), strict=True) if m.type == "note_on" and m.velocity]
    assert found == ["bass", "other", None, "drums", "drums"]
    bass = midi.only(song, "bass", lambda source, tick: True)
    assert sum(m.type == "note_on" and m.velocity > 0 for m in bass.tracks[0]) == 1
    ends = [sum(m.time for m in file.tracks[0] if not m.is_meta) for file in (song, bass)]
    assert ends[0] - ends[1] == 10  # only the last message, a drum, is gone; the times of the others stay
    silent = midi.only(song, "bass", lambda source, tick: tick > 100)
    assert not any(m.type == "note_on" and m.velocity for m in silent.tracks[0])


def test_charts_fill_their_time_and_pauses_leave_somebody_playing() -> None:
    pytest.importorskip("mido")
    from charts import SILENT, chart, pauses

    rng = np.random.default_rng(1)
    for _ in range(10):
        drawn = chart(rng, 120.0, 4, 60.0)
        assert len(drawn.bars) == 30
        lines = drawn.text(["Swing", "Bossa"]).splitlines()
        assert lines[1] == "Groove Swing"
        assert "Groove Bossa" in lines
        silent = pauses(rng, 3000)
        assert len(silent) == 3000
        assert all(len(s) < len(SILENT) for s in silent)
