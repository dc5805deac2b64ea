"""Results page of the documentation, written from the study.json files of finished studies.

python -m remix_miner.studies.results_page studies/ docs/background/studies_results.md --note "Songs, machine."
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remix_miner.errors import DataError
from remix_miner.studies.harvest_report import harvest_text
from remix_miner.studies.papers.harvest import NAME as HARVEST
from remix_miner.studies.report import text

HEAD = """# Results of the studies at the scale 'cpu'

Written by `python -m remix_miner.studies.results_page` from the `study.json` of each study, none of it by hand.
[Repeat an experiment of a paper](../guide/studies.md) explains studies, scales and verdicts.
"""


def page(results: Sequence[dict[str, Any]], note: str) -> str:
    """Return the page in Markdown: a table of verdicts, then the tables of every study."""
    lines = [HEAD, note, "", "| study | claims | agrees | disagrees | undecided | updates a run | CPU minutes |"]
    lines.append("|---|---|---|---|---|---|---|")
    for result in results:
        outcomes = [claim["outcome"] for claim in result["claims"]]
        counts = " | ".join(str(outcomes.count(outcome)) for outcome in ("agrees", "disagrees", "undecided"))
        updates = "-" if result["study"] == HARVEST else str(result["scale"]["updates"])
        spent = "-" if result["study"] == HARVEST else f"{result['cpu_seconds'] / 60:.1f}"
        lines.append(f"| [{result['study']}](#{result['study']}) | {len(outcomes)} | {counts} | {updates} | {spent} |")
    for result in results:
        shown = harvest_text(result) if result["study"] == HARVEST else text(result)
        lines += ["", f"## {result['study']}", "", "```text", *(line.rstrip() for line in shown.splitlines()), "```"]
    return "\n".join(lines) + "\n"


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Return the documents of all studies below ``folder``; `DataError` where there is none."""
    paths = sorted(folder.glob("*/study.json"))
    if not paths:
        raise DataError(f"no study.json in the folders of {folder}; run remix-miner study NAME --out {folder}/NAME")
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def main(arguments: Sequence[str]) -> None:
    """Write the page; ``arguments``: folder of the studies, the page, and --note with text for it."""
    folder, out, *rest = arguments
    note = rest[1] if len(rest) == 2 and rest[0] == "--note" else ""
    Path(out).write_text(page(read_results(Path(folder)), note), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
