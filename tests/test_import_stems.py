"""Raw multitracks become a corpus: the rules on names, what is refused, and what the corpus then reads as."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.cli import app
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.datasets.name_rules import instrument_name, source_of
from remix_miner.errors import DataError, UsageError

RATE = 8000

NAMES = {
    "drums": "Kick|01_Kick In|KickOut|Snare Bottom|Hi-Hat|HiHat|OH L|overheads|Bass Drum|floor tom|Drum Mix|Drums Bus|"
    "drum set|drum machine|auxiliary percussion|Percussion|high hat|Cowbell|tambourine|claps|Snare_SM57_2|sleigh bells",
    "bass": "Bass|BassDI|Bass_Guitar|Bass amp|Synth Bass|BASS SYNTH|Upright Bass|double bass|electric bass|Sub Bass 2",
    "other": "Lead Guitar|GTR1|AcousticGtr|clean electric guitar|Piano|Rhodes|Organ|Pad 3|string section|Horn Section|"
    "Bass Clarinet|bassoon|bass trombone|steel drum|Tubular Bells|vibraphone|Pedal Steel|fx/processed sound|"
    "electric piano|tack piano|accordion|Guitar Mix|alto saxophone|tenor saxophone|lap steel guitar|Other",
    "vocals": "LeadVox|Vocals|BGVs|Backing Vocals 2|male singer|female singer|male rapper|Choir|Vocal FX|vocalists",
    "mixture": "Mix|Full Mix|Master|mixture",
}
UNCLEAR = (
    "Lead|808|Click|Room|Loop|Sampler|Drum and Bass Loop|Vox Organ|Choir Pad|Kick Bass|Track 12|crowd|Main System|Solo"
)


@pytest.mark.parametrize(
    ("name", "source"), [(name, source) for source, names in NAMES.items() for name in names.split("|")]
)
def test_the_rules_on_names(name: str, source: str) -> None:
    assert source_of(instrument_name(name)) == source


@pytest.mark.parametrize("name", UNCLEAR.split("|"))
def test_a_name_that_says_two_things_or_none_has_no_source(name: str) -> None:
    assert source_of(instrument_name(name)) is None


def test_the_song_in_front_of_a_name_does_not_count() -> None:
    assert instrument_name("Bass Is Love - 03 - Piano", "Bass Is Love") == "piano"
    assert instrument_name("Bass", "Bass") == "bass"
    assert instrument_name("808", "Song") == "808"


def noise(seed: int, frames: int = 400) -> np.ndarray:
    return (np.random.default_rng(seed).integers(-4000, 4000, (frames, 1)) / 32768).astype(np.float32)


def write(path: Path, audio: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, RATE, subtype="PCM_16")
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two songs: one with nested folders and a mix, one that lacks vocals."""
    files = ("drums/Kick.wav", "drums/Snare.wav", "Bass DI.wav", "gtr/Lead Guitar.wav", "Lead Vox.flac", "Full Mix.wav")
    for seed, name in enumerate(files):
        write(tmp_path / "raw" / "A - B" / name, noise(seed))
    for seed, name in enumerate(("A - C_Drums.wav", "A - C_Bass.wav", "A - C_Keys.wav")):
        write(tmp_path / "raw" / "A - C" / name, noise(10 + seed))
    return tmp_path / "raw"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    status = app(["import-stems", *map(str, arguments), "--json"], standalone_mode=False)
    return status, json.loads(capsys.readouterr().out)


