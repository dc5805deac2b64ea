"""The loop and its parts, on batches made in memory."""

import json
import math

import pytest
import torch

from remix_miner.errors import DataError, UsageError
from remix_miner.runs.average import Ema
from remix_miner.runs.folder import RunFolder
from remix_miner.separators import build
from remix_miner.separators.loading import load_separator
from remix_miner.training.batches.samplers import RemixBatch, StemBatch
from remix_miner.training.learner import Learner
from remix_miner.training.loop import Training
from remix_miner.training.optimizers import OPTIMIZERS, OptimizerSettings, build_optimizer, learning_rate
from remix_miner.training.remix import RemixStepSettings
from remix_miner.training.run.distributed import Ranks, choose_device
from remix_miner.training.settings import EmaSettings, TrainingSettings, ValidationSettings
from remix_miner.training.steps import main_step, remix_step
from remix_miner.training.validation import Validation

FAST = OptimizerSettings(learning_rate=1e-2, decay_every_epochs=0)


class Batches:
    """As a Feed: ``make(generator)`` gives batch number 0, 1, 2, ..."""

    def __init__(self, make):
        self.make = make
        self.step = 0

    def __next__(self):
        self.step += 1
        return self.make(torch.Generator().manual_seed(self.step - 1))

    def state_dict(self):
        return {"step": self.step}

    def load_state_dict(self, state):
        self.step = state["step"]

    def close(self):
        pass


def learner_of(ranks=None, separator=None, **settings) -> Learner:
    torch.manual_seed(0)
    settings = {"batch_size": 2, "segment_seconds": 0.02, "optimizer": FAST, "log_every_steps": 1} | settings
    model = build("demucs", **({"channels": 4, "depth": 2, "sample_rate": 8000} | (separator or {})))
    return Learner(model, TrainingSettings(**settings), ranks or Ranks())


def stems_for(learner: Learner, items: int = 2, same: bool = False) -> Batches:
    def make(generator):
        if same:
            generator.manual_seed(7)
        return StemBatch(0.3 * torch.randn(items, 4, 2, learner.context_frames, generator=generator))

    return Batches(make)


def remixes_for(learner: Learner, items: int = 2) -> Batches:
    def make(generator):
        generator.manual_seed(7)
        isolated, rest = 0.3 * torch.randn(2, items, 2, learner.context_frames, generator=generator)
        valid = torch.ones(items, learner.context_frames, dtype=torch.bool)
        return RemixBatch(isolated, rest, 3, valid, torch.ones(items))

    return Batches(make)


def training_of(learner, folder, *, steps=5, remixes=False, validator=None, stems=None) -> Training:
    return Training(
        learner,
        stems or stems_for(learner),
        remixes_for(learner) if remixes else None,
        validator,
        RunFolder(folder),
        steps,
    )


class Scores:
    """A validator that gives prepared scores, in the order raw, ema, raw, ema, ..."""

    def __init__(self, *scores):
        self.scores = list(scores)
        self.tracks = []
        self.chosen = None

    def __call__(self, model):
        score = self.scores.pop(0)
        return Validation({"drums": score}, score, {"drums": 0.0}, 1, 0.1)


def test_both_losses_fall():
    learner = learner_of()
    stems, remixes = stems_for(learner, same=True), remixes_for(learner)
    main = [main_step(learner, stems) for _ in range(25)]
    assert main[-1] < 0.95 * main[0]
    learner = learner_of(remix=RemixStepSettings(learning_rate_ratio=1.0))
    remix = [remix_step(learner, remixes)["remix_isolated"] for _ in range(25)]
    assert remix[-1] < 0.95 * remix[0]


def test_the_remix_step_has_its_own_optimiser_at_a_tenth_of_the_rate():
    learner = learner_of()
    before = [parameter.detach().clone() for parameter in learner.model.parameters()]
    remix_step(learner, remixes_for(learner))
    moved = max((now - then).abs().max().item() for now, then in zip(learner.model.parameters(), before, strict=True))
    assert moved == pytest.approx(0.1 * FAST.learning_rate, rel=1e-3)  # Adam's first step is its rate
    assert not learner.optimizer.state
    assert learner.remix_optimizer.state
    learner.start_epoch(0)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in (learner.optimizer, learner.remix_optimizer)]
    assert rates[1] == pytest.approx(0.1 * rates[0])


def test_main_steps_leave_the_remix_optimiser_alone():
    learner = learner_of()
    main_step(learner, stems_for(learner))
    assert not learner.remix_optimizer.state


