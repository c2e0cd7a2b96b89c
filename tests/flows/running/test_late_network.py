"""The network that is loaded late is the one whose record was read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from eager import eagerly
from flow_calls import fill_days

from blindzone.core.errors import CheckpointError
from blindzone.flows.running.late_network import hash_single, load_network
from blindzone.models.checkpoint import read_checkpoint
from blindzone.models.checkpoint_record import open_record
from blindzone.models.light_network import locate_light, write_light

SOURCE, DAY = "short_days", date(2000, 1, 2)


def test_network_is_that_of_the_record(trained: tuple[Path, Path]) -> None:
    sha256 = open_record(trained[1]).sha256
    network = load_network(trained[1], 2, sha256=sha256, single_sha256=None)
    assert network.checkpoint.sha256 == sha256
    with pytest.raises(CheckpointError, match="it was replaced meanwhile; the next run uses the"):
        load_network(trained[1], 2, sha256="another", single_sha256=None)
    with pytest.raises(CheckpointError, match="it was replaced meanwhile"):
        load_network(trained[1], "single", sha256=sha256, single_sha256="another")


def test_calibration_for_single_passes_counts_for_these_alone(trained: tuple[Path, Path]) -> None:
    assert hash_single(trained[1], 2) is None
    assert hash_single(trained[1], "single") is None  # it has none


_FILL = """
import sys
from blindzone.flows.commands.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end
assert "ai_edge_litert" in sys.modules
assert not {"tensorflow", "keras", "prefect"} & sys.modules.keys()
"""


def test_single_pass_needs_no_tensorflow_and_gives_the_same_product(
    catalog: Path, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    pytest.importorskip("ai_edge_litert")
    archive, checkpoint = trained[0], Path(shutil.copy(trained[1], tmp_path / "own.keras"))
    write_light(checkpoint, read_checkpoint(checkpoint))
    options = {
        "--start": DAY,
        "--end": DAY,
        "--checkpoint": checkpoint,
        "--passes": "single",
        "--catalog": catalog,
        "--archive": archive,
        "--output": tmp_path / "light",
    }
    words = [str(word) for option in options.items() for word in option]
    done = subprocess.run(
        [sys.executable, "-c", _FILL, "inpaint", SOURCE, *words],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "XNNPACK" not in done.stderr
    locate_light(checkpoint).unlink()
    with eagerly():
        (path,) = fill_days(SOURCE, DAY, DAY, tmp_path, checkpoint, "single", catalog, archive)
    whole, light = (xr.open_dataset(one) for one in (path, tmp_path / "light" / Path(path).name))
    with whole, light:
        assert light.attrs["target_sha256"] == whole.attrs["target_sha256"]
        runtimes = [json.loads(one.attrs["configuration"]).get("runtime") for one in (light, whole)]
        assert runtimes[0].startswith("LiteRT ")
        assert runtimes[1] is None
        for name, expected in whole.data_vars.items():
            found = light[name].values
            # Quantiles are stored in steps of 1/64 dB: few are so near an edge that they change it.
            np.testing.assert_allclose(found, expected.values, atol=1 / 64, rtol=0)
            if found.dtype.kind == "f":
                assert np.mean(np.abs(found - expected.values) > 1e-3) < 1e-4
