"""Quicklooks: a picture of every product, with gaps as gaps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError, ProductError
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.inpainting.predictive_distribution import summarize_distribution
from blindzone.pipeline.plots.panels import rasterize
from blindzone.pipeline.plots.quicklooks import draw_curtain, draw_product
from blindzone.pipeline.products.product import Provenance, build_product

ROWS, HIDDEN = 16, 4
DAY = np.arange(0, 86_400, 120)
PROVENANCE = Provenance(
    source="station",
    unit=date(2021, 3, 14),
    target="cd" * 32,
    title="A cloud radar at a station",
    instrument="95 GHz cloud radar",
    site="A station",
    licence="CC BY 4.0",
    references="",
    simulated=False,
    source_files=(),
    source_file_uuids=(),
    checkpoint_sha256="",
    passes=5,
    seed=0,
    software_version="0.1.0",
    configuration={},
    created=datetime(2026, 1, 1, tzinfo=UTC),
)


def make_product(seconds: np.ndarray, *, echo_dbz: float = 0.0) -> xr.Dataset:
    """Profiles at the given seconds of the day with echo of one value everywhere; NaN makes a clear day."""
    times = np.datetime64("2021-03-14", "ns") + seconds.astype("timedelta64[s]")
    shape = (times.size, ROWS)
    status = DetectionStatus.NO_ECHO if np.isnan(echo_dbz) else DetectionStatus.ECHO
    curtain = xr.Dataset(
        {
            "reflectivity": (("time", "height"), np.full(shape, echo_dbz, dtype=np.float32)),
            "detection_status": (("time", "height"), np.full(shape, status, dtype=np.int8)),
        },
        {
            "time": times,
            "height": (np.arange(ROWS) + 0.5) * 250,
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 0.0,
        },
    )
    probability = np.full((times.size, HIDDEN), 0.0 if np.isnan(echo_dbz) else 1.0)
    intensity = np.random.default_rng(0).normal(0, 3, (times.size, HIDDEN, 5)).astype(np.float32)
    fill = summarize_distribution(probability, intensity, floor_dbz=-30.0).assign_coords(time=times)
    return build_product(
        curtain,
        fill,
        hidden_rows=HIDDEN,
        blind_zone_top_m=1000.0,
        floor_dbz=-30.0,
        provenance=PROVENANCE,
    )


def read_pixels(path: Path) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(path))[..., :3]


def share_of(pixels: np.ndarray, grey: float) -> float:
    """Returns the share of pixels of one grey; 0.80 is what a panel shows where there is no data."""
    return float(np.all(np.abs(pixels - grey) < 0.005, axis=-1).mean())


@pytest.fixture(scope="module")
def day_of_echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quicklooks") / "day.png"
    draw_product(make_product(DAY), path)
    return path


def test_full_day_makes_a_picture_of_publication_size(day_of_echo: Path) -> None:
    height, width, _ = read_pixels(day_of_echo).shape
    assert (width, height) == (1920, 1728)
    assert 10_000 < day_of_echo.stat().st_size < 1_500_000
    assert list(day_of_echo.parent.iterdir()) == [day_of_echo]  # nothing temporary is left


def test_gap_in_time_is_left_blank(tmp_path: Path, day_of_echo: Path) -> None:
    draw_product(make_product(DAY[(DAY < 30_000) | (DAY > 60_000)]), tmp_path / "gap.png")
    # The gap is 35 % of the day; the four panels that show it unhatched fill over half of the
    # picture.
    assert share_of(read_pixels(day_of_echo), 0.80) < 0.02
    assert 0.12 < share_of(read_pixels(tmp_path / "gap.png"), 0.80) < 0.35


def test_clear_day_is_white_and_keeps_its_colour_bars(tmp_path: Path, day_of_echo: Path) -> None:
    draw_product(make_product(DAY, echo_dbz=np.nan), tmp_path / "clear.png")
    echo, clear = read_pixels(day_of_echo), read_pixels(tmp_path / "clear.png")
    # Two and a half of five panels, which fill about three quarters of the picture, lose their
    # colour.
    assert share_of(clear, 1.0) > share_of(echo, 1.0) + 0.25
    assert (np.ptp(clear[:, -200:], axis=-1) > 0.3).any()


def test_webp_is_drawn_too(tmp_path: Path) -> None:
    path = tmp_path / "day.webp"
    draw_product(make_product(DAY), path)
    assert path.read_bytes()[8:12] == b"WEBP"


@pytest.mark.parametrize("count", [1, 3])
def test_short_product_is_drawn(tmp_path: Path, count: int) -> None:
    path = tmp_path / "short.png"
    draw_product(make_product(np.arange(count) * 9), path)
    assert path.stat().st_size > 10_000


def test_raster_shows_the_nearest_profile_and_marks_the_lost_ones() -> None:
    # Profiles every 10 s, those at 30 and 40 s lost: what is more than 7.5 s away from a profile is
    # empty.
    seconds = np.array([0, 10, 20, 50, 60])
    raster = rasterize(np.datetime64("2021-03-14", "ns") + seconds.astype("timedelta64[s]"))
    assert raster.hours == pytest.approx((-5 / 3600, 65 / 3600))
    centres = raster.centres * 3600
    assert centres[raster.empty].min() == pytest.approx(27.5, abs=0.2)
    assert centres[raster.empty].max() == pytest.approx(42.5, abs=0.2)
    nearest = np.abs(seconds[:, None] - centres).min(axis=0)
    assert np.abs(seconds[raster.profile] - centres) == pytest.approx(nearest)


@pytest.mark.parametrize("count", [1, 25, 8641])
def test_raster_shows_each_profile_about_its_time(count: int) -> None:
    # Of an hourly model, from midnight to midnight, too; of a day of profiles, those nearest to the
    # 1600 columns.
    step = 86_400 // max(count - 1, 1)
    seconds = np.arange(count) * step
    raster = rasterize(np.datetime64("2021-03-14", "ns") + seconds.astype("timedelta64[s]"))
    assert 400 <= raster.profile.size <= 1600
    assert not raster.empty.any()
    assert set(raster.profile) == set(range(count)) or count > 1600
    column = 3600 * (raster.hours[1] - raster.hours[0]) / raster.profile.size
    assert (
        np.abs(seconds[raster.profile] - 3600 * raster.centres).max()
        <= max(step / 2, column) + 1e-6
    )


def test_raster_of_a_day_spans_the_whole_day() -> None:
    seconds = np.arange(3600, 80_000, 9)
    raster = rasterize(np.datetime64("2021-03-14", "ns") + seconds.astype("timedelta64[s]"))
    assert raster.hours == (0.0, 24.0)
    assert raster.empty[0]
    assert raster.empty[-1]
    assert not raster.empty[raster.empty.size // 2]


def test_threads_draw_the_same_picture_as_one(tmp_path: Path) -> None:
    product = make_product(np.arange(20) * 9)
    draw_product(product, tmp_path / "alone.png")
    paths = [tmp_path / f"{index}.png" for index in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda path: draw_product(product, path), paths))
    alone = (tmp_path / "alone.png").read_bytes()
    assert all(path.read_bytes() == alone for path in paths)


def test_unknown_picture_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProductError, match=r"'\.pdf'; \.png or \.webp is right"):
        draw_product(make_product(np.arange(3) * 9), tmp_path / "picture.pdf")


def test_product_is_no_curtain(tmp_path: Path) -> None:
    with pytest.raises(CurtainError, match="needs the variable 'detection_status'"):
        draw_curtain(make_product(np.arange(3) * 9), tmp_path / "picture.png")
    assert list(tmp_path.iterdir()) == []
