"""``remix-miner train`` from folders to a model, and what it refuses before the first step."""

import json
import random
import re

import pytest
import torch

from remix_miner.cli import main
from remix_miner.separators import build
from remix_miner.separators.loading import load_separator, save_separator
from remix_miner.sources import SOURCES

TINY = [
    "separator.settings.channels=4",
    "separator.settings.depth=2",
    "separator.settings.sample_rate=8000",
    "segment_seconds=0.1",
    "batch_size=2",
    "epochs=1",
    "steps_per_epoch=3",
    "remix.probability=1.0",
]


def train(capsys, *arguments, settings=TINY) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    overrides = [part for setting in settings for part in ("--set", setting)]
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--workers", "0", "--device", "cpu", *map(str, arguments), *overrides])
    captured = capsys.readouterr()
    return stopped.value.code, captured.out, captured.err


@pytest.fixture
def stems(tmp_path, stem_corpus):
    return stem_corpus(tmp_path / "stems", {"A - 1": 1.0, "B - 2": 1.0})


def test_train_with_mined_excerpts_then_resume(capsys, tmp_path, stems, mine):
    mine(tmp_path / "mined", {"x.mp3": {"bass": [5.0]}})
    run = tmp_path / "run"
    status, out, error = train(capsys, "--stems", stems, "--mined", tmp_path / "mined", "--out", run, "--json")
    result = json.loads(out)
    assert status == 0
    assert "remixed with probability 0.00833" in error  # 5 s of excerpts are 1/120 of ten minutes
    assert "1 mined excerpts without: bass 0.1 min" in error
    assert "Share of the remix steps kept: bass 0.8%" in error
    assert result["steps"] == 3
    assert result["best"]["usdr_mean"] == pytest.approx(sum(result["best"]["usdr"].values()) / 4)
    assert load_separator(run).settings["channels"] == 4
    assert {path.name for path in run.iterdir()} == {
        "settings.json",
        "log.jsonl",
        "model.json",
        "model.safetensors",
        "resume.pt",
    }
    status, out, _ = train(capsys, "--out", run, "--resume", settings=())
    assert status == 0
    assert "3 steps, best model: uSDR" in out
    status, _, error = train(capsys, "--stems", stems, "--out", run)
    assert status == 2
    assert "pass --resume" in error


def test_splits_decide_and_test_songs_are_never_touched(capsys, tmp_path, stem_corpus):
    corpus = tmp_path / "corpus"
    for split, name in (("train", "A - 1"), ("valid", "B - 2"), ("test", "C - 3")):
        stem_corpus(corpus / split, {name: 1.0})
    status, _, error = train(capsys, "--stems", corpus, "--out", tmp_path / "run", "--cache", tmp_path / "cache")
    assert status == 0, error
    data = json.loads((tmp_path / "run" / "settings.json").read_text())["data"]
    assert (data["train"], data["valid"], data["mined"]) == (["A - 1"], ["B - 2"], None)
    assert list((tmp_path / "cache").glob("stems-*.h5"))


def test_songs_held_out_are_named_and_stored(capsys, tmp_path, stem_corpus):
    stems = stem_corpus(tmp_path / "stems", {f"{artist} - 1": 1.0 for artist in "ABCDEF"})
    held = {}
    for seed in ("0", "1", "2"):
        run = tmp_path / f"run{seed}"
        status, _, error = train(capsys, "--stems", stems, "--out", run, "--split-seed", seed)
        assert status == 0, error
        description = json.loads((run / "settings.json").read_text())
        (held[seed],) = description["data"]["valid"]
        assert f"validating on 1 songs, held out by artist with --split-seed {seed}" in error
        assert f"--valid: {held[seed]}" in error
        assert description["settings"]["split_seed"] == int(seed)
        model = json.loads((run / "model.json").read_text())
        assert model["valid_songs"] == [held[seed]]
        assert len(model["train_songs"]) == 5
        assert held[seed] not in model["train_songs"]
    assert len(set(held.values())) > 1
    assert "no remix steps: they need excerpts, see --mined" in error


