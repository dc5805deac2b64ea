"""Files of unknown origin: mutated results, rows, boards, recipes, records and zips end in clear errors or are read."""

import copy
import io
import json
import random
import signal
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.audio import write_audio
from remix_miner.cli import main
from remix_miner.errors import DataError, RemixMinerError, UsageError
from remix_miner.evaluation import temporary
from remix_miner.evaluation.archive import ArchiveLimits, unpack
from remix_miner.evaluation.ensembles.recipe import load_recipe
from remix_miner.evaluation.leaderboard.board import Leaderboard
from remix_miner.evaluation.leaderboard.compare import compare
from remix_miner.evaluation.leaderboard.page import write_page
from remix_miner.evaluation.metrics import aggregates
from remix_miner.evaluation.results import Result
from remix_miner.evaluation.tables import result_text
from remix_miner.evaluation.temporary import temporary_folder
from remix_miner.paths import display_name, printable
from remix_miner.separators import build
from remix_miner.separators.loading import open_separator, save_separator
from remix_miner.separators.records import output_folders, read_record
from remix_miner.settings_files import RECIPES
from remix_miner.sources import SOURCES

RATE = 4000


def _document(tracks: int = 6) -> dict[str, Any]:
    """A complete result: silence, an infinite score, cost, inference, model."""
    rows = [
        {
            "name": f"song {index}",
            "seconds": 10.0,
            "sources": {
                source: {
                    "silent": index == 0,
                    "leakage_db": -41.5 if index == 0 else None,
                    "usdr": None if index == 0 else 5.0 + index,
                    "csdr": None if index == 0 else 4.0 + index,
                    "frames": 10,
                    "frames_scored": 9,
                }
                for source in SOURCES
            },
        }
        for index in range(tracks)
    ]
    inference = {"segment_seconds": 10.0, "overlap": 0.25, "shifts": 5, "polarity": False, "consistency": False}
    cost = {"device": "cpu", "compute_seconds_per_audio_second": 0.5, "peak_memory_mib": 300.0}
    corpus = {"name": "corpus", "tracks": tracks, "seconds": 60.0, "sample_rates": [44100], "fingerprint": "f"}
    model = {"name": "demucs", "identity": "demucs:1", "settings": {"channels": 4}}
    result = Result(
        "a", list(SOURCES), ["usdr", "csdr"], corpus, rows, model=model, inference=inference, cost=cost, notes=["note"]
    )
    return result.document()


HOSTILE = (None, True, -1, 0, 10**400, 1.5, 1e308, float("nan"), "", "x", "../../x", "\x1b[2J", [], [1], {}, {"a": 1})


def _mutated(document: Any, generator: random.Random) -> Any:
    """The document with one of its values replaced, removed or duplicated, at a random place."""
    document = copy.deepcopy(document)
    place = document
    while True:
        key = generator.choice(list(place)) if isinstance(place, dict) else generator.randrange(len(place))
        deeper = place[key]
        if isinstance(deeper, dict | list) and deeper and generator.random() < 0.8:
            place = deeper
            continue
        if generator.random() < 0.2:
            del place[key]
        elif isinstance(place, dict) and generator.random() < 0.1:
            place[generator.choice(["../x", "", "x"])] = place.pop(key)
        else:
            place[key] = generator.choice(HOSTILE)
        return document


def _survives(action: Callable[[], object], seen: list[bool]) -> None:
    try:
        action()
        seen.append(True)
    except RemixMinerError:
        seen.append(False)


