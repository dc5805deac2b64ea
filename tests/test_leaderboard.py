"""The board's folder, the published rows against the papers' figures, and the page in a real browser."""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from remix_miner.audio import write_audio
from remix_miner.cli import main
from remix_miner.errors import DataError
from remix_miner.evaluation.leaderboard.board import Leaderboard
from remix_miner.evaluation.leaderboard.page import write_page
from remix_miner.evaluation.leaderboard.published import published_rows
from remix_miner.evaluation.leaderboard.text_tables import text_tables
from remix_miner.evaluation.results import Result
from remix_miner.sources import SOURCES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>document.title='owned'</script>"


def _result(name: str, level: float = 5.0, tracks: int = 6, **more: Any) -> Result:
    random = np.random.default_rng(len(name))
    rows = []
    for index in range(tracks):
        scores = {
            source: {"silent": False, "leakage_db": None, "usdr": level + float(random.normal()), "csdr": level + 1}
            for source in SOURCES
        }
        scores["vocals"] = (
            {"silent": True, "leakage_db": -41.5, "usdr": None, "csdr": None} if index == 0 else scores["vocals"]
        )
        rows.append({"name": f"song {index}", "seconds": 10.0, "sources": scores})
    corpus = {"name": "corpus", "tracks": tracks, "seconds": 60.0, "sample_rates": [44100], "fingerprint": "f"}
    return Result(name, list(SOURCES), ["usdr", "csdr"], corpus, rows, **more)


def test_rows_are_kept_and_never_altered(tmp_path: Path) -> None:
    board = Leaderboard(tmp_path / "board")
    first, second = board.add(_result("first")), board.add(_result("second", 6.0))
    assert [row.id for row in Leaderboard(tmp_path / "board").rows()] == [first.id, second.id]
    assert first.result.tracks == _result("first").tracks
    with pytest.raises(DataError, match="on the board already"):
        board.add(_result("first"))
    with pytest.raises(DataError, match="other scores"):
        board.add(_result("first", 9.0))


def test_a_board_is_not_made_among_other_files_and_foreign_rows_are_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other files"):
        Leaderboard(tmp_path)
    with pytest.raises(DataError, match="is a file, not a folder"):
        Leaderboard(tmp_path / "notes.txt")
    board = Leaderboard(tmp_path / "board")
    board.add(_result("first"))
    (tmp_path / "board" / "rows" / "x.json").write_text('{"format": "other"}')
    with pytest.raises(DataError, match=r"x\.json is not"):
        board.rows()
    (tmp_path / "board" / "board.json").write_text('{"format": "remix-miner/leaderboard", "format_version": 2}')
    with pytest.raises(DataError, match="version 2"):
        Leaderboard(tmp_path / "board")


def test_published_rows_are_the_papers_figures() -> None:
    """Spot checks against the printed tables, and what their averages must be."""
    rows = published_rows()

    def only(**wanted: str) -> Any:
        (found,) = [row for row in rows if all(text in getattr(row, name) for name, text in wanted.items())]
        return found

    remix = only(paper="Défossez", table="Table 1", training="100 extra labelled songs and 2,000")
    assert dict(remix.values) == {"drums": 6.50, "bass": 6.21, "other": 3.80, "vocals": 6.21, "all_pooled": 5.67}
    assert only(table="Table 2, test", system="no BiLSTM").values == {"average": 4.83}
    blend = only(paper="KUIELab", system="+ Demucs-v2")
    assert [blend.values[source] for source in SOURCES] == [7.69, 7.62, 6.56, 8.99]
    songs = only(paper="cacophony", system="original songs")
    assert (songs.values["average"], songs.deviations["vocals"]) == (6.1, 0.1)
    for row in rows:
        if "average" in row.values and set(SOURCES) <= set(row.values):
            # Papers round what they average: one unit of the last digit printed, 0.1 or 0.01.
            unit = 0.101 if row.deviations else 0.011
            assert row.values["average"] == pytest.approx(np.mean([row.values[name] for name in SOURCES]), abs=unit)
    assert len([row for row in rows if row.metric == "csdr"]) == 8 + 3 + 8 + 7
    mvsep = [row for row in rows if row.metric == "usdr"]
    assert {row.corpus for row in mvsep} == {"Multisong MVSep, 100 songs"}
    assert mvsep[0].values["bass"] == 12.5034
    assert [row.figures.get("average") for row in mvsep] == [
        pytest.approx(each, abs=1e-4) for each in (10.0605, 9.3832, 8.6152)
    ] + [None]
    assert (only(system="+ Demucs-v2").average_is_computed, remix.average_is_computed) == (True, True)
    assert remix.figures["average"] == pytest.approx(5.68)
    assert not songs.average_is_computed


