"""The four sources, in the order of every array, file and table of the project."""

from collections.abc import Iterable

from remix_miner.errors import UsageError

SOURCES = ("drums", "bass", "other", "vocals")
"""Order of the source axis. The same as in MUSDB18 and Demucs."""

MINED_SOURCES = ("drums", "bass", "vocals")
"""Sources whose absence is mined by default: 'other' is almost never silent (Défossez et al. 2019, section 5.1)."""


def parse_sources(text: str | Iterable[str]) -> tuple[str, ...]:
    """Return the sources named in ``text`` ('drums,bass'), in the project's order, each once.

    >>> parse_sources("vocals, drums")
    ('drums', 'vocals')
    """
    names = text.split(",") if isinstance(text, str) else list(text)
    wanted = [name.strip() for name in names if name.strip()]
    unknown = [name for name in wanted if name not in SOURCES]
    if unknown or not wanted:
        raise UsageError(f"unknown sources {unknown or text!r}; choose among {', '.join(SOURCES)}, separated by commas")
    return tuple(name for name in SOURCES if name in wanted)
