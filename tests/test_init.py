"""The front door: light to import, typed, and the same names as its list."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import blindzone


def test_import_loads_nothing_that_is_heavy() -> None:
    program = (
        "import sys, blindzone; blindzone.__version__\n"
        "heavy = {'numpy', 'xarray', 'tensorflow', 'keras', 'prefect', 'matplotlib', 'dask'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"


def test_every_name_of_the_list_is_there_with_a_docstring() -> None:
    assert blindzone.__version__ == version("blindzone")
    for name in set(blindzone.__all__) - {"__version__"}:
        assert "Example:" in getattr(blindzone, name).__doc__, name
    assert not hasattr(blindzone, "nonsense")


def test_readers_are_listed_with_what_their_files_are() -> None:
    readers = blindzone.readers()
    assert readers["cloudnet_radar"] == "a Cloudnet Level 1b radar file"
    assert "auto" not in readers