def test_settings_that_ask_for_remix_steps_say_so_without_excerpts(capsys, tmp_path, stems):
    status, _, error = train(
        capsys, "--stems", stems, "--out", tmp_path / "one", settings=[*TINY, "remix.probability=0.25"]
    )
    assert status == 0, error
    assert "no remix steps: they need excerpts" in error
    assert "WARNING" not in error  # stems alone are a usual way to train
    assert "one after 25% of the steps" in error
    status, _, error = train(
        capsys, "--stems", stems, "--out", tmp_path / "two", settings=[*TINY, "remix.probability=0"]
    )
    assert status == 0, error
    assert "no remix steps" not in error


def test_songs_to_validate_on_are_not_trained_on(capsys, tmp_path, stems):
    status, _, error = train(capsys, "--stems", stems, "--valid", stems / "A - 1", "--out", tmp_path / "run")
    assert status == 0, error
    data = json.loads((tmp_path / "run" / "settings.json").read_text())["data"]
    assert (data["train"], data["valid"]) == (["B - 2"], ["A - 1"])
    assert "1 songs of --stems are in --valid and not trained on" in error


def test_a_batch_that_does_not_fit_is_refused_with_advice(capsys, tmp_path, stems, monkeypatch):
    monkeypatch.setattr("remix_miner.training.run.memory.free_memory", lambda device: 40e6)
    settings = [*TINY, "batch_size=512"]
    status, _, error = train(capsys, "--stems", stems, "--out", tmp_path / "run", settings=settings)
    assert status == 2
    assert "512 examples at once need about" in error
    parts = int(re.search(r"--set accumulate=(\d+)", error).group(1))
    assert 512 % parts == 0
    assert not (tmp_path / "run").exists()
    for more in (f"accumulate={parts}", "batch_size=auto", "check_memory=false"):
        status, _, error = train(
            capsys, "--stems", stems, "--out", tmp_path / more, settings=[*settings, more, "steps_per_epoch=1"]
        )
        assert status == 0, error
    chosen = json.loads((tmp_path / "batch_size=auto" / "settings.json").read_text())["settings"]["batch_size"]
    assert chosen in (8, 16, 32, 64)
    assert f"batches of {chosen} take about" in error or "batches of 512" in error
    status, _, error = train(capsys, "--out", tmp_path / "batch_size=auto", "--resume", settings=["epochs=2"])
    assert status == 0, error


