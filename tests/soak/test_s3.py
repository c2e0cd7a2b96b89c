"""Archive and products on an S3 server on loopback: the same products, made once, whole."""

from __future__ import annotations

import io
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import h5py
import pytest
import xarray as xr
from s3_server import KEY, REGION, SECRET, serving_s3
from short_days import Station, end, list_days, make_station, product_name, wait_until

pytestmark = pytest.mark.soak

DAYS = list_days(4)
NAMES = [product_name(day) for day in DAYS]
KILLS = 6
PRELUDE = "from blindzone.pipeline.archive import storage; storage.LEASE_S = 12.0"
"""A lock counts for five minutes after its holder died: too long to be waited for here."""


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """The environment in which `s3://` leads to a server on loopback that has one bucket."""
    with serving_s3() as address, pytest.MonkeyPatch.context() as patch:
        environment = {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": address,
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        yield environment


@pytest.fixture(scope="module")
def stations(
    server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Station, Station]:
    """Four short days in an archive on S3, and the same with archive and products in folders."""
    local = make_station(tmp_path_factory.mktemp("s3"), len(DAYS), hours=1.0)
    remote = local.with_places(archive="s3://bucket/archive", products="s3://bucket/products")
    for station in (local, remote):
        code, prediction = station.run("ingest")
        assert code == 0, prediction
    code, prediction = local.run("reprocess")
    assert code == 0, prediction
    return local, remote


def read_objects(place: str) -> dict[str, bytes]:
    """Returns what lies under a URL."""
    files = fsspec.filesystem("s3")
    files.invalidate_cache()
    names = files.find(place)
    found: dict[str, bytes] = files.cat(names, on_error="omit") if names else {}
    return found


def read_products(place: str) -> dict[str, bytes]:
    """Returns what lies under a URL but for locks."""
    return {
        name.rsplit("/", 1)[-1]: found
        for name, found in read_objects(place).items()
        if "/.locks/" not in name
    }


def wait_for_lock(process: subprocess.Popen[str], place: str) -> None:
    before = read_objects(place)
    wait_until(lambda: read_objects(place) != before, process)


def check_like(found: dict[str, bytes], folder: Path) -> None:
    """Checks that products hold what those in a folder do, and state the same targets."""
    for name, content in found.items():
        with (
            xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as one,
            xr.open_dataset(folder / name) as other,
        ):
            xr.testing.assert_equal(one, other)
            assert one.attrs["target_sha256"] == other.attrs["target_sha256"]


@pytest.mark.parametrize(
    "options", [(), ("--runner", "dask", "--workers", 2)], ids=["local", "dask"]
)
def test_products_by_url_are_those_of_folders_and_made_once(
    stations: tuple[Station, Station], options: tuple[object, ...]
) -> None:
    local, remote = stations
    remote = remote.with_places(products=f"s3://bucket/products{len(options)}")
    code, prediction = remote.run("reprocess", *options)
    assert code == 0, prediction
    made = read_products(str(remote.products))
    assert sorted(made) == NAMES
    check_like(made, Path(local.products))
    code, prediction = remote.run("reprocess", *options)
    assert code == 0, prediction
    assert "(0 created, 4 unchanged, 0 rejected, 0 failed)" in prediction
    assert read_products(str(remote.products)) == made


def test_killed_run_leaves_whole_products_alone_and_the_next_goes_on(
    stations: tuple[Station, Station],
) -> None:
    local, remote = stations
    remote = replace(remote, products="s3://bucket/killed", prelude=PRELUDE)
    chance, seen = random.Random(0), {}
    for _ in range(KILLS):
        if len(seen) == len(NAMES):
            break
        with remote.start("reprocess") as process:
            # Once it works on a day, at any instant of two seconds.
            wait_for_lock(process, "s3://bucket/killed/.locks")
            time.sleep(chance.uniform(0.0, 2.0))
            end(process)
        now = read_products(str(remote.products))
        assert sorted(now) == sorted(NAMES[: len(now)])
        for content in now.values():
            with h5py.File(io.BytesIO(content)) as product:
                assert "target_sha256" in product.attrs
        assert now.items() >= seen.items()
        seen = now
    code, prediction = remote.run("reprocess")
    assert code == 0, prediction
    made = read_products(str(remote.products))
    assert sorted(made) == NAMES
    assert made.items() >= seen.items()
    check_like(made, Path(local.products))
