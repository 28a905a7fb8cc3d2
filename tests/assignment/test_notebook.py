"""The assignment's notebook, executed from top to bottom at a tiny scale.

IPython runs its cells in this process, as it does in Jupyter's: a kernel would load torch again.
Figures are blank, as in the whole suite.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jupytext
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "homework.py"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    without_history = Config({"HistoryManager": {"enabled": False}})
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)  # IPython would look for packages there
    shell = InteractiveShell.instance(config=without_history)
    try:
        yield shell
    finally:
        shell.cleanup()
        InteractiveShell.clear_instance()


def test_it_runs_and_shows_what_the_assignment_asks_for(
    drawn: Path, coloured: Path, squeezenet: Path, tmp_path: Path, shell: InteractiveShell
) -> None:
    cells = [cell for cell in jupytext.read(NOTEBOOK).cells if cell.cell_type == "code"]
    (at,) = (i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", []))
    values = f"""DATA, OUT, THREADS = {str(drawn)!r}, {str(tmp_path)!r}, 1
FASHION_MNIST = NEW_DATA = {str(coloured)!r}
MODEL, WEIGHTS = "squeezenet1_1", {str(squeezenet)!r}"""
    outputs = []
    for cell in [
        *(c.source for c in cells[: at + 1]),
        values,
        *(c.source for c in cells[at + 1 :]),
    ]:
        with capture_output() as shown:
            done = shell.run_cell(cell)
        done.raise_error()
        assert shown.stderr == "" and "Out[" not in shown.stdout, cell
        outputs += [output.data for output in shown.outputs]

    assert sum("image/png" in data for data in outputs) == 2 * 4 + 1 + 2 * 4 + 1
    text = "\n".join(data.get("text/markdown", "") for data in outputs)
    assert "Not run" not in text and "no verdict with 21 labels from 1 seed" in text
    for part in ("Test accuracy: ", "Test Dice", "grey picture"):
        assert part in text
    assert "No verdict on colorization: 1 seed" in text
    assert (tmp_path / "homework" / "report.html").exists()
