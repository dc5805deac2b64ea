"""The layouts of other corpora, each on a tiny corpus written here: stem.mp4, MoisesDB, Slakh."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.datasets.corpora import LAYOUTS, find_layout, load_stem_tracks
from remix_miner.datasets.layouts.moisesdb import SOURCE_OF_STEM
from remix_miner.datasets.layouts.slakh import read_stems
from remix_miner.errors import AudioError, DataError
from remix_miner.sources import SOURCES

RATE = 44100
FRAMES = 3 * RATE


def noise(seed: int, frames: int = 1000, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(-8000, 8000, (channels, frames)).astype(np.float32) / 32768


def write(path: Path, audio: np.ndarray, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, rate, subtype="PCM_16")


# --- stem.mp4 ------------------------------------------------------------------------------------------------------


def stream_tones() -> np.ndarray:
    """(5, 2, FRAMES): the mixture and four sources, each a tone that swells, of its own pitch."""
    time = np.arange(FRAMES) / RATE
    swell = 0.1 + 0.1 * np.sin(2 * np.pi * 0.7 * time)
    stems = np.stack([np.stack([swell * np.sin(2 * np.pi * hz * time)] * 2) for hz in (110, 220, 440, 880)])
    return np.concatenate([stems.sum(axis=0, keepdims=True), stems]).astype(np.float32)


def write_streams(path: Path, streams: np.ndarray) -> None:
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format="mp4") as container:
        outputs = [container.add_stream("aac", rate=RATE, layout="stereo", bit_rate=256_000) for _ in streams]
        for output, audio in zip(outputs, streams, strict=True):
            for start in range(0, audio.shape[1], 1024):
                frame = av.AudioFrame.from_ndarray(audio[:, start : start + 1024].copy(), "fltp", "stereo")
                frame.rate, frame.pts = RATE, start
                container.mux(output.encode(frame))
            container.mux(output.encode(None))


@pytest.fixture(scope="module")
def mp4_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("av")
    corpus = tmp_path_factory.mktemp("musdb18")
    write_streams(corpus / "train" / "ANiMAL - Rockshow.stem.mp4", stream_tones())
    write_streams(corpus / "test" / "A - B.stem.mp4", stream_tones()[:, :, :RATE])
    return corpus


def test_streams_of_a_stem_mp4_are_the_sources(mp4_corpus: Path) -> None:
    (track,) = load_stem_tracks(mp4_corpus, "valid")
    assert (track.name, track.artist, track.sample_rate, track.channels) == ("ANiMAL - Rockshow", "ANiMAL", RATE, 2)
    assert abs(track.frames - FRAMES) <= 2048
    expected = stream_tones()
    heard = slice(RATE, FRAMES - RATE)
    for source, tone in zip(SOURCES, expected[1:], strict=True):
        error = track.read_source(source)[:, heard] - tone[:, heard]
        assert np.abs(error).max() < 0.02  # of a peak of 0.2: AAC at 256 kbit/s, and sample-exact alignment
    assert np.abs(track.read_mixture()[:, heard] - expected[0][:, heard]).max() < 0.05


def test_a_part_of_a_stem_mp4_is_that_part_of_the_whole(mp4_corpus: Path) -> None:
    (track,) = load_stem_tracks(mp4_corpus, "valid")
    whole = track.read()
    for start, frames in ((0, 100), (1, 5000), (60_001, 30_000), (track.frames - 50, 50)):
        np.testing.assert_allclose(track.read(start, frames), whole[..., start : start + frames], atol=1e-5)


def test_a_file_with_too_few_streams_is_refused(mp4_corpus: Path, tmp_path: Path) -> None:
    write_streams(tmp_path / "short.stem.mp4", stream_tones()[:2, :, :RATE])
    with pytest.raises(AudioError, match="has 2 audio streams, not the 5"):
        load_stem_tracks(tmp_path)


# --- MoisesDB ------------------------------------------------------------------------------------------------------


def write_moisesdb(corpus: Path, stems: dict[str, list[np.ndarray]]) -> Path:
    """A song as MoisesDB writes it; the reference for mapping and padding is the data set's own moisesdb package."""
    folder = corpus / "moisesdb_v0.1" / "0a5d"
    description = {"song": "Song", "artist": "Artist", "genre": "rock", "stems": []}
    for stem, files in stems.items():
        tracks = []
        for number, audio in enumerate(files):
            write(folder / stem / f"{stem}-{number}.wav", audio)
            tracks.append({"id": f"{stem}-{number}", "trackType": "x", "extension": "wav", "has_bleed": False})
        description["stems"].append({"id": stem, "stemName": stem, "tracks": tracks})  # type: ignore[attr-defined]
    (folder / "data.json").write_text(json.dumps(description))
    return folder


