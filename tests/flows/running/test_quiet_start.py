"""A quiet start: what is written past Python's own stderr is lost, what comes later is not."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import os, sys
from blindzone.flows.running.quiet_start import quiet_start
print("before", file=sys.stderr)
try:
    with quiet_start():
        os.write(2, b"chatter")
        raise KeyError
except KeyError:
    pass
os.write(2, b"after")
"""


def test_chatter_of_the_block_is_lost_and_nothing_else() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert run.stderr == "before\nafter"


def test_process_without_standard_error_starts_all_the_same() -> None:
    program = "import os; os.close(2)\n" + PROGRAM.replace('print("before", file=sys.stderr)', "")
    program = program.replace('os.write(2, b"chatter")', "pass").replace(
        'os.write(2, b"after")', ""
    )
    run = subprocess.run([sys.executable, "-c", program], check=False)
    assert run.returncode == 0