def test_songs_to_validate_on_may_be_named(capsys, tmp_path, stems, stem_corpus):
    others = stem_corpus(tmp_path / "others", {"D - 4": 1.0})
    status, _, error = train(capsys, "--stems", stems, "--valid", others, "--out", tmp_path / "run")
    assert status == 0, error
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["data"]["valid"] == ["D - 4"]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("separator.settings.sample_rate=44100", "has 8000 Hz and 2 channels, the model 44100 Hz and 2"),
        ("separator.settings.audio_channels=1", "has 8000 Hz and 2 channels, the model 8000 Hz and 1"),
        ("separator.name=demux", "unknown separator 'demux'"),
        ("separator.settings.depht=2", "did you mean 'depth'"),
        ("learning_rate=1", "unknown setting 'learning_rate'"),
        ("corpus_weights=[1.0, 2.0]", "corpus_weights has 2 numbers for 1 --stems"),
        ("separator.settings.sources=['guitar']", "separates guitar, but stems are drums"),
        ("loss_quantile=0", "loss_quantile must be above 0 and at most 1, got 0"),
        ("accumulate=3", "batch_size 2 cannot be shared by 1 processes x accumulate 3"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_first_step(capsys, tmp_path, stems, setting, message):
    status, out, error = train(capsys, "--stems", stems, "--out", tmp_path / "run", settings=[*TINY, setting])
    assert (status, out) == (2, "")
    assert message in error
    assert not (tmp_path / "run").exists()


def test_empty_and_missing_data_are_refused(capsys, tmp_path, stems, stem_corpus):
    (tmp_path / "empty").mkdir()
    for folder, message in ((tmp_path / "empty", "it is empty"), (tmp_path / "none", "does not exist")):
        status, _, error = train(capsys, "--stems", folder, "--out", tmp_path / "run")
        assert status == 2
        assert message in error
    status, _, error = train(capsys, "--stems", stems, "--mined", tmp_path / "empty", "--out", tmp_path / "run")
    assert status == 2
    assert "holds no shards" in error
    alone = stem_corpus(tmp_path / "alone", {"A - 1": 1.0})
    status, _, error = train(capsys, "--stems", alone, "--out", tmp_path / "run")
    assert status == 2
    assert "nothing to hold out" in error
    status, _, error = train(
        capsys,
        "--stems",
        stems,
        "--mined",
        tmp_path,
        "--out",
        tmp_path / "run",
        settings=[*TINY, "remix.probability=0"],
    )
    assert status == 2
    assert "would not be used: remix.probability is 0" in error
    status, _, error = train(capsys, "--out", tmp_path / "run")
    assert status == 2
    assert "no --stems" in error
    status, _, error = train(capsys, "--stems", stems, "--out", tmp_path / "run", "--resume")
    assert status == 2
    assert "holds no run to resume" in error


def test_another_rate_is_resampled_when_asked_for(capsys, tmp_path, stems):
    settings = [*TINY, "separator.settings.sample_rate=4000", "separator.settings.audio_channels=1", "resample=true"]
    status, _, error = train(capsys, "--stems", stems, "--out", tmp_path / "run", settings=settings)
    assert status == 0, error


def test_a_target_against_the_rest_from_training_to_scores(capsys, tmp_path, stems, mine):
    mine(tmp_path / "mined", {"x.mp3": {"vocals": [5.0]}})
    run = tmp_path / "run"
    status, _, error = train(
        capsys, "--stems", stems, "--mined", tmp_path / "mined", "--target", "vocals", "--out", run
    )
    assert status == 0, error
    assert "50% of the examples made of excerpts" in error
    assert load_separator(run).sources == ("vocals", "no_vocals")
    described = json.loads((run / "settings.json").read_text())
    assert described["data"]["mined"]["share_of_examples"] == 0.5
    assert described["settings"]["target"] == "vocals"
    validations = [line for line in map(json.loads, (run / "log.jsonl").open()) if line["kind"] == "validation"]
    assert set(validations[-1]["usdr"]) == {"vocals", "no_vocals"}
    song = stems / "A - 1"
    for verb in (
        ["separate", run, song / "drums.wav", "--out", tmp_path / "out"],
        ["evaluate", run, "--stems", stems, "--workers", "1"],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(
                [*map(str, verb), "--device", "cpu", *(["--out", str(tmp_path / "out")] if "separate" in verb else [])]
            )
        assert stopped.value.code == 0, capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out" / "drums").glob("*.wav")} == {"vocals.wav", "no_vocals.wav"}
    status, _, error = train(capsys, "--out", run, "--resume", settings=())
    assert status == 0, error


def test_pairs_train_vocals_against_the_rest(capsys, tmp_path, stems):
    pairs = tmp_path / "pairs"
    for song in stems.iterdir():
        (pairs / song.name).mkdir(parents=True)
        for source, name in (("vocals", "vocals"), ("other", "accompaniment")):
            (pairs / song.name / f"{name}.wav").write_bytes((song / f"{source}.wav").read_bytes())
    options = ("--stems", pairs, "--target", "vocals", "--out")
    status, _, error = train(capsys, *options, tmp_path / "run")
    assert status == 0, error
    with pytest.raises(SystemExit) as stopped:
        main(
            ["evaluate", str(tmp_path / "run"), "--stems", str(pairs), "--metrics", "usdr", "--workers", "1", "--json"]
        )
    assert stopped.value.code == 0
    scores = json.loads(capsys.readouterr().out)["tracks"][0]["sources"]
    assert set(scores) == {"vocals", "no_vocals"}
    assert not scores["no_vocals"]["silent"]
    status, _, error = train(capsys, "--stems", pairs, "--target", "drums", "--out", tmp_path / "drums")
    assert status == 2
    assert "holds pairs of vocals and accompaniment" in error


def test_a_target_that_mined_music_may_harm_is_warned_of(capsys, tmp_path, stems, mine):
    mine(tmp_path / "mined", {"x.mp3": {"drums": [5.0], "vocals": [5.0]}})
    shared = ("--stems", stems, "--mined", tmp_path / "mined", "--target")
    for target, warned in (("drums", True), ("vocals", False)):
        status, _, error = train(capsys, *shared, target, "--out", tmp_path / target)
        assert status == 0, error
        assert (f"WARNING: for {target}, mined music lowered the score" in error) == warned


def test_a_target_refuses_what_it_cannot_use(capsys, tmp_path, stems, mine):
    mine(tmp_path / "mined", {"x.mp3": {"bass": [5.0]}})
    shared = ("--stems", stems, "--mined", tmp_path / "mined", "--out", tmp_path / "run", "--target")
    status, _, error = train(capsys, *shared, "vocals")
    assert status == 2
    assert "holds no excerpts without vocals" in error
    status, _, error = train(capsys, *shared, "bass", settings=[*TINY, "excerpts.share=0"])
    assert status == 2
    assert "would not be used" in error
    status, _, error = train(capsys, *shared, "piano")
    assert status == 2
    assert "target is one of" in error


def test_kuielabs_pipeline_trains_the_mixer_on_separators_of_one_source(capsys, tmp_path, stems):
    """The recipe `kuielab_mixer` with `--part`: the separators stay as they are, the mixer moves."""
    part = {"n_fft": 256, "hop_frames": 64, "bins": 64, "growth": 4, "levels": 2}
    separators = {}
    for number, source in enumerate(SOURCES):
        torch.manual_seed(number)
        separators[source] = build("tfc_tdf_v2", sources=[source], sample_rate=8000, segment_seconds=0.2, **part)
        save_separator(tmp_path / source, separators[source])
    parts = [argument for source in SOURCES for argument in ("--part", f"{source}={tmp_path / source}")]
    inline = ", ".join(f"{name} = {value}" for name, value in part.items())
    settings = [
        f"separator.settings.part={{{inline}}}", "separator.settings.sample_rate=8000", "segment_seconds=0.2",
        "batch_size=2", "epochs=1", "steps_per_epoch=3",
    ]  # fmt: skip
    run = ("--stems", stems, "--config", "kuielab_mixer", "--out", tmp_path / "mixer")
    status, _, error = train(capsys, *run, *parts[2:], settings=settings)
    assert status == 2
    assert "a model is needed for each of drums, bass, other, vocals" in error
    status, _, error = train(capsys, *run, *parts, settings=settings)
    assert status == 0, error
    model = load_separator(tmp_path / "mixer")
    for source, separator in separators.items():
        assert torch.equal(model.parts[source].last.weight, separator.last.weight)
    assert not torch.equal(model.mixer.weight, torch.eye(8, 10))


@pytest.mark.parametrize("seed", range(2))
def test_a_damaged_description_of_a_run_is_an_error_and_no_traceback(capsys, tmp_path, stems, seed):
    """Parts of settings.json are removed, or replaced by values of another type, at random places."""
    run = tmp_path / "run"
    status, _, error = train(capsys, "--stems", stems, "--out", run)
    assert status == 0, error
    whole = json.loads((run / "settings.json").read_text())
    generator = random.Random(seed)
    for _ in range(12):
        damaged = json.loads(json.dumps(whole))
        place = damaged
        while True:
            key = generator.choice(list(place))
            if not isinstance(place[key], dict) or not place[key] or generator.random() < 0.3:
                break
            place = place[key]
        if generator.random() < 0.4:
            del place[key]
        else:
            place[key] = generator.choice([None, -1, "x", [], {}, [3], 1e30])
        (run / "settings.json").write_text(json.dumps(damaged))
        status, _, error = train(capsys, "--out", run, "--resume", settings=["epochs=1"])
        assert status in (0, 2), (key, error)
        (run / "settings.json").write_text(json.dumps(whole))


def test_songs_without_an_artist_in_their_name_are_said_to_be_held_out_by_song(capsys, tmp_path, stem_corpus):
    stems = stem_corpus(tmp_path / "stems", {"one_1": 1.0, "one_2": 1.0})
    status, _, error = train(capsys, "--stems", stems, "--out", tmp_path / "run")
    assert status == 0, error
    assert "held out by song (no name states an artist" in error
