"""Lengths that headers state: which can be, and what is missing of them."""

from pathlib import Path

MOST_FRAMES_PER_BYTE = 8000
"""No format packs more: digital silence in FLAC takes 11 bytes for 65,535 frames."""


def is_possible(frames: int, path: Path) -> bool:
    """Whether a file of this size can hold so many frames. libsndfile states 2^63 - 1 where a header has no length."""
    return 0 <= frames <= MOST_FRAMES_PER_BYTE * path.stat().st_size


def shorter_than_stated(decoded: int, stated: int | None, sample_rate: int) -> str | None:
    """Return the problem of a file that ends before its stated length; None within 1% or a second of it."""
    if stated is None or stated - decoded <= max(sample_rate, 0.01 * stated):
        return None
    return f"truncated: {decoded / sample_rate:.2f} s of the stated {stated / sample_rate:.2f} s"
