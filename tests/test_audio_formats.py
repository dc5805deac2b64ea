"""Formats and headers as real libraries hold them: what is read, how long it is, and which remarks are made."""

import os
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.audio import AudioReader, audio_info, read_audio
from remix_miner.audio.containers.mpeg import find_frames, frame_header
from remix_miner.audio.formats import kind_of
from remix_miner.datasets.library import find_audio
from remix_miner.errors import AudioError

RATE = 16000
SECONDS = 4
FRAMES = SECONDS * RATE


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """(frames, 2), quiet at first, so that a variable bit rate has something to vary."""
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (FRAMES, 2)).astype(np.float32)
    audio[: FRAMES // 2] *= 0.01
    return np.asarray(audio)


def written(path: Path, audio: np.ndarray, **options: Any) -> bytes:
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, audio, RATE, **options)
    return path.read_bytes()


def whole(path: Path) -> tuple[np.ndarray, str | None]:
    """The audio as far as it is read, (frames, channels), and the remark."""
    with AudioReader(path) as reader:
        blocks = [block.copy() for block in reader.blocks(5000)]
        return np.concatenate(blocks), reader.problem


def with_av(path: Path, audio: np.ndarray, codec: str, container: str, rate: int = 48000) -> None:
    av = pytest.importorskip("av")
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="stereo")
        form = stream.codec_context.codec.audio_formats[0].name
        planes = np.ascontiguousarray(audio.T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(planes, "fltp", "stereo")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(format=form, layout="stereo", rate=rate, frame_size=size)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))


# --- headers that state too little or too much -----------------------------------------------------------------------


def set_size(content: bytes, chunk: bytes, size: int, order: str = "<") -> bytes:
    place = content.index(chunk) + 4
    return content[:place] + struct.pack(f"{order}I", size) + content[place + 4 :]


@pytest.mark.parametrize(("name", "chunk", "order"), [("a.wav", b"data", "<"), ("a.aiff", b"SSND", ">")])
def test_a_header_that_states_half_of_the_file_is_remarked(
    noise: np.ndarray, tmp_path: Path, name: str, chunk: bytes, order: str
) -> None:
    content = written(tmp_path / name, noise, subtype="PCM_16")
    (tmp_path / name).write_bytes(set_size(content, chunk, FRAMES * 2, order))
    problem = whole(tmp_path / name)[1]
    assert problem is not None
    assert "its header states 2.00 s, and the file holds 4.00 s" in problem
    assert audio_info(tmp_path / name).problem == problem
    with pytest.raises(AudioError, match=r"states 2\.00 s"):
        read_audio(tmp_path / name)


def test_an_au_header_that_states_half_of_the_file_is_remarked(noise: np.ndarray, tmp_path: Path) -> None:
    content = written(tmp_path / "a.au", noise, subtype="PCM_16")
    (tmp_path / "a.au").write_bytes(content[:8] + struct.pack(">I", FRAMES * 2) + content[12:])
    assert "states 2.00 s, and the file holds 4.00 s" in str(whole(tmp_path / "a.au")[1])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW"])
@pytest.mark.parametrize("size", [0, 2**32 - 1, 0x7FFFFFFF])
def test_a_wav_file_of_unknown_size_is_read_to_its_end(
    noise: np.ndarray, tmp_path: Path, subtype: str, size: int
) -> None:
    content = written(tmp_path / "a.wav", noise, subtype=subtype)
    expected, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    (tmp_path / "a.wav").write_bytes(set_size(content, b"data", size))
    audio, problem = whole(tmp_path / "a.wav")
    assert problem is None
    np.testing.assert_array_equal(audio, expected)
    assert audio_info(tmp_path / "a.wav").frames == FRAMES
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", 1234, 99)[0].T, expected[1234:1333])


