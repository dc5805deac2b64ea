"""Real files with bytes changed at random: the scan never crashes or hangs, and stores no NaN."""

import functools
import runpy
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from remix_miner.datasets.library import LibraryFile
from remix_miner.detector.loading import load_detector
from remix_miner.mined.shards.reader import Shard
from remix_miner.mining.jobs.batch import mine_batch
from remix_miner.mining.messages import FAILURES, Failed, JobSetup, Task, TrackScan
from remix_miner.mining.settings import ScanSettings

BENCHMARKS = Path(__file__).parents[1] / "benchmarks" / "survival"
WRITTEN: dict[str, dict[str, str]] = runpy.run_path(str(BENCHMARKS / "formats.py"))["FORMATS"]
SCANNED = ("wav", "float.wav", "flac", "mp3", "ogg", "opus", "m4a")
READ = ("24.wav", "w64", "aiff", "au", "caf", "mp3", "ogg", "flac")


@pytest.fixture(scope="module")
def original(noise_song: Any, tmp_path_factory: pytest.TempPathFactory, request: Any) -> Callable[[str], bytes]:
    """A function from a suffix to the bytes of such a file; skips where the format needs an extra."""
    folder = tmp_path_factory.mktemp("originals")
    song = 0.5 * noise_song(1, 1.5, 16000)

    @functools.cache
    def of(suffix: str) -> bytes:
        path = folder / f"a.{suffix}"
        if suffix == "m4a":
            return bytes(request.getfixturevalue("write_with_pyav")(path, song, 16000))
        soundfile.write(path, song.T, 16000, **WRITTEN[suffix])
        return path.read_bytes()

    return of


@pytest.fixture(scope="module")
def setup(tiny_detector: Path) -> JobSetup:
    thresholds = ScanSettings({"drums": 0.0}, min_seconds=1.0, sample_rate=16000)
    sha256 = load_detector(tiny_detector).sha256
    return JobSetup(Path(), str(tiny_detector), sha256, "cpu", thresholds, {}, "run")


place = st.floats(0, 1, exclude_max=True)
"""Where in the file, as a share of its length; most headers are in the first hundredth."""
places = st.one_of(place, place.map(lambda share: share / 100))
change = st.one_of(
    st.tuples(st.just("overwrite"), places, st.binary(min_size=1, max_size=8)),
    st.tuples(st.just("zero"), places, st.integers(1, 2000)),
    st.tuples(st.just("cut"), places, st.none()),
    st.tuples(st.just("remove"), places, st.integers(1, 500)),
    st.tuples(st.just("repeat"), places, st.integers(1, 500)),
)


def mutated(original: bytes, changes: list[tuple[str, float, Any]]) -> bytes:
    content = bytearray(original)
    for what, share, value in changes:
        at = int(share * len(content))
        if what == "overwrite":
            content[at : at + len(value)] = value
        elif what == "zero":
            content[at : at + value] = bytes(len(content[at : at + value]))
        elif what == "cut":
            del content[at:]
        elif what == "remove":
            del content[at : at + value]
        else:
            content[at:at] = content[at : at + value]
    return bytes(content)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("suffix", SCANNED)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(change, min_size=1, max_size=4))
@example(changes=[("repeat", 0.0078125, 207)])  # made an m4a whose audio has no codec, and so no rate
def test_changed_bytes_never_crash_the_scan_or_store_what_is_not_finite(
    original: Callable[[str], bytes], setup: JobSetup, suffix: str, changes: list[tuple[str, float, Any]]
) -> None:
    import dataclasses

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        path.write_bytes(mutated(original(suffix), changes))
        status = path.stat()
        task = Task(LibraryFile(path, path.name, status.st_size, status.st_mtime_ns), 1.0)
        batch = mine_batch(dataclasses.replace(setup, out=Path(folder)), [task], "0")
        (result,) = [*batch.tracks, *batch.failed]
        assert isinstance(result, TrackScan | Failed)
        if isinstance(result, Failed):
            assert result.kind in FAILURES
            assert result.kind != "error", result.reason
        for closed in batch.shards:
            with Shard(closed.path) as shard:
                assert not shard.problems()
                for row in range(len(shard.excerpts)):
                    audio = shard.read(row)
                    assert np.isfinite(audio).all()
                    assert np.abs(audio).max() > 0


