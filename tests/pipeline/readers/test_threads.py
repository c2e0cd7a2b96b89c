"""Files of every kind read by dask's threads give what a serial read gives.

netCDF-C is not thread-safe, and what it does about that is to end the process. The reading is
therefore done in a process of its own, this file run as a program: its death is one failed test,
with the signal that it died of.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from datetime import date
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from dask.base import compute
from dask.delayed import delayed

from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.readers.simulation import write_simulated_day

THREADS = 4
FILES = 40
LIMIT_S = 60
"""Far more than so many reads take; what is not done by then is locked up."""
MEASURED = (
    "arm_kazr/sgpkazrgeC1.a1.20190529.000002.cdf",
    "state_profiles/20190517_mace-head_ecmwf.nc",
    "state_profiles/sgpsondewnpnC1.b1.20190101.053200.cdf",  # netCDF-3
    "state_profiles/theta_temp_rh_sh_uvw_sst_along_trajectory_era5ml_28h_end_2020-03-13-18.nc",
)
LARGE = (
    "arm_ceilometer/sgpceilC1.b1.20190103.000011.nc",  # netCDF-3
    "cabauw_categorize/20250211_cabauw_categorize_part.nc",
    "gpm_dpr/2A-CS-151E24S154E30S.GPM.Ku.V7-20170308.20141206-S095002-E095137.004383.V05A.HDF5",
    "minimpl_lille/MPL_5030_201606010000.nc",
    "mrr_pro/20230322_120000.nc",
    "rpg94_juelich/181202_100002_P09_ZEN_compact.nc",
)
"""One measured file a kind, by its path in the data directory; each of those that take longer is
read twice."""


def digest(path: Path) -> str:
    """Returns a hash of the whole curtain of a file, its reader recognised by content."""
    curtain = read_curtain(path)
    content = hashlib.sha256(json.dumps(curtain.attrs, sort_keys=True).encode())
    for name in sorted(map(str, curtain.variables)):
        variable = curtain[name]
        content.update(f"{name} {variable.dims} {variable.dtype}".encode())
        content.update(np.ascontiguousarray(variable.values).tobytes())
    return content.hexdigest()


def main(paths: Sequence[str]) -> None:
    """Reads the files by threads, then each of them once more alone, and prints both results."""
    reads = [delayed(digest, pure=False)(Path(path)) for path in paths]
    threaded = compute(*reads, scheduler="threads", num_workers=THREADS)  # type: ignore[no-untyped-call]
    # Names of one file are read once.
    files = {path: Path(path).stat().st_ino for path in paths}
    names = {number: path for path, number in files.items()}
    alone = {number: digest(Path(path)) for number, path in names.items()}
    serial = {path: alone[number] for path, number in files.items()}
    json.dump({"threaded": list(zip(paths, threaded, strict=True)), "serial": serial}, sys.stdout)


def run(arguments: Sequence[str]) -> str:
    """Returns a Python process's output; the test fails if it dies or takes too long."""
    command = [sys.executable, "-X", "faulthandler", *arguments]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.fail(f"the process was not done after {LIMIT_S} s")
    prediction = result.stderr.partition("Extension modules")[0][-3000:]
    if result.returncode < 0:
        pytest.fail(f"the process died of {signal.Signals(-result.returncode).name}:\n{prediction}")
    if result.returncode:
        pytest.fail(f"the process ended with {result.returncode}:\n{prediction}")
    return result.stdout


def check_threads(often: Iterable[Path], seldom: Iterable[Path] = ()) -> None:
    """Checks that mixed reads by threads give what one thread gets."""
    first = 2 * [str(path) for path in seldom]
    paths = [*first, *islice(cycle(map(str, often)), FILES - len(first))]
    results = json.loads(run([__file__, *paths]))
    assert len(results["threaded"]) == FILES
    # The curtains of all files differ, so that a mix-up would show.
    assert len(set(results["serial"].values())) == len(set(paths))
    assert [path for path, found in results["threaded"] if found != results["serial"][path]] == []


def write_classic(source: Path, path: Path, form: str, *, hours: float) -> Path:
    """Writes a netCDF-4 file's content in a netCDF-3 form, its times some hours later."""
    with xr.open_dataset(source, engine="h5netcdf", decode_cf=False) as dataset:
        later = dataset.assign_coords(
            time=("time", dataset["time"].values + hours, dataset["time"].attrs)
        )
        later.to_netcdf(path, engine="netcdf4", format=form)  # type: ignore[call-overload]
    return path


def write_mrr(path: Path) -> Path:
    """Writes an MRR-2 file of IMProToo (Maahn and Kollias 2012), in netCDF-3 form."""
    dims, rng = ("time", "range"), np.random.default_rng(0)
    fill = {"_FillValue": np.float32(-9999)}
    heights = np.tile(np.arange(100, 3200, 100, dtype=np.float32), (60, 1))
    dataset = xr.Dataset(
        {
            "Ze": (
                dims,
                rng.uniform(-5, 20, heights.shape).astype(np.float32),
                {"units": "dBz", **fill},
            ),
            "W": (
                dims,
                rng.uniform(0, 6, heights.shape).astype(np.float32),
                {"units": "m/s", **fill},
            ),
            "height": (dims, heights, {"units": "m", **fill}),
        },
        {"time": ("time", 1_300_000_000 + 60 * np.arange(60, dtype=np.int32))},
        {"title": "Micro rain radar data processed with IMProToo"},
    )
    dataset.to_netcdf(path, engine="netcdf4", format="NETCDF3_CLASSIC")
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One file by kind and form: the simulated radar's as HDF5 and netCDF-3, an MRR's."""
    folder = tmp_path_factory.mktemp("threads")
    simulated = folder / "20000101_simulated.nc"
    write_simulated_day(
        date(2000, 1, 1), simulated, hours=0.25, profile_step_s=30, scenes=("front",)
    )
    return {
        "cloudnet hdf5": simulated,
        "cloudnet classic": write_classic(
            simulated, folder / "classic.nc", "NETCDF3_CLASSIC", hours=1
        ),
        "cloudnet 64-bit": write_classic(simulated, folder / "offset.nc", "NETCDF3_64BIT", hours=2),
        "mrr classic": write_mrr(folder / "mrr.nc"),
    }


def test_threads_read_one_netcdf3_file_many_times(written: dict[str, Path]) -> None:
    check_threads([written["mrr classic"]])


def test_threads_read_files_of_both_forms_mixed(written: dict[str, Path], tmp_path: Path) -> None:
    copies = {}
    for number in range(FILES // 4):  # a path of its own for each read
        for kind, path in written.items():
            copies[f"{kind} {number}"] = tmp_path / f"{number}_{path.name}"
            copies[f"{kind} {number}"].hardlink_to(path)
    assert len(copies) == FILES
    results = json.loads(run([__file__, *map(str, copies.values())]))
    found = {
        kind: {results["serial"][str(path)] for name, path in copies.items() if kind in name}
        for kind in written
    }
    assert [len(digests) for digests in found.values()] == [1] * len(written)
    assert dict(results["threaded"]) == results["serial"]


def test_threads_read_measured_files_of_every_kind_mixed(
    measured_directory: Path, written: dict[str, Path]
) -> None:
    often, seldom = ([measured_directory / name for name in names] for names in (MEASURED, LARGE))
    check_threads([*written.values(), *often], seldom)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_death_of_the_process_fails_with_its_signal(name: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"died of {name}"):
        run(["-c", f"import os, signal; os.kill(os.getpid(), signal.{name})"])


if __name__ == "__main__":
    main(sys.argv[1:])
