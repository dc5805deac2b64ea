"""Studies: perturbed songs, settings of arms, verdicts, and a whole study that is interrupted and resumed."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from remix_miner.cli import app
from remix_miner.datasets.corpora import load_stem_tracks
from remix_miner.errors import DataError, UsageError
from remix_miner.studies import dynamics, runner
from remix_miner.studies.bench import Bench
from remix_miner.studies.catalogue import STUDIES, find_study
from remix_miner.studies.perturbation import Perturbation, perturb
from remix_miner.studies.perturbed_corpus import write_perturbed
from remix_miner.studies.plan import ORIGINAL, Arm, Claim
from remix_miner.studies.runner import Run
from remix_miner.studies.scale import SCALES, load_scale
from remix_miner.studies.songs import Split, StudySongs, prepare_songs
from remix_miner.studies.verdict import bootstrap, judge
from remix_miner.synthesis.corpus import write_corpus
from remix_miner.training.targets import build_model

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

[studies.mixer.options]
one_n_fft = 128
n_fft = { vocals = 192, drums = 128, bass = 512, other = 256 }
[studies.mixer.training.separator]
name = "tfc_tdf_v2"
[studies.mixer.training.separator.settings]
audio_channels = 1
sample_rate = 8000
segment_seconds = 0.5
hop_frames = 32
bins = 64
growth = 2
levels = 2
[studies.mixer.options.demucs.separator]
name = "demucs_v2"
settings = { audio_channels = 1, sample_rate = 8000, segment_seconds = 0.5, channels = 2, depth = 2, lstm_layers = 0 }

[studies.ensemble-order.options.members.a]
[studies.ensemble-order.options.members.b]
loss = "mse"
[studies.ensemble-order.options.members.c]
seed = 1
[studies.ensemble-order.options.vocals.separator.settings]
sources = ["vocals"]

[studies.training-dynamics]
updates = 8
[studies.training-dynamics.options]
chunks = 2
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
    study, chosen = find_study(name), load_scale(scale).for_study(name)
    settings = [chosen.settings_of(arm, seed=1) for arm in study.arms]
    assert {(each.steps_per_epoch, each.epochs, each.seed) for each in settings} == {(chosen.updates, 1, 1)}
    assert study.claims


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("scale", sorted(path.stem for path in SCALES.glob("*.toml")))
def test_the_model_of_every_arm_can_be_built(name: str, scale: str) -> None:
    chosen = load_scale(scale).for_study(name)
    for arm in find_study(name).arms:
        with torch.device("meta"):
            build_model(chosen.settings_of(arm, seed=0))


def test_a_study_has_the_values_that_the_scale_states_for_it() -> None:
    scale = load_scale("gpu")
    ablation = scale.for_study("demucs-ablation")
    assert (scale.training["loss"], ablation.training["loss"]) == ("mse", "l1")
    assert ablation.settings_of(Arm("x"), 0).mixing.loudness_lufs is None  # tables are replaced, not merged
    with pytest.raises(UsageError, match="upates"):
        dataclasses.replace(scale, studies={"mixer": {"upates": 3}}).for_study("mixer")


def test_a_share_of_unique_mixes_is_of_all_examples() -> None:
    settings = load_scale("cpu").settings_of(Arm("R", unique_share=0.1), seed=0)
    assert settings.mixing.unique_mixes == 240  # a tenth of 600 updates of 4 examples


def test_a_share_of_the_music_is_a_stride_of_fixed_extracts() -> None:
    mixing = load_scale("cpu").settings_of(Arm("chunks", music_share=0.25), seed=0).mixing
    assert (mixing.order, mixing.stride_seconds) == ("extracts", 3.0)  # extracts of 0.75 s


def test_folds_test_every_song_once_and_keep_artists_together(stems: Path, tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for number, folder in enumerate(sorted(stems.glob("*/*"))):
        (tmp_path / "flat" / f"{'ab'[number % 2]} - {number}").symlink_to(folder)
    scale = dataclasses.replace(load_scale("cpu"), folds=2)
    songs = prepare_songs([tmp_path / "flat"], tmp_path / "copies", scale)
    tested = [song.name for split in songs.splits for song in split.test]
    assert sorted(tested) == sorted(path.name for path in (tmp_path / "flat").iterdir())
    for split in songs.splits:
        assert not {song.name[0] for song in split.train} & {song.name[0] for song in split.test}


def test_arms_that_differ_in_a_setting_are_different_models(tmp_path: Path) -> None:
    """None differs from a setting that is not stated."""
    songs = StudySongs((Split((tmp_path / "a",), (tmp_path / "b",)),), {})
    bench = Bench(load_scale("cpu"), songs, tmp_path, 0)
    arms = [*find_study("demucs-ablation").arms, Arm("again")]
    folders = {arm.name: bench.folder_of(bench.scale.settings_of(arm, 0), arm) for arm in arms}
    assert folders["again"] == folders["reference"] == folders["10 shifts"]
    assert len(set(folders.values())) == len(arms) - 2
    digests = {arm.name: bench.digest(arm) for arm in arms}
    assert digests["again"] == digests["reference"] != digests["10 shifts"]


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


def test_a_difference_of_arms_that_do_not_separate_decides_nothing() -> None:
    songs = {f"song {number}": -3.0 for number in range(6)}
    worse = dict.fromkeys(songs, -4.0)
    runs = [run_of("a", 0, songs), run_of("b", 0, worse), run_of("mixture", 0, worse)]
    claim = Claim("a", "b", "here")
    assert judge(claim, runs, {}).outcome == "agrees"
    assert judge(claim, runs, {}, floor="mixture").outcome == "undecided"  # above the mixture, below silence
    louder = [run_of("a", 0, dict.fromkeys(songs, 2.0)), *runs[1:]]
    assert judge(claim, louder, {}, floor="mixture").outcome == "agrees"


def test_a_claim_about_one_source_looks_at_that_source_alone() -> None:
    def run(arm: str, drums: float, vocals: float) -> Run:
        scores = {f"song {number}": {"drums": [drums], "vocals": [vocals]} for number in range(6)}
        return Run(arm, 0, {ORIGINAL: scores}, 1, 0.0)

    runs = [run("a", 5.0, 1.0), run("b", 0.0, 2.0)]
    assert judge(Claim("a", "b", "here"), runs, {}).outcome == "agrees"
    assert judge(Claim("a", "b", "here", source="vocals"), runs, {}).outcome == "disagrees"


def test_five_artists_decide_nothing() -> None:
    for count, outcome in ((5, "undecided"), (6, "agrees")):
        runs = [run_of(arm, 0, {f"{n}": value for n in range(count)}) for arm, value in (("a", 2.0), ("b", 1.0))]
        assert judge(Claim("a", "b", "here"), runs, {}).outcome == outcome


def test_a_claim_that_no_test_song_can_judge_is_undecided() -> None:
    """A source that is silent in every test song must not end a study after all its training."""
    runs = [run_of(arm, 0, {"silent": np.nan}) for arm in ("a", "b")]
    verdict = judge(Claim("a", "b", "here", source="drums"), runs, {})
    assert (verdict.outcome, verdict.difference.mean_db, verdict.songs) == ("undecided", None, 0)


def test_songs_that_a_seed_does_not_test_are_left_out_of_its_mean() -> None:
    table = np.array([[1.0, np.nan], [np.nan, 3.0]])
    interval = bootstrap(table, ["a", "b"])
    assert (interval.mean_db, interval.low_db, interval.high_db) == (2.0, 1.0, 3.0)


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
        trained.append(given[1])
        return real(*given)  # type: ignore[arg-type]

    real = Bench.train
    monkeypatch.setattr(Bench, "train", counted)
    assert CliRunner().invoke(app, arguments).exit_code != 0
    stored = {path: path.read_bytes() for path in (tmp_path / "out" / "results").glob("*.json")}
    assert len(stored) == 4  # three arms of the first seed, and its mixture
    monkeypatch.setattr(Bench, "train", real)
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    result = json.loads(done.stdout)
    assert all(path.read_bytes() == content for path, content in stored.items())
    assert set(result["arms"][ORIGINAL]) == {"original", "random songs", "R=0.09%", "mixture"}
    assert {claim["outcome"] for claim in result["claims"]} <= {"agrees", "disagrees", "undecided"}
    for name in ("study.json", "study.txt", "study.png"):
        assert (tmp_path / "out" / name).stat().st_size > 0
    (tmp_path / "tiny.toml").write_text(TINY.replace("updates = 2", "updates = 3"))
    refused = CliRunner().invoke(app, arguments)
    assert isinstance(refused.exception, UsageError)
    assert "other settings" in str(refused.exception)


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


@pytest.mark.parametrize("name", ["mixer", "ensemble-order", "training-dynamics"])
def test_studies_of_systems_and_of_stages_run_whole(name: str, stems: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY.replace("seeds = [0, 1]", "seeds = [0]"))
    arguments = ["study", name, "--stems", str(stems), "--scale", str(tmp_path / "tiny.toml"),
                 "--out", str(tmp_path / "out"), "--device", "cpu", "--json"]  # fmt: skip
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    result = json.loads(done.stdout)
    study = find_study(name)
    assert [claim["text"] for claim in result["claims"]] == [claim.text for claim in study.claims]
    assert set(result["arms"]) == set(study.test_sets)
    for arms in result["arms"].values():
        assert set(arms) == {*(arm.name for arm in study.arms), "mixture"}
    if name == "training-dynamics":
        points = result["curves"]["test songs, original mixes"]["p=1"]
        assert [updates for updates, _ in points] == [2, 4, 6, 8]
    if name == "ensemble-order":
        assert result["cost"]["1 member"] < result["cost"]["3 members"] < result["cost"]["vocals first"]


def test_random_mixes_score_the_stem_of_their_own_chunk_alone() -> None:
    rng = np.random.default_rng(0)
    originals = [dynamics.Chunk(f"song {n}", rng.standard_normal((4, 1, 50)).astype(np.float32)) for n in range(3)]
    mixes = dynamics._random_mixes(originals, rng)
    assert len(mixes) == 12 * len(originals)
    for mix in mixes:
        own = next(chunk for chunk in originals if chunk.song == mix.song)
        same = [np.array_equal(mix.stems[row], own.stems[row]) for row in range(4)]
        assert same == [row == mix.source for row in range(4)]
    scores = dynamics.score_chunks(None, mixes)
    assert {song: len(values["bass"]) for song, values in scores.items()} == {f"song {n}": 3 for n in range(3)}
