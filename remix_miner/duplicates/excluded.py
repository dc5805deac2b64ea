"""Excluded recordings, of which nothing is mined: the check of one track against all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from remix_miner.duplicates.matching import Index, Match, match
from remix_miner.duplicates.recordings import Fingerprint


@dataclass(frozen=True)
class ExcludedRecordings:
    """Names and fingerprints of recordings that must not be mined. Pickles without its index."""

    recordings: Sequence[tuple[str, Fingerprint]]

    def reason(self, track: Fingerprint) -> str | None:
        """Return why a track is left out: the first of the recordings that it holds five seconds of, or None."""
        for number in self._index.proposed(track.peaks).tolist():
            name, excluded = self.recordings[number]
            found = match(track.peaks, excluded.peaks)
            if found.same_recording:
                return excluded_reason(found, name)
        return None

    @cached_property
    def _index(self) -> Index:
        return Index([fingerprint.peaks for _, fingerprint in self.recordings])

    def __getstate__(self) -> dict[str, Any]:
        return {"recordings": self.recordings}


def excluded_reason(found: Match, name: str) -> str:
    """Return the reason of a track that matches the excluded recording ``name``."""
    return f"excluded: what lies from {found.start_seconds:.0f} to {found.end_seconds:.0f} s is of {name}"
