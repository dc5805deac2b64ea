"""The command line, ``remix-miner VERB``. Each verb is a file in ``remix_miner/commands``, imported when it runs."""

import difflib
import importlib
import keyword
import os
import sys
import traceback

import click

from remix_miner import __version__
from remix_miner.errors import RemixMinerError
from remix_miner.paths import printable
from remix_miner.verbosity import Verbosity, verbosity

GROUPS = {
    "Start": {
        "demo": "run every stage on generated songs, in minutes",
        "models": "list detectors and separators: sizes, licences, weights",
        "recipes": "list built-in settings of training and ensembles",
    },
    "Mine": {
        "detect": "scan a library for spans without a source; resumes",
        "inspect": "list what was mined and check every shard",
        "review": "listen to excerpts, judge them, measure their purity",
        "remine": "cut excerpts at another purity, without the detector",
        "merge": "join the results of detect --shard i/n",
        "export": "write excerpts as data sets of other trainers, or as labels",
    },
    "Separate": {
        "separate": "separate songs into sources",
        "train": "train a separator, with or without mined excerpts",
        "evaluate": "score a separator per track and source",
        "ensemble": "combine models or estimates with weights",
        "leaderboard": "collect and compare results, and write them as one page",
        "export-model": "write a trained separator as ONNX or TorchScript",
    },
    "Detector": {
        "plot-track": "draw one song: spectrogram, probabilities, harvested spans",
        "calibrate": "choose thresholds for a purity, with statistics and pictures",
        "yield": "show hours harvested against purity",
        "score-detector": "score a detector on labelled songs",
        "train-detector": "train the silent-source detector",
    },
    "Songs with stems": {
        "check-data": "report what a corpus or library holds, its problems and the fix for each",
        "import-stems": "map raw multitracks to a corpus of four sources",
        "synthesize": "generate songs with known stems",
        "perturb": "shift the stems of a test set in time and pitch",
        "study": "repeat experiments of the papers, with a verdict on each claim",
    },
}
"""Verbs by purpose, each with its line in the help."""
VERBS = {verb: summary for group in GROUPS.values() for verb, summary in group.items()}


def module_name(verb: str) -> str:
    """Return the file of a verb: ``check-data`` is check_data.py, ``yield`` (a keyword) is yield_.py."""
    name = verb.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


class LazyGroup(click.Group):
    """Commands whose modules are imported when they are used; each module's ``command`` is the verb."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in VERBS and not name.startswith("-"):
            close = difflib.get_close_matches(name, VERBS, n=3)
            advice = f"did you mean {' or '.join(close)}?" if close else "'remix-miner --help' lists all verbs"
            raise click.UsageError(f"there is no verb {name!r}; {advice}", context)
        return super().resolve_command(context, args)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        module = importlib.import_module(f"remix_miner.commands.{module_name(name)}")
        command: click.Command = module.command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, VERBS))
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{name:{width}}", summary) for name, summary in verbs.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Mine unlabelled music for excerpts without drums, bass or vocals, and train source separators with them. "
    "'remix-miner VERB --help' describes a verb.",
    epilog="\b\nExample:\n  remix-miner detect ~/Music --out mined",
    subcommand_metavar="VERB [ARGUMENTS]...",
    options_metavar="",
)
@click.version_option(__version__, prog_name="remix-miner", message="%(prog)s %(version)s")
def app() -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Exit status: 0 all done, 1 something asked for was not done, 2 wrong usage or unusable input."""
    try:
        status = app(args=arguments, prog_name="remix-miner", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except RemixMinerError as error:
        if verbosity() == Verbosity.VERBOSE:
            traceback.print_exc()
        print(printable(f"remix-miner: {error}"), file=sys.stderr)
        sys.exit(error.exit_status)
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        kept = str(error) or "what was finished is kept"
        print(f"remix-miner: interrupted; {kept}", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(status if isinstance(status, int) else 0)


if __name__ == "__main__":
    main()
