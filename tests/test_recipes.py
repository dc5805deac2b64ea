"""The recipes for separators: they load, say what the papers say, and state only what differs from the defaults."""

import pytest
import torch

from remix_miner.config import to_mapping
from remix_miner.separators import build
from remix_miner.settings_files import RECIPES, load_settings, read_toml
from remix_miner.training.settings import TrainingSettings

NAMES = [
    "demucs_paper",
    "demucs_remix",
    "demucs_simplified",
    "demucs_v2",
    "few_songs",
    "kuielab_mixer",
    "kuielab_tfc_tdf",
    "tiny_cpu",
    "tiny_roformer",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_states_only_what_differs(name):
    recipe, defaults = read_toml(RECIPES / f"{name}.toml"), to_mapping(TrainingSettings())
    for setting, value in recipe.items():
        if isinstance(value, dict) and setting != "separator":
            for inner, inner_value in value.items():
                assert inner_value != defaults[setting][inner], f"{setting}.{inner}"
        else:
            assert value != defaults[setting], setting


@pytest.mark.parametrize("name", NAMES)
def test_a_recipes_separator_can_be_built(name):
    settings = load_settings(TrainingSettings, name)
    with torch.device("meta"):
        build(settings.separator.name, **settings.separator.settings)


def test_the_papers_training():
    settings = load_settings(TrainingSettings, "demucs_remix")
    assert (settings.epochs, settings.batch_size, settings.loss) == (400, 128, "l1")
    assert settings.optimizer.learning_rate == 5e-4
    assert (settings.optimizer.decay_every_epochs, settings.optimizer.decay) == (160, 0.2)
    assert (settings.remix.probability, settings.remix.rest_weight) == (0.25, 1e-6)
    assert (settings.mixing.order, settings.mixing.stride_seconds) == ("extracts", 0.5)
    assert build("demucs", channels=1).segment_seconds == 5.0
    assert settings.augment.flip_per_channel
    assert load_settings(TrainingSettings, "demucs_paper").remix.probability == 0


def test_the_papers_remixes_are_the_recipes() -> None:
    excerpts = load_settings(TrainingSettings, "demucs_remix").excerpts
    assert not excerpts.match_level
    assert not excerpts.redraw_silent


def test_kuielabs_training() -> None:
    """Pitch and tempo are drawn for each stem, and no other augmentation is listed (section 3 and the public code)."""
    settings = load_settings(TrainingSettings, "kuielab_tfc_tdf")
    pitch_tempo = settings.mixing.pitch_tempo
    assert (pitch_tempo.semitones, pitch_tempo.tempo, pitch_tempo.consistent) == (2, 0.2, False)
    assert (settings.augment.swap_probability, settings.augment.flip_probability) == (0, 0)


def test_the_simplified_reports_training():
    settings = load_settings(TrainingSettings, "demucs_simplified")
    assert (settings.epochs, settings.batch_size, settings.segment_seconds) == (240, 8, 10.0)
    assert (settings.separator.name, settings.separator.settings) == ("demucs_v1", {"channels": 64})
    assert settings.optimizer.learning_rate == 3e-4
    assert settings.validation.every_epochs == 10
    assert build("demucs_v1", channels=1).normalize
