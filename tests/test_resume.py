"""A run that was interrupted or killed and resumed is the run that was not, to the last bit."""

import os
import signal

import pytest
import torch

from remix_miner.errors import DataError, UsageError
from remix_miner.runs.folder import RunFolder
from remix_miner.runs.resuming import settings_of_run, settings_to_resume
from remix_miner.training import loop
from remix_miner.training.batches.augment import AugmentSettings
from remix_miner.training.batches.rests import RemixSettings
from remix_miner.training.learner import Learner
from remix_miner.training.remix import RemixStepSettings
from remix_miner.training.run.distributed import Ranks
from remix_miner.training.run.prepare import Inputs, inputs_of_run, prepare
from remix_miner.training.settings import EmaSettings, SeparatorSettings, TrainingSettings, ValidationSettings

SETTINGS = {
    "separator": SeparatorSettings("demucs", {"channels": 4, "depth": 2, "sample_rate": 8000}),
    "segment_seconds": 0.1,
    "batch_size": 2,
    "epochs": 2,
    "steps_per_epoch": 4,
    "remix": RemixStepSettings(probability=0.5, teacher_weight=0.1),
    "excerpts": RemixSettings(weigh_by_volume=True, enough_minutes=0),
    "augment": AugmentSettings(gain_min=0.5),
    "ema": EmaSettings(0.9),
    "validation": ValidationSettings(seconds_per_track=0.5),
    "checkpoint_every_steps": 2,
}


@pytest.fixture
def inputs(tmp_path, stem_corpus, mine) -> Inputs:
    stems = stem_corpus(tmp_path / "stems", {"A - 1": 1.0, "B - 2": 1.5, "C - 3": 1.0})
    mine(tmp_path / "mined", {"x.mp3": {"drums": [5.0, 6.0], "bass": [5.0]}})
    return Inputs([stems], mined=tmp_path / "mined")


@pytest.fixture(autouse=True)
def randomness_in_the_model(monkeypatch):
    """As dropout has: estimates that depend on torch's global random state."""
    real = Learner.estimate
    monkeypatch.setattr(Learner, "estimate", lambda *arguments: real(*arguments) * (torch.rand(()) + 0.5))


def start(inputs, folder, resume=False, **changes):
    settings = TrainingSettings(**(SETTINGS | changes))
    return prepare(settings, inputs, RunFolder(folder), Ranks(), resume=resume)


