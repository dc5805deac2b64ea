"""The Ray engine on a small local cluster. Skipped where the extra ``ray`` is not installed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from remix_miner.mining.detect import MineSettings, mine  # noqa: E402
from remix_miner.mining.engines.choice import Engine  # noqa: E402
from remix_miner.mining.settings import BatchLimits  # noqa: E402
from remix_miner.mining.track.scan import scan_audio  # noqa: E402
from remix_miner.processes.environment import worker_variables  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Harvest = dict[tuple[str, str, int], str]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def library(noise_library: Callable[[int], Path]) -> Path:
    return noise_library(6)


def scan(
    library: Path, out: Path, detector: Path, engine: Engine, scan: Callable[..., Any] | None = None, **limits: Any
) -> Any:
    """Scan with ``scan`` in place of `scan_audio`, in the processes of the cluster too."""

    def mine_with(*arguments: Any) -> Any:
        import remix_miner.mining.jobs.task as module
        from remix_miner.mining.jobs.batch import mine_batch

        original = module.scan_audio
        module.scan_audio = scan or original
        try:
            return mine_batch(*arguments)
        finally:
            module.scan_audio = original

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("remix_miner.mining.engines.ray.mine_batch", mine_with)
        settings = MineSettings(detector=str(detector), min_seconds=1.0, engine=engine, limits=BatchLimits(**limits))
        return mine([library], out, settings)


@pytest.fixture(scope="module")
def undisturbed(library: Path, tiny_detector: Path, harvest_of: Any, tmp_path_factory: Any) -> Harvest:
    out: Path = tmp_path_factory.mktemp("undisturbed")
    assert scan(library, out, tiny_detector, Engine(workers=0)).complete
    found: Harvest = harvest_of(out)
    return found


def test_actors_give_what_one_process_gives(
    library: Path, tiny_detector: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    report = scan(library, tmp_path, tiny_detector, Engine("ray", workers=2), excerpts=2)
    assert report.complete
    assert harvest_of(tmp_path) == undisturbed


@pytest.mark.skipif(sys.platform != "linux", reason="reads what a process was started with from /proc")
def test_actors_are_started_in_the_environment_of_workers(library: Path, tiny_detector: Path, tmp_path: Path) -> None:
    """malloc reads its settings when a process starts: setting them later would do nothing."""

    def tells(path: Path, *arguments: Any, **options: Any) -> Any:
        (tmp_path / "told").write_bytes(Path("/proc/self/environ").read_bytes())
        return scan_audio(path, *arguments, **options)

    assert scan(library, tmp_path / "mined", tiny_detector, Engine("ray", workers=1), scan=tells).complete
    told = dict(entry.split("=", 1) for entry in (tmp_path / "told").read_text().split("\0") if "=" in entry)
    wanted = worker_variables()
    # When it reads them, glibc cuts its variable at the first colon.
    assert wanted.pop("GLIBC_TUNABLES").startswith(told["GLIBC_TUNABLES"])
    assert told.items() >= wanted.items()


def dies_at(name: str, once: Path | None = None) -> Callable[..., Any]:
    """A scan that kills its process at one file: always, or the first time only."""

    def scan(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name and (once is None or once.exists()):
            if once is not None:
                once.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return scan_audio(path, *arguments, **options)

    return scan


def test_a_file_that_kills_its_actor_is_named_and_costs_nothing_else(
    library: Path, tiny_detector: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    report = scan(library, tmp_path, tiny_detector, Engine("ray", workers=1), scan=dies_at("3.wav"))
    assert [(track, kind) for track, kind, _ in report.failures] == [("library/3.wav", "crashed")]
    assert harvest_of(tmp_path) == {key: audio for key, audio in undisturbed.items() if key[0] != "library/3.wav"}


def test_what_a_dead_actor_had_not_closed_is_scanned_again(
    library: Path, tiny_detector: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    (tmp_path / "once").touch()
    changes: dict[str, Any] = {"scan": dies_at("0.wav", tmp_path / "once"), "excerpts": 10_000}
    assert scan(library, tmp_path / "mined", tiny_detector, Engine("ray", workers=1), **changes).complete
    assert harvest_of(tmp_path / "mined") == undisturbed


def test_asked_to_stop_it_leaves_the_track_at_hand_and_keeps_what_is_finished(
    library: Path, tiny_detector: Path, harvest_of: Any, undisturbed: Harvest, tmp_path: Path
) -> None:
    """The second track never ends by itself, and others wait behind it."""
    begun = tmp_path / "begun"

    def endless(path: Path, *arguments: Any, on_block: Any, **options: Any) -> Any:
        if path.name == "4.wav":
            begun.touch()
            while True:
                on_block(0.0)
                time.sleep(0.01)
        return scan_audio(path, *arguments, on_block=on_block, **options)

    def interrupt() -> None:
        while not begun.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    out = tmp_path / "mined"
    report = scan(library, out, tiny_detector, Engine("ray", workers=1), scan=endless)
    thread.join()
    assert report.run.interrupted
    assert report.tracks == {"done": 1, "pending": 5}
    assert harvest_of(out).items() <= undisturbed.items()
    assert scan(library, out, tiny_detector, Engine(workers=0)).complete
    assert harvest_of(out) == undisturbed


@pytest.mark.parametrize("already", ["", "RAY_AUTH_MODE"])
def test_a_local_cluster_gets_a_secret_token_unless_authentication_is_set(already: str) -> None:
    """Ray reads it when it is imported, so it is tried in a process of its own."""
    code = (
        "from remix_miner.mining.engines.ray import import_ray; import os; import_ray(local=True); "
        "print(os.environ.get('RAY_AUTH_MODE'), len(os.environ.get('RAY_AUTH_TOKEN', '')))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    if already:
        environment[already] = "disabled"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == (["disabled", "0"] if already else ["token", "64"])
