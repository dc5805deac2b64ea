"""Settings: what cannot be is refused by the setting's name, whether it comes from a file, --set or Python."""

import dataclasses
import importlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import pytest

import remix_miner
from remix_miner.config import UNLESS_STATED, Bounds, Settings, check_arguments
from remix_miner.detector.training.settings import DetectorTrainingSettings
from remix_miner.errors import UsageError
from remix_miner.separators import build
from remix_miner.settings_files import load_settings
from remix_miner.training.settings import TrainingSettings


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (f"epochs={10**25}", "epochs must be at least 1 and at most 1000000, got 1e"),
        ("epochs=1e25", "setting 'epochs' is int, got 1e"),
        ("epochs=0", "epochs must be at least 1"),
        ("optimizer.learning_rate=inf", "optimizer.learning_rate must be a finite number, got inf"),
        ("optimizer.learning_rate=-1e-3", "optimizer.learning_rate must be above 0"),
        ("optimizer.betas=[0.9, nan]", "optimizer.betas must be a finite number, got nan"),
        ("optimizer.betas=[0.9, 1.0]", "optimizer.betas must be at least 0 and below 1, got 1"),
        ("remix.rest_weight=nan", "remix.rest_weight must be a finite number"),
        ("corpus_weights=[1.0, nan]", "corpus_weights must be a finite number"),
        ("corpus_weights=[-1.0]", "corpus_weights must be at least 0 and at most 1000000, got -1"),
        ("ema.decay=1", "ema.decay must be at least 0 and below 1, got 1"),
        ("mixing.pitch_tempo.semitones=13", "mixing.pitch_tempo.semitones must be at least 0 and at most 12"),
        ("augment.gain_max=0.5", "augment.gain_min must be at most gain_max"),
        ("seed=-1", "seed must be at least 0"),
        ("precision=double", "setting 'precision' is one of float32, bfloat16, float16"),
    ],
)
def test_impossible_settings_of_separator_training_are_named(override: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        load_settings(TrainingSettings, overrides=[override])
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("override", "name"),
    [
        ("network.floor=nan", "network.floor"),
        ("network.width=1000000000", "network.width"),
        ("learning_rate=-inf", "learning_rate"),
        ("silent_db=nan", "silent_db"),
        ("mixing.mute=1", "mixing.mute"),
        ("mixing.quiet_range_db=[-32.0, inf]", "mixing.quiet_range_db"),
        ("steps=0", "steps"),
    ],
)
def test_impossible_settings_of_detector_training_are_named(override: str, name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} must be"):
        load_settings(DetectorTrainingSettings, overrides=[override])


def test_python_is_checked_as_files_are() -> None:
    with pytest.raises(UsageError, match="epochs must be at least 1"):
        TrainingSettings(epochs=0)
    with pytest.raises(UsageError, match="precision is one of"):
        TrainingSettings(precision="half")  # type: ignore[arg-type]


def test_names_of_earlier_versions_are_understood() -> None:
    for old, new in (("bf16", "bfloat16"), ("fp16", "float16"), ("float32", "float32")):
        assert load_settings(TrainingSettings, overrides=[f"precision={old}"]).precision == new


