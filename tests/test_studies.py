"""Studies: perturbed songs, settings of arms, verdicts, and a whole study that is interrupted and resumed."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from remix_miner.cli import app
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.errors import DataError, UsageError
from remix_miner.studies import runner
from remix_miner.studies.catalogue import STUDIES, find_study
from remix_miner.studies.perturbation import Perturbation, perturb
from remix_miner.studies.perturbed_corpus import write_perturbed
from remix_miner.studies.plan import ORIGINAL, Arm, Claim
from remix_miner.studies.runner import Run
from remix_miner.studies.scale import SCALES, load_scale
from remix_miner.studies.verdict import bootstrap, judge
from remix_miner.synthesis.corpus import write_corpus

RATE = 8000

TINY = """
name = "tiny"
updates = 2
seeds = [0, 1]
test_seconds = 2
[training]
batch_size = 2
segment_seconds = 0.5
resample = true
[training.separator]
name = "demucs"
settings = { audio_channels = 1, sample_rate = 8000, segment_seconds = 0.5, channels = 2, depth = 2, lstm_layers = 0 }
[training.ema]
decay = 0.9
"""


def impulses() -> np.ndarray:
    stems = np.zeros((4, 1, RATE), dtype=np.float32)
    stems[:, 0, RATE // 2] = 1
    return stems


def test_each_stem_moves_by_its_own_shift_of_at_most_the_one_asked_for() -> None:
    moved = perturb(impulses(), RATE, Perturbation(time_shift_seconds=0.25), np.random.default_rng(3))
    places = moved[:, 0].argmax(axis=-1)
    assert len(set(places.tolist())) == 4
    assert np.abs(places - RATE // 2).max() <= RATE // 4
    assert (moved.sum(axis=-1) == 1).all()


def test_a_larger_shift_of_one_seed_is_the_same_shift_enlarged() -> None:
    small, large = (
        perturb(impulses(), RATE, Perturbation(time_shift_seconds=seconds), np.random.default_rng(3))[:, 0].argmax(-1)
        for seconds in (0.1, 0.2)
    )
    assert np.abs((large - RATE // 2) - 2 * (small - RATE // 2)).max() <= 1


def test_a_shift_beyond_the_song_leaves_silence_and_no_error() -> None:
    stems = impulses()
    before = stems.copy()
    moved = perturb(stems, RATE, Perturbation(time_shift_seconds=60), np.random.default_rng(0))
    assert moved.sum() < 4
    assert (stems == before).all()


def test_pitch_shifts_change_the_pitch_by_whole_semitones() -> None:
    pytest.importorskip("python_stretch")
    tone = np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE, dtype=np.float32)
    moved = perturb(np.tile(tone, (4, 1, 1)), RATE, Perturbation(semitones=3), np.random.default_rng(5))
    peaks = np.abs(np.fft.rfft(moved[:, 0] * np.hanning(4 * RATE))).argmax(axis=-1) / 4
    steps = 12 * np.log2(peaks / 440)
    assert np.abs(steps - steps.round()).max() < 0.1
    assert 0 < np.abs(steps).max() <= 3.1


@pytest.mark.parametrize("wrong", [{"time_shift_seconds": -1}, {"time_shift_seconds": np.nan}, {"semitones": 13}])
def test_impossible_shifts_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="shift"):
        Perturbation(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("scale", sorted(path.stem for path in SCALES.glob("*.toml")))
def test_every_arm_of_every_study_is_a_valid_training_run_at_every_scale(name: str, scale: str) -> None:
    study, chosen = find_study(name), load_scale(scale)
    settings = [chosen.settings_of(arm, seed=1) for arm in study.arms]
    assert {(each.steps_per_epoch, each.epochs, each.seed) for each in settings} == {(chosen.updates, 1, 1)}
    assert study.claims


def test_a_share_of_unique_mixes_is_of_all_examples() -> None:
    settings = load_scale("cpu").settings_of(Arm("R", unique_share=0.1), seed=0)
    assert settings.mixing.unique_mixes == 480  # a tenth of 600 updates of 8 examples


def run_of(arm: str, seed: int, values: dict[str, float]) -> Run:
    return Run(arm, seed, {ORIGINAL: {song: {"drums": [value]} for song, value in values.items()}}, 1, 0.0)


def test_verdicts_need_intervals_that_exclude_zero() -> None:
    songs = {f"song {number}": float(number) for number in range(6)}
    runs = [run_of("b", seed, songs) for seed in (0, 1)]
    for difference, outcome in ((1.0, "agrees"), (-1.0, "disagrees")):
        better = [run_of("a", seed, {song: value + difference for song, value in songs.items()}) for seed in (0, 1)]
        verdict = judge(Claim("a", "b", "here"), [*runs, *better], artists={})
        assert (verdict.outcome, verdict.difference.mean_db, verdict.songs, verdict.seeds) == (
            outcome,
            difference,
            6,
            2,
        )
    mixed = {song: value + (1 if number % 2 else -1) for number, (song, value) in enumerate(songs.items())}
    assert judge(Claim("a", "b", "here"), [*runs, run_of("a", 0, mixed)], artists={}).outcome == "undecided"


def test_songs_of_one_artist_count_as_one_draw() -> None:
    table = np.array([[1.0, 1.0, 1.0, -1.0]])
    one_each = bootstrap(table, ["a", "b", "c", "d"])
    three_of_one = bootstrap(table, ["a", "a", "a", "d"])
    assert three_of_one.low_db == -1 < one_each.low_db


def test_silent_references_are_left_out_of_a_difference() -> None:
    runs = [run_of(arm, 0, {"sung": value, "silent": np.nan}) for arm, value in (("a", 2.0), ("b", 1.0))]
    assert judge(Claim("a", "b", "here"), runs, artists={}).songs == 1


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    write_corpus(folder, 4, 4.0, seed=5)
    return folder / "stems"


def test_perturbed_songs_are_a_corpus_that_loads(stems: Path, tmp_path: Path) -> None:
    tracks = load_stem_tracks(stems)
    write_perturbed(tracks, tmp_path / "out", Perturbation(time_shift_seconds=0.5), seed=1)
    copies = {track.name: track for track in load_stem_tracks(tmp_path / "out")}
    assert {(name, copy.split) for name, copy in copies.items()} == {(track.name, track.split) for track in tracks}
    for track in tracks:
        expected = perturb(
            track.read(), track.sample_rate, Perturbation(0.5), np.random.default_rng([1, *track.name.encode()])
        )
        np.testing.assert_array_equal(copies[track.name].read(), expected)


def test_a_study_resumes_and_reports(stems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    arguments = ["study", "song-level-mixes", "--stems", str(stems), "--scale", str(tmp_path / "tiny.toml"),
                 "--out", str(tmp_path / "out"), "--device", "cpu", "--json"]  # fmt: skip
    trained = []

    def counted(*given: object) -> object:
        if len(trained) == 3:
            raise KeyboardInterrupt
        trained.append(given[3])
        return real(*given)  # type: ignore[arg-type]

    real = runner._train_and_score
    monkeypatch.setattr(runner, "_train_and_score", counted)
    assert CliRunner().invoke(app, arguments).exit_code != 0
    stored = {path: path.read_bytes() for path in (tmp_path / "out" / "results").glob("*.json")}
    assert len(stored) == 3
    monkeypatch.setattr(runner, "_train_and_score", real)
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    result = json.loads(done.stdout)
    assert all(path.read_bytes() == content for path, content in stored.items())
    assert set(result["arms"][ORIGINAL]) == {"original", "random songs", "R=0.09%"}
    assert {claim["outcome"] for claim in result["claims"]} <= {"agrees", "disagrees", "undecided"}
    for name in ("study.json", "study.txt", "study.png"):
        assert (tmp_path / "out" / name).stat().st_size > 0


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(DataError, match=r"x\.json"):
        runner.read_run(path)


def test_an_unknown_study_or_scale_is_refused() -> None:
    with pytest.raises(UsageError, match="random-mix-share"):
        find_study("nothing")
    with pytest.raises(UsageError, match="cpu, gpu"):
        load_scale("nothing")
