"""The command line as a whole: quick help, examples, exit statuses."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from remix_miner.cli import VERBS, app, main
from remix_miner.commands._options.common import note, show, verb, warn
from remix_miner.progress import Progress
from remix_miner.verbosity import Verbosity, set_verbosity

HEAVY = ("torch", "librosa", "kymatio", "sklearn", "matplotlib", "h5py")


def test_help_imports_nothing_heavy() -> None:
    """Each verb's --help too: modules of commands import what they need when they run."""
    code = (
        "import sys; from remix_miner.cli import main\n"
        "for verb in sys.argv[1:]:\n"
        "    try: main([*verb.split(), '--help'])\n"
        "    except SystemExit as exit_: assert exit_.code == 0, verb\n"
        "    assert not [m for m in %r if m in sys.modules], verb"
    )
    done = subprocess.run(
        [sys.executable, "-c", code % (HEAVY,), "", *VERBS], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: ") == 1 + len(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_describes_its_options_ends_with_an_example_and_takes_json(verb: str) -> None:
    command = app.get_command(click.Context(app), verb)
    assert command is not None
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert result.output.strip().splitlines()[-1].strip().startswith("remix-miner")
    leaves = command.commands.values() if isinstance(command, click.Group) else [command]
    for leaf in leaves:
        assert any("--json" in parameter.opts for parameter in leaf.params), leaf.name
        options = [parameter for parameter in leaf.params if isinstance(parameter, click.Option)]
        assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["detect"], ["inspect", "/nowhere"], ["train-detector", "--out", "x"]]
)
def test_wrong_usage_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert capsys.readouterr().err


def test_a_mistyped_verb_gets_the_nearest_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["detct", "music"])
    assert "did you mean detect?" in capsys.readouterr().err


def test_quiet_leaves_out_notes_and_keeps_warnings_and_results(capsys: pytest.CaptureFixture[str]) -> None:
    @verb("Test.", "remix-miner test")
    def command(as_json: bool) -> None:
        note("a note")
        warn("a warning")
        show({}, as_json, "a result")

    shown = {}
    for option in ((), ("-q",), ("-v",)):
        command.main(option, standalone_mode=False)
        shown[option] = capsys.readouterr()
        assert shown[option].out == "a result\n"
    assert shown[()].err == "a note\nwarning: a warning\n"
    assert shown[("-q",)].err == "warning: a warning\n"
    assert "s] a note" in shown[("-v",)].err
    assert "torch" in shown[("-v",)].err
    with pytest.raises(click.UsageError):
        command.main(["-q", "-v"], standalone_mode=False)


def test_progress_is_silent_when_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remix_miner.progress.PLAIN_SECONDS", -1.0)
    for chosen, lines in ((Verbosity.QUIET, 0), (Verbosity.NORMAL, 2)):
        set_verbosity(chosen)
        try:
            with Progress("working", total=1) as progress:
                progress.advance()
        finally:
            set_verbosity(Verbosity.NORMAL)
        assert len(capsys.readouterr().err.splitlines()) == lines


def test_verbose_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", "/nowhere", "-v"])
    assert "Traceback" in capsys.readouterr().err


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.startswith("remix-miner 0.")
