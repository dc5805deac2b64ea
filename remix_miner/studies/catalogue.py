"""The studies by name."""

from collections.abc import Callable

from remix_miner.errors import UsageError
from remix_miner.studies.papers import cacophony, demucs, kuielab, mvsep
from remix_miner.studies.plan import Study

STUDIES: dict[str, Callable[[], Study]] = {
    "random-mix-share": cacophony.random_mix_share,
    "training-dynamics": cacophony.training_dynamics,
    "unique-mixes": cacophony.unique_mixes,
    "test-shifts": cacophony.test_shifts,
    "train-shifts": cacophony.train_shifts,
    "song-level-mixes": cacophony.song_level_mixes,
    "demucs-ablation": demucs.demucs_ablation,
    "simplified-demucs": demucs.simplified_demucs,
    "mixer": kuielab.mixer,
    "ensemble-order": mvsep.ensemble_order,
}
"""To add a study: one function in the file of its paper, one line here."""


def find_study(name: str) -> Study:
    """Return the study ``name``; `UsageError` lists the known ones."""
    if name not in STUDIES:
        raise UsageError(f"unknown study {name!r}; choose among {', '.join(STUDIES)}")
    return STUDIES[name]()
