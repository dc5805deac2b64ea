"""HTTP range requests (RFC 9110, section 14) for a part of audio."""

import re
from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse

from remix_miner.review.audio_parts import Part

PIECE_BYTES = 1 << 18


def wav_response(part: Part, header: str | None) -> Response:
    """Return the wav file, or the one range of it in the header ``Range``.

    The status is 416 for a range that cannot be satisfied. A header of another form is ignored, as the standard
    requires.
    """
    total = part.wav_bytes
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, max-age=3600"}
    wanted = parse_range(header, total)
    if wanted == (0, 0):
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{total}"})
    start, end = wanted or (0, total)
    headers["Content-Length"] = str(end - start)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{total}"
    return StreamingResponse(_pieces(part, start, end), 200 if wanted is None else 206, headers, "audio/wav")


def parse_range(header: str | None, total: int) -> tuple[int, int] | None:
    """Return (start, end) with ``end`` excluded; None without a usable header; (0, 0) for a range beyond the end.

    >>> parse_range("bytes=10-19", 100), parse_range("bytes=90-", 100), parse_range("bytes=-5", 100)
    ((10, 20), (90, 100), (95, 100))
    >>> parse_range("bytes=100-", 100), parse_range("bytes=5-2", 100), parse_range("bytes=0-1,5-6", 100)
    ((0, 0), None, None)
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", (header or "").strip())
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        length = min(int(match[2]), total)
        return (total - length, total) if length else (0, 0)
    start = int(match[1])
    end = min(int(match[2]) + 1, total) if match[2] else total
    if start >= total:
        return 0, 0
    return (start, end) if end > start else None


def _pieces(part: Part, start: int, end: int) -> Iterator[bytes]:
    for position in range(start, end, PIECE_BYTES):
        yield part.wav(position, min(position + PIECE_BYTES, end))
