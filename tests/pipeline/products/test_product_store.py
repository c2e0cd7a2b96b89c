"""Products in a folder, in memory and on S3: found by target, whole, made by one at a time."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
import xarray as xr
from tiny_products import make_mask

from blindzone.core.errors import LockedError, ProductError
from blindzone.pipeline.archive.storage import LocalStorage
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.inpainting.range_summary import summarize_range
from blindzone.pipeline.products import product_store
from blindzone.pipeline.products.product import build_product
from blindzone.pipeline.products.product_store import BYTES_PER_PROFILE, ProductStore, product_name
from blindzone.pipeline.products.provenance import Provenance

SOURCE, DAY, NEXT_DAY = "station", date(2021, 3, 14), date(2021, 3, 15)
NAME = "station_20210314_blindzone.nc"
HIDDEN = 3

MakeCurtain = Callable[..., xr.Dataset]


def test_name_holds_source_and_day() -> None:
    assert (
        product_name("palaiseau_basta", date(2021, 3, 14))
        == "palaiseau_basta_20210314_blindzone.nc"
    )


def test_granules_of_one_day_have_names_of_their_own() -> None:
    assert (
        product_name("cloudsat", datetime(2008, 1, 2, 3, 4, 5))
        == "cloudsat_20080102T030405_blindzone.nc"
    )


def make_product(curtain: xr.Dataset, target: str) -> xr.Dataset:
    """A product with echo of about -10 dBZ and a probability of one half in three rows."""
    intensity = (
        np.random.default_rng(0)
        .normal(-10, 3, (curtain.sizes["time"], HIDDEN, 20))
        .astype(np.float32)
    )
    fill = summarize_distribution(np.full(intensity.shape[:2], 0.5), intensity, floor_dbz=-30.0)
    provenance = Provenance(
        source=SOURCE,
        day=DAY,
        target=target,
        title="a radar",
        instrument="95 GHz cloud radar",
        site="a station",
        licence=None,
        references=None,
        simulated=False,
        source_files=(("a.nc", "ab" * 32),),
        source_file_uuids=(),
        checkpoint_sha256="ef" * 32,
        passes=20,
        seed=0,
        software_version="0.1.0",
        configuration={},
        created=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return build_product(
        curtain,
        fill.assign_coords(time=curtain["time"], height=curtain["height"][:HIDDEN]),
        mask=make_mask(curtain, HIDDEN),
        blind_zone_top_m=HIDDEN * 78.125,
        floor_dbz=-30.0,
        provenance=provenance,
    )


@pytest.fixture(scope="module")
def first(make_curtain: MakeCurtain) -> xr.Dataset:
    return make_product(make_curtain(DAY, profiles=50), "1" * 64)


@pytest.fixture(scope="module")
def second(make_curtain: MakeCurtain) -> xr.Dataset:
    return make_product(make_curtain(DAY, profiles=60, seed=1), "2" * 64)


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ProductStore:
    """A store of products in each kind of place."""
    if request.param == "folder":
        return ProductStore(tmp_path / "products")
    if request.param == "memory":
        return ProductStore(f"memory://{uuid.uuid4().hex}/products")
    return ProductStore(f"s3://bucket/{uuid.uuid4().hex}/products", request.getfixturevalue("s3"))


@pytest.fixture
def folder(tmp_path: Path) -> ProductStore:
    return ProductStore(tmp_path / "products")


def test_product_is_found_by_its_target_and_replaced_by_another(
    store: ProductStore, first: xr.Dataset, second: xr.Dataset
) -> None:
    assert store.find_target(SOURCE, DAY) is None
    path = store.write(first, SOURCE, DAY)
    assert path == store.locate(SOURCE, DAY)
    assert path.endswith(f"/products/{NAME}")
    assert store.find_target(SOURCE, DAY) == "1" * 64
    assert store.find_target(SOURCE, NEXT_DAY) is None
    assert store.find_range(SOURCE, DAY) == summarize_range(first["out_of_range_flag"].values)
    assert store.find_range(SOURCE, NEXT_DAY) is None

    assert store.write(second, SOURCE, DAY) == path
    assert store.find_target(SOURCE, DAY) == "2" * 64
    with (
        store.storage.open_file(NAME) as stream,
        xr.open_dataset(stream, engine="h5netcdf") as product,
    ):
        assert product["reflectivity"].shape == (60, 16)
        np.testing.assert_array_equal(
            product["hydrometeor_probability"][:, :HIDDEN].max(), np.float32(0.5)
        )
    assert NAME in store.storage.list_names("")


def test_product_that_contradicts_itself_is_rejected_and_the_earlier_one_stays(
    store: ProductStore, first: xr.Dataset, second: xr.Dataset
) -> None:
    store.write(first, SOURCE, DAY)
    wrong = second.assign(reflectivity_quantile=-second["reflectivity_quantile"])
    with pytest.raises(ProductError, match="filled with another value than the median"):
        store.write(wrong, SOURCE, DAY)
    assert store.find_target(SOURCE, DAY) == "1" * 64


def test_lock_of_a_product_keeps_others_from_it_and_from_it_alone(store: ProductStore) -> None:
    with store.lock(SOURCE, DAY):
        with (
            pytest.raises(
                LockedError,
                match=rf"{NAME}: another run has been making it for 0 s; run again later",
            ),
            store.lock(SOURCE, DAY, wait_s=0),
        ):
            pass
        with store.lock(SOURCE, NEXT_DAY, wait_s=0):
            pass
    with store.lock(SOURCE, DAY, wait_s=0):
        pass


def test_lock_is_given_back_after_a_failure(store: ProductStore) -> None:
    with pytest.raises(ZeroDivisionError), store.lock(SOURCE, DAY):
        raise ZeroDivisionError
    with store.lock(SOURCE, DAY, wait_s=0):
        pass


def damage_nothing(content: bytes) -> bytes:
    return content


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def cut_last_byte(content: bytes) -> bytes:
    return content[:-1]


def make_empty(content: bytes) -> bytes:
    return b""


def make_text(content: bytes) -> bytes:
    return b"no HDF5 at all\n" * 1000


def make_zeros(content: bytes) -> bytes:
    """What a file system may leave of a file whose blocks never reached the disk."""
    return bytes(len(content))


@pytest.mark.parametrize(
    ("damage", "target"),
    [
        (damage_nothing, "1" * 64),
        (cut_short, None),
        (cut_last_byte, None),
        (make_empty, None),
        (make_text, None),
        (make_zeros, None),
    ],
)
def test_file_that_is_no_whole_product_counts_as_none(
    store: ProductStore, first: xr.Dataset, damage: Callable[[bytes], bytes], target: str | None
) -> None:
    store.write(first, SOURCE, DAY)
    with store.storage.open_file(NAME) as stream:
        content = stream.read()
    store.storage.replace_bytes(NAME, damage(content))
    assert store.find_target(SOURCE, DAY) == target


def test_file_of_another_kind_states_no_target(folder: ProductStore, tmp_path: Path) -> None:
    (tmp_path / "products").mkdir()
    with h5py.File(tmp_path / "products" / NAME, "w") as file:
        file["reflectivity"] = [1.0]
    assert folder.find_target(SOURCE, DAY) is None


def test_damage_anywhere_in_a_file_is_never_more_than_a_product_that_is_not_there(
    folder: ProductStore, first: xr.Dataset, tmp_path: Path
) -> None:
    path = Path(folder.write(first, SOURCE, DAY))
    content, rng, found = path.read_bytes(), np.random.default_rng(0), []
    # The metadata lie in the first 20 kB. Zeros are what a power cut leaves; HDF5 ran in a circle
    # over some of them.
    for number, start in enumerate(rng.integers(0, 20_000, 300)):
        damaged = bytearray(content)
        damaged[start : start + 512] = bytes(512) if number % 2 else rng.bytes(512)
        path.write_bytes(damaged)
        found.append(folder.find_target(SOURCE, DAY))  # one or none, and soon
    assert None in found
    assert "1" * 64 in found


def test_damaged_values_are_found_by_their_checksum(
    folder: ProductStore, first: xr.Dataset
) -> None:
    path = Path(folder.write(first, SOURCE, DAY))
    with h5py.File(path) as file:
        chunk = file["reflectivity_quantile"].id.get_chunk_info(0)
    with path.open("r+b") as stream:
        stream.seek(chunk.byte_offset + chunk.size // 2)
        byte = stream.read(1)[0]
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte ^ 1]))
    with pytest.raises(RuntimeError, match="NetCDF: HDF error"), xr.open_dataset(path) as product:
        product.load()


def test_what_a_killed_run_left_beside_a_product_is_swept_away_by_the_next_that_makes_it(
    folder: ProductStore, first: xr.Dataset, tmp_path: Path
) -> None:
    place = tmp_path / "products"
    place.mkdir()
    (place / f".{NAME}.0123.partial").write_bytes(b"half")
    others = {".other_20210314_blindzone.nc.0123.partial", "notes.txt"}
    for name in others:
        (place / name).write_bytes(b"of somebody else")
    folder.write(first, SOURCE, DAY)
    assert {path.name for path in place.iterdir()} == {NAME, *others}


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.ENOSPC, "No space left on device"), (errno.EIO, "Input/output")]
)
def test_product_that_cannot_be_written_leaves_the_earlier_one_and_says_why(
    folder: ProductStore,
    first: xr.Dataset,
    second: xr.Dataset,
    number: int,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder.write(first, SOURCE, DAY)

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(
        ProductError, match=f"{NAME}: cannot be written: {reason}.*; a folder with write permission"
    ):
        folder.write(second, SOURCE, DAY)
    assert folder.find_target(SOURCE, DAY) == "1" * 64
    assert [path.name for path in Path(folder.locate(SOURCE, DAY)).parent.iterdir()] == [NAME]


def test_place_that_is_no_folder_is_named(tmp_path: Path, first: xr.Dataset) -> None:
    (tmp_path / "products").write_text("a file")
    store = ProductStore(tmp_path / "products")
    with pytest.raises(
        ProductError, match="cannot be read: Not a directory; a readable folder is right"
    ):
        store.find_target(SOURCE, DAY)
    with pytest.raises(
        ProductError, match=r"cannot be locked: .*; a folder with write permission is right"
    ):
        store.lock(SOURCE, DAY).__enter__()
    with pytest.raises(
        ProductError, match=r"cannot be written: .*; a folder with write permission and free space"
    ):
        store.write(first, SOURCE, DAY)


def test_room_is_asked_of_the_disk_that_products_will_lie_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    asked = []

    def measure(path: Path) -> Usage:
        asked.append(path)
        return Usage(free=1000 * BYTES_PER_PROFILE)

    monkeypatch.setattr(shutil, "disk_usage", measure)
    store = ProductStore(tmp_path / "not" / "there" / "yet")
    store.check_space(1000)
    assert asked == [tmp_path]
    # 1001 profiles of 1500 bytes are 1.5015 MB, 1000 are 1.5 MB.
    with pytest.raises(
        ProductError, match=r"1001 profiles take up to 2 MB as products, 2 MB are free; free some"
    ) as no:
        store.check_space(1001)
    # Of 80 bytes more for each field beside them, 1000 profiles are too many with one field
    # already.
    with pytest.raises(ProductError, match="1000 profiles take up to 2 MB"):
        store.check_space(1000, samples=1)
    assert isinstance(no.value.__cause__, OSError)  # the machine's fault, not that of the data
    ProductStore(f"memory://{uuid.uuid4().hex}").check_space(
        10**12
    )  # of an object store nothing is asked


def test_real_product_takes_no_more_than_is_reckoned_with(
    folder: ProductStore, make_curtain: MakeCurtain
) -> None:
    curtain = make_curtain(DAY, profiles=2000, rows=128)
    path = folder.write(make_product(curtain, "1" * 64), SOURCE, DAY)
    assert Path(path).stat().st_size < 2000 * BYTES_PER_PROFILE


def hold(place: Path, line: Connection) -> None:
    """Holds the product's lock until it is told to let go, or killed."""
    with ProductStore(place).lock(SOURCE, DAY):
        line.send("held")
        line.recv()


