"""The layers of the design, read off the imports."""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = "core"
# Each layer may import itself and these.
ALLOWED = {
    "core": set(),
    "datasets": {"core"},
    "detector": {"core", "datasets"},
    "mining": {"core", "datasets", "detector"},
    "separators": {"core", "datasets"},
    "evaluation": {"core", "datasets", "separators"},
    "training": {"core", "datasets", "separators", "evaluation"},
    "recipes": set(),
    "commands": {"core", "datasets", "detector", "mining", "separators", "training", "evaluation"},
}
FOLDERS = {"detector": ROOT / "detector", "datasets": ROOT / "datasets"}


def layer_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else CORE


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
    return {name for name in found if name.split(".")[0] == "remix_miner"}


@pytest.mark.parametrize("layer", ALLOWED)
def test_layers_import_downward_only(layer: str) -> None:
    folder = FOLDERS.get(layer, ROOT / "remix_miner" / ("" if layer == CORE else layer))
    files = [path for path in folder.glob("*.py") if path.name != "cli.py"]
    assert files
    for path in files:
        for module in imports_of(path):
            assert layer_of(module) in ALLOWED[layer] | {layer}, f"{path.relative_to(ROOT)} imports {module}"


def test_every_package_folder_is_declared() -> None:
    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    inside = {
        "remix_miner." + path.parent.relative_to(ROOT / "remix_miner").as_posix().replace("/", ".")
        for path in (ROOT / "remix_miner").rglob("*.py")
        if path.parent != ROOT / "remix_miner"
    }
    assert {"remix_miner"} | inside | {"remix_miner.detector", "remix_miner.datasets"} == declared


def test_the_two_linked_folders_have_no_init() -> None:
    for name in ("detector", "datasets"):
        assert (ROOT / "remix_miner" / name).resolve() == (ROOT / name).resolve()
        assert not (ROOT / name / "__init__.py").exists()