def test_mutated_results_are_refused_or_can_be_used_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is accepted can be printed, compared, added and drawn."""
    monkeypatch.setattr(aggregates, "RESAMPLES", 10)
    generator, seen = random.Random(0), []
    good = Result.from_document(_document())
    path = tmp_path / "result.json"
    for number in range(150):
        path.write_text(json.dumps(_mutated(_document(), generator)))

        def use(number: int = number) -> None:
            result = Result.load(path)
            result_text(result, result.document())
            compare(result, good)
            board = Leaderboard(tmp_path / f"board {number}")
            board.add(result)
            write_page(board, tmp_path / "page.html")

        _survives(use, seen)
    assert 10 < sum(seen) < 145


def test_mutated_rows_and_boards_are_refused_or_drawn(tmp_path: Path) -> None:
    generator, seen = random.Random(1), []
    board = tmp_path / "board"
    row = Leaderboard(board).add(Result.from_document(_document()))
    files = [board / "board.json", board / "rows" / f"{row.id}.json"]
    contents = [json.loads(file.read_text()) for file in files]
    for number in range(120):
        which = number % 8 == 0
        for file, content in zip(files, contents, strict=True):
            file.write_text(json.dumps(content))
        index = 0 if which else 1
        files[index].write_text(json.dumps(_mutated(contents[index], generator)))
        _survives(lambda: write_page(Leaderboard(board), tmp_path / "page.html"), seen)
    assert 5 < sum(seen) < 115


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 100_000, b"\xff\xfe", b'{"format": NaN}', b"1e999"])
def test_files_that_are_no_results_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DataError, match=r"r\.json"):
        Result.load(tmp_path / "r.json")


def test_the_wrong_field_is_named(tmp_path: Path) -> None:
    document = _document()
    document["tracks"][2]["sources"]["bass"]["usdr"] = "loud"
    (tmp_path / "r.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"Expected `float \| null`, got `str` - at `\$\.tracks\[2\]\.sources"):
        Result.load(tmp_path / "r.json")
    document = _document()
    document["sources"] = ["../../x"]
    with pytest.raises(DataError, match=r"\$\.sources\[0\]"):
        Result.from_document(document)


def test_mutated_recipes_are_refused_with_a_clear_error(tmp_path: Path) -> None:
    generator, seen = random.Random(2), []
    text = (RECIPES / "ensemble_mvsep_2023.toml").read_text()
    path = tmp_path / "recipe.toml"
    for _ in range(300):
        at = generator.randrange(len(text))
        piece = generator.choice(
            ["", "[", "]", "=", '"', "-1", "nan", "x", "{ a = 1 }", "[[stages]]\n", "[members.a]\n"]
        )
        path.write_text(text[:at] + piece + text[at + generator.randrange(12) :])

        def use() -> None:
            recipe = load_recipe(path)
            for stage in recipe.stages:
                for source in stage.weights:
                    assert np.isfinite(list(stage.shares(source).values())).all()

        _survives(use, seen)
    assert 10 < sum(seen) < 290
    for content in ("title = 3\nmembers = 4\nstages = 5", "title = 't'\n[members.a]\n[[stages]]\nweights = 3"):
        path.write_text(content)
        with pytest.raises(UsageError):
            load_recipe(path)


def test_mutated_records_of_separations_never_stop_a_rerun(tmp_path: Path) -> None:
    generator = random.Random(3)
    record = {
        "format": "remix-miner/separation",
        "input": str(tmp_path / "song.wav"),
        "size": 3,
        "mtime_ns": 4,
        "model": "m",
        "inference": {"overlap": 0.25},
        "file_format": "wav",
        "seconds": 1.0,
        "clipped": {"drums": 3},
        "problem": None,
    }
    folder = tmp_path / "out" / "song"
    folder.mkdir(parents=True)
    (tmp_path / "song.wav").write_bytes(b"abc")
    for _ in range(200):
        (folder / "separation.json").write_text(json.dumps(_mutated(record, generator)))
        read_record(folder)
        output_folders([tmp_path / "song.wav"], tmp_path / "out")


def _wav(frames: int = 100) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((frames, 2), np.float32), RATE, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_mutated_zips_are_refused_or_unpacked_inside_the_folder(tmp_path: Path, method: int) -> None:
    generator, seen = random.Random(4), []
    with zipfile.ZipFile(tmp_path / "good.zip", "w", method) as archive:
        for source in SOURCES:
            archive.writestr(f"song/{source}.wav", _wav())
    good = (tmp_path / "good.zip").read_bytes()
    path = tmp_path / "bad" / "up.zip"
    path.parent.mkdir()
    for number in range(200):
        content = bytearray(good)
        for _ in range(generator.randrange(1, 6)):
            content[generator.randrange(len(content))] = generator.randrange(256)
        if number % 5 == 0:
            del content[generator.randrange(len(content)) :]
        path.write_bytes(bytes(content))
        _survives(lambda number=number: unpack(path, tmp_path / "in" / str(number), ArchiveLimits(10**6, 100)), seen)
    assert sorted(child.name for child in tmp_path.iterdir()) in (["bad", "good.zip"], ["bad", "good.zip", "in"])
    assert (not any(seen)) or method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@pytest.mark.parametrize("large", [False, True])
def test_a_zip_of_many_entries_is_refused_before_its_directory_is_read(tmp_path: Path, large: bool) -> None:
    """A directory of a million entries would cost 780 MiB; here the end records alone state them."""
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as archive:
        archive.writestr("a.wav", b"")
    content = (tmp_path / "up.zip").read_bytes()
    end, count = content.rfind(b"PK\x05\x06"), 70_000 if large else 50_000
    stated = 0xFFFF if large else count
    tail = content[end : end + 8] + struct.pack("<HH", stated, stated) + content[end + 12 :]
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, 54, end)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    (tmp_path / "up.zip").write_bytes(content[:end] + (record + locator if large else b"") + tail)
    with pytest.raises(DataError, match=f"{count} files, more than the 100 allowed"):
        unpack(tmp_path / "up.zip", tmp_path / "out", ArchiveLimits(10**6, 100))


def test_evaluate_limits_a_zip_by_the_reference_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in SOURCES:
        write_audio(tmp_path / "stems" / "song" / f"{source}.wav", np.full((2, RATE), 0.1, np.float32), RATE)
    with zipfile.ZipFile(tmp_path / "up.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("song/drums.wav", bytes(30_000_000))
    assert _run("evaluate", tmp_path / "up.zip", "--stems", tmp_path / "stems") == 2
    assert "unpacks to more than" in capsys.readouterr().err


def test_names_are_printed_without_what_a_terminal_would_act_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printable("a\x1b]0;owned\x07b\nc") == "a\\x1b]0;owned\\x07b\nc"
    assert display_name("x\u202egpj.exe\n") == "x\\u202egpj.exe\\n"
    assert printable("Björk – 日本") == "Björk – 日本"
    for source in SOURCES:
        write_audio(tmp_path / "stems" / "song" / f"{source}.wav", np.full((2, RATE), 0.1, np.float32), RATE)
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as archive:
        archive.writestr("\x1b[2Jsong/drums.wav", _wav())
    assert _run("evaluate", tmp_path / "up.zip", "--stems", tmp_path / "stems") == 2
    document = _document()
    document["name"] = "\x1b[2Jevil"
    (tmp_path / "r.json").write_text(json.dumps(document))
    assert _run("leaderboard", "add", tmp_path / "r.json", "--board", tmp_path / "board") == 0
    assert _run("leaderboard", "show", "--board", tmp_path / "board") == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "\\x1b[2Jevil" in said.out


def test_a_results_own_folder_of_estimates_is_neither_linked_nor_copied(tmp_path: Path) -> None:
    """A foreign result names the organiser's stems; only --estimates makes players."""
    for source in SOURCES:
        write_audio(tmp_path / "private" / "song 1" / f"{source}.wav", np.full((2, RATE), 0.1, np.float32), RATE)
    document = {**_document(), "estimates": str(tmp_path / "private")}
    (tmp_path / "r.json").write_text(json.dumps(document))
    page = tmp_path / "pages" / "page.html"
    draw = ("leaderboard", "page", "--out", page, "--audio-seconds", "1")
    assert _run("leaderboard", "add", tmp_path / "r.json", "--board", tmp_path / "a") == 0
    assert _run(*draw, "--board", tmp_path / "a") == 0
    assert not list(page.parent.rglob("*.ogg"))
    assert "private" not in page.read_text()
    add = ("leaderboard", "add", tmp_path / "r.json", "--board", tmp_path / "b")
    assert _run(*add, "--estimates", tmp_path / "private") == 0
    assert _run(*draw, "--board", tmp_path / "b") == 0
    assert len(list(page.parent.rglob("*.ogg"))) == 4


