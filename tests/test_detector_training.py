"""Material, mixes, loss and loop of the detector."""

import dataclasses
import json
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from remix_miner.detector.loading import load_detector
from remix_miner.detector.training import loop
from remix_miner.detector.training.batches import DetectorBatches
from remix_miner.detector.training.effects import colour, colour_spectrum
from remix_miner.detector.training.material import Clip, Material, Pair, Song, load_loops, load_weak
from remix_miner.detector.training.mixing import ACTIVE_BLOCK, DetectorMixer, DetectorMixingSettings
from remix_miner.detector.training.run import train_detector
from remix_miner.detector.training.settings import DetectorTrainingSettings, NetworkSettings, learning_rate
from remix_miner.detector.training.targets import distillation_targets, masked_bce, silence_labels
from remix_miner.errors import DataError, UsageError
from remix_miner.settings_files import load_settings
from remix_miner.sources import SOURCES
from remix_miner.volume import active_rms

RATE = 16_000


def tone(frequency: float, seconds: float = 3.0) -> np.ndarray:
    wave = 0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)
    return np.round(wave * 32_767).astype(np.int16)


@pytest.fixture
def material() -> Material:
    stems = np.stack([tone(frequency, 6.0) for frequency in (3_000, 80, 700, 350)])
    loops = {source: [Clip(f"{source}.wav", source, tone(500 + 50 * i))] for i, source in enumerate(SOURCES)}
    return Material(songs=[Song("one", "artist", stems)], loops=loops, weak=[])


def small_settings(**changes: object) -> DetectorTrainingSettings:
    base = DetectorTrainingSettings(
        network=NetworkSettings(width=4, hidden=8),
        mixing=DetectorMixingSettings(segment_windows=30),
        steps=4,
        batch_size=3,
        validate_every=2,
    )
    return dataclasses.replace(base, **changes)


def test_labels_and_loss_by_hand() -> None:
    volumes = torch.tensor([[[-13.0, -12.9, torch.nan, -torch.inf]]])
    labels = silence_labels(volumes, -13.0)
    assert labels[0, 0, :2].tolist() == [1.0, 0.0]
    assert labels[0, 0, 2].isnan()
    assert labels[0, 0, 3] == 1.0
    # Three labelled windows at logit 0 cost log 2 each; two sources sum, and a source without labels costs nothing.
    two = torch.cat((labels, labels, torch.full_like(labels, torch.nan)), dim=1)
    assert masked_bce(torch.zeros(1, 3, 4), two).item() == pytest.approx(2 * np.log(2), rel=1e-6)


def test_a_mix_is_the_sum_of_its_stems_at_some_level(material: Material) -> None:
    mixer = DetectorMixer(material, DetectorMixingSettings(segment_windows=30, mastering=0.0))
    for seed in range(20):
        mix = mixer.draw(np.random.default_rng(seed))
        total = mix.stems.sum(axis=0)
        gain = float(mix.mixture @ total / (total @ total))
        assert np.allclose(mix.mixture, gain * total, atol=1e-5)
        assert mix.stems.any()
        assert mix.known.all()


def test_a_mix_depends_on_the_seed_alone_and_mutes_as_often_as_asked(material: Material) -> None:
    mixer = DetectorMixer(material, DetectorMixingSettings(segment_windows=20, mute=0.5, gate=0.0, original=0.3))
    first, again = (mixer.draw(np.random.default_rng(7)).mixture for _ in range(2))
    assert np.array_equal(first, again)
    silent = np.mean([~mixer.draw(np.random.default_rng(seed)).stems.any(axis=1) for seed in range(200)])
    assert 0.4 < silent < 0.6


def test_on_a_backing_only_the_vocals_are_known(material: Material) -> None:
    pair = Pair("pair", "singer", np.stack([tone(500, 6.0), tone(150, 6.0)]))
    paired = dataclasses.replace(material, pairs=[pair])
    settings = DetectorMixingSettings(segment_windows=20, backing=1.0, speed=0.0, colour=0.0, mastering=0.0)
    mixer = DetectorMixer(paired, settings)
    mixes = [mixer.draw(np.random.default_rng(seed)) for seed in range(40)]
    for mix in mixes:
        assert mix.known.tolist() == [False, False, False, True]
        assert not mix.stems[:2].any()
        assert mix.stems[2].any() or mix.stems[3].any()
    assert 0.2 < np.mean([not mix.stems[3].any() for mix in mixes]) < 0.7
    _, labels = DetectorBatches(paired, small_settings(mixing=settings), None)[0]
    assert labels[:, :3].isnan().all()
    assert not labels[:, 3].isnan().all()
    assert DetectorMixer(paired, dataclasses.replace(settings, backing=0.0)).draw(np.random.default_rng(0)).known.all()


def test_active_level_leaves_rests_out() -> None:
    part = np.concatenate((np.full(8_000, 0.5), np.zeros(8_000))).astype(np.float32)
    assert active_rms(part, ACTIVE_BLOCK) == pytest.approx(0.5)
    assert active_rms(np.zeros(100, dtype=np.float32), ACTIVE_BLOCK) == 0.0