def test_settings_may_start_from_those_of_a_run() -> None:
    base = {"epochs": 7, "ema": {"decay": 0.5}, "optimizer": {"learning_rate": 0.1, "decay": 0.3}}
    settings = load_settings(TrainingSettings, overrides=["optimizer.decay=0.4"], base=base)
    assert (settings.epochs, settings.ema.decay) == (7, 0.5)
    assert (settings.optimizer.learning_rate, settings.optimizer.decay) == (0.1, 0.4)
    assert base["optimizer"] == {"learning_rate": 0.1, "decay": 0.3}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 10**9}, "channels must be at least 1 and at most 4096, got 1000000000"),
        ({"channels": "many"}, "setting 'channels' is int, got 'many'"),
        ({"channels": 4.5}, "setting 'channels' is int"),
        ({"normalize": 1}, "setting 'normalize' is bool"),
        ({"segment_seconds": math.nan}, "segment_seconds must be a finite number"),
        ({"sources": 3}, "setting 'sources' is a list"),
        ({"rescale": "strongly"}, "setting 'rescale' is float"),
    ],
)
def test_a_separators_constructor_is_checked_by_type(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refused:
        build("demucs", **settings)
    assert message in str(refused.value)


def test_null_is_none_where_a_setting_may_be_absent() -> None:
    settings = load_settings(TrainingSettings, overrides=["separator.settings.rescale=null"]).separator.settings
    model = build("demucs", channels=2, depth=1, **settings)
    assert model.settings["rescale"] is None
    with pytest.raises(UsageError, match="setting 'channels' is int"):
        build("demucs", channels="null")


def test_bounds_say_what_is_inside() -> None:
    assert [value in Bounds(0, below=1) for value in (-0.1, 0, 0.9, 1)] == [False, True, True, False]
    assert [value in Bounds(above=0, most=2) for value in (0, 0.1, 2, 2.1)] == [False, True, True, False]
    assert str(Bounds(above=0, most=2)) == "above 0 and at most 2"

    @dataclass(frozen=True)
    class Inner(Settings):
        rates: Annotated[tuple[float, ...], Bounds(0, 1)] = ()
        free: float = 3.0

    @dataclass(frozen=True)
    class Outer(Settings):
        inner: Inner = field(default_factory=Inner)

    with pytest.raises(UsageError, match=r"^inner\.rates must be at least 0 and at most 1, got 2"):
        load_settings(Outer, overrides=["inner.rates=[0.5, 2]"])
    with pytest.raises(UsageError, match="free must be at least -1000000 and at most 1000000"):
        Inner(free=1e9)
    assert check_arguments(lambda a, b: None, {"a": 1, "b": "x"}) == {"a": 1, "b": "x"}


OF_SETTINGS = re.compile(r"^class (\w*(?:Settings|Options|Limits|Engine|Scale))\b", re.MULTILINE)
CHECKED_ELSEWHERE = {
    "MineSettings": "mine() makes `ScanSettings` of them",
    "RemineSettings": "remine() makes `ScanSettings` of them",
    "ArchiveLimits": "computed from the reference tracks",
}
"""Dataclasses that hold settings and state no bounds, and the reason."""


def settings_classes() -> list[type]:
    """All dataclasses of settings in the package, found by their names."""
    root = Path(remix_miner.__file__).parent
    found = []
    for path in sorted(root.rglob("*.py")):
        names = OF_SETTINGS.findall(path.read_text(encoding="utf-8"))
        if names:
            module = importlib.import_module(".".join(["remix_miner", *path.relative_to(root).with_suffix("").parts]))
            found += [getattr(module, name) for name in names if dataclasses.is_dataclass(getattr(module, name))]
    return found


def numbers(hint: object) -> Iterator[Bounds | None]:
    """The bounds of each number in a type, None for one without."""
    if get_origin(hint) is Annotated:
        kind, *stated = get_args(hint)
        bounds = next((part for part in stated if isinstance(part, Bounds)), None)
        yield from (bounds or inner for inner in numbers(kind))
    elif hint in (int, float):
        yield None
    elif get_origin(hint) is not Literal:
        for inner in get_args(hint):
            yield from numbers(inner)


def test_every_number_of_every_setting_has_two_bounds() -> None:
    classes = {kind.__name__: kind for kind in settings_classes()}
    assert len(classes) > 25
    for name, kind in classes.items():
        hints = get_type_hints(kind, include_extras=True)
        found = [(field.name, bounds) for field in dataclasses.fields(kind) for bounds in numbers(hints[field.name])]
        if not issubclass(kind, Settings):
            assert name in CHECKED_ELSEWHERE or not found, f"{name} is no subclass of Settings"
            continue
        for setting, stated in found:
            bounds = stated or UNLESS_STATED  # which `Settings` applies
            assert 1e300 not in bounds, f"{name}.{setting} has no upper bound"
            assert math.inf not in bounds
            assert -1e300 not in bounds or name in LOWER_BOUND_IN_WORDS, f"{name}.{setting} has no lower bound"


LOWER_BOUND_IN_WORDS = {"CalibrationSettings", "ThresholdSettings", "Engine"}
"""A check of their own, with a message that says more, refuses what is too small."""


@pytest.mark.parametrize("override", ["stride_seconds=1e300", "clip_norm=1e300", "stride_seconds=1e4"])
def test_numbers_that_no_run_has_are_refused(override: str) -> None:
    with pytest.raises(UsageError, match=f"^{override.partition('=')[0]} must be above 0 and at most"):
        load_settings(DetectorTrainingSettings, overrides=[override])