def test_remix_steps_come_with_their_probability(tmp_path):
    counts = {}
    for probability in (0.0, 0.25, 1.0):
        learner = learner_of(epochs=1, remix=RemixStepSettings(probability=probability), ema=EmaSettings(0))
        training = training_of(learner, tmp_path / str(probability), steps=40, remixes=True)
        training.run()
        counts[probability] = training.remixes.step
    assert counts[0.0] == 0
    assert 4 <= counts[0.25] <= 16
    assert counts[1.0] == 40


def test_accumulated_parts_make_the_step_of_the_whole_batch():
    whole = learner_of(batch_size=4, optimizer=OptimizerSettings(name="rmsprop", learning_rate=1e-3))
    parts = learner_of(batch_size=4, accumulate=2, optimizer=OptimizerSettings(name="rmsprop", learning_rate=1e-3))
    batch = next(stems_for(whole, items=4))
    loss = main_step(whole, iter([batch]))
    split = main_step(parts, iter([StemBatch(batch.stems[:2]), StemBatch(batch.stems[2:])]))
    assert split == pytest.approx(loss)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_clipping_bounds_the_gradient_at_its_true_scale(precision, monkeypatch):
    optimizer = OptimizerSettings(learning_rate=1e-3, clip_norm=0.5)
    learner = learner_of(precision=precision, optimizer=optimizer)
    seen = []

    def norm(*arguments, **keywords):
        seen.append(torch.stack([p.grad.norm() for p in learner.model.parameters()]).norm().item())

    learner.optimizer.register_step_pre_hook(norm)
    weights = torch.cat([parameter.flatten() for parameter in learner.model.parameters()])
    learner.backward(1000 * weights.square().mean())
    learner.update(learner.optimizer)
    assert seen == [pytest.approx(0.5, rel=1e-3)]
    assert all(parameter.grad is None for parameter in learner.model.parameters())


def test_bfloat16_estimates_come_back_as_float32():
    learner = learner_of(precision="bfloat16")
    estimates = learner.estimate(torch.randn(1, 2, learner.context_frames))
    assert estimates.dtype == torch.float32
    exact = learner_of().estimate(torch.randn(1, 2, learner.context_frames, generator=torch.Generator().manual_seed(0)))
    rough = learner.estimate(torch.randn(1, 2, learner.context_frames, generator=torch.Generator().manual_seed(0)))
    assert not torch.equal(exact, rough)
    torch.testing.assert_close(exact, rough, rtol=0.1, atol=0.02)


def test_a_nan_stops_the_run_and_keeps_the_batch(tmp_path):
    learner = learner_of(epochs=1)
    batch = next(stems_for(learner))
    batch.stems[1, 2, 0, 5] = math.nan
    batches = stems_for(learner)
    good = batches.make
    batches.make = lambda generator: batch if batches.step == 3 else good(generator)
    training = training_of(learner, tmp_path, stems=batches)
    training.save()
    with pytest.raises(DataError, match=r"loss is nan in step 2 .* kept in .*nonfinite-step-2\.pt"):
        training.run()
    kept = torch.load(tmp_path / "nonfinite-step-2.pt", weights_only=True)
    assert kept["stems"].isnan().nonzero().tolist() == [[1, 2, 0, 5]]
    assert all(parameter.isfinite().all() for parameter in learner.model.parameters())
    again = training_of(learner_of(epochs=1), tmp_path)
    again.resume()
    again.run()
    assert again.steps_done == 5


def test_the_best_of_raw_and_averaged_is_kept(tmp_path):
    learner = learner_of(epochs=3)
    training = training_of(learner, tmp_path, steps=2, validator=Scores(1.0, 3.0, 2.0, 2.5, 0.0, 1.0))
    best = training.run()
    assert (best["usdr_mean"], best["model"], best["epoch"]) == (3.0, "ema", 1)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [record["usdr_mean"] for record in records if record["kind"] == "validation"] == [1, 3, 2, 2.5, 0, 1]
    trained = json.loads((tmp_path / "model.json").read_text())["trained"]
    assert (trained["which"], trained["epoch"], trained["validation"]["usdr_mean"]) == ("ema", 1, 3.0)
    # what was kept is the average after two steps, not after six
    short = learner_of(epochs=1)
    training_of(short, tmp_path / "short", steps=2).run()
    kept = load_separator(tmp_path).state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in short.ema.model.state_dict().items())


def test_a_score_of_nan_never_counts_as_best(tmp_path):
    learner = learner_of(epochs=2, ema=EmaSettings(0))
    best = training_of(learner, tmp_path, steps=1, validator=Scores(math.nan, -3.0)).run()
    assert best["usdr_mean"] == -3.0


