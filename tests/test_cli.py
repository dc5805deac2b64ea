"""The command line as a whole: quick help, examples, exit statuses."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from remix_miner.cli import VERBS, app, main

HEAVY = ("torch", "librosa", "kymatio", "sklearn", "matplotlib", "h5py")


def test_help_imports_nothing_heavy() -> None:
    """Each verb's --help too: modules of commands import what they need when they run."""
    code = (
        "import sys; from remix_miner.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print([m for m in %r if m in sys.modules], file=sys.stderr)"
    )
    for arguments in ([], *([verb] for verb in VERBS)):
        done = subprocess.run(
            [sys.executable, "-c", code % (HEAVY,), *arguments, "--help"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.strip() == "[]", arguments


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_that_ends_with_an_example_and_takes_json(verb: str) -> None:
    command = app.get_command(click.Context(app), verb)
    assert command is not None
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert result.output.strip().splitlines()[-1].strip().startswith("remix-miner")
    leaves = command.commands.values() if isinstance(command, click.Group) else [command]
    for leaf in leaves:
        assert any("--json" in parameter.opts for parameter in leaf.params), leaf.name


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["detect"], ["inspect", "/nowhere"], ["train-detector", "--out", "x"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert capsys.readouterr().err


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.startswith("remix-miner 0.")
