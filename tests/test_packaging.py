"""What is installed: one top-level package, complete, that leaves another distribution's `datasets` alone."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = (
    "remix_miner/detector/pretrained/default.safetensors",
    "remix_miner/detector/pretrained/default.json",
    "remix_miner/detector/pretrained/default.calibration.json",
    "remix_miner/recipes/demucs_paper.toml",
    "remix_miner/evaluation/leaderboard/published.json",
    "remix_miner/evaluation/leaderboard/page.html",
    "remix_miner/datasets/tracks.py",
    "remix_miner/demo/page.html",
    "remix_miner/__init__.pyi",
    "remix_miner/py.typed",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    # A copy, so that building leaves nothing behind and sees what git would give.
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if files.returncode:
        pytest.skip("not a git checkout")
    for name in files.stdout.splitlines():
        path, copy = ROOT / name, source / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        elif path.is_file():
            copy.write_bytes(path.read_bytes())
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_one_package_and_all_of_it(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"remix_miner"}
    assert set(SHIPPED) <= set(names)
    modules = {path.relative_to(ROOT / "detector").as_posix() for path in (ROOT / "detector").glob("*.py")}
    assert {f"remix_miner/detector/{module}" for module in modules} <= set(names)


def test_the_wheel_holds_every_data_file(wheel: zipfile.ZipFile) -> None:
    """Pages, recipes, weights: all files of the three folders that git has, beside the modules."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "remix_miner", "detector", "datasets"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    tracked = [Path(name) for name in listed.stdout.split("\0") if name]
    files = [path for path in tracked if (ROOT / path).is_file() and not (ROOT / path).is_symlink()]
    installed = {(path if path.parts[0] == "remix_miner" else "remix_miner" / path).as_posix() for path in files}
    assert len(installed) > 300
    assert not installed - set(wheel.namelist())


def test_it_lives_beside_another_package_called_datasets(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """As Hugging Face's: a regular package `datasets` in the same site-packages, also from the repository's root."""
    site = tmp_path / "site-packages"
    (site / "datasets").mkdir(parents=True)
    (site / "datasets" / "__init__.py").write_text("owner = 'another distribution'\n")
    wheel.extractall(site)
    code = (
        "import datasets, remix_miner, remix_miner.mined.shards.writer, remix_miner.detector.spans; "
        "print(datasets.owner, remix_miner.__file__)"
    )
    for folder in (tmp_path, ROOT / "tests"):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env={"PYTHONPATH": str(site)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("another distribution")
        assert str(site) in done.stdout
    # At the repository's root the folder `datasets/` comes first on the path, but only a regular package wins there.
    code = "import datasets; print(datasets.owner)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "another distribution", done.stderr


def test_the_public_face_imports_lazily() -> None:
    code = "import sys, remix_miner; print('torch' in sys.modules, len(remix_miner.__all__)); remix_miner.Scattering"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False")
