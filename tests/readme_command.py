"""Print the console command of the README that is marked ``<!-- NAME -->``: .ci/run runs what the README says."""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def marked_commands(name: str) -> list[str]:
    """Lines that start with ``$ `` in the first console block after the mark."""
    match = re.search(
        rf"<!-- {re.escape(name)} -->\s*```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    if match is None:
        raise SystemExit(f"README.md has no console block marked <!-- {name} -->")
    return [line[2:] for line in match[1].splitlines() if line.startswith("$ ")]


if __name__ == "__main__":
    print("\n".join(marked_commands(sys.argv[1])))
