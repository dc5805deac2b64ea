"""Problems of data and their fixes, as `check-data` lists them."""

from dataclasses import dataclass

from remix_miner.audio import display_name
from remix_miner.errors import RemixMinerError

REPLACE = "replace the file, or take the song out (`exclude` in corpus.toml)"


@dataclass(frozen=True)
class Problem:
    """``where`` (a song or file), what was found there, and the fix."""

    where: str
    what: str
    fix: str

    @classmethod
    def of_error(cls, where: str, error: RemixMinerError) -> "Problem":
        """Split an error's message, which states what was found, a semicolon, and what to do."""
        what, _, fix = str(error).partition("; ")
        return cls(display_name(where), what, fix or REPLACE)
