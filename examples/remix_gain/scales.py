"""How large the experiment is, and what is trained in it: one frozen set of numbers per scale."""

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Scale:
    """Songs are synthetic, each with its own instruments, tempo and key; every run seed has its own labelled songs."""

    labelled_songs: int
    unlabelled_songs: int
    valid_songs: int
    test_songs: int
    labelled_seconds: float
    unlabelled_seconds: float
    scored_seconds: float
    song_rate: int  # Hz at which songs lie on the disk; the detector hears 16 kHz
    model_rate: int
    model: dict[str, Any]
    segment_seconds: float
    batch_size: int
    epochs: int
    steps_per_epoch: int
    ema_decay: float
    seeds: tuple[int, ...]
    tuning_epochs: int
    learning_rates: tuple[float, ...]
    rate_ratios: tuple[float, ...]  # of the remix optimiser to the main one
    remix_probability: float = 1.0  # of a remix step after a main step
    min_seconds: float = 3.0  # shortest excerpt
    original_probability: float = 0.25  # share of original mixes in supervised batches, the rest are random mixes
    contaminations: tuple[float, ...] = field(default=(0.05, 0.2, 0.5))
    few_sources: tuple[str, ...] = ("bass", "vocals")  # of the arm 'oracle-few': what the default detector promises
    few_excerpts: int = 28  # of each of them: what it mined here


CPU = Scale(
    labelled_songs=3,
    unlabelled_songs=80,
    valid_songs=4,
    test_songs=30,
    labelled_seconds=30.0,
    unlabelled_seconds=45.0,
    scored_seconds=20.0,
    song_rate=16000,
    model_rate=8000,
    model={"channels": 16, "depth": 4, "audio_channels": 1, "lstm_layers": 1},
    segment_seconds=1.5,
    batch_size=8,
    epochs=6,
    steps_per_epoch=100,
    ema_decay=0.99,
    seeds=(0, 1, 2),
    tuning_epochs=3,
    learning_rates=(1e-3, 3e-3, 1e-2),
    rate_ratios=(0.3, 1.0),
)

SCALES = {
    "tiny": replace(
        CPU,
        labelled_songs=2,
        unlabelled_songs=6,
        valid_songs=1,
        test_songs=2,
        labelled_seconds=6.0,
        unlabelled_seconds=20.0,
        scored_seconds=4.0,
        model={"channels": 4, "depth": 2, "audio_channels": 1, "lstm_layers": 1},
        segment_seconds=0.5,
        batch_size=2,
        epochs=2,
        steps_per_epoch=4,
        seeds=(0, 1),
        tuning_epochs=1,
        learning_rates=(1e-3,),
        rate_ratios=(1.0,),
        min_seconds=1.0,
        contaminations=(0.5,),
    ),
    "cpu": CPU,
    "scarce": replace(CPU, labelled_songs=1),
    "gpu": replace(
        CPU,
        labelled_songs=20,
        unlabelled_songs=1000,
        valid_songs=14,
        test_songs=50,
        labelled_seconds=60.0,
        unlabelled_seconds=120.0,
        scored_seconds=60.0,
        song_rate=44100,
        model_rate=22050,
        model={"channels": 48, "depth": 6, "audio_channels": 2},
        segment_seconds=5.0,
        batch_size=32,
        epochs=60,
        steps_per_epoch=500,
        ema_decay=0.999,
        tuning_epochs=15,
        learning_rates=(1.5e-4, 5e-4),
        min_seconds=5.0,
    ),
}