def test_estimates_as_mp3_are_named_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in SOURCES:
        write_audio(tmp_path / "stems" / "song" / f"{source}.wav", np.full((2, RATE), 0.1, np.float32), RATE)
    write_audio(tmp_path / "est" / "song" / "drums.mp3", np.full((2, RATE), 0.1, np.float32), 8000)
    assert _run("evaluate", tmp_path / "est", "--stems", tmp_path / "stems") == 2
    said = capsys.readouterr().err
    assert "holds .mp3 files" in said
    assert "no model" not in said


def test_outputs_that_cannot_be_written_are_refused_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    for option in ("--out", "--keep"):
        target = tmp_path / "file" / "r.json" if option == "--out" else tmp_path / "file"
        assert _run("evaluate", "mixture", "--stems", tmp_path / "nothing", option, target) == 2
        assert "is a file, not a folder" in capsys.readouterr().err


def test_leftover_temporary_folders_are_removed_and_those_in_use_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(temporary.tempfile, "tempdir", None)
    hold = (
        "import time\nfrom remix_miner.evaluation.temporary import temporary_folder\n"
        "with temporary_folder() as folder:\n"
        "    (folder / 'a').touch()\n    print(folder, flush=True)\n    time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    theirs = Path(process.stdout.readline().strip())
    foreign = tmp_path / "remix-miner-other"
    foreign.mkdir()
    with temporary_folder() as ours:
        assert theirs.is_dir()
        assert ours.is_dir()
    assert not ours.parent.exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (theirs / "a").exists()
    with temporary_folder():
        assert not theirs.parent.exists()
    assert foreign.is_dir()  # without our lock, so not ours


def test_scoring_processes_exit_with_their_parent(tmp_path: Path) -> None:
    """SIGKILL of the command, which nothing can catch: its children end by themselves."""
    hold = (
        "import os, time\nfrom remix_miner.evaluation import scoring_pool\n"
        "if __name__ == '__main__':\n"
        "    with scoring_pool.scoring_pool(2, 2) as submit:\n"
        "        scoring_pool.score_files = os.getpid\n"
        "        print(submit().result(), flush=True)\n        time.sleep(60)"
    )
    (tmp_path / "hold.py").write_text(hold)
    process = subprocess.Popen([sys.executable, tmp_path / "hold.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert Path(f"/proc/{worker}").exists()
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{worker}").exists()


def _run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_mutated_descriptions_of_models_are_refused_or_load(tmp_path: Path) -> None:
    """model.json of a run, and the TOML that names foreign weights."""
    generator, seen = random.Random(5), []
    settings = {"channels": 2, "depth": 1, "sample_rate": 4000, "segment_seconds": 0.5}
    save_separator(tmp_path / "run", build("demucs", **settings), data={"train_songs": ["a"]})
    path = tmp_path / "run" / "model.json"
    document = json.loads(path.read_text())
    for _ in range(150):
        path.write_text(json.dumps(_mutated(document, generator)))
        _survives(lambda: open_separator(str(tmp_path / "run")), seen)
    path.write_text(json.dumps(document))
    lines = ['name = "demucs"', 'weights = "run/model.safetensors"', "[settings]"]
    text = "\n".join([*lines, *(f"{name} = {value}" for name, value in settings.items())])
    described = tmp_path / "model.toml"
    for _ in range(100):
        at = generator.randrange(len(text))
        described.write_text(text[:at] + generator.choice(["", "[", '"', "-", "nan", "9"]) + text[at + 1 :])
        _survives(lambda: open_separator(str(described)), seen)
    assert 10 < sum(seen) < 240


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("demucs", "channels", 10**9),
        ("demucs", "depth", 100),
        ("demucs", "segment_seconds", float("inf")),
        ("demucs_v1", "rescale", float("nan")),
        ("hdemucs", "sample_rate", -1),
        ("tfc_tdf_v2", "bins", 0),
        ("tfc_tdf_v3", "levels", 10**25),
        ("bs_roformer", "dim", 10**9),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(name: str, setting: str, value: float) -> None:
    with pytest.raises(UsageError, match=setting):
        build(name, **{setting: value})
