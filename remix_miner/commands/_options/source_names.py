"""Option ``--sources``: names of sources beyond the four."""

import click

from remix_miner.errors import UsageError

sources_option = click.option(
    "--sources",
    default=None,
    metavar="LIST",
    help="Source names, separated by commas, such as vocals,instrumental or dialogue,music,effects; default: the four. "
    "rest, no_X and instrumental stand for sums of the songs' stems.",
)


def parse_names(text: str) -> list[str]:
    """Return the names in ``text``, each once, in the order given; raise `UsageError` for names no file can have."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) != len(names):
        raise UsageError(f"--sources takes names, each once, separated by commas; got {text!r}")
    for name in names:
        if not name.replace("_", "").replace("-", "").isalnum():
            raise UsageError(f"--sources: {name!r} is not a name of letters, digits, '_' and '-'")
    return names
