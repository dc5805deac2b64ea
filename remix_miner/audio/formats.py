"""Audio formats: by the suffix of a file's name, and by the first bytes of its content."""

import os

from remix_miner.audio.containers.mpeg import find_frames, id3_bytes

SOUNDFILE_SUFFIXES = (
    *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".mp3", ".ogg", ".oga", ".opus"),
    *(".aif", ".aiff", ".aifc", ".aiffc", ".au", ".snd", ".caf"),
)
"""Read by libsndfile."""

PYAV_SUFFIXES = (".m4a", ".m4b", ".aac", ".mp4", ".webm", ".mka", ".mp2", ".ac3", ".wv", ".tta")
"""Read by FFmpeg through PyAV, the optional extra ``media``."""

AUDIO_SUFFIXES = SOUNDFILE_SUFFIXES + PYAV_SUFFIXES

UNREADABLE_SUFFIXES = (".wma", ".ape", ".mpc", ".dsf", ".dff", ".m4p", ".ra", ".amr", ".mid", ".midi")
"""Audio that this package does not decode."""

IMAGE_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"avis", b"crx ")
"""Pictures in an MP4 container."""

SUFFIX_OF_KIND = {
    **{"WAV": ".wav", "AIFF": ".aiff", "W64": ".w64", "CAF": ".caf", "AU": ".au", "FLAC": ".flac", "MP3": ".mp3"},
    **{"Ogg Vorbis": ".ogg", "Ogg Opus": ".opus", "Ogg FLAC": ".oga", "Ogg": ".ogg", "AAC": ".aac", "AC-3": ".ac3"},
    **{"MP4": ".m4a", "Matroska": ".mka", "WavPack": ".wv", "TTA": ".tta"},
}
"""A name under which a library file of each format is found."""

SNIFFED_BYTES = 1 << 13
"""Four frames of mp3 at the highest bit rate."""

PYAV_KINDS = (
    "MP4",
    "Matroska",
    "ASF",
    "WavPack",
    "TTA",
    "AC-3",
    "AAC",
    "Ogg FLAC",
    "Ogg",
    "Musepack",
    "Monkey's Audio",
)
"""Formats that libsndfile does not read."""


def sniff(path: str | os.PathLike[str]) -> str | None:
    """Return the format that a file's first bytes state, e.g. 'WAV' or 'Matroska'; None where they state none.

    Raises `OSError` where the file cannot be read.
    """
    with open(path, "rb") as file:
        head = file.read(SNIFFED_BYTES)
    return kind_of(head)


def kind_of(head: bytes) -> str | None:
    """Return the format that the first bytes of a file state; None where they state none."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return "WAV"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if head[:4] == b"OggS":
        return _ogg_kind(head)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[4:8] == b"ftyp":
        return None if head[8:12] in IMAGE_BRANDS else "MP4"
    if _is_adts(head):
        return "AAC"
    if head[:2] == b"\x0b\x77":
        return "AC-3"
    return "MP3" if find_frames(head, id3_bytes(head), most=16) == id3_bytes(head) or head[:3] == b"ID3" else None


_MAGIC = (
    (b"fLaC", "FLAC"),
    (b"riff\x2e\x91\xcf\x11", "W64"),
    (b"caff", "CAF"),
    (b".snd", "AU"),
    (b"dns.", "AU"),
    (b"\x1a\x45\xdf\xa3", "Matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "ASF"),
    (b"wvpk", "WavPack"),
    (b"TTA1", "TTA"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b"MAC ", "Monkey's Audio"),
)


def _is_adts(head: bytes) -> bool:
    """Whether two frames of AAC follow each other (ISO 14496-3, section 1.A.2.2)."""
    place = 0
    for _ in range(2):
        frame = head[place : place + 7]
        if len(frame) < 7 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0:
            return False
        place += max((frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5, 7)
    return True


def _ogg_kind(head: bytes) -> str:
    first_page = head[:512]
    for name, kind in ((b"vorbis", "Ogg Vorbis"), (b"OpusHead", "Ogg Opus"), (b"\x7fFLAC", "Ogg FLAC")):
        if name in first_page:
            return kind
    return "Ogg"
