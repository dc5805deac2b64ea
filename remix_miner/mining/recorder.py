"""Record of a scan: writes every safe batch to the probabilities and the catalogue, and shows progress."""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence

from remix_miner.datasets.library import LibraryFile, Skipped
from remix_miner.duplicates.recordings import Fingerprint
from remix_miner.mined.catalogue import Catalogue
from remix_miner.mined.catalogue_rows import ScannedTrack, UnstoredExcerpt
from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mined.uncompared import drop_tracks
from remix_miner.mining.engines.choice import Engine
from remix_miner.mining.jobs.queue import Counts
from remix_miner.mining.jobs.run import Watch, run_jobs
from remix_miner.mining.messages import PASSING_FAILURES, Batch, Found, JobSetup, Task, TrackScan
from remix_miner.mining.report import RunTally, failure_text
from remix_miner.progress import Progress

WriteFingerprints = Callable[[Iterable[tuple[LibraryFile, Fingerprint]]], None]


class Recorder:
    """Records every safe batch and every failure of a scan, and shows its progress.

    ``write_fingerprints`` stores the fingerprints of a batch; None where none are taken.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        probabilities: ProbabilityStore,
        tasks: Sequence[Task],
        tally: RunTally,
        write_fingerprints: WriteFingerprints | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.probabilities = probabilities
        self.tasks = tasks
        self.tally = tally
        self.labels_only = bool(catalogue.settings.get("labels_only"))
        self.planted: list[TrackScan] = []
        """Scans of planted songs, which are not stored."""
        self.excluded: list[Skipped] = []
        """Files that hold an excluded recording, found in this run."""
        self._write_fingerprints = write_fingerprints
        self._expected_seconds = sum(task.seconds for task in tasks)
        self._started = time.monotonic()

    def consume(self, setup: JobSetup, engine: Engine, stopping: Callable[[], bool]) -> None:
        """Run the jobs to their end."""
        with Progress("scanning", self._expected_seconds / 60, unit="minutes of audio") as progress:

            def progressed(counts: Counts) -> None:
                self.tally.wall_seconds = time.monotonic() - self._started
                step, self.tally.seconds = counts.seconds - self.tally.seconds, counts.seconds
                progress.advance(step / 60, self._note(counts))

            watch = Watch(progressed, stopping)
            lanes = engine.lanes(setup, watch, len(self.tasks))
            with contextlib.closing(run_jobs(setup, lanes, self.tasks, watch)) as batches:
                for batch in batches:
                    self.record(batch)
                    progress.expect(self._expected_seconds / 60)
            self.tally.interrupted = stopping()
            self.tally.wall_seconds = time.monotonic() - self._started

    def record(self, batch: Batch) -> None:
        """Write a batch: probabilities and fingerprints, then the catalogue, which makes its tracks done."""
        stored = [track for track in batch.tracks if track.task.store]
        self.planted += [track for track in batch.tracks if not track.task.store]
        self.probabilities.write(_stored(track) for track in stored if track.codes is not None)
        if self._write_fingerprints is not None:
            made = [(track.task.file, track.fingerprint) for track in stored]
            made += [(track.task.file, track.fingerprint) for track in batch.excluded]
            self._write_fingerprints((file, taken) for file, taken in made if taken is not None)
        uncompared = [track.task.file.name for track in stored if track.fingerprint is not None]
        rows = [_row(track, self.labels_only) for track in stored]
        self.tally.excerpts += self.catalogue.finish_tracks(rows, batch.shards, uncompared)
        self.tally.tracks += len(stored)
        if batch.excluded:
            with self.catalogue.transaction() as database:
                drop_tracks(database, [found.task.file.name for found in batch.excluded])
            self.excluded += [Skipped(found.task.file.path, found.reason) for found in batch.excluded]
        self._expected_seconds += sum(track.seconds - track.task.seconds for track in batch.tracks)
        for failed in batch.failed:
            self._expected_seconds -= failed.task.seconds
            if failed.task.store:
                reason = failure_text(failed.kind, failed.reason)
                self.catalogue.fail_track(failed.task.file.name, reason, passing=failed.kind in PASSING_FAILURES)

    def _note(self, counts: Counts) -> str:
        return (
            f"{min(counts.tracks, len(self.tasks))}/{len(self.tasks)} tracks, {self.tally.seconds / 3600:.2f} h at "
            f"{self.tally.speed:.0f}x real time, {counts.excerpts} excerpts"
        )


def _row(track: TrackScan, labels_only: bool) -> ScannedTrack:
    return ScannedTrack(
        name=track.task.file.name,
        sha256=track.sha256,
        seconds=track.seconds,
        sample_rate=track.sample_rate,
        channels=track.channels,
        problem=track.note,
        spans=[unstored_excerpt(found, track.sample_rate) for found in track.found] if labels_only else [],
    )


def unstored_excerpt(found: Found, sample_rate: int) -> UnstoredExcerpt:
    """Return a span as an excerpt without audio."""
    return UnstoredExcerpt(
        source=found.source,
        start_seconds=found.start_frame / sample_rate,
        seconds=found.frames / sample_rate,
        probability_mean=found.probability_mean,
        probability_min=found.probability_min,
        expected_volume_db=found.expected_volume_db,
        start_frame=found.start_frame,
        frames=found.frames,
    )


def _stored(track: TrackScan) -> StoredTrack:
    assert track.codes is not None
    file = track.task.file
    return StoredTrack(
        file.name, track.sha256, file.size, file.mtime_ns, track.frames, track.sample_rate, track.codes, track.at_purity
    )
