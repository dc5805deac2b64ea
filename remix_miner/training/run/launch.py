"""One training process for each device, started and watched over by torchrun's launcher, on one machine."""

import os
import sys
from collections.abc import Sequence

from remix_miner.errors import UsageError
from remix_miner.processes.environment import environment

PARENT = "REMIX_MINER_LAUNCHER"  # environment variable: the process that started the training processes
STOPPING_SECONDS = 600  # for the step under way and its checkpoint, after Ctrl-C


def parse_devices(text: str) -> list[str]:
    """Return the devices of ``--devices``: indices of GPUs, or 'cpu' once for each process.

    >>> parse_devices("0, 1"), parse_devices("cpu,cpu")
    (['0', '1'], ['cpu', 'cpu'])
    """
    devices = [part.strip() for part in text.split(",")]
    if not all(devices) or not (all(map(str.isdecimal, devices)) or set(devices) == {"cpu"}):
        raise UsageError(f"--devices takes indices of GPUs such as 0,1, or cpu,cpu; got {text!r}")
    if "cpu" not in devices and len(set(devices)) < len(devices):
        raise UsageError(f"--devices names a GPU twice: {text!r}")
    return devices


def launch(devices: Sequence[str], verb: str, arguments: Sequence[str]) -> int:
    """Run ``remix-miner VERB ARGUMENTS`` as one distributed process on each device; return the exit status.

    The first Ctrl-C or SIGTERM reaches each process once: it saves a checkpoint and stops. Raises KeyboardInterrupt
    then. When one process fails, the others are stopped.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    on_cpu = "cpu" in devices
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=len(devices),
        run_id=f"remix-miner-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        shutdown_timeout=STOPPING_SECONDS,
    )
    variables = {PARENT: str(os.getpid()), "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", _threads(len(devices)))}
    if not on_cpu:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    command = ["-m", "remix_miner.cli", verb, *arguments, "--device", "cpu" if on_cpu else "cuda"]
    with environment(variables):
        try:
            elastic_launch(config, sys.executable)(*command)
        except ChildFailedError as error:  # the process has printed why; the launcher kills the others by signal
            return min((failure.exitcode for failure in error.failures.values() if failure.exitcode > 0), default=1)
        except SignalException as error:
            raise KeyboardInterrupt from error
    return 0


def _threads(processes: int) -> str:
    return str(max((os.cpu_count() or 1) // processes, 1))