def test_moisesdb_sums_the_files_of_each_source(tmp_path: Path) -> None:
    stems = {"drums": [noise(1), noise(2)], "bass": [noise(3)], "guitar": [noise(4)], "percussion": [noise(5)]}
    write_moisesdb(tmp_path, stems)
    for path in (tmp_path, tmp_path / "moisesdb_v0.1"):
        (track,) = load_stem_tracks(path)
        assert (track.name, track.artist, track.absent) == ("Artist - Song", "Artist", ("vocals",))
        expected = np.stack([noise(1) + noise(2), noise(3), noise(4) + noise(5), np.zeros((2, 1000))])
        np.testing.assert_allclose(track.read(10, 500), expected[..., 10:510], atol=1e-7)


def test_a_song_of_moisesdb_that_lost_its_description_is_an_error(tmp_path: Path) -> None:
    folder = write_moisesdb(tmp_path, {"drums": [noise(1)]})
    shutil.copytree(folder, folder.with_name("1b6e"))
    (folder.with_name("1b6e") / "data.json").unlink()
    with pytest.raises(DataError, match=r"1b6e holds stems but no data\.json"):
        load_stem_tracks(tmp_path)


def test_every_stem_of_moisesdb_has_a_source() -> None:
    # moisesdb.defaults.all_stems
    plain = {"vocals", "bass", "drums", "other", "guitar", "percussion", "piano", "wind"}
    assert set(SOURCE_OF_STEM) == plain | {"other_plucked", "other_keys", "bowed_strings"}


def test_unequal_files_of_moisesdb_need_a_declaration(tmp_path: Path) -> None:
    folder = write_moisesdb(tmp_path, {"drums": [noise(1)], "wind": [noise(2, 900)], "bass": [noise(3)]})
    with pytest.raises(DataError, match=r"wind-0\.wav.*has 900 frames, the others 1000"):
        load_stem_tracks(tmp_path)
    (tmp_path / "corpus.toml").write_text("allow_unequal = true")
    assert not load_stem_tracks(tmp_path)[0].read_source("other", 900).any()
    (folder / "data.json").write_text("{}")
    with pytest.raises(DataError, match=r"data.json is not a description of MoisesDB"):
        load_stem_tracks(tmp_path)


# --- Slakh ---------------------------------------------------------------------------------------------------------

SLAKH_METADATA = """UUID: 1a81ae092884234f3264e2f45927f00a
audio_dir: stems
lmd_midi_dir: lmd_matched/O/O/D/TROODQB128F9307A7F/1a81ae092884234f3264e2f45927f00a.mid
midi_dir: MIDI
normalization_factor: -13.0
normalized: true
overall_gain: 0.18270259567062658
stems:
  S00:
    audio_rendered: true
    inst_class: Guitar
    is_drum: false
    midi_program_name: 'Acoustic Guitar: nylon'
    program_num: 24
  S01:
    audio_rendered: true
    inst_class: Bass
    is_drum: false
  S02:
    audio_rendered: true
    inst_class: Drums
    is_drum: true
  S03:
    audio_rendered: false
    inst_class: Sound Effects
    is_drum: false
  S04:
    audio_rendered: true
    inst_class: Piano
    is_drum: false
target_peak: -1.0
"""


def write_slakh(folder: Path) -> None:
    for number in (0, 1, 2, 4):
        write(folder / "stems" / f"S{number:02}.flac", noise(number, channels=1))
    write(folder / "mix.flac", sum(noise(number, channels=1) for number in (0, 1, 2, 4)))
    (folder / "metadata.yaml").write_text(SLAKH_METADATA)


def test_slakh_sorts_stems_by_their_metadata(tmp_path: Path) -> None:
    write_slakh(tmp_path / "validation" / "Track00001")
    write_slakh(tmp_path / "omitted" / "Track00002")
    (track,) = load_stem_tracks(tmp_path, "valid")
    assert (track.name, track.channels, track.absent) == ("Track00001", 1, ("vocals",))
    expected = np.stack([noise(2, channels=1), noise(1, channels=1), noise(0, channels=1) + noise(4, channels=1)])
    np.testing.assert_allclose(track.read(sources=("drums", "bass", "other")), expected, atol=1e-7)
    np.testing.assert_allclose(track.read_mixture(), expected.sum(axis=0), atol=1e-6)