def test_validation_keeps_to_its_epochs(tmp_path):
    learner = learner_of(epochs=5, ema=EmaSettings(0), validation=ValidationSettings(every_epochs=2))
    scores = Scores(1.0, 2.0, 3.0)
    training_of(learner, tmp_path, steps=1, validator=scores).run()
    assert scores.scores == []  # after epochs 2, 4 and the last


def test_without_validation_the_last_model_is_kept(tmp_path):
    learner = learner_of(epochs=2, validation=ValidationSettings(every_epochs=0))
    assert training_of(learner, tmp_path, validator=Scores()).run() is None
    kept = load_separator(tmp_path).state_dict()
    assert all(torch.equal(kept[name], tensor) for name, tensor in learner.model.state_dict().items())


def test_the_log_has_each_branchs_loss(tmp_path):
    learner = learner_of(epochs=1, remix=RemixStepSettings(probability=1.0), log_every_steps=2)
    training_of(learner, tmp_path, steps=4, remixes=True).run()
    records = RunFolder(tmp_path).read_log()
    assert [(record["kind"], record["step"]) for record in records] == [("step", 2), ("step", 4)]
    assert {"loss", "remix_loss", "remix_isolated", "remix_rest", "learning_rate"} <= set(records[0])
    assert records[0]["remix_steps"] == 2


def test_ema_is_the_bias_corrected_average():
    model = torch.nn.Linear(1, 1, bias=False)
    ema = Ema(model, 0.9)
    values = [3.0, 5.0, 4.0]
    for value in values:
        model.weight.data.fill_(value)
        ema.update(model)
    by_hand = (0.81 * 3 + 0.9 * 5 + 4) / (0.81 + 0.9 + 1)
    assert ema.model.weight.item() == pytest.approx(by_hand, rel=1e-6)
    assert not ema.model.weight.requires_grad
    again = Ema(torch.nn.Linear(1, 1, bias=False), 0.9)
    again.load_state_dict(ema.state_dict())
    for one in (ema, again):
        one.update(model)
    assert torch.equal(ema.model.weight, again.model.weight)


def test_ema_follows_counters_and_statistics():
    model = torch.nn.BatchNorm1d(2)
    ema = Ema(model, 0.5)
    model(torch.full((4, 2), 10.0) + torch.randn(4, 2))
    ema.update(model)
    assert ema.model.num_batches_tracked == 1
    torch.testing.assert_close(ema.model.running_mean, model.running_mean)


def test_the_papers_learning_rates():
    settings = OptimizerSettings()
    assert [round(learning_rate(settings, epoch), 8) for epoch in (0, 159, 160, 319, 320, 399)] == [
        5e-4,
        5e-4,
        1e-4,
        1e-4,
        2e-5,
        2e-5,
    ]
    assert learning_rate(OptimizerSettings(decay_every_epochs=0), 1000) == 5e-4


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_trains_only_what_is_to_be_trained(name):
    free, frozen = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2), requires_grad=False)
    optimizer = build_optimizer([free, frozen], OptimizerSettings(name=name, learning_rate=0.1))
    (free.sum() + frozen.sum()).backward()
    optimizer.step()
    assert (free < 1).all()
    assert (frozen == 1).all()


def test_a_model_of_one_source_is_trained_on_that_source():
    learner = learner_of(separator={"sources": ("vocals",)})
    batch = StemBatch(torch.zeros(2, 4, 2, learner.context_frames))
    assert main_step(learner, iter([batch])) == pytest.approx(
        learner_of(separator={"sources": ("vocals",)}).estimate(batch.mixture).abs().mean().item()
    )
    remix_step(learner, remixes_for(learner))


def test_settings_are_checked_and_named():
    with pytest.raises(UsageError, match=r"remix\.teacher_weight needs the averaged model"):
        TrainingSettings(remix=RemixStepSettings(teacher_weight=0.1), ema=EmaSettings(0))
    with pytest.raises(UsageError, match="cannot be shared by 3 processes x accumulate 1"):
        TrainingSettings(batch_size=4).items_per_part(3)
    with pytest.raises(UsageError, match="unknown loss 'l7'"):
        TrainingSettings(loss="l7")
    with pytest.raises(UsageError, match=r"unknown optimizer.name 'adagrad'"):
        OptimizerSettings(name="adagrad")
    with pytest.raises(UsageError, match="unknown device"):
        choose_device("gpu")


def test_a_torn_log_line_is_left_out(tmp_path):
    folder = RunFolder(tmp_path)
    folder.log({"kind": "step", "step": 1, "loss": math.inf})
    folder.log({"kind": "step", "step": 2, "loss": 0.5})
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"kind": "st')
    assert [record["loss"] for record in folder.read_log()] == [None, 0.5]
    folder.truncate_log(1)
    assert [record["step"] for record in folder.read_log()] == [1]
