"""Tracks read from plain and MUSDB18-HQ folders: parts, sums, refusals, and what a corpus may declare."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.audio import resample
from remix_miner.datasets.corpora import load_pair_tracks, load_stem_tracks
from remix_miner.datasets.layouts.musdb import VALIDATION_SONGS
from remix_miner.errors import AudioError, DataError, UsageError
from remix_miner.sources import SOURCES

RATE = 8000
FRAMES = 4000


def noise(seed: int, frames: int = FRAMES, channels: int = 2) -> np.ndarray:
    """(C, T) on the 16-bit grid, so that every file format used here holds it exactly."""
    return np.random.default_rng(seed).integers(-8000, 8000, (channels, frames)).astype(np.float32) / 32768


def write(path: Path, audio: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio.T, rate, subtype="PCM_16")


def write_track(folder: Path, suffix: str = ".wav", mixture: bool = False, frames: int = FRAMES) -> np.ndarray:
    stems = np.stack([noise(seed, frames) for seed in range(len(SOURCES))])
    for source, stem in zip(SOURCES, stems, strict=True):
        write(folder / f"{source}{suffix}", stem)
    if mixture:
        write(folder / f"mixture{suffix}", stems.sum(axis=0))
    return stems


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
@pytest.mark.parametrize(("start", "frames"), [(0, None), (0, 10), (1234, 777), (3999, 1), (4000, 0), (17, None)])
def test_a_part_is_that_part_of_the_whole(tmp_path: Path, suffix: str, start: int, frames: int | None) -> None:
    stems = write_track(tmp_path / "song", suffix)
    (track,) = load_stem_tracks(tmp_path)
    end = None if frames is None else start + frames
    np.testing.assert_array_equal(track.read(start, frames), stems[..., start:end])
    np.testing.assert_array_equal(track.read_source("other", start, frames), stems[2, :, start:end])
    np.testing.assert_array_equal(track.read_mixture(start, frames), stems[..., start:end].sum(axis=0))


def test_sources_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    stems = write_track(tmp_path / "song")
    (track,) = load_stem_tracks(tmp_path)
    np.testing.assert_array_equal(track.read(5, 10, ("vocals", "drums")), stems[[3, 0], :, 5:15])
    with pytest.raises(UsageError, match="no source 'guitar'"):
        track.read(0, 1, ("guitar",))


def test_facts_of_a_track(tmp_path: Path) -> None:
    write_track(tmp_path / "Al James - Schoolboy")
    (track,) = load_stem_tracks(str(tmp_path))
    assert (track.name, track.artist, track.split) == ("Al James - Schoolboy", "Al James", None)
    assert (track.sample_rate, track.channels, track.frames, track.seconds) == (RATE, 2, FRAMES, 0.5)
    assert track.absent == ()
    assert pickle.loads(pickle.dumps(track)) == track


@pytest.mark.parametrize(("start", "frames"), [(-1, 5), (0, FRAMES + 1), (FRAMES, 1), (5, -1)])
def test_reading_outside_a_track_is_refused(tmp_path: Path, start: int, frames: int) -> None:
    write_track(tmp_path / "song")
    (track,) = load_stem_tracks(tmp_path)
    with pytest.raises(UsageError, match="has 4000 frames"):
        track.read(start, frames)
    with pytest.raises(UsageError, match="has 4000 frames"):
        track.read_mixture(start, frames)


def test_a_mixture_file_is_preferred_to_the_sum(tmp_path: Path) -> None:
    write_track(tmp_path / "song")
    write(tmp_path / "song" / "mixture.flac", noise(99))
    (track,) = load_stem_tracks(tmp_path)
    np.testing.assert_array_equal(track.read_mixture(3, 5), noise(99)[:, 3:8])


def test_a_single_track_folder_is_a_corpus_of_one(tmp_path: Path) -> None:
    write_track(tmp_path / "test" / "song")
    (track,) = load_stem_tracks(tmp_path / "test" / "song")
    assert (track.name, track.split) == ("song", "test")


def test_the_official_validation_songs_are_taken_out_of_train(tmp_path: Path) -> None:
    assert len(VALIDATION_SONGS) == 14
    for folder in ("train/ANiMAL - Rockshow", "train/Music Delta - 80s Rock", "test/Al James - Schoolboy Facination"):
        write_track(tmp_path / folder, mixture=True, frames=100)
    names = {split: [track.name for track in load_stem_tracks(tmp_path, split)] for split in ("train", "valid", "test")}
    assert names == {
        "train": ["Music Delta - 80s Rock"],
        "valid": ["ANiMAL - Rockshow"],
        "test": ["Al James - Schoolboy Facination"],
    }
    assert len(load_stem_tracks(tmp_path)) == 3


def test_a_validation_folder_replaces_the_official_list(tmp_path: Path) -> None:
    for folder in ("train/ANiMAL - Rockshow", "valid/song"):
        write_track(tmp_path / folder, frames=100)
    assert [(track.name, track.split) for track in load_stem_tracks(tmp_path)] == [
        ("ANiMAL - Rockshow", "train"),
        ("song", "valid"),
    ]


def test_a_missing_source_is_an_error_unless_declared(tmp_path: Path) -> None:
    stems = write_track(tmp_path / 'It"s - Song')
    (tmp_path / 'It"s - Song' / "vocals.wav").unlink()
    with pytest.raises(DataError, match=r"has no file for vocals.*absent = ") as caught:
        load_stem_tracks(tmp_path)
    declared = str(caught.value).rsplit(": ", 1)[1].split("] absent")
    for options in ({"absent": ["vocals"]}, {"absent_ok": True}):
        (track,) = load_stem_tracks(tmp_path, **options)
        assert track.absent == ("vocals",)
        np.testing.assert_array_equal(track.read(10, 20)[:3], stems[:3, :, 10:30])
        assert not track.read_source("vocals").any()
        np.testing.assert_array_equal(track.read_mixture(0, 5), stems[:3, :, :5].sum(axis=0))
    with pytest.raises(DataError, match="has no file for vocals"):
        load_stem_tracks(tmp_path, absent=["drums"])
    # What the message tells the user to write is accepted as it stands.
    (tmp_path / "corpus.toml").write_text(f"{declared[0]}]\nabsent{declared[1]}\n")
    assert load_stem_tracks(tmp_path)[0].absent == ("vocals",)


def test_what_a_corpus_declares(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        write_track(tmp_path / name, frames=100)
    (tmp_path / "two" / "bass.wav").unlink()
    write(tmp_path / "one" / "drums.wav", noise(0, 90))
    text = 'allow_unequal = true\nexclude = ["three"]\nabsent = ["bass"]\n[tracks.one]\nartist = "A"\nsplit = "valid"\n'
    (tmp_path / "corpus.toml").write_text(text)
    one, two = load_stem_tracks(tmp_path)
    assert (one.artist, one.split, one.absent, two.artist, two.split, two.absent) == (
        "A", "valid", (), "two", None, ("bass",),
    )  # fmt: skip
    assert [track.name for track in load_stem_tracks(tmp_path, "valid")] == ["one"]
    (tmp_path / "corpus.toml").write_text("absnt = []")
    with pytest.raises(DataError, match=r"corpus.toml: unknown setting 'absnt' \(did you mean 'absent'"):
        load_stem_tracks(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('absent = ["Vocals"]', "absent: unknown source 'Vocals'; known here: drums, bass, other, vocals"),
        ('[tracks.one]\nabsent = ["voice"]', "tracks.one.absent: unknown source 'voice'"),
        ('[tracks.one]\nsplit = "tset"', "tracks.one.split: unknown split 'tset'; choose among train, valid, test"),
        ('exclude = ["one"]', "excludes all 1 songs"),
    ],
)
def test_declarations_without_effect_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """A song of the split 'tset' would be trained on."""
    write_track(tmp_path / "one", frames=100)
    (tmp_path / "corpus.toml").write_text(text)
    with pytest.raises(DataError, match=message):
        load_stem_tracks(tmp_path)


@pytest.mark.parametrize(
    ("odd", "rate", "message"),
    [
        (noise(1, FRAMES - 7), RATE, "bass.wav of 'song'.*has 3993 frames, the others 4000; cut or pad it"),
        (noise(1, channels=1), RATE, "bass.wav of 'song'.*has 1 channels, the others 2; convert it"),
        (noise(1, FRAMES), 11025, "bass.wav of 'song'.*has 11025 Hz, the others 8000; resample it"),
    ],
)
def test_unequal_files_are_refused_with_the_way_out(tmp_path: Path, odd: np.ndarray, rate: int, message: str) -> None:
    write_track(tmp_path / "song")
    write(tmp_path / "song" / "bass.wav", odd, rate)
    with pytest.raises(DataError, match=message + ".*allow_unequal = true"):
        load_stem_tracks(tmp_path)
    assert load_stem_tracks(tmp_path, allow_unequal=True)[0].channels == 2


def test_allowed_unequal_lengths_are_padded_with_silence(tmp_path: Path) -> None:
    stems = write_track(tmp_path / "song")
    write(tmp_path / "song" / "bass.wav", stems[1, :, :3000])
    (track,) = load_stem_tracks(tmp_path, allow_unequal=True)
    assert track.frames == FRAMES
    np.testing.assert_array_equal(track.read_source("bass", 2990, 20)[:, :10], stems[1, :, 2990:3000])
    assert not track.read_source("bass", 3000).any()


def test_a_part_of_a_resampled_file_is_that_part_of_the_whole_resampled(tmp_path: Path) -> None:
    write_track(tmp_path / "song", frames=44100)
    slow = noise(7, 32000, channels=1)
    for source in ("bass", "other", "vocals"):
        write(tmp_path / "song" / f"{source}.wav", slow, 32000)
    for source in ("drums", "mixture"):
        write(tmp_path / "song" / f"{source}.wav", noise(3, 44100), 44100)
    (track,) = load_stem_tracks(tmp_path, allow_unequal=True)
    assert (track.sample_rate, track.channels, track.frames) == (44100, 2, 44100)
    whole = np.repeat(resample(slow, 32000, 44100), 2, axis=0)
    for start, frames in ((0, 44100), (1, 5000), (20011, 7), (441 * 40, 441 * 3), (40000, 4100)):
        part = track.read_source("bass", start, frames)
        # White noise reaches the edge of soxr's transition band, where its response decays slowest.
        np.testing.assert_allclose(part, whole[:, start : start + frames], atol=2e-5)


def test_pairs(tmp_path: Path) -> None:
    for source, seed in (("vocals", 1), ("accompaniment", 2)):
        write(tmp_path / "A - B" / f"{source}.flac", noise(seed, channels=1))
    (track,) = load_pair_tracks(tmp_path)
    assert (track.name, track.artist, track.sources) == ("A - B", "A", ("vocals", "accompaniment"))
    np.testing.assert_array_equal(track.read(5, 9), np.stack([noise(1, channels=1), noise(2, channels=1)])[..., 5:14])
    np.testing.assert_array_equal(track.read_mixture(0, 9), (noise(1, channels=1) + noise(2, channels=1))[:, :9])
    with pytest.raises(DataError, match=r"pairs of vocals and accompaniment.*--pairs"):
        load_stem_tracks(tmp_path)
    write_track(tmp_path / "more" / "song")
    with pytest.raises(DataError, match="no pairs in"):
        load_pair_tracks(tmp_path / "more")


def test_paths_that_hold_no_tracks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_stem_tracks(tmp_path / "nowhere")
    with pytest.raises(DataError, match="it is empty"):
        load_stem_tracks(tmp_path)
    with pytest.raises(UsageError, match="at least one"):
        load_stem_tracks([])
    (tmp_path / "cover.jpg").touch()
    with pytest.raises(DataError, match="is not a folder"):
        load_stem_tracks(tmp_path / "cover.jpg")
    with pytest.raises(DataError, match=r"holds cover.jpg.*Known layouts"):
        load_stem_tracks(tmp_path)


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    write_track(tmp_path / "a" / "train" / "song", frames=100)
    write_track(tmp_path / "b" / "song", frames=100)
    with pytest.raises(DataError, match="no songs of split 'test': it has train"):
        load_stem_tracks(tmp_path / "a", "test")
    with pytest.raises(DataError, match="leave the split out"):
        load_stem_tracks(tmp_path / "b", "train")


def test_two_files_of_one_source_are_refused(tmp_path: Path) -> None:
    write_track(tmp_path / "song", frames=100)
    write(tmp_path / "song" / "bass.flac", noise(0, 100))
    with pytest.raises(DataError, match=r"bass.wav and bass.flac; keep one"):
        load_stem_tracks(tmp_path)


def test_a_damaged_file_stops_instead_of_becoming_silence(tmp_path: Path) -> None:
    write_track(tmp_path / "song", ".flac", frames=50_000)
    path = tmp_path / "song" / "bass.flac"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (track,) = load_stem_tracks(tmp_path)
    with pytest.raises(AudioError, match=r"bass\.flac"):
        track.read()
    path.write_bytes(b"not audio")
    with pytest.raises(AudioError, match="cannot be decoded"):
        load_stem_tracks(tmp_path)


# --- files that are there are read, or are an error; none counts as absent --------------------------------------------


@pytest.mark.parametrize("name", ["vocals.WAV", "Vocals.wav", "VOCALS.Flac", "vocals.aiff", "Vocals.w64", "vocals.CAF"])
def test_a_stem_in_another_case_or_lossless_format_is_read(tmp_path: Path, name: str) -> None:
    stems = write_track(tmp_path / "song")
    (tmp_path / "song" / "vocals.wav").unlink()
    write(tmp_path / "song" / name, stems[3])
    for options in ({}, {"absent_ok": True}):
        (track,) = load_stem_tracks(tmp_path, **options)
        assert track.absent == ()
        np.testing.assert_array_equal(track.read(7, 100), stems[..., 7:107])


@pytest.mark.parametrize("name", ["vocals.mp3", "Vocals.OGG", "vocals.m4a", "vocals.wma"])
def test_a_stem_in_a_lossy_format_is_an_error(tmp_path: Path, name: str) -> None:
    write_track(tmp_path / "song", ".flac")
    (tmp_path / "song" / "vocals.flac").unlink()
    (tmp_path / "song" / name).write_bytes(b"lossy")
    with pytest.raises(DataError, match=f"{name} is not in a lossless format; convert it"):
        load_stem_tracks(tmp_path, absent_ok=True)


@pytest.mark.parametrize("name", ["vocals.mp3", "Vocals.flac", "vocals.WAV"])
def test_a_second_file_of_a_source_is_an_error(tmp_path: Path, name: str) -> None:
    write_track(tmp_path / "song")
    (tmp_path / "song" / name).write_bytes(b"another")
    with pytest.raises(DataError, match=r"holds vocals.wav and .*; keep one|holds .* and vocals.wav; keep one"):
        load_stem_tracks(tmp_path)


@pytest.mark.parametrize("kind", ["broken link", "broken link in another case", "folder", "link in a circle"])
def test_a_stem_that_is_no_file_is_an_error(tmp_path: Path, kind: str) -> None:
    write_track(tmp_path / "song")
    path = tmp_path / "song" / "vocals.wav"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        path = path.with_name("Vocals.flac") if "case" in kind else path
        path.symlink_to(path if "circle" in kind else tmp_path / "nowhere.wav")
    with pytest.raises(DataError, match="is not a file" if kind == "folder" else "is a broken link"):
        load_stem_tracks(tmp_path, absent_ok=True)


@pytest.mark.parametrize("split", ["", "train"])
def test_a_song_that_is_a_broken_link_is_an_error(tmp_path: Path, split: str) -> None:
    write_track(tmp_path / split / "A - here")
    (tmp_path / split / "B - gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / split / "cover.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(DataError, match="B - gone cannot be read: No such file or directory"):
        load_stem_tracks(tmp_path)


def test_a_mixture_and_a_split_in_another_case_are_read(tmp_path: Path) -> None:
    write_track(tmp_path / "Train" / "song")
    write(tmp_path / "Train" / "song" / "Mixture.WAV", noise(99))
    (track,) = load_stem_tracks(tmp_path, "train")
    np.testing.assert_array_equal(track.read_mixture(3, 5), noise(99)[:, 3:8])


def test_unread_files_are_named_where_a_source_is_missing(tmp_path: Path) -> None:
    write(tmp_path / "pair" / "vocals.wav", noise(1))
    write(tmp_path / "pair" / "background.wav", noise(2))
    with pytest.raises(DataError, match=r"not read: background.wav; .* rename it to accompaniment and give .*--pairs"):
        load_stem_tracks(tmp_path)
    (tmp_path / "pair" / "background.wav").rename(tmp_path / "pair" / "Instrumental.wav")
    (track,) = load_pair_tracks(tmp_path)
    np.testing.assert_array_equal(track.read_source("accompaniment"), noise(2))


def test_a_song_that_cannot_be_used_does_not_hide_the_others(tmp_path: Path) -> None:
    from remix_miner.datasets.corpora import find_songs

    write_track(tmp_path / "a", frames=100)
    write_track(tmp_path / "b", frames=100)
    (tmp_path / "b" / "drums.flac").write_bytes(b"another")
    songs, _ = find_songs(tmp_path)
    assert [song.problem is None for song in songs] == [True, False]


# --- other sources than the four -----------------------------------------------------------------------------------


def test_six_stems_are_read_as_six_or_as_four(tmp_path: Path) -> None:
    """A corpus that declares guitar and piano: named they are apart, and among the four they belong to 'other'."""
    from remix_miner.datasets.named_stems import load_named_tracks

    stems = write_track(tmp_path / "song")
    write(tmp_path / "song" / "guitar.wav", noise(11))
    write(tmp_path / "song" / "Piano.flac", noise(12))
    np.testing.assert_array_equal(load_stem_tracks(tmp_path)[0].read_source("other"), stems[2])
    six = (*SOURCES, "guitar", "piano")
    (tmp_path / "corpus.toml").write_text(f"sources = {list(six)}")
    (four,) = load_stem_tracks(tmp_path)
    np.testing.assert_allclose(four.read_source("other"), stems[2] + noise(11) + noise(12), atol=1e-7)
    (named,) = load_named_tracks([tmp_path])
    assert named.sources == six
    np.testing.assert_allclose(named.read_source("piano"), noise(12), atol=1e-7)
    np.testing.assert_allclose(named.read_mixture(), four.read_mixture(), atol=1e-6)


def test_a_corpus_of_other_sources_says_which(tmp_path: Path) -> None:
    from remix_miner.datasets.named_stems import load_named_tracks

    names = ["dialogue", "music", "effects"]
    for number, name in enumerate(names):
        write(tmp_path / "test" / "film" / f"{name}.wav", noise(number))
    with pytest.raises(DataError, match="does not state its sources"):
        load_named_tracks([tmp_path])
    (tmp_path / "corpus.toml").write_text(f"sources = {names}")
    (track,) = load_named_tracks([tmp_path], split="test")
    np.testing.assert_allclose(track.read_mixture(), sum(noise(number) for number in range(3)), atol=1e-6)
    with pytest.raises(DataError, match="holds dialogue, music, effects, not the four sources"):
        load_stem_tracks(tmp_path)
