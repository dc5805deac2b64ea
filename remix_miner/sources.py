"""The four sources, in the order of every array, file and table of the project."""

import math
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


def parse_by_source(
    texts: Iterable[str], option: str, sources: Iterable[str] = SOURCES, *, for_all: bool = True
) -> tuple[float | None, dict[str, float]]:
    """Return (number for all, numbers of single sources) from the values of a command's ``option``.

    A value is a list with commas of numbers and of SOURCE=NUMBER. ``for_all``: allow a number without a source. Raises
    `UsageError` for anything else, for a source that is not in ``sources``, and for two numbers for one source.

    >>> parse_by_source(["0.95", "drums=.9"], "--purity")
    (0.95, {'drums': 0.9})
    """
    sources = tuple(sources)
    numbers: dict[str, float] = {}
    for part in (part.strip() for text in texts for part in text.split(",") if part.strip()):
        name, equals, number = (piece.strip() for piece in part.rpartition("="))
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        known = name in sources if equals else for_all
        if math.isnan(value) or not known:
            form = "P or SOURCE=P, for example 0.9 or" if for_all else "SOURCE=P, for example"
            raise UsageError(
                f"{option} is {form} {sources[0]}=0.9, with SOURCE among {', '.join(sources)}; got {part!r}"
            )
        if name in numbers:
            raise UsageError(f"{option} has two values for {name or 'all sources'}: {numbers[name]:g} and {value:g}")
        numbers[name] = value
    return numbers.pop("", None), numbers
