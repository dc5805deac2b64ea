"""Batch: one job of a scan. Its tracks are scanned in order, and its shards with their excerpts close together.

The shards appear together with the list of tracks that are complete in them. If the process ends before that, only the
tracks of this batch are scanned again.
"""

from collections.abc import Sequence

from remix_miner.errors import AudioError
from remix_miner.mining.jobs.open_shards import OpenShards
from remix_miner.mining.jobs.task import Report, Stopped, check_unchanged, failure, model_of, no_report, scan_task
from remix_miner.mining.messages import Batch, Excluded, Failed, JobSetup, Task, TrackScan


def mine_batch(setup: JobSetup, tasks: Sequence[Task], name: str, report: Report = no_report) -> Batch:
    """Scan ``tasks`` in order into shards of their own and close them. ``name`` is unique among the run's jobs.

    A file that cannot be scanned is in `Batch.failed`, one that holds an excluded recording in `Batch.excluded`. The
    job ends early when its shards are full or ``report`` requests a stop: `Batch.left` holds the remaining tasks. If a
    track fails after some of its excerpts were written, the batch is discarded: its other tracks are in `Batch.left`,
    too.
    Raises `DataError` when shards cannot be written (a full disk) or the detector is not the announced one.
    """
    model = model_of(setup) if any(task.known is None for task in tasks) else None
    batch = Batch()
    shards = OpenShards(setup, name)
    try:
        for place, task in enumerate(tasks):
            if report(place=place) or (place and shards.full):
                batch.left = list(tasks[place:])
                break
            try:
                scanned, track = scan_task(setup, task, model, report)
            except Stopped:
                batch.left = list(tasks[place:])
                break
            except Exception as error:
                batch.failed.append(failure(task, error))
                report(tracks=1)
                continue
            if (excluded := _excluded(setup, track)) is not None:
                batch.excluded.append(excluded)
                report(tracks=1)
                continue
            try:
                if task.store and not setup.settings.labels_only:
                    shards.append(scanned, track)
                    check_unchanged(task.file)
            except (AudioError, OSError) as error:
                batch.failed.append(Failed(task, "changed", str(error)))
                batch.left = [scan.task for scan in batch.tracks] + list(tasks[place + 1 :])
                batch.tracks = []
                return batch
            batch.tracks.append(track)
            report(tracks=1, excerpts=len(track.found))
        batch.shards = shards.close()
    finally:
        shards.abandon()
    return batch


def _excluded(setup: JobSetup, track: TrackScan) -> Excluded | None:
    """Return why a track is left out, if it holds an excluded recording."""
    if setup.excluded is None or track.fingerprint is None:
        return None
    reason = setup.excluded.reason(track.fingerprint)
    return None if reason is None else Excluded(track.task, track.fingerprint, reason)