def assert_same(one, other, where="state"):
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name in one:
            if name != "seconds":  # how long a validation took
                assert_same(one[name], other[name], f"{where}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for place, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{where}[{place}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other, where


def assert_same_run(one, other):
    assert_same(RunFolder(one).load_state(), RunFolder(other).load_state())
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    logs = [
        [{name: record[name] for name in ("kind", "epoch", "step")} for record in RunFolder(folder).read_log()]
        for folder in (one, other)
    ]
    assert logs[0] == logs[1]


@pytest.fixture
def undisturbed(inputs, tmp_path):
    start(inputs, tmp_path / "undisturbed", log_every_steps=1).run()
    return tmp_path / "undisturbed"


@pytest.mark.parametrize("step", [3, 4, 7])
def test_interrupted_and_resumed_equals_uninterrupted(inputs, undisturbed, tmp_path, monkeypatch, step):
    real, steps = loop.main_step, []

    def interrupted(*arguments):
        steps.append(None)
        if len(steps) == step:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    monkeypatch.setattr(loop, "main_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start(inputs, tmp_path / "run", log_every_steps=1).run()
    monkeypatch.setattr(loop, "main_step", real)
    torch.manual_seed(99)  # whatever the random state was, the checkpoint's counts
    resumed = start(inputs, tmp_path / "run", resume=True, log_every_steps=1)
    assert resumed.steps_done == step
    resumed.run()
    assert_same_run(tmp_path / "run", undisturbed)


def test_killed_and_resumed_equals_uninterrupted(inputs, undisturbed, tmp_path, monkeypatch):
    real, steps = loop.main_step, []

    def killed(*arguments):
        steps.append(None)
        if len(steps) == 4:
            raise MemoryError
        return real(*arguments)

    monkeypatch.setattr(loop, "main_step", killed)
    with pytest.raises(MemoryError):
        start(inputs, tmp_path / "run", log_every_steps=1).run()
    monkeypatch.setattr(loop, "main_step", real)
    resumed = start(inputs, tmp_path / "run", resume=True, log_every_steps=1)
    assert resumed.steps_done == 2  # the last checkpoint
    resumed.run()
    assert_same_run(tmp_path / "run", undisturbed)


def test_more_epochs_go_on_from_the_end(inputs, undisturbed, tmp_path):
    start(inputs, tmp_path / "run", epochs=1, log_every_steps=1).run()
    start(inputs, tmp_path / "run", resume=True, log_every_steps=1).run()
    assert_same_run(tmp_path / "run", undisturbed)
    assert RunFolder(tmp_path / "run").read_description()["resumed_from"][0]["settings"]["epochs"] == 1


def test_the_run_remembers_its_settings_and_folders(inputs, tmp_path):
    start(inputs, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    assert settings_of_run(folder, TrainingSettings) == TrainingSettings(**SETTINGS)
    assert inputs_of_run(folder).stems == [str(path) for path in inputs.stems]
    description = folder.read_description()
    assert description["data"]["mined"]["excerpts"] == 3
    assert len(description["code"]["sha256"]) == 64
    assert description["versions"]["torch"] == torch.__version__.split("+")[0] or description["versions"]["torch"]
    assert description["settings"]["seed"] == 0
    assert set(description["data"]["train"]) | set(description["data"]["valid"]) == {"A - 1", "B - 2", "C - 3"}


def test_a_folder_with_a_run_is_not_started_over(inputs, tmp_path):
    start(inputs, tmp_path / "run")
    start(inputs, tmp_path / "run").save()  # nothing was lost before the first checkpoint
    with pytest.raises(UsageError, match="pass --resume"):
        start(inputs, tmp_path / "run")


def test_other_settings_are_not_resumed(inputs, tmp_path):
    start(inputs, tmp_path / "run").save()
    with pytest.raises(UsageError, match="seed was 0, is 1"):
        start(inputs, tmp_path / "run", resume=True, seed=1)


def test_a_resumed_run_has_its_own_settings_and_names_alone_what_may_not_change(inputs, tmp_path):
    start(inputs, tmp_path / "run").save()
    folder = RunFolder(tmp_path / "run")
    settings = settings_to_resume(folder, TrainingSettings, overrides=["epochs=1", "validation.overlap=0.5"])
    assert settings == TrainingSettings(
        **(SETTINGS | {"epochs": 1, "validation": ValidationSettings(seconds_per_track=0.5, overlap=0.5)})
    )
    prepare(settings, inputs, folder, Ranks(), resume=True)
    settings = settings_to_resume(folder, TrainingSettings, overrides=["ema.decay=0.5", "epochs=3"])
    with pytest.raises(UsageError) as refused:
        prepare(settings, inputs, folder, Ranks(), resume=True)
    message = str(refused.value)
    assert "ema.decay was 0.9, is 0.5. A resumed run may change epochs" in message
    assert "{" not in message
    assert "epochs was" not in message


def test_settings_of_an_earlier_version_are_resumed(inputs, tmp_path):
    start(inputs, tmp_path / "run", precision="bfloat16").save()
    path = tmp_path / "run" / "settings.json"
    path.write_text(path.read_text().replace("bfloat16", "bf16"))
    start(inputs, tmp_path / "run", resume=True, precision="bfloat16")


def test_checkpoints_come_by_time_too(inputs, tmp_path, monkeypatch):
    """However few steps ten minutes are, no more work is lost."""
    training = start(inputs, tmp_path / "run", checkpoint_every_steps=1000)
    training.schedule.every_seconds = 0.0
    saved = []
    monkeypatch.setattr(training, "save", lambda: saved.append(training.steps_done))
    training.run()
    assert saved == list(range(1, 9))


def test_other_data_are_not_resumed(inputs, tmp_path, mine):
    start(inputs, tmp_path / "run").save()
    mine(tmp_path / "other", {"y.mp3": {"drums": [5.0]}})
    with pytest.raises(DataError, match="not those that"):
        start(Inputs(inputs.stems, mined=tmp_path / "other"), tmp_path / "run", resume=True)


def test_another_number_of_processes_is_refused(inputs, tmp_path):
    training = start(inputs, tmp_path / "run")
    training.save()
    state = training.folder.load_state()
    training.folder.save_state({**state, "ranks": state["ranks"] * 2})
    with pytest.raises(DataError, match="made by 2 processes, this is 1"):
        start(inputs, tmp_path / "run", resume=True)


def test_a_damaged_checkpoint_is_said_so(inputs, tmp_path):
    start(inputs, tmp_path / "run").save()
    path = tmp_path / "run" / "resume.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="cannot be read"):
        start(inputs, tmp_path / "run", resume=True)


def test_a_checkpoint_appears_whole_or_not_at_all(inputs, tmp_path, monkeypatch):
    training = start(inputs, tmp_path / "run")
    training.save()
    before = (tmp_path / "run" / "resume.pt").read_bytes()

    def full_disk(state, path):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="no space"):
        training.save()
    assert (tmp_path / "run" / "resume.pt").read_bytes() == before
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"settings.json", "resume.pt"}


def test_a_checkpoint_of_another_format_is_refused(inputs, tmp_path):
    start(inputs, tmp_path / "run").run()
    path = tmp_path / "run" / "resume.pt"
    torch.save({**torch.load(path, weights_only=True), "format_version": 1}, path)
    with pytest.raises(DataError, match="format 1, this version reads 2"):
        start(inputs, tmp_path / "run", resume=True)
