"""Audio that a header hides: it is read, or a remark states that it is not."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from remix_miner.audio import AudioReader
from remix_miner.audio.containers import mpeg
from remix_miner.audio.containers.headers import check_header
from remix_miner.errors import AudioError

RATE = 8000
SECONDS = 4


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (SECONDS * RATE, 2)).astype(np.float32)


def encoded(audio: np.ndarray, form: str, subtype: str | None = None, rate: int = RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format=form, subtype=subtype)
    return file.getvalue()


def seconds_and_problem(path: Path) -> tuple[float, str | None]:
    with AudioReader(path) as reader:
        frames = sum(len(block) for block in reader.blocks())
        return frames / reader.sample_rate, reader.problem


def wav(
    samples: bytes, tag: bytes = b"RIFF", before: bytes = b"", size: int | None = None, after: bytes = b""
) -> bytes:
    form = struct.pack("<HHIIHH", 1, 2, RATE, 4 * RATE, 4, 16)
    length = len(samples) if size is None else size
    body = b"WAVE" + before + chunk(b"fmt ", form) + b"data" + struct.pack("<I", length) + samples + after
    return tag + struct.pack("<I", len(body) if tag == b"RIFF" else 2**32 - 1) + body


def chunk(name: bytes, content: bytes, padding: bytes = b"") -> bytes:
    return name + struct.pack("<I", len(content)) + content + padding


def ds64(data_bytes: int) -> bytes:
    return chunk(b"ds64", struct.pack("<QQQI", data_bytes + 72, data_bytes, data_bytes // 4, 0))


def pcm(noise: np.ndarray) -> bytes:
    return (noise * 32767).astype("<i2").tobytes()


@pytest.mark.parametrize("tag", [b"RF64", b"BW64"])
@pytest.mark.parametrize("stated", [1.0, 0.0, None])
def test_an_rf64_file_is_read_whole_also_where_its_size_is_not_stated(
    noise: np.ndarray, tmp_path: Path, tag: bytes, stated: float | None
) -> None:
    samples = pcm(noise)
    before = b"" if stated is None else ds64(int(stated * len(samples)))
    (tmp_path / "a.wav").write_bytes(wav(samples, tag, before, 2**32 - 1))
    assert seconds_and_problem(tmp_path / "a.wav") == (SECONDS, None)


HALF = "its header states 2.00 s, and the file holds 4.00 s; the rest is not read"


@pytest.mark.parametrize(
    ("make", "seconds", "problem"),
    [
        (lambda samples: wav(samples, b"RF64", ds64(len(samples) // 2), 2**32 - 1), 2, HALF),
        (lambda samples: wav(samples, before=chunk(b"JUNK", bytes(3 << 20)), size=len(samples) // 2), 2, HALF),
        (lambda samples: wav(samples, before=chunk(b"junk", b"abc")), 4, None),
        (lambda samples: wav(samples, before=chunk(b"junk", b"abc", b"\0")), 4, None),
        (lambda samples: wav(samples) + wav(samples), 4, "another file follows its 4.00 s and is not read"),
        (
            lambda samples: wav(samples, after=chunk(b"data", samples)),
            4,
            "a second chunk of audio follows its 4.00 s and is not read",
        ),
    ],
    ids=["RF64", "behind 3 MiB", "odd chunk without padding", "odd chunk", "two files", "two chunks of audio"],
)
def test_a_wav_file_is_read_whole_or_remarked(
    noise: np.ndarray, tmp_path: Path, make: Callable[[bytes], bytes], seconds: float, problem: str | None
) -> None:
    (tmp_path / "a.wav").write_bytes(make(pcm(noise)))
    assert seconds_and_problem(tmp_path / "a.wav") == (seconds, problem)


def with_size(content: bytes, place: int, form: str, size: int) -> bytes:
    return content[:place] + struct.pack(form, size) + content[place + struct.calcsize(form) :]


@pytest.mark.parametrize(
    ("form", "place", "field", "size", "seconds", "problem"),
    [
        ("CAF", b"data", ">q", 4 + 2 * RATE * 4, 2, HALF),
        ("CAF", b"data", ">q", -1, 4, None),
        ("CAF", b"data", ">q", 2**62, 4, None),
        ("CAF", b"desc", ">q", 2**62, 0, "refused"),
        ("CAF", b"desc", ">q", -(2**62), 0, "refused"),
        ("AIFF", b"SSND", ">I", 0, 4, None),
        ("AU", b".snd\0\0\0\x18", ">I", 0, 4, None),
        ("W64", None, "<Q", 24, 4, None),
    ],
)
def test_other_uncompressed_files_are_read_whole_or_remarked(
    noise: np.ndarray,
    tmp_path: Path,
    form: str,
    place: bytes | None,
    field: str,
    size: int,
    seconds: float,
    problem: str | None,
) -> None:
    content = encoded(noise, form, "PCM_16")
    after = content.index(b"data") + 16 if place is None else content.index(place) + len(place)
    (tmp_path / "a").write_bytes(with_size(content, after, field, size))
    if problem == "refused":
        with pytest.raises(AudioError, match="cannot be decoded"):
            seconds_and_problem(tmp_path / "a")
    else:
        assert seconds_and_problem(tmp_path / "a") == (seconds, problem)


def with_total(flac: bytes, frames: int) -> bytes:
    """Return a FLAC file whose STREAMINFO states another number of frames (36 bits)."""
    fields = struct.unpack(">Q", flac[18:26])[0]
    return with_size(flac, 18, ">Q", fields >> 36 << 36 | frames)


def test_a_flac_header_that_states_half_of_the_file_is_remarked(noise: np.ndarray, tmp_path: Path) -> None:
    content = encoded(noise, "FLAC", "PCM_16")
    for frames in (1, 2 * RATE):
        (tmp_path / "a.flac").write_bytes(with_total(content, frames))
        seconds, problem = seconds_and_problem(tmp_path / "a.flac")
        assert seconds == frames / RATE
        assert problem == f"its header states {seconds:.2f} s, and the file holds 4.00 s; the rest is not read"


@pytest.mark.parametrize("lead", [bytes(1), bytes(5000), b"no audio" * 20_000])
def test_a_flac_file_behind_zeros_or_garbage(noise: np.ndarray, tmp_path: Path, lead: bytes) -> None:
    (tmp_path / "a.flac").write_bytes(lead + encoded(noise, "FLAC", "PCM_16"))
    assert seconds_and_problem(tmp_path / "a.flac") == (SECONDS, None)
    (tmp_path / "a.flac").write_bytes(lead + with_total(encoded(noise, "FLAC", "PCM_16"), RATE))
    assert "states 1.00 s, and the file holds 4.00 s" in str(seconds_and_problem(tmp_path / "a.flac")[1])


@pytest.mark.parametrize("frames", [1000, 4096, 65_536, 70_000])
def test_flac_streams_that_follow_each_other_are_all_read_and_remarked(
    noise: np.ndarray, tmp_path: Path, frames: int
) -> None:
    first = np.random.default_rng(1).normal(0, 0.1, (frames, 2)).astype(np.float32)
    content = [encoded(audio, "FLAC", "PCM_16") for audio in (first, noise, first)]
    (tmp_path / "a.flac").write_bytes(b"".join(content))
    with AudioReader(tmp_path / "a.flac") as reader:
        audio = np.concatenate([block.copy() for block in reader.blocks(5000)])
        assert "3 FLAC streams follow each other" in str(reader.problem)
    np.testing.assert_allclose(audio, np.concatenate([first, noise, first]), atol=1e-4)


APE_TAG = b"APETAGEX" + struct.pack("<4I8x", 2000, 40, 1, 1 << 31) + bytes(8)
APE_TAG += b"APETAGEX" + struct.pack("<4I8x", 2000, 40, 1, 1 << 31)


@pytest.mark.parametrize("tail", [b"TAG" + bytes(125), APE_TAG, APE_TAG + b"TAG" + bytes(125)])
def test_tags_behind_flac_are_no_damage_and_cost_no_frame(noise: np.ndarray, tmp_path: Path, tail: bytes) -> None:
    (tmp_path / "a.flac").write_bytes(encoded(noise, "FLAC", "PCM_16") + tail)
    assert seconds_and_problem(tmp_path / "a.flac") == (SECONDS, None)


def id3_tag(content: bytes) -> bytes:
    size = len(content)
    return b"ID3\4\0\0" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0)) + content


@pytest.mark.parametrize("frames", [1000, 65_536, 70_000])
@pytest.mark.parametrize(
    "tags",
    [
        id3_tag(bytes(200)),
        id3_tag(b"a picture with ID3 in it" * 5000),
        id3_tag(bytes(9)) + id3_tag(bytes(3000)),
        b"TAG" + bytes(125) + id3_tag(bytes(30)),
        APE_TAG + b"TAG" + bytes(125),
    ],
)
def test_tags_between_flac_streams_cost_no_frame(noise: np.ndarray, tmp_path: Path, tags: bytes, frames: int) -> None:
    first = np.random.default_rng(1).normal(0, 0.1, (frames, 2)).astype(np.float32)
    content = [encoded(audio, "FLAC", "PCM_16") for audio in (first, noise, first)]
    (tmp_path / "a.flac").write_bytes(tags.join(content))
    with AudioReader(tmp_path / "a.flac") as reader:
        audio = np.concatenate([block.copy() for block in reader.blocks(5000)])
        assert "3 FLAC streams follow each other" in str(reader.problem)
    np.testing.assert_allclose(audio, np.concatenate([first, noise, first]), atol=1e-4)


@pytest.mark.parametrize("frames", [5, 20])
def test_an_mp3_header_that_states_less_than_the_file_is_remarked(
    noise: np.ndarray, tmp_path: Path, frames: int
) -> None:
    content = encoded(noise, "MP3", "MPEG_LAYER_III")
    place = max(content.find(b"Xing"), content.find(b"Info")) + 8
    (tmp_path / "a.mp3").write_bytes(with_size(content, place, ">I", frames))
    seconds, problem = seconds_and_problem(tmp_path / "a.mp3")
    assert seconds < SECONDS
    assert problem == f"read for the {seconds:.2f} s that its header states; more audio follows"


@pytest.mark.parametrize("rate", [8000, 44100])
def test_an_mp3_that_states_no_frames_is_read_to_its_end(tmp_path: Path, rate: int) -> None:
    """Stated as 0: the audio of the undamaged file. Not stated: libmpg123 cannot remove the encoder's delay."""
    noise = np.random.default_rng(0).normal(0, 0.1, (SECONDS * rate, 2)).astype(np.float32)
    content = encoded(noise, "MP3", "MPEG_LAYER_III", rate)
    place = max(content.find(b"Xing"), content.find(b"Info"))
    (flags,) = struct.unpack(">I", content[place + 4 : place + 8])
    (tmp_path / "a.mp3").write_bytes(with_size(content, place + 8, ">I", 0))
    assert seconds_and_problem(tmp_path / "a.mp3") == (SECONDS, None)
    for damaged in (with_size(content, place + 4, ">I", flags & ~1), content[frame_bytes(content) :]):
        (tmp_path / "a.mp3").write_bytes(damaged)
        seconds, problem = seconds_and_problem(tmp_path / "a.mp3")
        assert problem is None
        assert SECONDS <= seconds < SECONDS + 3 * 1152 / rate


