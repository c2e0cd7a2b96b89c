"""Executes the notebooks of the documentation, in a folder and with a kernel of their own.

`make tutorials` runs this file: each notebook is executed and stored with its outputs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient

REPOSITORY = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((REPOSITORY / "docs" / "tutorials").glob("*.ipynb"))


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Returns an executed notebook; nothing is written outside `folder`.

    Paths in its outputs are relative to this folder.

    Raises:
        nbclient.exceptions.CellExecutionError: If a cell fails; the message has the cell's text.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    with mock.patch.dict(os.environ, _make_environment(folder)):
        executed = client.execute()
    return nbformat.reads(nbformat.writes(executed).replace(f"{folder}/", ""), as_version=4)


def _make_environment(folder: Path) -> dict[str, str]:
    places = {
        name: str(folder / name.lower())
        for name in (
            "BLINDZONE_WORKSPACE",
            "IPYTHONDIR",
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "MPLCONFIGDIR",
            "PREFECT_HOME",
        )
    }
    return {
        **places,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "COLUMNS": "90",
    }


def find_places(notebook: nbformat.NotebookNode) -> list[str]:
    """Returns absolute paths in a notebook's outputs: they are of one machine."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [
        str(output.get("text", output.get("data", {}).get("text/plain"))) for output in outputs
    ]
    return re.findall(r"(?:(?<=\s)|(?<=')|^)/(?:home|root|tmp|work|usr|var)/\S*", "\n".join(texts))


def store(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Writes a notebook without what differs from run to run or from machine to machine."""
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata = nbformat.NotebookNode()
    python = {"display_name": "Python 3", "language": "python", "name": "python3"}
    language = {"name": "python", "pygments_lexer": "ipython3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": python, "language_info": language})
    nbformat.write(notebook, path)


def main() -> None:
    """Executes the notebooks of these names, or all, and stores them."""
    names = sys.argv[1:]
    for path in TUTORIALS:
        if not names or path.stem in names:
            with tempfile.TemporaryDirectory() as folder:
                executed = execute(path, Path(folder))
            if places := find_places(executed):
                sys.exit(f"{path.name} names places of this machine: {places}")
            store(executed, path)
            print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
