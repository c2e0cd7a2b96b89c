"""Available memory: the least of machine, control groups of both versions, and address space."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from blindzone.core.errors import SourceFileError
from blindzone.core.memory import COPIES, check_memory, find_available

MIB = 2**20


def write_group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"memory.{name}").write_text(f"{content}\n")


def test_group_of_version_2_leaves_its_limit_less_its_use_but_for_cache(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("0::/user/run\n")
    root = tmp_path / "fs"
    write_group(root / "user/run", max="max", current=5 * MIB)
    assert find_available(root, membership) > 64 * MIB
    # The group above the process's own counts.
    write_group(
        root / "user", max=20 * MIB, current=15 * MIB, stat=f"anon 5\ninactive_file {3 * MIB}"
    )
    assert find_available(root, membership) == 8 * MIB


def test_group_of_version_1_likewise(tmp_path: Path) -> None:
    membership = tmp_path / "cgroup"
    membership.write_text("4:cpu:/other\n3:memory:/run\n")
    group = tmp_path / "fs/memory/run"
    write_group(
        group,
        limit_in_bytes=20 * MIB,
        usage_in_bytes=15 * MIB,
        stat=f"total_inactive_file {MIB}",
    )
    assert find_available(tmp_path / "fs", membership) == 6 * MIB


def test_limit_of_address_space_counts() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30));"
        "from blindzone.core.memory import find_available; print(find_available())"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(run.stdout) < 2**30


def test_data_that_do_not_fit_several_times_over_are_refused() -> None:
    check_memory(1, "it", SourceFileError)
    size = find_available()
    with pytest.raises(SourceFileError, match=rf"^it would take .* GiB of memory, {COPIES} times"):
        check_memory(size, "it", SourceFileError)
