"""The README is true: its console blocks run and print what it shows.

Figures too where they follow from the seed alone; the rest depends on the machine's time and rounding.
"""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from remix_miner.cli import main
from remix_miner.mined.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIGURE = r"[-+]?\d+(?:\.\d+)?"
SEEDED = {"synthesize", "check-data"}
GENERATED_PAGES = {
    f"docs/{page}.md" for page in ("contributing", "changelog", "background/model_card", "reference/api")
}
TOUR = re.findall(r"<!-- run -->\s*```console\n(.*?)```", README, re.DOTALL)


def steps(block: str) -> list[tuple[str, list[str]]]:
    """(command, the lines shown beneath it) of a console block."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found and line.strip():
            found[-1][1].append(line)
    return found


def spaced(line: str) -> str:
    """A line with single spaces."""
    return re.sub(r"\s+", " ", line).strip()


def shape(line: str) -> str:
    """A line without its figures and spacing."""
    return spaced(re.sub(FIGURE, "0", line))


def near(shown: str, printed: str) -> bool:
    """Whether two lines have the same words, and figures that differ by at most 1 or a tenth."""
    if shape(shown) != shape(printed):
        return False
    ours, theirs = (map(float, re.findall(FIGURE, line)) for line in (shown, printed))
    return all(abs(one - other) <= max(1, 0.1 * abs(other)) for one, other in zip(ours, theirs, strict=True))


def test_figures_that_differ_are_not_near() -> None:
    line = "without vocals: 32 s in 5 excerpts from 3 tracks"
    assert near(line, line.replace("32", "34"))
    assert not near(line, line.replace("32", "37"))
    assert not near(line, line.replace("5", "7"))


def test_console_blocks_run_and_print_what_they_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = [step for block in TOUR for step in steps(block)]
    assert commands
    monkeypatch.chdir(tmp_path)
    for command, shown in commands:
        words = shlex.split(command)
        assert words[0] == "remix-miner"
        with pytest.raises(SystemExit) as exit_:
            main(words[1:])
        output = capsys.readouterr()
        assert exit_.value.code == 0, output.err
        exact = words[1] in SEEDED
        printed = [spaced(line) for line in output.out.splitlines()]
        for line in shown:
            if line.strip() != "...":
                found = any(spaced(line) == other if exact else near(line, other) for other in printed)
                assert found, f"{command} does not print a line like {line!r}:\n{output.out}"


def test_the_python_block_runs_on_a_mined_folder(
    mine: Callable[..., Catalogue], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine(tmp_path / "mined", {"a.mp3": {"vocals": [5.0]}}).close()
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(block, {})
    assert re.fullmatch(r"\(2, \d+\)\n", capsys.readouterr().out)


def test_the_two_commands_of_the_readme_are_marked() -> None:
    for mark in ("main job", "tests"):
        assert re.search(rf"<!-- {mark} -->\s*```console\n\$ ", README)


def test_links_and_pictures_of_the_documents_exist() -> None:
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            found = (document.parent / target).resolve()
            place = found.relative_to(ROOT).as_posix()
            generated = place in GENERATED_PAGES or place.startswith("docs/reference/commands/")
            assert found.exists() or generated, f"{document.name} links to {target}, which does not exist"


@pytest.mark.parametrize("name", ["detector", "datasets"])
def test_the_tour_names_files_that_exist(name: str) -> None:
    tour = (ROOT / "docs/reference/tour.md").read_text(encoding="utf-8")
    paths = re.findall(rf"`({name}/[a-z_/]+\.py|remix_miner/[a-z_/]+\.py)`", tour)
    assert paths
    for path in paths:
        assert (ROOT / path).is_file(), path