def test_slakh_metadata_is_read_as_yaml_reads_it(tmp_path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    path = tmp_path / "metadata.yaml"
    path.write_text(SLAKH_METADATA)
    expected = yaml.load(SLAKH_METADATA, Loader=yaml.BaseLoader)["stems"]
    assert read_stems(path) == expected


def test_a_stem_of_slakh_without_audio_is_an_error(tmp_path: Path) -> None:
    write_slakh(tmp_path / "Track00001")
    (tmp_path / "Track00001" / "stems" / "S04.flac").unlink()
    with pytest.raises(DataError, match="names the stem S04, whose audio is not in stems/"):
        load_stem_tracks(tmp_path)


# --- the table -----------------------------------------------------------------------------------------------------


def test_every_layout_recognises_its_own_corpus_only(tmp_path: Path, mp4_corpus: Path, songs_dir: Path) -> None:
    write_moisesdb(tmp_path / "moisesdb", {"drums": [noise(1)], "bass": [noise(2)]})
    write_slakh(tmp_path / "slakh" / "Track00001")
    places = {
        "track": next((songs_dir / "stems" / "valid").iterdir()),
        "musdb18-hq": songs_dir / "stems",
        "musdb18": mp4_corpus,
        "moisesdb": tmp_path / "moisesdb",
        "slakh": tmp_path / "slakh",
        "folders": songs_dir / "library_truth",
        "multitrack": tmp_path / "multitrack",
        "stem-folders": tmp_path / "stem folders",
        "stem-csv": tmp_path / "stem list",
        "isolated-files": tmp_path / "voices",
    }
    write(tmp_path / "voices" / "vocals" / "a.wav", noise(1))
    for source in SOURCES:
        write(tmp_path / "stem folders" / source / "a.wav", noise(1))
    (tmp_path / "stem list").mkdir()
    (tmp_path / "stem list" / "all.csv").write_text("instrum,path\ndrums,../stem folders/drums/a.wav\n")
    write(tmp_path / "multitrack" / "song" / "drums" / "Kick.wav", noise(1))
    assert {layout.name for layout in LAYOUTS} == set(places)
    for name, place in places.items():
        recognised = {layout.name for layout in LAYOUTS if layout.recognise(place)}
        assert recognised == ({name, "isolated-files"} if name == "stem-folders" else {name})
        found = find_layout(place)
        assert found is not None
        assert found.name == name
    assert find_layout(songs_dir / "library") is None


# --- isolated files (MSST types 2 and 3) ---------------------------------------------------------------------------


def test_stem_folders_pair_files_of_one_name(tmp_path: Path) -> None:
    """MSST type 2: names that meet are a song, the others isolated files."""
    for number, source in enumerate(SOURCES):
        write(tmp_path / "train" / source / "Ann - Go.wav", noise(number))
    write(tmp_path / "train" / "vocals" / "alone.flac", noise(9, 500))
    alone, song = load_stem_tracks(tmp_path, "train")
    np.testing.assert_allclose(song.read(), np.stack([noise(number) for number in range(4)]), atol=1e-7)
    assert (song.isolated, alone.isolated, alone.absent) == (None, "vocals", ("drums", "bass", "other"))
    np.testing.assert_allclose(alone.read_source("vocals"), noise(9, 500), atol=1e-7)
    write(tmp_path / "train" / "drums" / "half.wav", noise(5))
    write(tmp_path / "train" / "bass" / "half.wav", noise(6))
    with pytest.raises(DataError, match=r"'half'.*has no file for other, vocals"):
        load_stem_tracks(tmp_path)


def test_a_stem_list_holds_isolated_files(tmp_path: Path) -> None:
    """MSST type 3: relative and absolute paths, and files of one name."""
    write(tmp_path / "wav" / "a" / "take.wav", noise(1))
    write(tmp_path / "wav" / "b" / "take.wav", noise(2))
    elsewhere = tmp_path / "elsewhere.wav"
    write(elsewhere, noise(3))
    (tmp_path / "list").mkdir()
    text = f"instrum,path\ndrums,../wav/a/take.wav\nbass,../wav/b/take.wav\nvocals,{elsewhere}\n"
    (tmp_path / "list" / "train.csv").write_text(text)
    tracks = load_stem_tracks(tmp_path / "list")
    assert [track.isolated for track in tracks] == ["drums", "bass", "vocals"]
    assert len({track.name for track in tracks}) == 3
    np.testing.assert_allclose(tracks[1].read_source("bass"), noise(2), atol=1e-7)
    for line, message in (("guitar,../wav/a/take.wav", "'guitar' is not one of"), ("bass,gone.wav", "does not exist")):
        (tmp_path / "list" / "train.csv").write_text(f"{text}{line}\n")
        with pytest.raises(DataError, match=rf"train\.csv, line 5: .*{message}"):
            load_stem_tracks(tmp_path / "list")


def test_isolated_files_are_drawn_for_their_own_source_only(tmp_path: Path) -> None:
    from remix_miner.datasets.segments import Corpus, SegmentReader

    for number, source in enumerate(SOURCES):
        write(tmp_path / "songs" / "song" / f"{source}.wav", noise(number))
        write(tmp_path / "alone" / source / f"{source} alone.wav", noise(10 + number))
    reader = SegmentReader(
        [Corpus(load_stem_tracks(tmp_path / "songs")), Corpus(load_stem_tracks(tmp_path / "alone"))], 8000, 2
    )
    generator = np.random.default_rng(0)
    for source in SOURCES:
        drawn = {reader.draw_song(generator, source) for _ in range(200)}
        assert {reader.tracks[song].isolated for song in drawn} == {None, source}
        assert all(reader.read(song, source, 0, 100).any() for song in drawn)
    assert {reader.draw_song(generator) for _ in range(200)} == {0}