def test_a_wav_file_whose_size_wrapped_at_4_gib_is_read_on(tmp_path: Path) -> None:
    """A sparse file: a second is stated, and 4 GiB and a second are there."""
    one_second = np.full((RATE, 2), 0.25, dtype=np.float32)
    content = written(tmp_path / "a.wav", one_second, subtype="PCM_16")
    with open(tmp_path / "a.wav", "r+b") as file:
        file.truncate(len(content) + 2**32)
        file.seek(-8, os.SEEK_END)
        file.write(struct.pack("<4h", 8192, -8192, 16384, -16384))
    info = audio_info(tmp_path / "a.wav")
    assert info.frames == RATE + 2**30
    assert info.problem is None
    audio, _ = read_audio(tmp_path / "a.wav", info.frames - 3, 3)
    np.testing.assert_array_equal(audio.T, [[0, 0], [0.25, -0.25], [0.5, -0.5]])


def test_chunks_behind_the_audio_are_no_audio(noise: np.ndarray, tmp_path: Path) -> None:
    """A picture in an ID3 chunk, and a shorter tail that nothing describes, are not remarked."""
    content = written(tmp_path / "a.wav", noise[:, :1], subtype="PCM_U8")
    picture = np.random.default_rng(1).bytes(50_001)
    for tail in (b"id3 " + struct.pack("<I", len(picture)) + picture + b"\0", b"TAG" + bytes(125)):
        (tmp_path / "a.wav").write_bytes(content + tail)
        audio, problem = whole(tmp_path / "a.wav")
        assert (len(audio), problem) == (FRAMES, None)