def frame_bytes(content: bytes) -> int:
    header = mpeg.frame_header(content, 0)
    assert header is not None
    return header.size


def test_frames_of_mp3_are_counted_past_garbage(noise: np.ndarray, tmp_path: Path) -> None:
    content = encoded(noise, "MP3", "MPEG_LAYER_III")
    place = max(content.find(b"Xing"), content.find(b"Info")) + 8
    (stated,) = struct.unpack(">I", content[place : place + 4])
    first = frame_bytes(content)
    assert mpeg.count_frames(content, first) == stated
    assert mpeg.count_frames(content + bytes(999) + content, first) == 2 * stated + 1
    assert mpeg.count_frames(b"", 0) == 0


def test_a_second_mp3_in_the_same_file_is_remarked(noise: np.ndarray, tmp_path: Path) -> None:
    content = encoded(noise, "MP3", "MPEG_LAYER_III")
    for between in (b"", b"TAG" + bytes(125) + b"ID3\4\0\0\0\0\0\12" + bytes(10)):
        (tmp_path / "a.mp3").write_bytes(content + between + content)
        assert "4.00 s that its header states; more audio follows" in str(seconds_and_problem(tmp_path / "a.mp3")[1])


def test_an_id3_tag_longer_than_the_file_is_passed_over(noise: np.ndarray, tmp_path: Path) -> None:
    content = encoded(noise, "MP3", "MPEG_LAYER_III")
    (tmp_path / "a.mp3").write_bytes(b"ID3\4\0\0\x7f\x7f\x7f\x7f" + content)
    assert seconds_and_problem(tmp_path / "a.mp3") == (SECONDS, None)


@pytest.mark.parametrize("kept", [0.5, 0.9])
def test_an_ogg_file_without_its_last_page_is_remarked(noise: np.ndarray, tmp_path: Path, kept: float) -> None:
    content = encoded(noise, "OGG", "VORBIS")
    (tmp_path / "a.ogg").write_bytes(content)
    assert seconds_and_problem(tmp_path / "a.ogg") == (SECONDS, None)
    for whole in (b"", content):
        (tmp_path / "a.ogg").write_bytes(whole + content[: int(kept * len(content))])
        assert "the last page of the stream is missing" in str(seconds_and_problem(tmp_path / "a.ogg")[1])


def test_samples_that_look_like_a_chunk_beyond_the_end_are_remarked(tmp_path: Path) -> None:
    samples = np.full(16000, 4000, dtype="<i2")
    samples[8000:8004] = np.frombuffer(b"abcd\xff\xff\xff\x7f", dtype="<i2")
    path = tmp_path / "half.wav"
    soundfile.write(path, samples, 16000)
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = (16000).to_bytes(4, "little")
    path.write_bytes(data)
    assert "states 0.50 s, and the file holds 1.00 s" in (check_header(path, "WAV").problem or "")
