"""Open shards of a batch, one per source."""

import time

from remix_miner.mined.shards.files import ClosedShard
from remix_miner.mined.shards.writer import ShardWriter
from remix_miner.mining.messages import JobSetup, TrackScan
from remix_miner.mining.settings import BatchLimits
from remix_miner.mining.track.cut import cut, excerpt_audio
from remix_miner.mining.track.scan import ScannedAudio


class OpenShards:
    """The open shards of a batch, one per source. They become visible with `close`."""

    def __init__(self, setup: JobSetup, name: str) -> None:
        self.setup = setup
        self.name = name
        self._writers: dict[str, ShardWriter] = {}
        self._begun = time.monotonic()

    @property
    def full(self) -> bool:
        """Whether one of the limits of a batch is reached."""
        limits: BatchLimits = self.setup.limits
        writers = self._writers.values()
        return (
            any(writer.excerpts >= limits.excerpts for writer in writers)
            or any(2 * writer.frames * writer.channels >= limits.bytes for writer in writers)
            or time.monotonic() - self._begun >= limits.seconds
        )

    def append(self, scanned: ScannedAudio, track: TrackScan) -> None:
        """Write a track's excerpts."""
        for found, audio in cut(scanned.held.blocks(), track.found):
            self._writer(found.source).append(
                excerpt_audio(audio, scanned.sample_rate, self.setup.settings),
                track=track.task.file.name,
                track_sha256=track.sha256,
                start_seconds=found.start_frame / scanned.sample_rate,
                probability_mean=found.probability_mean,
                probability_min=found.probability_min,
                expected_volume_db=found.expected_volume_db,
            )

    def close(self) -> list[ClosedShard]:
        """Finish the shards. On return they are on the disk under their names."""
        closed = [writer.close() for writer in self._writers.values()]
        self._writers = {}
        return [shard for shard in closed if shard is not None]

    def abandon(self) -> None:
        """Remove the open shards. No effect after `close`."""
        for writer in self._writers.values():
            writer.abandon()
        self._writers = {}

    def _writer(self, source: str) -> ShardWriter:
        if source not in self._writers:
            settings = self.setup.settings
            self._writers[source] = ShardWriter(
                self.setup.out,
                source,
                sample_rate=settings.sample_rate,
                channels=settings.channels,
                detector_sha256=self.setup.detector_sha256,
                threshold=settings.thresholds[source],
                settings=self.setup.recorded_settings,
                shard_id=f"{self.setup.run}-{self.name}",
            )
        return self._writers[source]
