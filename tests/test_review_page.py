"""The review page in a real browser: keyboard, drag, reload, a kill in the middle, an audit to its end, a phone."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from remix_miner.mined.probabilities import ProbabilityStore, StoredTrack
from remix_miner.mined.probability_codes import encode

from .conftest import MINED_RATE

pytest.importorskip("starlette", reason="the extra 'review' is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio"),
)
HOSTILE = "library/<img src=x onerror=document.title='taken'>.wav"
TRACKS = {HOSTILE: {"drums": [16.0, 7.0]}, "library/b.wav": {"bass": [8.0], "drums": [6.0]}}
WAIT_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium, or set CHROMIUM to its path")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture
def folder(tmp_path, mine) -> Path:
    mine(tmp_path / "mined", TRACKS).close()
    (tmp_path / "library").mkdir()
    for name in TRACKS:
        soundfile.write(tmp_path / name, np.random.default_rng(0).normal(0, 0.1, 40 * MINED_RATE), MINED_RATE)
    return tmp_path / "mined"


@pytest.fixture
def serve(folder) -> Iterator[Callable[..., tuple[str, subprocess.Popen]]]:
    """A function that starts ``remix-miner review`` and returns its address and process."""
    started = []

    def start(*options: str) -> tuple[str, subprocess.Popen]:
        code = "import sys; from remix_miner.cli import main; main(sys.argv[1:])"
        command = [sys.executable, "-c", code, "review", str(folder), "--library", str(folder.parent / "library")]
        process = subprocess.Popen(
            [*command, "--no-open", "--reviewer", "ada", *options],
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        for line in process.stderr:
            if found := re.search(r"http://\S+", line):
                return found[0], process
        pytest.fail("the server did not start")

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def open_page(browser) -> Iterator[Callable[[str], Any]]:
    """A function that opens an address; errors in the page's code and requests elsewhere fail the test."""
    opened, faults = [], []

    def visit(address: str, width: int = 1280, height: int = 900) -> Any:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        origin = address.split("/", 3)[2]
        page.on("request", lambda request: origin in request.url or faults.append(request.url))
        page.goto(address)
        opened.append(page)
        return page

    yield visit
    for page in opened:
        page.close()
    assert [fault for fault in faults if not fault.startswith("data:")] == []


def reviews(folder) -> list[tuple]:
    database = sqlite3.connect(folder / "catalogue.sqlite")
    try:
        return database.execute(
            "SELECT excerpt_id, decision, wrong_start_seconds - start_seconds, wrong_end_seconds - start_seconds "
            "FROM reviews WHERE NOT undone AND purpose != 'applied' ORDER BY id"
        ).fetchall()
    except sqlite3.OperationalError:
        return []


def excerpt(page, number: int) -> None:
    """Wait until excerpt ``number`` is shown."""
    page.wait_for_url(re.compile(rf"#e{number}$"))
    page.locator(f"#list li:nth-child({number}) [aria-current=true]").wait_for()


def test_the_keyboard_alone(folder, serve, open_page):
    address, process = serve()
    page = open_page(address)
    excerpt(page, 1)
    page.keyboard.press("Space")
    page.locator("#play", has_text="Pause").wait_for()
    page.locator("#clock", has_text=re.compile(r"0:0[1-9]")).wait_for()  # it sounds
    page.keyboard.press("Space")
    page.locator("#play", has_text="Play").wait_for()
    page.keyboard.press("j")
    excerpt(page, 2)
    page.keyboard.press("k")
    excerpt(page, 1)
    page.keyboard.press("1")
    excerpt(page, 2)
    assert reviews(folder) == [(1, "accepted", None, None)]
    page.keyboard.press("3")
    excerpt(page, 3)
    page.keyboard.press("u")
    excerpt(page, 2)
    assert reviews(folder) == [(1, "accepted", None, None)]
    page.locator("#list li:nth-child(1)", has_text="accepted").wait_for()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert "2 decisions" in process.stdout.read()


