"""The assignment's notebook, executed from top to bottom at a tiny scale."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "homework.py"


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own; what the kernel warns of is looked at
def test_it_runs_and_shows_what_the_assignment_asks_for(
    drawn: Path,
    coloured: Path,
    squeezenet: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook = jupytext.read(NOTEBOOK)
    (at,) = (
        i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])
    )
    values = f"""DATA, OUT, THREADS = {str(drawn)!r}, {str(tmp_path)!r}, 1
FASHION_MNIST = NEW_DATA = {str(coloured)!r}
MODEL, WEIGHTS = "squeezenet1_1", {str(squeezenet)!r}"""
    notebook.cells.insert(at + 1, nbformat.v4.new_code_cell(values))
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()

    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert not [o for o in outputs if o.get("name") == "stderr"], "warnings of the kernel"
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 2 * 4 + 1 + 2 * 4 + 1
    text = "\n".join(o["data"].get("text/markdown", "") for o in outputs if "data" in o)
    assert "Not run" not in text and "no verdict with 21 labels from 1 seed" in text
    for part in (
        "Test accuracy: ",
        "Test Dice",
        "grey picture",
    ):
        assert part in text
    assert "No verdict on colorization: 1 seed" in text
    assert (tmp_path / "homework" / "report.html").exists()
