"""Review session of one mined folder: the data behind the server's responses."""

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from remix_miner.errors import DataError, UsageError
from remix_miner.mined.catalogue_view import CatalogueView
from remix_miner.mined.library_folders import LibraryFolders
from remix_miner.mined.reviews.decisions import has_reviews, record, review_transaction, undo
from remix_miner.review.audio_parts import PARTS, AudioParts, Part
from remix_miner.review.items import Item, item_of_excerpt
from remix_miner.review.samples.audit import Audit, AuditSettings
from remix_miner.review.samples.threshold_sample import ThresholdSample, ThresholdSettings
from remix_miner.review.totals import Totals
from remix_miner.review.track_probabilities import TrackProbabilities, curves


@dataclass(frozen=True)
class ReviewSettings:
    """Settings of a review session.

    ``library``: folders as for `detect`, in addition to those in the catalogue. ``reviewer``: None takes the user's
    name. ``sample``: None for a free choice of excerpts.
    """

    folder: Path
    library: tuple[Path, ...] = ()
    reviewer: str | None = None
    detector: str = "default"
    sample: AuditSettings | ThresholdSettings | None = None

    @property
    def name(self) -> str:
        return self.reviewer or getpass.getuser()


class Session:
    """Review session. Keys name items: ``e<excerpt>`` or, in a sample, ``a<position>``."""

    def __init__(self, settings: ReviewSettings) -> None:
        self.settings = settings
        self.reviewer = settings.name
        self.decisions = 0
        self.totals = Totals()
        with CatalogueView.read(settings.folder) as catalogue:
            self.mined = catalogue.settings
            self.library = LibraryFolders.of(catalogue.database, settings.library)
            (tracks,) = catalogue.database.execute("SELECT count(*) FROM tracks WHERE status = 'done'").fetchone()
            example = catalogue.database.execute("SELECT path FROM tracks WHERE status = 'done' LIMIT 1").fetchone()
        self.has_library = bool(tracks) and self.library.path_of(example[0]) is not None
        self.probabilities = TrackProbabilities(
            settings.folder, self.library, settings.detector, self.mined.get("detector_sha256")
        )
        self.parts = AudioParts(settings.folder, self.library)
        self.sample: Audit | ThresholdSample | None = None
        """What is played in a drawn order; None for a free choice of excerpts."""
        if isinstance(settings.sample, ThresholdSettings):
            if not self.has_library:
                raise UsageError(
                    "stretches around a threshold are played from the library's files, which are not here: name their "
                    "folder with --library"
                )
            self.sample = ThresholdSample(settings.folder, settings.sample, self.reviewer)
        elif settings.sample is not None:
            self.sample = Audit(settings.folder, settings.sample, self.reviewer, self.probabilities)

    def overview(self) -> dict[str, Any]:
        """Return the totals and settings that the page shows first."""
        with CatalogueView.read(self.settings.folder) as catalogue:
            harvest = self.totals.harvest(catalogue.database)
            decisions = self.totals.decisions(catalogue.database)
        return {
            "folder": self.settings.folder.resolve().name,
            "reviewer": self.reviewer,
            "sources": harvest,
            "thresholds": self.mined.get("thresholds", {}),
            "min_seconds": self.mined.get("min_seconds", 5.0),
            "reviews": decisions,
            "has_library": self.has_library,
            "sample": None if self.sample is None else self.sample.kind,
        }

    def item(self, key: str) -> Item:
        """Return the item of a key. Raises `DataError` for an unknown key."""
        kind, number = key[:1], key[1:]
        if not (number.isascii() and number.isdecimal() and len(number) <= 18):
            raise DataError(f"{key!r} names no excerpt")
        if kind == "a" and self.sample is not None:
            return self.sample.item(int(number))
        if kind == "e" and self.sample is None:
            with CatalogueView.read(self.settings.folder) as catalogue:
                return item_of_excerpt(catalogue.database, int(number))
        raise DataError(f"{key!r} names no excerpt")

    def describe(self, key: str) -> dict[str, Any]:
        """Return an item for the page. A sample leaves out all that could reveal a control or bias the listener."""
        item = self.item(key)
        excerpt = self.parts.part(item, "excerpt")
        context = {part: self.parts.stretch(item, part) for part in PARTS} if self.has_library else {}
        described: dict[str, Any] = {
            "key": key,
            "source": item.source,
            "seconds": excerpt.seconds,
            "scale": excerpt.scale * 32768,
            "before_seconds": context["before"][1] - context["before"][0] if context else 0.0,
            "after_seconds": context["after"][1] - context["after"][0] if context else 0.0,
        }
        if self.sample is None:
            described |= {
                "track": item.track,
                "track_seconds": item.track_seconds,
                "start_seconds": item.start_seconds,
                "probability_mean": item.probability_mean,
                "probability_min": item.probability_min,
                "expected_volume_db": item.expected_volume_db,
                "review": item.review,
                "history": self._history(item),
            }
        return described

    def part(self, key: str, name: str) -> Part:
        """Return the audio of a part. Raises `DataError` for an unknown part."""
        if name not in PARTS:
            raise DataError(f"a part is one of {', '.join(PARTS)}, got {name!r}")
        return self.parts.part(self.item(key), name)

    def curves(self, key: str) -> dict[str, Any]:
        """Return the probabilities around an item, or the ``reason`` why there are none."""
        if self.sample is not None:
            return {"reason": "hidden while a sample is played"}
        item = self.item(key)
        start, end = self.parts.stretch(item, "before")[0], self.parts.stretch(item, "after")[1]
        found = self.probabilities.around(item.track, start, end)
        if found is None:
            reason = self.probabilities.reason
            if reason is None:
                reason = "the file is not here, or cannot be decoded: name the library's folder with --library"
            return {"reason": reason}
        return {
            **curves(*found),
            "item_start_seconds": item.start_seconds,
            "thresholds": self.mined.get("thresholds", {}),
        }

    def decide(self, key: str, decision: str, stretch: tuple[float, float] | None) -> dict[str, Any]:
        """Record a decision; ``stretch``: what is wrong, in seconds from the item's start."""
        item = self.item(key)
        wrong = None
        if stretch is not None:
            wrong = (item.start_seconds + stretch[0], item.start_seconds + stretch[1])
        if self.sample is not None:
            self.sample.answer(int(key[1:]), decision, wrong)
        else:
            review = item.review_by(self.reviewer, decision, wrong)
            with review_transaction(self.settings.folder) as database:
                record(database, review)
        self.decisions += 1
        return {"key": key, "review": decision}

    def undo(self) -> dict[str, Any]:
        """Undo the reviewer's latest decision on this folder. Raises `UsageError` in a sample."""
        if self.sample is not None:
            raise UsageError("an answer to a random sample cannot be undone: the sample would no longer be random")
        with review_transaction(self.settings.folder) as database:
            excerpt_id = undo(database, self.reviewer)
        return {"key": None if excerpt_id is None else f"e{excerpt_id}"}

    def _history(self, item: Item) -> list[dict[str, Any]]:
        with CatalogueView.read(self.settings.folder) as catalogue:
            if not has_reviews(catalogue.database):
                return []
            rows = catalogue.database.execute(
                "SELECT reviewer, reviewed_at, decision, wrong_start_seconds, wrong_end_seconds FROM reviews "
                "WHERE excerpt_id = ? AND NOT undone ORDER BY reviewed_at DESC, id DESC LIMIT 20",
                (item.excerpt_id,),
            ).fetchall()
        return [
            {
                "reviewer": reviewer,
                "reviewed_at": reviewed_at,
                "decision": decision,
                "stretch": None if start is None else [start - item.start_seconds, end - item.start_seconds],
            }
            for reviewer, reviewed_at, decision, start, end in rows
        ]

    def close(self) -> None:
        if self.sample is not None:
            self.sample.close()
        self.parts.close()
