"""Notebooks of the documentation run as they are stored, and are fit to be shown."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from notebooks import TUTORIALS, execute, find_places

SIMULATED = ("own_radar",)
SIZE_LIMIT = 400_000
_DATA = os.environ.get("BLINDZONE_DATA", "")
_NEEDS = {
    "granule": "gpm_dpr",
    "snow": "palaiseau_surface",
}


@pytest.fixture(params=TUTORIALS, ids=lambda path: path.stem)
def tutorial(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_notebook_runs(tutorial: Path, tmp_path: Path) -> None:
    needed = Path(_DATA) / _NEEDS.get(tutorial.stem, "palaiseau_basta")
    if tutorial.stem not in SIMULATED and not (_DATA and needed.is_dir()):
        pytest.skip(f"no measured data: $BLINDZONE_DATA has no folder {needed.name}")
    assert find_places(execute(tutorial, tmp_path)) == []


def test_notebook_is_stored_with_its_outputs(tutorial: Path) -> None:
    notebook = nbformat.read(tutorial, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert [out for cell in code for out in cell.outputs if out.output_type == "error"] == []
    assert find_places(notebook) == []
    assert tutorial.stat().st_size < SIZE_LIMIT