OTHER_NAMES = st.sampled_from(["", ".m4a", ".mp3", ".flac"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("suffix", READ)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(changes=st.lists(change, min_size=1, max_size=4), other_name=OTHER_NAMES, twice=st.booleans())
def test_changed_bytes_under_any_name_are_read_or_refused(
    suffix: str, changes: list[tuple[str, float, Any]], other_name: str, twice: bool
) -> None:
    """Lengths stay possible, the reader gives no more than it says, and libraries print nothing of their own."""
    from remix_miner.audio import AudioReader
    from remix_miner.audio.lengths import MOST_FRAMES_PER_BYTE
    from remix_miner.errors import AudioError

    with tempfile.TemporaryDirectory() as folder:
        song = np.random.default_rng(0).uniform(-0.5, 0.5, (8000, 2))
        soundfile.write(Path(folder) / f"a.{suffix}", song, 8000, **WRITTEN[suffix])
        original = (Path(folder) / f"a.{suffix}").read_bytes()
        path = Path(folder) / f"b{other_name or '.' + suffix}"
        path.write_bytes(mutated(original, changes) + original * twice)
        try:
            with AudioReader(path) as reader:
                assert 0 <= reader.frames <= MOST_FRAMES_PER_BYTE * path.stat().st_size
                for block in reader.blocks(5000):
                    assert block.shape[1] == reader.channels
                    assert np.isfinite(block).all()
                if reader.problem:
                    assert "9223372036854775807" not in reader.problem
        except AudioError as refusal:
            message = str(refusal)
        else:
            return
        assert path.name in message
        assert "Error opening" not in message


@pytest.mark.timeout(300)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(changes=st.lists(change, min_size=1, max_size=4), into=st.sampled_from(["file", "rows"]))
def test_a_store_of_fingerprints_with_changed_bytes_is_read_or_refused(
    changes: list[tuple[str, float, Any]], into: str
) -> None:
    """Changed in the file as a whole, or in the stored peaks of a row: a clear error, or fingerprints that compare."""
    from remix_miner.duplicates.fingerprints import PEAK
    from remix_miner.duplicates.matching import match, proposed_pairs
    from remix_miner.duplicates.recordings import Fingerprint, Recording
    from remix_miner.duplicates.store import STORE_NAME, FingerprintStore
    from remix_miner.errors import RemixMinerError

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times = np.sort(np.random.default_rng(0).uniform(0, 30, 200))
        peaks = np.array([(time, 7 * time % 30) for time in times], dtype=PEAK)
        with FingerprintStore(folder) as store:
            made = Fingerprint(peaks, 30.0)
            store.write((Recording(f"library/{number}.wav", folder, number, 1), made) for number in range(20))
            if into == "rows":
                store.database.execute(
                    "UPDATE fingerprints SET peaks = ? WHERE size = 3", (mutated(peaks.tobytes(), changes),)
                )
        if into == "file":
            path = folder / STORE_NAME
            path.write_bytes(mutated(path.read_bytes(), changes))
        try:
            with FingerprintStore(folder, to_read=True) as store:
                known = [made.peaks for made in store.known().values()]
                assert isinstance(store.keeps_copies, bool)
        except RemixMinerError as refusal:
            message = str(refusal)
        else:
            message = ""
        if message:
            assert STORE_NAME in message
            return
        pairs, _ = proposed_pairs(known)
        for first, second in pairs[:5].tolist():
            match(known[first], known[second])