def test_colour_is_linear_so_labels_of_stems_stay_true() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4_096)).astype(np.float32)
    spectrum = colour_spectrum(4_096, rng, depth_db=9.0, reverberant=True)
    assert np.allclose(colour(a + b, spectrum), colour(a, spectrum) + colour(b, spectrum), atol=1e-3)


def test_batches_do_not_depend_on_workers(material: Material) -> None:
    settings = small_settings()
    dataset = DetectorBatches(material, settings, None)
    direct = [dataset[step] for step in range(3)]
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, sampler=range(3), num_workers=2)
    for (heard, labels), (expected, expected_labels) in zip(loader, direct, strict=True):
        assert torch.equal(heard, expected)
        assert torch.equal(labels, expected_labels)


def read_log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def stop_at_step_3(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """A function that makes training call ``stop`` before its third step, once."""

    def arrange(stop: Callable[[], None]) -> None:
        real = loop.DetectorTraining._train_on

        def train_on(training: loop.DetectorTraining, batch: object) -> float:
            if training.step == 2:
                monkeypatch.setattr(loop.DetectorTraining, "_train_on", real)
                stop()
            return real(training, batch)

        monkeypatch.setattr(loop.DetectorTraining, "_train_on", train_on)

    return arrange


def test_an_interrupted_run_continues_as_if_nothing_had_happened(
    material: Material, tmp_path: Path, stop_at_step_3: Callable[[Callable[[], None]], None]
) -> None:
    whole = train_detector(material, material.songs, small_settings(), tmp_path / "whole")
    steps = [record["step"] for record in read_log(tmp_path / "whole") if record["kind"] == "step"]
    assert steps == [1, 2, 3, 4]
    assert [record["step"] for record in read_log(tmp_path / "whole") if record["kind"] == "validation"] == [2, 4]
    assert whole["validation_auc"].keys() == set(SOURCES)

    class Stop(Exception):
        pass

    def crash() -> None:
        raise Stop

    stop_at_step_3(crash)
    with pytest.raises(Stop):
        train_detector(material, material.songs, small_settings(checkpoint_every=1), tmp_path / "cut")
    with pytest.raises(UsageError, match="--resume"):
        train_detector(material, material.songs, small_settings(), tmp_path / "cut")
    with pytest.raises(UsageError, match="other settings: seed was 0, is 1"):
        train_detector(material, material.songs, small_settings(seed=1), tmp_path / "cut", resume=True)
    other = dataclasses.replace(material, loops={})
    with pytest.raises(DataError, match="material is not what"):
        train_detector(other, material.songs, small_settings(), tmp_path / "cut", resume=True)
    train_detector(material, material.songs, small_settings(), tmp_path / "cut", resume=True)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    loaded = load_detector(tmp_path / "cut")
    assert loaded.model.settings["width"] == 4
    assert not loaded.model.training


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_ctrl_c_keeps_a_checkpoint_and_resuming_is_exact(
    material: Material, tmp_path: Path, stop_at_step_3: Callable[[Callable[[], None]], None]
) -> None:
    settings = small_settings(validate_every=1000, steps=5)
    train_detector(material, material.songs, settings, tmp_path / "whole")
    stop_at_step_3(lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train_detector(material, material.songs, settings, tmp_path / "cut")
    assert [record["step"] for record in read_log(tmp_path / "cut")] == [1, 2, 3]
    # A killed process left records after the checkpoint, half a line, and a half written file.
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:
        log.write('{"kind": "step", "step": 4, "loss": 9.0}\n{"kind": "st')
    (tmp_path / "cut" / ".model.tmp-123.safetensors").write_bytes(b"half")
    train_detector(material, material.songs, settings, tmp_path / "cut", resume=True)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert read_log(tmp_path / "cut") == read_log(tmp_path / "whole")
    assert {path.name for path in (tmp_path / "cut").iterdir()} == {
        "settings.json", "log.jsonl", "model.json", "model.safetensors", "resume.pt"
    }  # fmt: skip


def test_a_separators_run_is_not_resumed_as_a_detectors(material: Material, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"kind": "separator", "settings": {}, "data": {}, "model": {}}')
    (tmp_path / "resume.pt").write_bytes(b"")
    with pytest.raises(UsageError, match="resume it with remix-miner train"):
        train_detector(material, material.songs, small_settings(), tmp_path, resume=True)


def test_it_learns_to_tell_a_tone_from_a_tone(material: Material, tmp_path: Path) -> None:
    easy = Material(material.songs, {source: [] for source in SOURCES}, [])
    mixing = DetectorMixingSettings(segment_windows=20, original=0.0, speed=0.0, colour=0.0, mastering=0.0, quiet=0.0)
    # Twice the steps that half of the seeds need: rounding differs from machine to machine as seeds do.
    settings = small_settings(
        network=NetworkSettings(width=8, hidden=16),
        mixing=mixing, steps=120, batch_size=4, learning_rate=5e-3, warmup_steps=5, ema_decay=0.8, validate_every=120,
    )  # fmt: skip
    areas = train_detector(easy, easy.songs, settings, tmp_path)["validation_auc"]
    assert np.mean([area for area in areas.values() if area is not None]) > 0.9


def test_a_teacher_has_its_share_and_speaks_alone_where_a_source_is_not_known() -> None:
    """0.8 beside labels of 1 and 0; the last window has no label at all, since its mixture may be silent."""
    labels = torch.tensor([[[1.0, 0.0, torch.nan], [torch.nan, torch.nan, torch.nan]]])
    mixed = distillation_targets(labels, torch.zeros(1, 10), lambda audio: torch.full((1, 2, 3), math.log(4)), 0.25)  # type: ignore[arg-type]
    expected = torch.tensor([[[0.95, 0.2, torch.nan], [0.8, 0.8, torch.nan]]])
    assert torch.allclose(mixed, expected, equal_nan=True)


def test_a_pupil_becomes_like_its_teacher(material: Material, tmp_path: Path) -> None:
    """With no label of its own, another network comes to the teacher's probabilities, which is no label's."""
    train_detector(material, material.songs, small_settings(), tmp_path / "teacher")
    teacher = load_detector(tmp_path / "teacher")
    with torch.no_grad():
        teacher.model.head[-1].bias.copy_(torch.tensor([-2.0, -0.5, 0.5, 2.0]))
    settings = small_settings(
        network=NetworkSettings("light", width=4, hidden=8), teacher_share=1.0, steps=60, batch_size=2,
        learning_rate=2e-2, warmup_steps=5, ema_decay=0.8, validate_every=60,
    )  # fmt: skip
    train_detector(material, material.songs, settings, tmp_path / "pupil", teacher=teacher)
    heard = torch.from_numpy(DetectorMixer(material, settings.mixing).draw(np.random.default_rng(5)).mixture[None])
    pupil = load_detector(tmp_path / "pupil")
    with torch.no_grad():
        said, expected = (torch.sigmoid(one.model(heard)).mean(dim=2) for one in (pupil, teacher))
    assert (said - expected).abs().max() < 0.15
    assert pupil.description["teacher"]["sha256"] == teacher.sha256
    with pytest.raises(UsageError, match="another teacher"):
        train_detector(material, material.songs, settings, tmp_path / "pupil", resume=True)


def test_weak_labels_leave_the_unknown_out(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", np.zeros(RATE * 4), RATE)
    (tmp_path / "labels.csv").write_text(
        "path,source,start_seconds,end_seconds,silent\nsong.wav,vocals,0.0,2.0,1\nsong.wav,vocals,3.0,4.0,0\n"
    )
    (song,) = load_weak(tmp_path / "labels.csv")
    vocals = song.silent[SOURCES.index("vocals")]
    assert np.isnan(song.silent[:3]).all()
    # Window w is labelled where [0.064 w - 0.32, 0.064 w + 0.32] lies inside an interval.
    assert np.flatnonzero(vocals == 1).tolist() == list(range(5, 27))
    assert np.flatnonzero(vocals == 0).tolist() == list(range(52, 58))
    (tmp_path / "labels.csv").write_text("path,source,start_seconds,end_seconds,silent\nsong.wav,voice,0,1,1\n")
    with pytest.raises(DataError, match="line 2"):
        load_weak(tmp_path / "labels.csv")


def test_loops_come_from_source_folders_and_a_broken_file_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="isolated recordings"):
        load_loops([tmp_path])
    (tmp_path / "drums" / "set").mkdir(parents=True)
    soundfile.write(tmp_path / "drums" / "set" / "a.flac", np.random.default_rng(0).uniform(-0.5, 0.5, 22_050), 22_050)
    (clip,) = load_loops([tmp_path], cache=tmp_path / "cache")["drums"]
    assert len(clip.audio) == RATE
    assert np.array_equal(load_loops([tmp_path], cache=tmp_path / "cache")["drums"][0].audio, clip.audio)
    (tmp_path / "drums" / "b.wav").write_bytes(b"not audio")
    with pytest.raises(Exception, match=r"b\.wav"):
        load_loops([tmp_path])


def test_recipes_state_what_the_paper_states() -> None:
    paper = load_settings(DetectorTrainingSettings, "detector_paper")
    assert (paper.learning_rate, paper.batch_size, paper.epochs, paper.silent_db) == (5e-4, 64, 40, -13.0)
    assert paper.network.network == "paper"
    assert paper.mixing.segment_windows * 1024 / RATE == pytest.approx(5.0, abs=0.1)
    assert [learning_rate(paper, step, 100) for step in (0, 99)] == [5e-4, 5e-4]
    for stage in (
        "detector_default",
        "detector_default_2",
        "detector_default_3",
        "detector_default_4",
        "detector_default_5",
    ):
        assert load_settings(DetectorTrainingSettings, stage).network.network == "small"