def test_a_cut_wav_file_says_what_is_missing(noise: np.ndarray, tmp_path: Path) -> None:
    content = written(tmp_path / "a.wav", noise, subtype="PCM_16")
    (tmp_path / "a.wav").write_bytes(content[: len(content) // 2])
    audio, problem = whole(tmp_path / "a.wav")
    assert len(audio) == pytest.approx(FRAMES / 2, abs=20)
    assert problem == "truncated: 2.00 s of the stated 4.00 s"


# --- length unknown ------------------------------------------------------------------------------------------------


def test_a_flac_file_from_a_pipe_has_the_length_that_it_decodes_to(noise: np.ndarray, tmp_path: Path) -> None:
    content = bytearray(written(tmp_path / "a.flac", noise))
    content[21] &= 0xF0  # STREAMINFO: 36 bits of total samples, 0 is 'unknown'
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    assert soundfile.info(tmp_path / "a.flac").frames == 2**63 - 1
    assert audio_info(tmp_path / "a.flac").frames == FRAMES
    audio, problem = whole(tmp_path / "a.flac")
    assert problem is None
    np.testing.assert_allclose(audio, noise, atol=2**-15)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.flac", 33_333, 100)[0].T, audio[33_333:33_433])


def test_an_impossible_length_is_not_believed(noise: np.ndarray, tmp_path: Path) -> None:
    content = bytearray(written(tmp_path / "a.flac", noise))
    content[21] |= 0x0F
    (tmp_path / "a.flac").write_bytes(content)
    audio, problem = whole(tmp_path / "a.flac")
    assert len(audio) == FRAMES
    assert problem == "its header states a length that cannot be"
    assert audio_info(tmp_path / "a.flac").frames == FRAMES


@pytest.mark.parametrize(("suffix", "options"), [("ogg", {}), ("opus", {"format": "OGG", "subtype": "OPUS"})])
@pytest.mark.parametrize("links", [2, 5])
def test_every_link_of_a_chained_ogg_is_read(
    noise: np.ndarray, tmp_path: Path, suffix: str, options: dict[str, str], links: int
) -> None:
    single = written(tmp_path / f"a.{suffix}", noise, **options)
    expected, _ = soundfile.read(tmp_path / f"a.{suffix}", dtype="float32")
    (tmp_path / f"b.{suffix}").write_bytes(single * links)
    audio, problem = whole(tmp_path / f"b.{suffix}")
    assert problem is None
    np.testing.assert_array_equal(audio, np.tile(expected, (links, 1)))
    assert audio_info(tmp_path / f"b.{suffix}").frames == links * FRAMES
    start = FRAMES - 50
    np.testing.assert_array_equal(
        read_audio(tmp_path / f"b.{suffix}", start, 100)[0].T, np.tile(expected, (2, 1))[start : start + 100]
    )


def test_links_of_other_rates_and_channels_are_conformed_to_the_first(noise: np.ndarray, tmp_path: Path) -> None:
    first = written(tmp_path / "a.ogg", noise)
    soundfile.write(tmp_path / "b.ogg", noise[:, :1], RATE // 2)
    (tmp_path / "c.ogg").write_bytes(first + (tmp_path / "b.ogg").read_bytes())
    audio, problem = whole(tmp_path / "c.ogg")
    assert problem is None
    assert audio.shape[1] == 2
    assert len(audio) == pytest.approx(3 * FRAMES, abs=10)
    assert audio_info(tmp_path / "c.ogg").seconds == pytest.approx(3 * SECONDS, abs=0.01)


def test_a_damaged_link_ends_the_file_with_a_remark(noise: np.ndarray, tmp_path: Path) -> None:
    single = bytearray(written(tmp_path / "a.ogg", noise))
    damaged = single[:30] + bytes(len(single) - 30)
    (tmp_path / "b.ogg").write_bytes(single + damaged)
    audio, problem = whole(tmp_path / "b.ogg")
    assert len(audio) == FRAMES
    assert problem is not None
    assert "link 2 of 2 cannot be decoded" in problem
    assert audio_info(tmp_path / "b.ogg").frames == FRAMES


# --- content before suffix -----------------------------------------------------------------------------------------

CONTAINERS = {
    "m4a": ("aac", "ipod"),
    "webm": ("libopus", "webm"),
    "mka": ("aac", "matroska"),
    "ogg": ("flac", "ogg"),
    "wv": ("wavpack", "wv"),
    "tta": ("tta", "tta"),
    "ac3": ("ac3", "ac3"),
    "mp2": ("mp2", "mp2"),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_file_is_decoded_by_its_content_whatever_its_name(noise: np.ndarray, tmp_path: Path, kind: str) -> None:
    for name in (f"a.{kind}", "a.mp3", "a.wav", "a.flac"):
        with_av(tmp_path / name, noise, *CONTAINERS[kind])
        audio, problem = whole(tmp_path / name)
        assert problem is None
        assert len(audio) == pytest.approx(FRAMES, abs=4000)
        loud = np.sqrt(np.mean(audio[len(audio) // 2 + 4000 : -4000] ** 2))
        assert 0.2 < loud < 0.3  # 0.29 before the codecs, some of which drop what is above 16 kHz


def test_without_the_extra_the_message_names_it(
    noise: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_av(tmp_path / "a.mp3", noise, *CONTAINERS["m4a"])
    with_av(tmp_path / "b.ogg", noise, *CONTAINERS["ogg"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, kind in (("a.mp3", "MP4"), ("b.ogg", "Ogg FLAC")):
        with pytest.raises(AudioError, match=rf"{name}: {kind} needs an extra: pip install 'remix-miner\[media\]'"):
            AudioReader(tmp_path / name)


def test_a_playlist_opens_no_other_file(noise: np.ndarray, tmp_path: Path) -> None:
    """FFmpeg follows playlists, also to other hosts, when it may."""
    written(tmp_path / "a.wav", noise)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{tmp_path / 'a.wav'}\n#EXT-X-ENDLIST\n"
    for content in (playlist, f"ffconcat version 1.0\nfile '{tmp_path / 'a.wav'}'\n"):
        for name in ("b.mp3", "b.m4a"):
            (tmp_path / name).write_text(content)
            with pytest.raises(AudioError, match="cannot be decoded"):
                AudioReader(tmp_path / name)


@pytest.mark.parametrize("lead", [bytes(5), bytes(70_000), b"garbage " * 9000, b"\xff\xfb" * 300], ids=len)
@pytest.mark.parametrize("tag", [False, True])
def test_an_mp3_behind_zeros_or_garbage(noise: np.ndarray, tmp_path: Path, lead: bytes, tag: bool) -> None:
    content = written(tmp_path / "a.mp3", noise)
    expected, _ = whole(tmp_path / "a.mp3")
    (tmp_path / "b.mp3").write_bytes(lead + (id3(b"x" * 3000) if tag else b"") + content)
    audio, problem = whole(tmp_path / "b.mp3")
    assert problem is None
    assert len(audio) == len(expected)
    np.testing.assert_allclose(audio, expected, atol=1e-4)


@pytest.mark.parametrize(
    "name", ["a.w64", "a.au", "a.snd", "a.caf", "a.oga", "a.aifc", "a.aiffc", "a.wave", "a.bwf", "a.rf64", "a.AIFF"]
)
def test_more_names_of_formats_are_found_and_read(noise: np.ndarray, tmp_path: Path, name: str) -> None:
    formats = {"oga": "OGG", "wave": "WAV", "bwf": "WAV", "snd": "AU", "aifc": "AIFF", "aiffc": "AIFF"}
    suffix = name.split(".")[1].lower()
    soundfile.write(tmp_path / name, noise, RATE, format=formats.get(suffix, suffix.upper()))
    (file,), skipped = find_audio(tmp_path)
    assert (file.path.name, skipped) == (name, [])
    assert whole(file.path)[0].shape == noise.shape


def test_audio_under_other_names_is_listed(noise: np.ndarray, tmp_path: Path) -> None:
    """A picture, a text and a playlist are no audio, and pass; what FFmpeg calls by a name of its own is listed."""
    written(tmp_path / "take 1.bak", noise, format="FLAC")
    written(tmp_path / "track", noise, format="MP3")
    (tmp_path / "clip.mkv").write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (tmp_path / "random.dat").write_bytes(b"\xff\xf1" + np.random.default_rng(5).bytes(9999))
    for name in ("cover.jpg", "list.m3u", "notes.txt", "data.bin", "nothing"):
        (tmp_path / name).write_bytes(b"RIFF" if name == "data.bin" else b"text" * 99 if name != "nothing" else b"")
    files, skipped = find_audio(tmp_path)
    assert files == []
    assert {item.path.name: item.reason for item in skipped} == {
        "take 1.bak": "holds FLAC audio under another name; rename it to .flac",
        "track": "holds MP3 audio under another name; rename it to .mp3",
        "clip.mkv": "holds Matroska audio or video under another name; rename it to .mka if it is music",
    }
    assert [file.name for file in find_audio(tmp_path / "track")[0]] == ["track"]


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    for name, form in (("a.mp4", "mp4"), ("b.mka", "matroska")):
        with av.open(str(tmp_path / name), "w", format=form) as output:
            stream = output.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            for _ in range(5):
                output.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
            output.mux(stream.encode(None))
        with pytest.raises(AudioError, match=rf"{name} cannot be decoded: it holds no audio"):
            AudioReader(tmp_path / name)


# --- remarks on mp3 ------------------------------------------------------------------------------------------------


def id3(content: bytes) -> bytes:
    size = len(content) + 10
    sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + sizes + b"APIC" + bytes(6) + content


def lyrics3(size: int) -> bytes:
    text = b"LYRICSBEGIN" + b"LYR" + b"la " * (size // 3)
    return text + f"{len(text):06}".encode() + b"LYRICS200" + b"TAG" + bytes(125)


def ape(size: int) -> bytes:
    footer = b"APETAGEX" + struct.pack("<IIII", 2000, size + 32, 1, 0) + bytes(8)
    return np.random.default_rng(2).bytes(size) + footer


TAILS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: bytes(90_000),
    "0xFF": lambda: b"\xff" * 90_000,
    "0x55": lambda: b"\x55" * 90_000,
    "Lyrics3": lambda: lyrics3(60_000),
    "APE": lambda: ape(80_000),
    "APE and ID3v1": lambda: ape(80_000) + b"TAG" + bytes(125),
    "ID3v1": lambda: b"TAG" + bytes(125),
    "ID3v2 at the end": lambda: id3(bytes(50_000)),
    "half a frame": lambda: b"\xff\xfb\x90\x00" + bytes(100),
}


def without_length(mp3: bytes) -> bytes:
    """The file without its first frame, which states the number of frames."""
    header = frame_header(mp3, 0)
    assert header is not None
    return mp3[header.size :]


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("stated", [True, False], ids=["stated length", "no stated length"])
def test_tags_and_tails_of_an_mp3_are_no_damage(
    noise: np.ndarray, tmp_path: Path, tail: str, stated: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    content = written(tmp_path / "a.mp3", noise, bitrate_mode="CONSTANT", compression_level=0.3)
    content = content if stated else without_length(content)
    (tmp_path / "a.mp3").write_bytes(content + TAILS[tail]())
    audio, problem = whole(tmp_path / "a.mp3")
    assert problem is None
    assert len(audio) == pytest.approx(FRAMES, abs=3000)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("stated", [True, False], ids=["stated length", "no stated length"])
def test_a_large_picture_is_no_missing_audio(noise: np.ndarray, tmp_path: Path, stated: bool) -> None:
    content = written(tmp_path / "a.mp3", noise, bitrate_mode="CONSTANT", compression_level=0.3)
    picture = np.random.default_rng(3).bytes(3_000_000)
    (tmp_path / "a.mp3").write_bytes(id3(picture) + (content if stated else without_length(content)))
    audio, problem = whole(tmp_path / "a.mp3")
    assert problem is None
    assert len(audio) == pytest.approx(FRAMES, abs=3000)


def test_damage_in_an_mp3_is_remarked_and_nothing_printed(
    noise: np.ndarray, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(written(tmp_path / "a.mp3", noise))
    for place in range(len(content) // 3, 2 * len(content) // 3, 50):
        content[place] ^= 0xFF
    (tmp_path / "a.mp3").write_bytes(content)
    whole(tmp_path / "a.mp3")
    (tmp_path / "b.mp3").write_bytes(content[: len(content) // 2])
    _, problem = whole(tmp_path / "b.mp3")
    assert problem is not None
    assert "truncated" in problem or "damaged" in problem
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.flac", "a.ogg"])
def test_messages_name_the_file_and_no_number(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"RIFF....WAVEfmt " if name == "a.wav" else b"fLaCOggS" * 99)
    with pytest.raises(AudioError) as caught:
        AudioReader(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "Error opening" not in str(caught.value)


def test_frames_of_mp3_are_found_where_they_are(noise: np.ndarray, tmp_path: Path) -> None:
    """The header of 128 kbit/s at 44.1 kHz is FF FB 90: 417 bytes, 1152 samples (ISO 11172-3)."""
    header = frame_header(b"\xff\xfb\x90\x64", 0)
    assert header is not None
    assert (header.sample_rate, header.samples, header.size) == (44100, 1152, 417)
    content = written(tmp_path / "a.mp3", noise)
    assert find_frames(bytes(999) + content) == 999
    assert find_frames(np.random.default_rng(4).bytes(100_000)) is None
    assert kind_of(content) == "MP3"


def test_a_stem_whose_header_is_wrong_stops_before_it_is_used(noise: np.ndarray, tmp_path: Path) -> None:
    from remix_miner.datasets.corpora import load_stem_tracks
    from remix_miner.sources import SOURCES

    for source in SOURCES:
        content = written(tmp_path / "song" / f"{source}.wav", noise, subtype="PCM_16")
        (tmp_path / "song" / f"{source}.wav").write_bytes(set_size(content, b"data", FRAMES * 2))
    with pytest.raises(AudioError, match=r"drums.wav: its header states 2\.00 s"):
        load_stem_tracks(tmp_path)
