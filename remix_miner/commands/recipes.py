"""``remix-miner recipes``: the built-in settings files, and the text of one."""

from pathlib import Path
from typing import Any

import click

from remix_miner.commands._options.common import first_sentence, paragraph, show, verb

COMMANDS = {"ensemble": "ensemble run, ensemble blend", "detector": "train-detector", "separator": "train"}


@verb(
    "List the built-in recipes: for which command each is, its model, and how much it trains. With NAME, print that "
    "recipe; save it to change it, and name your file with --config.",
    "remix-miner recipes demucs_remix",
)
@click.argument("name", required=False)
def command(name: str | None, as_json: bool) -> None:
    from remix_miner.settings_files import RECIPES, find_config

    if name is not None:
        path = find_config(name)
        text = path.read_text(encoding="utf-8")
        show({**_describe(path), "text": text}, as_json, text.rstrip())
        return
    rows = [_describe(path) for path in sorted(RECIPES.glob("*.toml"))]
    show({"recipes": rows}, as_json, _text(rows))


def _describe(path: Path) -> dict[str, Any]:
    """Return the purpose of a recipe, from its first comment and its settings."""
    from remix_miner.settings_files import read_toml

    values = read_toml(path)
    kind = "ensemble" if "members" in values else "detector" if path.stem.startswith("detector") else "separator"
    row: dict[str, Any] = {"name": path.stem, "command": COMMANDS[kind], "what": _first_comment(path)}
    if kind == "ensemble":
        row["members"] = list(values["members"])
    elif kind == "detector":
        row |= _detector_facts(path)
    else:
        row |= _separator_facts(path)
    return row


def _detector_facts(path: Path) -> dict[str, Any]:
    from remix_miner.detector.training.settings import DetectorTrainingSettings
    from remix_miner.settings_files import load_settings

    settings = load_settings(DetectorTrainingSettings, path)
    length = {"epochs": settings.epochs} if settings.steps is None else {"steps": settings.steps}
    return {"model": settings.network.network, "batch_size": settings.batch_size, **length}


def _separator_facts(path: Path) -> dict[str, Any]:
    import torch

    from remix_miner.errors import RemixMinerError
    from remix_miner.separators import build
    from remix_miner.settings_files import load_settings
    from remix_miner.training.settings import TrainingSettings

    try:
        settings = load_settings(TrainingSettings, path)
    except RemixMinerError as error:  # an extra is missing
        return {"needs": str(error)}
    facts: dict[str, Any] = {
        "model": settings.separator.name,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "uses_mined": settings.remix.probability > 0,
    }
    try:
        with torch.device("meta"):
            model = build(settings.separator.name, **settings.separator.settings)
    except (RemixMinerError, ImportError) as error:
        return {**facts, "needs": str(error)}
    seconds = settings.segment_seconds or model.segment_seconds
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {**facts, "parameters": parameters, "segment_seconds": round(seconds, 2)}


def _first_comment(path: Path) -> str:
    """Return the first sentence of the comment that a recipe starts with."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# "))
    return first_sentence(" ".join(comment))


def _text(rows: list[dict[str, Any]]) -> str:
    lines = []
    for verb_name in COMMANDS.values():
        lines.append(f"For {verb_name}")
        for row in rows:
            if row["command"] == verb_name:
                lines += [paragraph(row["name"], row["what"], 24), paragraph("", _facts(row), 24)]
        lines.append("")
    return "\n".join([*lines, "remix-miner recipes NAME prints one."])


def _facts(row: dict[str, Any]) -> str:
    if "members" in row:
        return f"members: {', '.join(row['members'])}"
    if "model" not in row:
        return str(row["needs"])
    facts = [row["model"]]
    if "parameters" in row:
        facts.append(f"{row['parameters'] / 1e6:.1f} M parameters")
    if "needs" in row:
        facts.append(str(row["needs"]))
    facts.append(f"{row['steps']} steps" if "steps" in row else f"{row['epochs']} epochs")
    facts.append(f"batch {row['batch_size']}")
    if "segment_seconds" in row:
        facts.append(f"segments of {row['segment_seconds']:g} s")
    if row.get("uses_mined"):
        facts.append("remix steps with --mined")
    return ", ".join(facts)
