"""Separators of other projects: any module by name, RoFormers, Demucs checkpoints, ONNX models; and our exports."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from remix_miner.audio import read_audio, write_audio
from remix_miner.cli import main
from remix_miner.errors import DataError, UsageError
from remix_miner.separators import build
from remix_miner.separators.external.convolved_spectrogram import ConvolvedSpectrogram
from remix_miner.separators.external.published import PUBLISHED, load_demucs_file
from remix_miner.separators.loading import load_separator, missing_models, open_separator, save_separator
from remix_miner.separators.overlap_add import separate
from remix_miner.separators.spectrogram import Spectrogram

TOYS = """
import torch
from torch import nn

class Shares(nn.Module):
    '''Fixed shares of the mixture, cut to a multiple of a hop at the end.'''

    def __init__(self, shares=(0.5, 0.25), hop=1):
        super().__init__()
        assert isinstance(shares, tuple)
        self.shares, self.hop = nn.Parameter(torch.tensor(shares)), hop

    def forward(self, mixture):
        mixture = mixture[..., : mixture.shape[-1] // self.hop * self.hop]
        return mixture[:, None] * self.shares[None, :, None, None]

class Tied(nn.Module):
    '''Two names for one parameter.'''

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(1, 1, bias=False)
        self.second = nn.Linear(1, 1, bias=False)
        self.second.weight = self.first.weight

    def forward(self, mixture):
        return torch.stack([self.first(mixture[..., None])[..., 0], self.second(mixture[..., None])[..., 0]], dim=1)

class Wrong(nn.Module):
    def forward(self, mixture):
        return mixture

def function():
    pass
"""
TINY_ROFORMER = {"dim": 8, "depth": 1, "stft_n_fft": 256, "stft_hop_length": 64}
ROFORMER_OPTIONS = {"freqs_per_bands": [32, 32, 32, 33], "dim_head": 8, "heads": 1, "flash_attn": False}
TINY_HTDEMUCS = {"channels": 8, "t_layers": 1, "segment": 0.2, "sources": ["drums", "bass"], "bottom_channels": 0}


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "toy_separators.py").write_text(TOYS)
    monkeypatch.syspath_prepend(tmp_path)
    return "module:toy_separators"


def _run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_any_module_separates_whatever_it_cuts(toys: str) -> None:
    mixture = torch.randn(2, 1000)
    arguments = {"shares": [0.5, 0.25], "hop": 64}
    model = build(f"{toys}.Shares", arguments=arguments, sources=["a", "b"], sample_rate=1000, multiple=64)
    estimates = separate(model, mixture, segment_seconds=0.3)
    torch.testing.assert_close(estimates, torch.stack([0.5 * mixture, 0.25 * mixture]), rtol=0, atol=1e-6)
    plain = build(f"{toys}.Shares", arguments=arguments, sources=["a", "b"])
    assert plain(mixture[None]).shape == (1, 2, 2, 1000)  # the length that it cuts is restored with zeros
    torch.testing.assert_close(plain(mixture[None])[0, 0, :, :960], 0.5 * mixture[:, :960])
    assert not plain(mixture[None])[..., 960:].any()


def test_a_saved_module_comes_back(toys: str, tmp_path: Path) -> None:
    model = build(f"{toys}.Shares", sources=["a", "b"])
    with torch.no_grad():
        model.network.shares.copy_(torch.tensor([0.1, 0.9]))
    save_separator(tmp_path / "run", model)
    again = load_separator(tmp_path / "run")
    assert (again.name, again.settings) == (model.name, model.settings)
    mixture = torch.randn(1, 2, 50)
    torch.testing.assert_close(again(mixture), model(mixture))


def test_tied_weights_are_saved_and_come_back(toys: str, tmp_path: Path) -> None:
    """Parameters that share memory, as in networks that reuse an embedding."""
    model = build(f"{toys}.Tied", sources=["a", "b"])
    save_separator(tmp_path / "run", model)
    mixture = torch.randn(1, 2, 50)
    torch.testing.assert_close(load_separator(tmp_path / "run")(mixture), model(mixture))


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("module:os.system", {}, "not a subclass of torch.nn.Module"),
        ("module:toy_separators.function", {}, "not a subclass of torch.nn.Module"),
        ("module:toy_separators.Missing", {}, "cannot be imported"),
        ("module:no_such_package.Net", {}, "install its package"),
        ("module:Shares", {}, "is not the dotted name"),
        ("module:toy_separators.Shares", {"arguments": {"share": 1}}, "has no argument share"),
        ("module:toy_separators.Shares", {"arguments": {"shares": 3}}, "cannot be built"),
        ("module:toy_separators.Shares", {"multiple": 0}, "multiple"),
        ("module:toy_separators.Shares", {"target": "x"}, "has no setting 'target'"),
    ],
)
def test_modules_that_cannot_be_are_refused(toys: str, name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(name, **settings)


def test_output_of_another_shape_is_refused(toys: str) -> None:
    with pytest.raises(DataError, match=r"gives \(1, 2, 100\) for a mixture \(1, 2, 100\)"):
        build(f"{toys}.Wrong")(torch.randn(1, 2, 100))


def test_a_description_that_names_a_program_runs_nothing(tmp_path: Path) -> None:
    save_separator(tmp_path / "run", build("demucs", channels=2, depth=1))
    document = json.loads((tmp_path / "run" / "model.json").read_text())
    document |= {"name": "module:subprocess.Popen", "settings": {"arguments": {"args": f"touch {tmp_path}/owned"}}}
    (tmp_path / "run" / "model.json").write_text(json.dumps(document))
    with pytest.raises(UsageError, match="not a subclass"):
        load_separator(tmp_path / "run")
    assert not (tmp_path / "owned").exists()


def test_a_damaged_description_is_named(tmp_path: Path) -> None:
    save_separator(tmp_path / "run", build("demucs", channels=2, depth=1))
    document = json.loads((tmp_path / "run" / "model.json").read_text())
    (tmp_path / "run" / "model.json").write_text(json.dumps({**document, "settings": 3}))
    with pytest.raises(DataError, match="settings"):
        load_separator(tmp_path / "run")


def test_a_community_checkpoint_is_read_with_one_residual_stream(tmp_path: Path) -> None:
    """The state dict is made by the library's own class, wrapped as trainers do it."""
    library = pytest.importorskip("bs_roformer")
    torch.manual_seed(0)
    options = {**ROFORMER_OPTIONS, "freqs_per_bands": (32, 32, 32, 33)}
    shared = {"stereo": True, "num_stems": 1, "time_transformer_depth": 1, "freq_transformer_depth": 1}
    shared |= {"dim_freqs_in": 129, "stft_win_length": 256, **TINY_ROFORMER, **options}
    theirs = library.BSRoformer(**shared, num_residual_streams=1).eval()
    state = {f"module.{name}": value for name, value in theirs.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "community.ckpt")
    settings = {"sources": ["vocals"], **TINY_ROFORMER, "options": ROFORMER_OPTIONS}
    _describe(tmp_path / "model.toml", "bs_roformer", "community.ckpt", settings)
    ours = load_separator(tmp_path / "model.toml")
    mixture = torch.randn(1, 2, 64 * 40)
    with torch.no_grad():
        torch.testing.assert_close(ours(mixture)[:, 0], theirs(mixture), rtol=1e-4, atol=1e-5)
    opened = open_separator(str(tmp_path / "model.toml"))
    assert opened.name == "bs_roformer"
    assert len(opened.identity.split(":")[1]) == 25  # weights and description
    _describe(tmp_path / "four.toml", "bs_roformer", "community.ckpt", {**settings, "residual_streams": 4})
    with pytest.raises(DataError, match="does not fit bs_roformer with these settings"):
        load_separator(tmp_path / "four.toml")
    _describe(tmp_path / "none.toml", "bs_roformer", "elsewhere.ckpt", settings)
    with pytest.raises(DataError, match=r"elsewhere\.ckpt, which do not exist"):
        load_separator(tmp_path / "none.toml")


def _describe(path: Path, name: str, weights: str, settings: dict[str, Any]) -> None:
    options = settings.pop("options", None)
    lines = [f'name = "{name}"', f'weights = "{weights}"', "[settings]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    if options:
        lines += ["[settings.options]", *(f"{key} = {json.dumps(value)}" for key, value in options.items())]
        settings["options"] = options
    path.write_text("\n".join(lines))


def test_roformers_are_named_where_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from remix_miner.separators.external import module

    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(module.importlib, "import_module", missing)
    with pytest.raises(UsageError, match=r"remix-miner\[roformer\]"):
        build_roformer()
    with pytest.raises(UsageError, match=r"remix-miner\[demucs\]"):
        build_htdemucs()


def build_roformer() -> Any:
    from remix_miner.separators.external.roformer import BsRoformer

    return BsRoformer(dim=8, depth=1)


def build_htdemucs() -> Any:
    from remix_miner.separators.external.htdemucs import HTDemucs

    return HTDemucs(channels=8)


def _demucs_file(path: Path) -> nn.Module:
    """A checkpoint as the demucs package writes it: class, arguments, weights in half precision."""
    kind = pytest.importorskip("demucs.htdemucs").HTDemucs
    torch.manual_seed(0)
    network = kind(**TINY_HTDEMUCS).eval()
    state = {name: value.half() for name, value in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"klass": kind, "args": (), "kwargs": TINY_HTDEMUCS, "state": state}, path)
    network.load_state_dict({name: value.float() for name, value in state.items()})
    return network


def test_a_checkpoint_of_demucs_gives_its_estimates(tmp_path: Path) -> None:
    theirs = _demucs_file(tmp_path / "net.th")
    ours = load_separator(tmp_path / "net.th")
    assert (ours.sources, ours.segment_seconds) == (("drums", "bass"), 0.2)
    mixture = torch.randn(1, 2, 8820)
    with torch.no_grad():
        torch.testing.assert_close(ours(mixture), theirs(mixture))
    assert separate(ours, torch.randn(2, 20_000)).shape == (2, 2, 20_000)
    with pytest.raises(UsageError, match="at most"):
        build("htdemucs", channels=8, t_layers=1, segment_seconds=0.2).eval()(torch.randn(1, 2, 10_000))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("demucs")

    class Evil:
        def __reduce__(self) -> Any:
            return (print, ("owned",))

    torch.save({"klass": Evil(), "args": (), "kwargs": {}, "state": {}}, tmp_path / "evil.th")
    with pytest.raises(DataError, match="not a checkpoint of demucs"):
        load_demucs_file(tmp_path / "evil.th")
    (tmp_path / "text.th").write_text("hello")
    with pytest.raises(DataError, match="not a checkpoint of demucs"):
        load_separator(tmp_path / "text.th")


def test_published_models_say_where_their_weights_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(DataError, match=r"htdemucs are not here: download https://.*955717e8-8726e21a\.th.*--download"):
        load_separator("htdemucs")
    absent = missing_models({model.name: model.name for model in PUBLISHED} | {"mine": "runs/none", "own": "hdemucs"})
    assert sorted(absent) == sorted([*(model.name for model in PUBLISHED), "mine", "own"])
    assert absent["htdemucs_ft"].count("https://") == 4
    theirs = _demucs_file(tmp_path / "checkpoints" / "955717e8-8726e21a.th")
    ours = open_separator("htdemucs")
    assert ours.identity.startswith("htdemucs:")
    mixture = torch.randn(1, 2, 8820)
    with torch.no_grad():
        torch.testing.assert_close(ours.model(mixture), theirs(mixture))
    with pytest.raises(UsageError, match=r"Train one: .* --download"):
        load_separator("htdemux")


def test_an_ensemble_names_each_member_without_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    write_audio(tmp_path / "song.wav", np.zeros((2, 1000), np.float32), 44100)
    assert _run("ensemble", "run", "mvsep_2023", tmp_path / "song.wav", "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    for member in ("vocals_a", "instrumental", "demucs_ft", "demucs", "demucs_6s", "demucs_mmi"):
        assert f"{member}: the published weights" in said


def test_a_bag_takes_the_kth_source_of_the_kth_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from remix_miner.separators.external.bag import Bag

    nets = [_demucs_file(tmp_path / f"{number}.th") for number in range(2)]
    bag = Bag([load_demucs_file(tmp_path / f"{number}.th") for number in range(2)])
    mixture = torch.randn(1, 2, 4000)
    with torch.no_grad():
        parts = bag(mixture)
        for index, net in enumerate(nets):
            whole = torch.nn.functional.pad(mixture, (48, 48))  # our mixtures of less than a window are centred
            torch.testing.assert_close(parts[:, index], net(whole)[:, index, :, 48:-48])
    with pytest.raises(DataError, match="needs as many models"):
        Bag([load_demucs_file(tmp_path / "0.th")])


# --- ONNX -----------------------------------------------------------------------------------------------------------

UVR = {"n_fft": 128, "hop_frames": 32, "sample_rate": 4000}
UVR_SHAPE = ["batch", 4, 64, 32]


def _uvr_model(path: Path, gain: float = 0.5, shape: list[Any] = UVR_SHAPE) -> None:
    """A spectrogram model of the UVR shape that scales its input."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Mul", ["input", "gain"], ["output"])],
        "uvr",
        [helper.make_tensor_value_info("input", kind, shape)],
        [helper.make_tensor_value_info("output", kind, shape)],
        [helper.make_tensor("gain", kind, [1], [gain])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, str(path))


def test_an_onnx_model_of_the_uvr_family_separates(tmp_path: Path) -> None:
    _uvr_model(tmp_path / "net.onnx")
    _describe(tmp_path / "net.toml", "onnx", "net.onnx", {"sources": ["vocals"], "compensation": 1.2, **UVR})
    time = np.arange(6000) / 4000
    audio = (0.2 * np.stack([np.sin(2 * np.pi * 300 * time), np.cos(2 * np.pi * 200 * time)])).astype(np.float32)
    write_audio(tmp_path / "song.wav", audio, 4000)
    assert _run("separate", tmp_path / "net.toml", tmp_path / "song.wav", "--out", tmp_path / "out") == 0
    estimate, _ = read_audio(tmp_path / "out" / "song" / "vocals.wav")
    np.testing.assert_allclose(estimate, 0.6 * audio, atol=2e-3)
    with pytest.raises(UsageError, match="n_fft"):
        load_separator(tmp_path / "net.onnx")  # 64 bins are no public model's
    _describe(tmp_path / "bad.toml", "onnx", "net.onnx", {"nfft": 128})
    with pytest.raises(UsageError, match="has no setting nfft"):
        load_separator(tmp_path / "bad.toml")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(DataError, match="cannot be read as an ONNX model"):
        load_separator(tmp_path / "text.onnx")


@pytest.mark.parametrize(("bins", "n_fft"), [(3072, 7680), (2048, 6144)])
def test_models_of_the_sizes_of_uvr_need_no_description(tmp_path: Path, bins: int, n_fft: int) -> None:
    """Kim_Vocal_2 and its like: (batch, 4, 3072, 256) at 44.1 kHz; the public ones of 2048 bins."""
    _uvr_model(tmp_path / "net.onnx", shape=["batch", 4, bins, 256])
    model = load_separator(tmp_path / "net.onnx")
    assert (model.sources, model.sample_rate) == (("vocals",), 44100)
    assert model.valid_length(1) == 1024 * 255
    assert round(model.segment_seconds * 44100) == 1024 * 255 - n_fft
    time = torch.arange(300_000) / 44100
    mixture = 0.2 * torch.stack([torch.sin(2 * np.pi * 300 * time), torch.cos(2 * np.pi * 2000 * time)])
    estimate = separate(model, mixture)[0]
    inside = slice(32, -32)  # the abrupt ends have energy above the bins that are kept
    torch.testing.assert_close(estimate[:, inside], 0.5 * mixture[:, inside], rtol=0, atol=2e-3)


WAVEFORM = {"channels": 4, "depth": 2, "segment_seconds": 0.5, "sample_rate": 4000}
SPECTROGRAM = {"n_fft": 256, "hop_frames": 64, "bins": 64, "growth": 4, "levels": 2, "segment_seconds": 0.1}
EXPORTABLE: dict[str, dict[str, Any]] = {
    "demucs": WAVEFORM,
    "demucs_v1": WAVEFORM,
    "tfc_tdf_v1": SPECTROGRAM | {"bottleneck": 4},
    "tfc_tdf_v2": SPECTROGRAM,
    "tfc_tdf_v3": SPECTROGRAM | {"bins": 128, "channels": 4},
}


@pytest.mark.parametrize("name", EXPORTABLE)
def test_an_exported_model_gives_pytorchs_estimates(tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    model = build(name, **EXPORTABLE[name], sources=["drums", "rest"]).eval()
    save_separator(tmp_path / "run", model)
    assert _run("export-model", tmp_path / "run", "--out", tmp_path / "net.onnx") == 0
    exported = load_separator(tmp_path / "net.onnx")
    assert (exported.sources, exported.sample_rate) == (("drums", "rest"), model.sample_rate)
    mixture = 0.1 * torch.randn(2, 9001)
    torch.testing.assert_close(separate(exported, mixture), separate(model, mixture), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("n_fft", "hop", "bins"), [(6144, 1024, 2048), (64, 16, 33), (90, 45, 40)])
def test_spectrograms_as_convolutions_are_torchs(n_fft: int, hop: int, bins: int) -> None:
    """The first is KUIELab-MDX-Net's; the second keeps all bins, so that the inverse gives the signals back."""
    plain = Spectrogram(n_fft, hop, bins)
    signals = torch.randn(2, 3, hop * (2 * n_fft // hop))
    columns = plain.columns(signals.shape[-1])
    convolved = ConvolvedSpectrogram(plain, columns)
    torch.testing.assert_close(convolved(signals), plain(signals), rtol=1e-4, atol=1e-5 * n_fft**0.5)
    spectra = torch.randn(2, 6, bins, columns)
    torch.testing.assert_close(convolved.inverse(spectra), plain.inverse(spectra), rtol=1e-4, atol=1e-5)
    if 2 * (bins - 1) == n_fft:
        torch.testing.assert_close(convolved.inverse(convolved(signals)), signals, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [*EXPORTABLE, "hdemucs", "htdemucs", "bs_roformer"])
def test_torchscript_is_checked_and_loads_without_this_package(tmp_path: Path, name: str) -> None:
    model = _spectral(name).eval()
    save_separator(tmp_path / "run", model)
    out = tmp_path / "net.pt"
    assert _run("export-model", tmp_path / "run", "--format", "torchscript", "--out", out) == 0
    extra = {"remix_miner.json": ""}
    script = torch.jit.load(str(out), _extra_files=extra)
    metadata = json.loads(extra["remix_miner.json"])
    mixture = torch.randn(1, 2, int(metadata["input_frames"]))
    with torch.no_grad():
        torch.testing.assert_close(
            script(mixture), model(mixture, int(metadata["output_frames"])), rtol=1e-4, atol=1e-5
        )


def _spectral(name: str) -> Any:
    if name in EXPORTABLE:
        return build(name, **EXPORTABLE[name])
    if name == "hdemucs":
        return build(name, channels=4, nfft=1024, depth=5, segment_seconds=0.5, sample_rate=4000)
    if name == "htdemucs":
        pytest.importorskip("demucs")
        return build(name, channels=8, t_layers=1, segment_seconds=0.2)
    pytest.importorskip("bs_roformer")
    return build(name, segment_seconds=0.2, options=ROFORMER_OPTIONS, **TINY_ROFORMER)


def test_a_model_that_onnx_cannot_hold_is_refused_and_nothing_is_written(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """RoFormers compute with complex numbers inside their library."""
    pytest.importorskip("onnx")
    save_separator(tmp_path / "run", _spectral("bs_roformer"))
    assert _run("export-model", tmp_path / "run", "--out", tmp_path / "net.onnx") == 2
    shown = capfd.readouterr()
    assert "operations that ONNX lacks" in shown.err
    assert "aten::" not in shown.out + shown.err  # the exporter's own dump of the graph
    assert not (tmp_path / "net.onnx").exists()


CONFIGS = {
    "tiny_roformer": "",
    "module": """
[separator]
name = "module:bs_roformer.BSRoformer"
[separator.settings]
segment_seconds = 0.5
multiple = 64
least_frames = 256
[separator.settings.arguments]
dim = 8
depth = 1
stereo = true
num_stems = 4
num_residual_streams = 1
dim_head = 8
heads = 1
flash_attn = false
dim_freqs_in = 129
stft_n_fft = 256
stft_hop_length = 64
stft_win_length = 256
freqs_per_bands = [32, 32, 32, 33]
""",
    "htdemucs": """
[separator]
name = "htdemucs"
settings = { channels = 8, t_layers = 1, segment_seconds = 0.5, options = { bottom_channels = 0 } }
""",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_models_of_others_train_with_mined_excerpts_and_are_scored(
    name: str, songs_dir: Path, tmp_path: Path, mine: Any
) -> None:
    """Through the same steps as Demucs: main steps, remix steps on what was mined, checkpoints, evaluation."""
    pytest.importorskip("demucs" if name == "htdemucs" else "bs_roformer")
    mine(tmp_path / "mined", {"x.mp3": {"bass": [5.0], "vocals": [6.0]}})
    config = name
    if CONFIGS[name]:
        config = str(tmp_path / "config.toml")
        Path(config).write_text(CONFIGS[name])
    changes = ["epochs=1", "steps_per_epoch=2", "batch_size=2", "segment_seconds=0.5", "resample=true"]
    changes += ["validation.seconds_per_track=2.0", "remix.probability=1.0", "excerpts.enough_minutes=0"]
    changes += ["log_every_steps=1"]
    overrides = [part for change in changes for part in ("--set", change)]
    run, stems = tmp_path / "run", songs_dir / "stems"
    shared = ("--stems", stems, "--mined", tmp_path / "mined", "--out", run, "--workers", "0", "--device", "cpu")
    assert _run("train", *shared, "--config", config, *overrides) == 0
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert any("remix" in json.dumps(entry) for entry in log)
    result = tmp_path / "result.json"
    scored = ("--stems", stems, "--split", "test", "--metrics", "usdr", "--workers", "1")
    assert _run("evaluate", run, *scored, "--out", result) == 0
    scores = json.loads(result.read_text())["tracks"][0]["sources"]
    assert set(scores) == {"drums", "bass", "other", "vocals"}
    assert all(np.isfinite(row["usdr"]) for row in scores.values() if row["usdr"] is not None)


def test_weights_are_fetched_on_request_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stand-in for the download writes a checkpoint that the demucs package could have made."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    asked: list[tuple[str, str]] = []

    def fetch(url: str, place: str, hash_prefix: str | None = None, progress: bool = True) -> None:
        asked.append((url.rpartition("/")[2], str(hash_prefix)))
        _demucs_file(Path(place))

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    write_audio(tmp_path / "song.wav", np.zeros((2, 5000), np.float32), 44100)
    arguments = ("separate", "htdemucs", tmp_path / "song.wav", "--out", tmp_path / "out")
    assert _run(*arguments) == 2
    assert asked == []
    assert "pass --download" in capsys.readouterr().err
    assert _run(*arguments, "--download") == 0
    assert asked == [("955717e8-8726e21a.th", "8726e21a")]
    assert sorted(path.name for path in (tmp_path / "out" / "song").glob("*.wav")) == ["bass.wav", "drums.wav"]
