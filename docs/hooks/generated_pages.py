"""Pages of the site that are generated: the commands from their --help, the API from the public names, root documents.

An mkdocs hook, so that none of these pages can differ from the program.
"""

import inspect
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

import remix_miner
from remix_miner.cli import GROUPS, VERBS, app

ROOT = Path(__file__).parents[2]
COPIED = {
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    "background/model_card.md": "detector/pretrained/default.md",
}


RESULTS = (
    "api.detector.SongSilence",
    "detector.spans.Span",
    "api.scan.ScanResult",
    "api.separation.Estimates",
    "api.evaluation.Scores",
)
"""What the public functions return."""
SOURCES = Path(tempfile.mkdtemp(prefix="remix_miner_docs_"))


@event_priority(100)
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let mkdocstrings read a copy in which `detector/` and `datasets/` have the `__init__.py` that it asks for."""
    package = SOURCES / "remix_miner"
    shutil.copytree(ROOT / "remix_miner", package, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    for folder in ("detector", "datasets"):
        (package / folder / "__init__.py").touch()
    for module in package.rglob("*.py"):
        module.write_text(fenced_doctests(module.read_text(encoding="utf-8")), encoding="utf-8")
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [str(SOURCES)]
    return config


def fenced_doctests(text: str) -> str:
    """Put the doctests of docstrings into code blocks, as Markdown wants them."""
    lines, fence = [], None
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        if fence is not None and (not line.strip() or '"""' in line):
            lines.append(f"{fence}```")
            fence = None
        elif fence is None and line.lstrip().startswith(">>> "):
            fence = indent
            lines.append(f"{fence}```pycon")
        lines.append(line)
    return "\n".join(lines) + "\n"


def on_shutdown() -> None:
    """Remove the copy."""
    shutil.rmtree(SOURCES, ignore_errors=True)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the folder."""
    for path, text in {**root_documents(), **command_pages(), "reference/api.md": api_page()}.items():
        files.append(File.generated(config, path, content=text))
    return files


def root_documents() -> dict[str, str]:
    """Documents that lie outside `docs/`; their links into `docs/` are made relative to the page."""
    pages = {}
    for page, source in COPIED.items():
        up = "../" * page.count("/")
        pages[page] = re.sub(r"\]\(docs/", f"]({up}", (ROOT / source).read_text(encoding="utf-8"))
    return pages


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the tables of verbs where a page has ``<!-- verbs -->``."""
    lines = []
    for title, verbs in GROUPS.items():
        rows = [f"| [`{verb}`]({verb}.md) | {cell(summary)} |" for verb, summary in verbs.items()]
        lines += [f"## {title}\n", "| verb | what |", "|---|---|", *rows, ""]
    return markdown.replace("<!-- verbs -->", "\n".join(lines))


def command_pages() -> dict[str, str]:
    """One page a verb."""
    context = click.Context(app, info_name="remix-miner", help_option_names=["-h", "--help"])
    pages = {}
    for verb in VERBS:
        command = app.get_command(context, verb)
        assert command is not None
        pages[f"reference/commands/{verb}.md"] = "\n".join(describe(command, verb, context, level=1))
    return pages


def describe(command: click.Command, name: str, parent: click.Context, level: int) -> Iterator[str]:
    """Markdown lines: what a command does, its usage, its arguments and options, its example, its subcommands."""
    context = click.Context(command, info_name=name, parent=parent)
    yield f"{'#' * level} {name}\n"
    yield f"{inspect.cleandoc(command.help or '')}\n".replace("\b", "")
    yield f"```text\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```\n"
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    records = [record for record in records if record and any(record[1:])]
    if records:
        yield "| option | what |\n|---|---|"
        yield from (f"| `{option}` | {cell(text)} |" for option, text in records)
    if command.epilog:
        example = "\n".join(line.strip() for line in command.epilog.replace("\b", "").splitlines() if line.strip())
        yield f"\nExample:\n\n```console\n$ {example.removeprefix('Example:').strip()}\n```\n"
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            subcommand = command.get_command(context, sub)
            assert subcommand is not None
            yield from describe(subcommand, sub, context, level + 1)


def cell(text: str) -> str:
    """Text for a table cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def api_page() -> str:
    """The public names of `remix_miner`, from their docstrings."""
    lines = [
        "# Python\n",
        "These names can be imported from `remix_miner`. Each is loaded when it is first used, so `import remix_miner` "
        "itself takes no time. Deeper modules can be imported too, but may move between versions.\n",
    ]
    lines += [f"::: {module}.{name}\n" for name, module in remix_miner.PUBLIC.items()]
    lines += ["## What they return\n", *(f"::: remix_miner.{name}\n" for name in RESULTS)]
    return "\n".join(lines)