def test_a_corpus_of_links_is_the_sum_of_its_instruments(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "corpus"
    status, result = run(capsys, raw, "--out", out)
    assert (status, result["links"]["hard links"], result["links"]["songs"]) == (0, 8, 2)
    assert result["mixtures"] == [str(raw / "A - B" / "Full Mix.wav")]
    first, second = load_stem_tracks(out)
    assert (first.name, first.artist, first.absent, second.absent) == ("A - B", "A", (), ("vocals",))
    expected = np.stack([noise(0) + noise(1), noise(2), noise(3), noise(4)])[..., 0]
    np.testing.assert_allclose(first.read()[:, 0], expected, atol=1e-7)
    np.testing.assert_allclose(second.read(sources=("other",))[0, 0], noise(12)[:, 0], atol=1e-7)
    assert (out / "A - B" / "other" / "Lead Guitar.wav").samefile(raw / "A - B" / "gtr" / "Lead Guitar.wav")
    assert app(["check-data", str(out)], standalone_mode=False) == 0
    assert "2 songs" in capsys.readouterr().out
    before = sorted(out.rglob("*"))
    assert run(capsys, raw, "--out", out)[1]["links"]["already there"] == 8
    assert sorted(out.rglob("*")) == before


def test_names_without_a_source_are_listed_and_nothing_is_written(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(raw / "A - B" / "Room 1.wav", noise(7))
    write(raw / "A - C" / "A - C_Click.wav", noise(8))
    out = tmp_path / "corpus"
    with pytest.raises(DataError, match=r"2 instrument names are not mapped(.|\n)*click (.|\n)*room .*Room 1\.wav"):
        run(capsys, raw, "--out", out)
    assert not out.exists()
    status, result = run(capsys, raw, "--out", out, "--dry-run")
    assert (status, list(result["unmapped"]), out.exists()) == (1, ["room", "click"], False)
    (tmp_path / "map.toml").write_text('"room*" = "other"\nclick = "skip"\n')
    status, result = run(capsys, raw, "--out", out, "--map-file", tmp_path / "map.toml", "--map", "ROOM*=drums")
    assert (status, result["instruments"]["room"], len(result["skipped"])) == (0, "drums", 1)
    np.testing.assert_allclose(
        load_stem_tracks(out)[0].read(sources=("drums",))[0, 0], (noise(0) + noise(1) + noise(7))[:, 0], atol=1e-7
    )
    written = json.loads((out / "import.json").read_text())
    assert written["instruments"]["lead guitar"] == "other"


@pytest.mark.parametrize("pair", ["room", "=drums", "room=guitar"])
def test_mappings_that_cannot_be(raw: Path, tmp_path: Path, pair: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError):
        run(capsys, raw, "--out", tmp_path / "corpus", "--map", pair)


def test_splits_and_files_of_other_lengths_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "Test"):
        write(tmp_path / "raw" / split / f"{split} song" / "Drums.wav", noise(1, 300))
        write(tmp_path / "raw" / split / f"{split} song" / "Piano.wav", noise(2, 400))
    run(capsys, tmp_path / "raw", "--out", tmp_path / "corpus")
    assert [(track.name, track.split, track.frames) for track in load_stem_tracks(tmp_path / "corpus")] == [
        ("Test song", "test", 400),
        ("train song", "train", 400),
    ]


def test_files_of_one_name_in_several_folders_are_all_summed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in range(3):
        write(tmp_path / "raw" / "song" / f"take {place}" / ("Snare.wav" if place else "snare.WAV"), noise(place))
    write(tmp_path / "raw" / "song" / "Bass.wav", noise(9))
    run(capsys, tmp_path / "raw", "--out", tmp_path / "corpus")
    (track,) = load_stem_tracks(tmp_path / "corpus")
    np.testing.assert_allclose(track.read_source("drums")[0], (noise(0) + noise(1) + noise(2))[:, 0], atol=1e-7)


def test_what_stops_an_import(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "corpus"
    (raw / "A - C" / "A - C_Vox.mp3").write_bytes(b"lossy")
    with pytest.raises(DataError, match=r"Vox.mp3 is not in a lossless format"):
        run(capsys, raw, "--out", out)
    (raw / "A - C" / "A - C_Vox.mp3").unlink()
    (raw / "A - C" / "A - C_Vox.wav").symlink_to(tmp_path / "nowhere.wav")
    with pytest.raises(DataError, match=r"Vox.wav is a broken link"):
        run(capsys, raw, "--out", out)
    (raw / "A - C" / "A - C_Vox.wav").unlink()
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        run(capsys, raw, "--out", tmp_path / "file")
    write(out / "A - B" / "bass" / "Bass DI.wav", noise(99))
    with pytest.raises(DataError, match="is another file than"):
        run(capsys, raw, "--out", out)


def test_where_hard_links_are_refused_links_are_symbolic(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    monkeypatch.chdir(raw.parent)
    status, result = run(capsys, "raw", "--out", "corpus")
    assert (status, result["links"]["symbolic links"]) == (0, 8)
    assert load_stem_tracks("corpus")[0].read_source("bass").any()


MEDLEYDB_METADATA = """album: none
artist: Ann
has_bleed: 'no'
mix_filename: Ann_Go_MIX.wav
stem_dir: Ann_Go_STEMS
stems:
  S01:
    component: bass
    filename: Ann_Go_STEM_01.wav
    instrument: electric bass
    raw:
      R01:
        filename: Ann_Go_RAW_01_01.wav
        instrument: electric bass
  S02:
    component: ''
    filename: Ann_Go_STEM_02.wav
    instrument: drum set
    raw:
      R01:
        filename: Ann_Go_RAW_02_01.wav
        instrument: kick drum
  S03:
    component: melody
    filename: Ann_Go_STEM_03.wav
    instrument:
    - male singer
    - female singer
    raw:
      R01:
        filename: Ann_Go_RAW_03_01.wav
        instrument: male singer
title: Go
"""


def test_medleydb_names_its_instruments_in_metadata(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "MedleyDB" / "Ann_Go"
    for number in (1, 2, 3):
        write(folder / "Ann_Go_STEMS" / f"Ann_Go_STEM_0{number}.wav", noise(number))
        write(folder / "Ann_Go_RAW" / f"Ann_Go_RAW_0{number}_01.wav", noise(10 + number))
    write(folder / "Ann_Go_MIX.wav", noise(20))
    (folder / "Ann_Go_METADATA.yaml").write_text(MEDLEYDB_METADATA)
    run(capsys, tmp_path / "MedleyDB", "--out", tmp_path / "corpus")
    (track,) = load_stem_tracks(tmp_path / "corpus")
    expected = np.stack([noise(2), noise(1), np.zeros((400, 1)), noise(3)])[..., 0]
    np.testing.assert_allclose(track.read()[:, 0], expected, atol=1e-7)
    (folder / "Ann_Go_STEMS" / "Ann_Go_STEM_02.wav").unlink()
    with pytest.raises(DataError, match=r"names 'Ann_Go_STEM_02.wav', which is not there"):
        run(capsys, tmp_path / "MedleyDB", "--out", tmp_path / "corpus 2")
