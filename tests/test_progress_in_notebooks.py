"""The progress bar of a notebook's cell, in a kernel."""

import re

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

CELL = """
from remix_miner.progress import track
for item in track(range(3), "a < b"):
    pass
"""


def test_a_cell_shows_one_bar_that_ends_full() -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    (shown,) = notebook.cells[0].outputs
    assert shown.output_type == "display_data"
    bar = '<div>a &lt; b <progress max="3" value="3"></progress> 3/3 in [0-9]+ s</div>'
    assert re.fullmatch(bar, shown.data["text/html"])


def test_outside_of_a_notebook_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    from remix_miner.progress import Progress

    assert Progress("scanning")._cell is None
