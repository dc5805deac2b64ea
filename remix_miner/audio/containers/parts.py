"""Parts of a file that libsndfile decodes one after the other: links of Ogg, streams of FLAC, mp3 behind its tags."""

from itertools import pairwise
from pathlib import Path

from remix_miner.audio.containers.flac import end_of_audio, stream_starts
from remix_miner.audio.containers.mpeg import audio_start
from remix_miner.audio.containers.mpeg_length import frame_with_length
from remix_miner.audio.containers.ogg import find_links

Part = tuple[int, int | None]
"""The first byte of a part, and the one behind its last; None: the end of the file."""


def parts_of(path: Path, kind: str | None, start: int) -> tuple[list[Part], bytes]:
    """Return the parts of a file, and a first frame of mp3 in place of the file's own; empty where it stays.

    ``kind``: as `formats.sniff` gives it. ``start``: the first byte of a FLAC stream.
    """
    if kind in ("Ogg Vorbis", "Ogg Opus"):
        links = find_links(path) or [0]
        return list(zip(links, [*links[1:], None], strict=True)), b""
    if kind in ("MP3", None):
        start = audio_start(path)
        first_frame, start = frame_with_length(path, start) or (b"", start)
        return [(start, None)], first_frame
    if kind == "FLAC":
        return [(start, end_of_audio(path))], b""
    return [(0, None)], b""


def split_streams(path: Path, part: Part, search_from: int) -> list[Part] | None:
    """Return the FLAC streams in ``part``, without tags between them; None where it is a single one.

    ``search_from``: byte from which on a second stream is looked for.
    """
    start, end = part
    if not [place for place in stream_starts(path, search_from) if place > start]:
        return None
    starts = stream_starts(path, start)
    if len(starts) < 2:  # the first stream lies behind an ID3 tag
        return None
    ends = [end_of_audio(path, *pair) or pair[1] for pair in pairwise(starts)]
    return list(zip(starts, [*ends, end], strict=True))
