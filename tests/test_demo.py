"""The demo's plan and page; CI runs the whole demo from the installed wheel."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

from remix_miner.cli import app, main
from remix_miner.demo.page import DoneStep, write_page
from remix_miner.demo.steps import DemoFolder, demo_steps
from remix_miner.mined.catalogue import Catalogue
from remix_miner.sources import SOURCES


@pytest.fixture
def folder(songs_dir: Path, mine: Callable[..., Catalogue], tmp_path: Path) -> DemoFolder:
    """The folder as the steps leave it."""
    folder = DemoFolder(tmp_path / "demo")
    folder.root.mkdir()
    folder.songs.symlink_to(songs_dir)
    first, second = sorted(file.name for file in folder.songs.glob("library/*"))[:2]
    tracks = {f"library/{first}": {"drums": [5.0]}, f"library/{second}": {"drums": [6.0], "vocals": [5.5]}}
    mine(folder.mined, tracks).close()
    folder.picture.write_bytes(b"picture")
    song = folder.test_song().name
    for source in SOURCES:
        (folder.estimates / song).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder.estimates / song / f"{source}.flac", np.zeros((100, 2)), 44100)
    for path, usdr in zip(folder.results, (-4.25, None), strict=True):
        path.parent.mkdir(exist_ok=True)
        scores = {source: {"usdr": usdr} for source in SOURCES}
        path.write_text(json.dumps({"tracks": [{"name": song, "sources": scores}]}), encoding="utf-8")
    return folder


class Links(HTMLParser):
    """Collects the targets of a page's links, pictures and players."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in ("src", "href") and value]


def test_the_page_shows_files_that_exist_and_loads_nothing_else(folder: DemoFolder) -> None:
    write_page(folder, [DoneStep("Mine", "Scans.", "remix-miner detect <x>", 12.4, 1, "4 tracks scanned")])
    page = folder.page.read_text(encoding="utf-8")
    links = Links()
    links.feed(page)
    made = {"calibration.html", "leaderboard.html"}  # by other steps
    for target in set(links.found) - made:
        assert (folder.root / target).exists(), target
    assert made <= set(links.found)
    assert len([target for target in links.found if target.startswith("excerpts/")]) == 3
    assert "remix-miner detect &lt;x&gt;" in page
    assert "Exit status 1" in page
    assert page.count("-4.2 dB") == 4


def test_the_page_states_the_true_volume_of_an_excerpt(folder: DemoFolder) -> None:
    write_page(folder, [])
    second = sorted(folder.songs.glob("library/*"))[1]
    truth = folder.songs / "library_truth" / second.stem
    energies = []
    for name in ("drums", "mixture"):
        samples, rate = soundfile.read(truth / f"{name}.wav")
        energies.append((samples[: 6 * rate].mean(axis=1) ** 2).sum())
    level = 10 * np.log10(energies[0] / energies[1]) if energies[0] else -np.inf
    shown = "silent" if level < -120 else f"{level:.0f} dB"
    rows = re.findall(r"<tr>.*?</tr>", folder.page.read_text(encoding="utf-8"), re.DOTALL)
    (row,) = [row for row in rows if second.name in row and "6.0 s" in row]
    assert f'class="number">{shown}</td>' in row


def test_excerpts_are_written_as_they_were_mined(folder: DemoFolder) -> None:
    write_page(folder, [])
    samples, rate = soundfile.read(folder.excerpts / "without_drums_1.wav")
    assert len(samples) == 6 * rate


def test_the_song_with_the_longest_harvest_is_drawn(folder: DemoFolder) -> None:
    assert folder.scanned_song() == sorted(folder.songs.glob("library/*"))[1]


def test_each_step_is_a_command_that_parses(folder: DemoFolder) -> None:
    for step in demo_steps(folder):
        verb, *arguments = step.arguments()
        command = app.get_command(click.Context(app), verb)
        assert command is not None
        context = command.make_context(verb, arguments)
        if isinstance(command, click.Group):
            _, leaf, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            assert leaf is not None
            leaf.make_context(leaf.name, rest)


def test_a_file_in_the_place_of_the_folder_is_refused_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "demo").write_text("")
    with pytest.raises(SystemExit) as exit_:
        main(["demo", str(tmp_path / "demo")])
    assert exit_.value.code == 2
    assert "is a file" in capsys.readouterr().err