def test_tables_hold_one_way_of_averaging_and_are_sorted_by_the_average_they_show() -> None:
    tables = {text.splitlines()[0]: text.splitlines()[1:] for text in text_tables([], "csdr").split("\n\n")}
    musdb = "MUSDB18 test, 50 songs, median of medians"
    assert "MUSDB-HQ test, 50 songs, average over frames and songs not stated" in tables
    assert not any("UNet v3" in line for line in tables[musdb])
    header, _, *lines = tables[musdb]
    assert header.split("  ")[0] == "cSDR, dB"
    averages = [float(re.split(r"  +", line)[1]) for line in lines]
    assert averages == sorted(averages, reverse=True)
    # 7.69 7.62 6.56 8.99: the best of all, though its table has no average.
    assert re.split(r"  +", lines[0])[:2] == ["KUIELab-MDX-Net + Demucs-v2 (published) *", "7.71"]
    usdr = text_tables([], "usdr")
    assert re.search(r"MVSEP MDX23.* 10\.06 .* 15\.82", usdr)
    assert "MDX B (published)" in usdr.splitlines()[-3]  # without an average: last


def test_the_board_takes_sources_of_any_name(tmp_path: Path) -> None:
    result = _result("six")
    tracks = [
        {**track, "sources": {"speech": track["sources"]["drums"], "music": track["sources"]["bass"]}}
        for track in result.tracks
    ]
    board = Leaderboard(tmp_path / "board")
    board.add(replace(result, sources=["speech", "music"], tracks=tracks))
    (text,) = [block for block in text_tables(board.rows(), "csdr").split("\n\n") if block.startswith("corpus")]
    assert re.split(r"  +", text.splitlines()[1]) == ["cSDR, dB", "average", "music", "speech", "all pooled"]


def test_commands_add_show_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, level in (("worse", 4.0), ("better", 6.0)):
        _result(name, level).save(tmp_path / f"{name}.json")
    board = ["--board", str(tmp_path / "board")]
    assert _run("leaderboard", "add", tmp_path / "worse.json", tmp_path / "better.json", *board) == 0
    capsys.readouterr()
    assert _run("leaderboard", "show", *board) == 0
    shown = capsys.readouterr().out
    assert shown.index("better") < shown.index("worse")
    assert _run("leaderboard", "show", "--metric", "csdr", *board) == 0
    assert "KUIELab-MDX-Net + Demucs-v2 (published)" in capsys.readouterr().out
    assert _run("leaderboard", "compare", tmp_path / "better.json", tmp_path / "worse.json", "--json") == 0
    differences = json.loads(capsys.readouterr().out)["differences"]
    csdr = next(each for each in differences if (each["aggregate"], each["column"]) == ("median_of_medians", "drums"))
    assert (csdr["value"], csdr["clear"], csdr["wins"]) == (pytest.approx(2), True, 6)
    assert _run("leaderboard", "add", tmp_path / "board" / "board.json", *board) == 2


