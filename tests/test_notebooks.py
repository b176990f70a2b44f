"""Every notebook runs from a fresh kernel, as its reader would run it, and is committed without what it printed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Runs the notebook named on the command line; what its cells gave goes to standard output as JSON.
_RUN = """
import json, sys
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, kernel_name="python3", timeout=40).execute()
print(json.dumps([cell.outputs for cell in notebook.cells if cell.cell_type == "code"]))
"""


def name_of(path: Path) -> str:
    return path.name


def cells_of(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run(path: Path, scratch: Path) -> list[list[dict[str, Any]]]:
    """What each code cell gave; the kernel keeps its files in *scratch*."""
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")
    private = {name: str(scratch / name.lower()) for name in folders}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(path)],
        env=os.environ | private | {"PYTHONPATH": str(ROOT)},
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=55,
    )
    assert done.returncode == 0, done.stderr
    outputs: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return outputs


@pytest.fixture(scope="module")
def first_light(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that the notebook of that name printed and showed, as text."""
    outputs = run(ROOT / "notebooks" / "first-light.ipynb", tmp_path_factory.mktemp("notebook"))
    return json.dumps(outputs)


def test_first_light_shows_the_main_job(first_light: str) -> None:
    for expected in ("a step every 0.01 s", "refused:", "updates, 0 dropped", "left out", "NO_ALARM", "image/png"):
        assert expected in first_light


def test_first_light_loses_the_ioc_and_finds_it_again(first_light: str) -> None:
    states = [first_light.index(text) for text in ("connected: True", "connected: False", "last value:", "back after")]
    assert states == sorted(states)
    assert "'random_walk:x' not connected after" in first_light
    assert "channels: 2 ready" in first_light


def test_first_light_writes_no_warnings(first_light: str) -> None:
    assert '"name": "stderr"' not in first_light


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name_of)
def test_committed_without_outputs(path: Path) -> None:
    assert [cell["outputs"] for cell in cells_of(path) if cell["outputs"] or cell["execution_count"]] == []
    assert path.stat().st_size < 20_000


def test_every_notebook_is_run() -> None:
    assert [path.name for path in NOTEBOOKS] == ["first-light.ipynb", "from-pyepics.ipynb"]


def test_from_pyepics_says_what_pyepics_would(tmp_path: Path) -> None:
    told = json.dumps(run(ROOT / "notebooks" / "from-pyepics.ipynb", tmp_path))
    for expected in (
        "3.5.10",
        "== random_walk:x  (time_double) ==",
        "internally monitored, with 1",
        "no:such:pv",
        "True)]",
    ):
        assert expected in told
    assert '\\"name\\": \\"stderr\\"' not in told and '"name": "stderr"' not in told