@contextlib.contextmanager
def another_process(place: Path) -> Iterator[tuple[Any, Connection]]:
    """Yields a process that holds the product's lock, and the line to it."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(place, there))
    process.start()
    try:
        assert here.poll(30)
        assert here.recv() == "held"
        yield process, here
    finally:
        process.kill()
        process.join()


def test_processes_take_turns_and_a_killed_one_hinders_nobody(
    folder: ProductStore, tmp_path: Path
) -> None:
    place = tmp_path / "products"
    with another_process(place) as (process, _):
        with pytest.raises(LockedError), folder.lock(SOURCE, DAY, wait_s=0.1):
            pass
        process.kill()
        process.join()
        assert (place / ".locks" / NAME).exists()  # it is left, and means nothing
        with folder.lock(SOURCE, DAY, wait_s=0):
            pass
    with another_process(place) as (_, line):
        line.send("let go")
        with folder.lock(SOURCE, DAY, wait_s=30):
            pass
    assert list((place / ".locks").iterdir()) == []


def test_products_are_no_more_than_the_files_of_a_folder(
    folder: ProductStore, first: xr.Dataset
) -> None:
    assert isinstance(folder.storage, LocalStorage)
    path = folder.write(first, SOURCE, DAY)
    with xr.open_dataset(path) as product:
        assert product.attrs[product_store.TARGET] == "1" * 64