def _run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with two measured rows, one of which has a hostile name and kept audio."""
    for source in SOURCES:
        tone = (0.1 * np.sin(np.arange(44100 * 2) / 20)).astype(np.float32)
        write_audio(tmp_path / "kept" / "song 1" / f"{source}.wav", np.stack([tone, tone]), 44100)
    board = Leaderboard(tmp_path / "board")
    settings = {"segment_seconds": 10.0, "overlap": 0.25, "shifts": 5, "polarity": False, "consistency": False}
    cost = {"device": "cpu", "compute_seconds_per_audio_second": 0.5, "peak_memory_mib": 300.0}
    board.add(_result(HOSTILE, estimates=str(tmp_path / "kept"), cost=cost, inference=settings))
    board.add(_result("second", 6.0))
    return write_page(board, tmp_path / "pages" / "board.html", copy_audio_seconds=1)


def test_the_page_carries_everything_and_no_markup_from_names(page: Path) -> None:
    text = page.read_text()
    assert HOSTILE not in text
    assert not re.search(r"(src|href)=[\"']?https?:|@import|url\(", text)
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    rows = json.loads(data)["rows"]
    assert rows[0]["system"] == HOSTILE
    audio = page.parent / rows[0]["audio"]["song 1"]["drums"].replace("%20", " ")
    assert audio.suffix == ".ogg"
    assert audio.stat().st_size > 1000


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_the_page_works_in_a_browser(page: Path, tmp_path: Path) -> None:
    """Metrics switch, rows sort and unfold, names stay text, audio loads; then a screenshot is made."""
    actions = """
      const log = [];
      const names = () => [...document.querySelectorAll('.name')].map((each) => each.textContent);
      const headings = () => [...document.querySelectorAll('.board thead button')];
      const heading = (text) => headings().find((each) => each.textContent === text);
      document.querySelector('[data-metric=usdr]').click();
      log.push(names().slice(0, 2), document.title);
      heading('drums').click();
      log.push(document.querySelector('[aria-sort]').getAttribute('aria-sort'));
      heading('drums').click();
      log.push(names().slice(0, 2));
      document.querySelector('[data-metric=csdr]').click();
      heading('average').click();
      const boards = [...document.querySelectorAll('.board')];
      log.push(boards.every((board) => board.querySelectorAll('thead th')[1].textContent === 'average'));
      log.push(boards.every((board) => {
        const shown = [...board.querySelectorAll('tr.row .sorted .value')].map((each) => each.textContent);
        const figures = shown.filter((text) => text !== '–').map((text) => Number(text.replace('−', '-')));
        return figures.every((figure, index) => index === 0 || figure <= figures[index - 1]);
      }));
      log.push(document.querySelectorAll('.tag').length);
      document.getElementById('published').click();
      log.push(document.querySelectorAll('.tag').length);
      heading('average').click();  // ascending: the row with audio first
      document.querySelector('.name').click();
      log.push(document.querySelectorAll('.tracks tbody tr').length, document.querySelectorAll('audio').length);
      log.push(document.querySelector('.silent').textContent, document.querySelectorAll('.multiples svg').length);
      const note = document.createElement('pre');
      note.id = 'log';
      const done = (text) => { log.push(text); note.textContent = JSON.stringify(log); document.body.append(note); };
      const audio = document.querySelector('audio');
      audio.addEventListener('loadedmetadata', () => done(Math.round(audio.duration)));
      audio.addEventListener('error', () => done('error'));
      audio.preload = 'metadata';
      audio.load();
    """
    copy = page.with_name("acted.html")
    copy.write_text(page.read_text().replace("\nsetUp();\n", "\nsetUp();\n" + actions))
    dumped = _chromium("--virtual-time-budget=8000", "--dump-dom", copy.as_uri(), profile=tmp_path / "profile")
    found = re.search(r'<pre id="log">(.*?)</pre>', dumped, re.DOTALL)
    assert found, dumped[-2000:]
    (
        order,
        title,
        sort,
        reverse,
        average_first,
        by_what_is_shown,
        published,
        hidden,
        tracks,
        players,
        silent,
        plots,
        seconds,
    ) = json.loads(html.unescape(found[1]))
    assert order == ["second", HOSTILE]
    assert title == "Leaderboard"
    assert average_first
    assert by_what_is_shown
    assert (sort, reverse) == ("descending", [HOSTILE, "second"])
    assert (published, hidden) == (8 + 3 + 8, 0)
    assert (tracks, players, plots) == (6, 4, 4)
    assert silent == "silent, leaks −41.5 dB"
    assert seconds == 1
    image = tmp_path / "page.png"
    _chromium(f"--screenshot={image}", "--window-size=390,800", page.as_uri(), profile=tmp_path / "profile")
    assert image.stat().st_size > 10_000


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_wide_table_scrolls_inside_its_card_on_a_phone(page: Path) -> None:
    """At 390 px the page is as wide as the screen; the last column comes into view by the keyboard."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    last_shown = """(region) => {
      const last = region.querySelector("thead th:last-child").getBoundingClientRect();
      return last.right <= region.getBoundingClientRect().right + 1;
    }"""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--headless", "--no-sandbox"])
        shown = browser.new_page(viewport={"width": 390, "height": 844})
        shown.goto(page.as_uri())
        assert shown.evaluate("() => document.documentElement.scrollWidth") <= 390
        region = shown.locator(".card > .scroll").first
        assert not region.evaluate(last_shown)
        region.focus()
        for _ in range(20):
            shown.keyboard.press("ArrowRight")
        shown.wait_for_timeout(500)
        assert region.evaluate(last_shown)
        browser.close()


def _chromium(*arguments: str, profile: Path) -> str:
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
