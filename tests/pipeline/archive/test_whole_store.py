"""A whole store: what was written is read, and a chunk that is gone is an error."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from blindzone.core.errors import DamagedError
from blindzone.pipeline.archive.whole_store import WholeStore


def test_chunk_that_is_gone_is_no_fill_value(tmp_path: Path) -> None:
    values = np.arange(4.0)
    array = zarr.create_array(tmp_path, shape=4, chunks=2, dtype=float, fill_value=0.0)
    array[:] = values
    read = zarr.open_array(WholeStore(LocalStore(tmp_path, read_only=True)), mode="r")
    assert np.asarray(read[:]).tolist() == values.tolist()
    shutil.move(tmp_path / "c" / "1", tmp_path / "elsewhere")
    with pytest.raises(DamagedError, match="'c/1' is gone; the store is damaged"):
        read[:]
    assert np.asarray(read[:2]).tolist() == [0, 1]