def test_a_stretch_by_keys_is_rejected_and_is_there_after_a_reload(folder, serve, open_page):
    page = open_page(serve()[0])
    excerpt(page, 1)
    for key in ("Shift+ArrowRight", "ArrowRight", "[", "Shift+ArrowRight", "]"):
        page.keyboard.press(key)
    page.locator("#mark-note", has_text="from 0:06.0 to 0:11.0").wait_for()
    page.keyboard.press("2")
    excerpt(page, 2)
    ((_, decision, start, end),) = reviews(folder)
    assert (decision, round(start, 1), round(end, 1)) == ("rejected", 6.0, 11.0)
    page.keyboard.press("k")
    excerpt(page, 1)
    page.reload()
    excerpt(page, 1)
    page.locator("#state", has_text="rejected").wait_for()
    page.locator("#history", has_text="rejected by ada").wait_for()
    page.locator("#mark-note", has_text="from 0:06.0 to 0:11.0").wait_for()


def test_a_drag_marks_and_a_click_seeks(folder, serve, open_page):
    page = open_page(serve()[0])
    excerpt(page, 1)
    box = page.locator("#picture").bounding_box()

    def x(seconds: float) -> float:  # 16 s and the context after it: 26 s beside the axis of 34 pixels
        return box["x"] + 34 + seconds / 26 * (box["width"] - 34)

    page.mouse.move(x(4), box["y"] + 40)
    page.mouse.down()
    page.mouse.move(x(8), box["y"] + 45, steps=4)
    page.mouse.up()
    page.locator("#mark-note", has_text=re.compile(r"from 0:0[34]\.\d to 0:0[78]\.\d")).wait_for()
    page.mouse.click(x(20), box["y"] + 40)  # into the context after the excerpt
    page.locator("#clock", has_text=re.compile(r"0:2\d")).wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#mark-note").text_content() == ""
    assert page.title() == "Review of mined excerpts"  # a name with HTML stays text
    assert page.locator("#title").text_content() == HOSTILE
    assert page.locator("img").count() == 0


def test_filters_choose_and_stay(folder, serve, open_page):
    page = open_page(serve()[0])
    excerpt(page, 1)
    page.select_option("select[name=source]", "bass")
    page.locator("#count", has_text="1 excerpts").wait_for()
    page.locator("#list li", has_text="without bass").wait_for()
    page.reload()
    page.locator("#count", has_text="1 excerpts").wait_for()
    assert page.locator("select[name=source]").input_value() == "bass"


def test_decisions_survive_a_kill(folder, serve, open_page):
    address, process = serve()
    page = open_page(address)
    excerpt(page, 1)
    for number, key in enumerate("12", start=2):
        page.keyboard.press(key)
        excerpt(page, number)
    process.kill()
    process.wait()
    page.keyboard.press("1")
    page.locator("#message", has_text=re.compile(".")).wait_for()  # it is said that nothing was recorded
    assert [row[:2] for row in reviews(folder)] == [(1, "accepted"), (2, "rejected")]
    page = open_page(serve()[0])
    excerpt(page, 1)
    page.locator("#totals", has_text="1 accepted · 1 rejected").wait_for()


def test_an_audit_to_its_end_with_a_kill_in_the_middle(folder, serve, open_page):
    options = ("--audit", "drums", "--answers", "6", "--controls", "0", "--promise", "0.5")
    address, process = serve(*options)
    page = open_page(address)
    page.locator("#sample", has_text="6 draws without a fault").wait_for()
    assert page.locator("#list-panel").is_hidden()
    page.keyboard.press("Enter")
    page.locator("#item").wait_for()
    assert page.locator("#title").text_content() == "Do you hear drums?"
    assert "library" not in page.locator("main").text_content()
    page.keyboard.press("1")
    page.locator("#sample", has_text=re.compile(r"(\d) of \1 draws clean, 6 planned")).wait_for()
    process.kill()
    process.wait()
    page = open_page(serve(*options)[0])
    page.locator("#sample", has_text="draws clean, 6 planned").wait_for()
    for _ in range(6):
        if page.locator("#sample .verdict").count():
            break
        before = page.locator("#sample .big").text_content()
        page.locator("#item").wait_for()
        page.wait_for_function("() => document.querySelector('#item').ariaBusy !== 'true'")
        page.keyboard.press("1")
        page.wait_for_function("before => document.querySelector('#sample .big').textContent !== before", arg=before)
    page.locator("#sample .verdict", has_text="Shown: at least 50% pure").wait_for()
    page.locator("#sample", has_text="No controls were played").wait_for()
    assert page.locator("#item").is_hidden()
    assert '"audits"' in (folder / "report.json").read_text()


