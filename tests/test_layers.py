"""The layers of the design, read off the imports: the order of the folders, and no circle between files."""

import ast
import functools
import graphlib
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = "core"
LINKED = ("detector", "datasets")
MINING_SIDE = {"calibration", "duplicates", "mining", "figures", "review"}
SEPARATION_SIDE = {"separators", "training", "evaluation"}
# Each folder may import itself and these.
ALLOWED = {
    "core": set(),
    "recipes": set(),
    "runs": {"core"},
    "datasets": {"core"},
    "synthesis": {"core"},
    "mined": {"core", "datasets"},
    "detector": {"core", "datasets", "runs"},
    "separators": {"core", "datasets"},
    "calibration": {"core", "datasets", "mined", "detector"},
    "duplicates": {"core", "datasets", "mined"},
    "training": {"core", "datasets", "runs", "mined", "separators", "evaluation"},
    "evaluation": {"core", "datasets", "separators"},
    "mining": {"core", "datasets", "mined", "detector", "calibration", "duplicates"},
    "export": {"core", "datasets", "mined"},
    "review": {"core", "datasets", "mined", "detector", "calibration"},
    "figures": {"core", "datasets", "detector", "calibration"},
    "api": {"core", "datasets", "mined", "detector"} | MINING_SIDE | SEPARATION_SIDE,
    "demo": {"core", "mined"},
    "studies": {"core", "datasets", "runs", "mined", "detector", "calibration", "figures"} | SEPARATION_SIDE,
    "commands": {"core", "api", "demo", "studies", "datasets", "synthesis", "mined", "runs", "detector", "export"}
    | MINING_SIDE
    | SEPARATION_SIDE,
}
# Folders inside these may import themselves, the core, and these files and folders alone.
INNER = {
    "detector.scattering": {"detector.windows"},
    "mined.reviews": {"mined.catalogue_db"},
    "mined.samples": {"mined.catalogue_db"},
    "mined.shards": set(),
    "mining.track": {"mining.messages", "mining.settings", "datasets", "detector", "duplicates"},
    "separators.tfc_tdf": {"separators.base", "separators.loading", "separators.spectrogram"},
}


def folder_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else CORE


def source_files() -> dict[str, Path]:
    """Module name -> file, of the whole package."""
    files = {}
    for base, name in ((ROOT / "remix_miner", "remix_miner"), *((ROOT / one, f"remix_miner.{one}") for one in LINKED)):
        for path in base.rglob("*.py"):
            inside = path.relative_to(base).with_suffix("").parts
            if base.name != "remix_miner" or inside[0] not in LINKED:
                files[".".join([name, *(part for part in inside if part != "__init__")])] = path
    return files


FILES = source_files()


@functools.cache
def imports_of(path: Path) -> set[str]:
    """Modules of this project that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names if f"{node.module}.{alias.name}" in FILES}
            found.add(node.module or "")
    return {name for name in found if name in FILES}


@pytest.mark.parametrize("folder", ALLOWED)
def test_folders_import_downward_only(folder: str) -> None:
    modules = [name for name in FILES if folder_of(name) == folder and name != "remix_miner.cli"]
    assert modules
    for name in modules:
        for imported in imports_of(FILES[name]):
            assert folder_of(imported) in ALLOWED[folder] | {folder}, f"{name} imports {imported}"


def test_mining_and_separation_meet_only_in_the_mined_folder() -> None:
    for mine in MINING_SIDE:
        assert not ALLOWED[mine] & SEPARATION_SIDE
    for separate in SEPARATION_SIDE:
        assert not ALLOWED[separate] & (MINING_SIDE | {"detector"})


@pytest.mark.parametrize("folder", INNER)
def test_folders_inside_import_the_core_and_few_others(folder: str) -> None:
    allowed = tuple(f"remix_miner.{name}." for name in (folder, *INNER[folder]))
    modules = [name for name in FILES if f"{name}.".startswith(allowed[0])]
    assert modules
    for name in modules:
        for imported in imports_of(FILES[name]):
            assert folder_of(imported) == CORE or f"{imported}.".startswith(allowed), f"{name} imports {imported}"


def test_files_have_no_import_circles() -> None:
    """Imports inside functions count too: they only postpone a circle."""
    graph = {name: imports_of(path) - {name} for name, path in FILES.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


def test_no_folder_is_crowded() -> None:
    """At most 16 files a folder, its `__init__.py` among them; `commands/` has one a verb."""
    counts = Counter(path.parent for path in FILES.values())
    crowded = {str(folder.relative_to(ROOT)): count for folder, count in counts.items() if count > 16}
    assert crowded.keys() <= {"remix_miner/commands"}, crowded


def test_every_package_folder_is_declared() -> None:
    declared = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    inside = {name if path.name == "__init__.py" else name.rpartition(".")[0] for name, path in FILES.items()}
    assert inside == declared


def test_the_two_linked_folders_have_no_init() -> None:
    for name in LINKED:
        assert (ROOT / "remix_miner" / name).resolve() == (ROOT / name).resolve()
        assert not (ROOT / name / "__init__.py").exists()
