"""The estimate of a step's memory: against what a step really allocates, and the batch sizes it leads to."""

import subprocess
import sys

import pytest
import torch

from remix_miner.errors import UsageError
from remix_miner.runs import free_memory
from remix_miner.separators import build
from remix_miner.training.learner import Learner
from remix_miner.training.run.batch_size import fit_batch, require_buildable
from remix_miner.training.run.distributed import Ranks
from remix_miner.training.run.memory import MemoryEstimate, estimate_memory
from remix_miner.training.settings import EmaSettings, SeparatorSettings, TrainingSettings

GIB = 2**30

# Prints the estimate and the growth of the process's peak by two steps, in bytes.
MEASURE = """
import resource, torch
from remix_miner.separators import build
from remix_miner.training.batches.samplers import StemBatch
from remix_miner.training.learner import Learner
from remix_miner.training.run.distributed import Ranks
from remix_miner.training.run.memory import estimate_memory
from remix_miner.training.settings import EmaSettings, TrainingSettings
from remix_miner.training.steps import main_step
torch.set_num_threads(1)
model = build("demucs", channels=16, depth=4, sample_rate=22050, segment_seconds=2.0)
learner = Learner(model, TrainingSettings(batch_size=24, ema=EmaSettings(0)), Ranks())
estimate = estimate_memory(learner, remixed=False, workers=0).of(24)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
batch = StemBatch(0.1 * torch.randn(24, 4, 2, learner.context_frames))
for _ in range(2):
    main_step(learner, iter([batch]))
print(estimate, peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory as Linux shows it")
def test_the_estimate_is_what_a_step_allocates() -> None:
    finished = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    estimated, real = map(float, finished.stdout.split())
    assert 0.7 < estimated / real < 1.5, (estimated / GIB, real / GIB)


def test_estimating_leaves_training_as_it_was() -> None:
    torch.manual_seed(0)
    model = build("tfc_tdf_v2", sources=["vocals"], segment_seconds=0.2)
    learner = Learner(model, TrainingSettings(batch_size=1, ema=EmaSettings(0)), Ranks())
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    estimate_memory(learner, remixed=False, workers=0)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_batches_follow_from_the_estimate() -> None:
    estimate = MemoryEstimate(fixed=2.0 * GIB, per_example=0.5 * GIB, free=8.0 * GIB)
    assert estimate.of(4) == 4 * GIB
    assert estimate.most_items() == 12
    automatic = TrainingSettings(batch_size=0, accumulate=2)
    assert fit_batch(automatic, estimate, world_size=3).batch_size == 8 * 3 * 2  # 8 is the power of two in 0.8 x 8 GiB
    fitting = TrainingSettings(batch_size=12)
    assert fit_batch(fitting, estimate, world_size=1) is fitting
    with pytest.raises(UsageError, match=r"13 examples at once need about 8.5 GiB of memory, 8.0 GiB are free"):
        fit_batch(TrainingSettings(batch_size=13), estimate, world_size=1)
    with pytest.raises(UsageError, match=r"accumulate=16 +the same steps, computed in parts of 8"):
        fit_batch(TrainingSettings(batch_size=128), estimate, world_size=1)
    with pytest.raises(UsageError, match="Not even one example fits"):
        fit_batch(TrainingSettings(batch_size=128), MemoryEstimate(9.0 * GIB, GIB, 8.0 * GIB), world_size=1)
    with pytest.raises(UsageError, match="Not even one example fits"):
        fit_batch(automatic, MemoryEstimate(9.0 * GIB, GIB, 8.0 * GIB), world_size=1)
    unknown = MemoryEstimate(2.0 * GIB, 0.5 * GIB, free=None)
    assert fit_batch(automatic, unknown, world_size=1).batch_size == 64 * 2
    assert fit_batch(TrainingSettings(batch_size=999), unknown, world_size=1).batch_size == 999


def test_a_network_beyond_all_memory_is_refused_before_it_is_built() -> None:
    settings = TrainingSettings(separator=SeparatorSettings("demucs", {"channels": 4096}))
    with pytest.raises(UsageError, match=r"demucs with .* M parameters, which take .* GiB to train"):
        require_buildable(settings, torch.device("cpu"))


def test_free_memory_is_the_least_of_machine_and_container(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(free_memory, "CGROUP", tmp_path)
    cpu = torch.device("cpu")
    assert free_memory.free_memory(cpu) is None
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:  5000 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert free_memory.free_memory(cpu) == 5000 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 400000\n")
    assert free_memory.free_memory(cpu) == 2_400_000