@pytest.fixture
def probabilities(folder) -> None:
    """P of drums falls slowly in each track of the folder, across 0.9."""
    row = np.tile(np.linspace(0.999, 0.7, 625, dtype=np.float32), (4, 1))
    codes = encode(row, np.ones(625, dtype=bool))
    with ProbabilityStore(folder) as store:
        store.write([StoredTrack(name, "0" * 64, 1, 1, 40, 1, codes) for name in TRACKS])


def test_a_sample_around_a_threshold_to_its_end(folder, probabilities, serve, open_page):
    page = open_page(serve("--around-threshold", "drums", "--answers", "4")[0])
    page.locator("#sample", has_text="on both sides of P = 0.900").wait_for()
    assert page.locator("#list-panel").is_hidden()
    page.keyboard.press("Enter")
    for number, key in enumerate("1223", start=1):
        page.locator("#sample .big", has_text=f"Answer {number} of 4").wait_for()
        page.locator("#title", has_text="Do you hear drums?").wait_for()
        assert "library" not in page.locator("main").text_content()
        # No stratum is revealed before the end.
        assert "below the threshold" not in page.locator("#sample").text_content()
        page.locator("#play", has_text="Pause").wait_for()
        page.keyboard.press(key)
    page.locator("#sample .verdict", has_text="All answers are in the catalogue").wait_for()
    page.locator("#sample", has_text="below the threshold: ").wait_for()
    assert page.locator("#item").is_hidden()
    assert [row[:2] for row in reviews(folder)] == [(None, name) for name in ("accepted", *2 * ["rejected"], "unsure")]


def test_on_a_phone_nothing_covers_a_control(serve, open_page):
    """On a low screen play and the decisions are reachable at once, the options after scrolling."""
    page = open_page(serve()[0], 390, 640)
    page.wait_for_url(re.compile("#e1$"))
    on_top = """(name) => {
      const at = document.getElementById(name), box = at.getBoundingClientRect();
      return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)?.closest("#" + name) === at;
    }"""
    for name in ("back", "play", "next", "accept", "reject", "unsure", "undo"):
        assert page.evaluate(on_top, name), name
    page.evaluate("() => window.scrollTo(0, document.documentElement.scrollHeight)")
    for name in ("play", "loop", "with-context", "speed", "gain", "advance", "accept", "undo"):
        assert page.evaluate(on_top, name), name
    for key in ("[", "ArrowRight", "]"):
        page.keyboard.press(key)
    page.locator("#reject-text", has_text="Reject the stretch").wait_for()
    fits = "() => { const at = document.getElementById('reject'); return at.scrollHeight <= at.clientHeight; }"
    assert page.evaluate(fits)  # its longest text


def test_a_phone(folder, serve, open_page):
    page = open_page(serve()[0], 390, 844)
    page.wait_for_url(re.compile("#e1$"))
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    for name in ("accept", "reject", "unsure"):
        assert page.locator(f"#{name}").bounding_box()["height"] >= 40
    page.click("#toggle-list")
    page.locator("#list li:nth-child(3) button").click()
    page.wait_for_url(re.compile("#e3$"))
    page.click("#accept")
    page.wait_for_url(re.compile("#e4$"))
    assert reviews(folder) == [(3, "accepted", None, None)]
