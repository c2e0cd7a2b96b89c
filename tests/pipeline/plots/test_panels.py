"""What pictures share: the raster of time, the colours of an image, and whole files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from blindzone.core.errors import ProductError
from blindzone.pipeline.plots.panels import (
    check_format,
    colour,
    new_figure,
    rasterize,
    save_figure,
    show,
)


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


def test_raster_of_less_than_the_whole_day_spans_the_profiles_alone() -> None:
    seconds = np.arange(3600, 80_000, 100)
    times = np.datetime64("2021-03-14", "ns") + seconds.astype("timedelta64[s]")
    raster = rasterize(times, whole_day=False)
    # Half a step of 100 s before the first profile, at 1 h, and after the last, at 79 900 s.
    assert raster.hours == pytest.approx((1 - 50 / 3600, 79_950 / 3600))
    assert not raster.empty.any()


def test_colours_are_white_for_nan_and_see_through_for_missing() -> None:
    values = np.array([0.0, 1.0, np.nan, np.nan])
    missing = np.array([False, False, False, True])
    drawn = colour(values, missing, matplotlib.colormaps["gray"], Normalize(0, 1))
    assert drawn.tolist() == [
        [0, 0, 0, 255],
        [255, 255, 255, 255],
        [255, 255, 255, 255],
        [255, 255, 255, 0],
    ]


def test_image_lies_between_its_edges_the_lowest_row_first() -> None:
    ax = Figure().subplots()
    show(ax, np.zeros((5, 3, 4), dtype=np.uint8), (6.0, 9.0), (-100.0, 2000.0))
    (image,) = ax.images
    assert np.asarray(image.get_array()).shape == (3, 5, 4)
    assert image.get_extent() == [6.0, 9.0, -0.1, 2.0]
    assert image.origin == "lower"


def test_notebook_shows_a_figure_by_itself() -> None:
    figure = new_figure((1.0, 1.0))
    png = figure._repr_png_()  # type: ignore[attr-defined]
    assert png.startswith(b"\x89PNG")
    assert matplotlib.image.imread(BytesIO(png)).shape[:2] == (120, 120)


def test_failed_picture_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "picture.png"
    save_figure(new_figure((1.0, 1.0)), path)
    first = path.read_bytes()

    def fail(figure: Figure, target: Path, **options: str) -> None:
        target.write_bytes(b"half")
        raise ZeroDivisionError

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(ZeroDivisionError):
        save_figure(new_figure((1.0, 1.0)), path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


def test_picture_has_the_size_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    save_figure(new_figure((2.0, 1.0)), path)
    assert matplotlib.image.imread(path).shape[:2] == (120, 240)  # 120 dots an inch


@pytest.mark.parametrize("name", ["picture", "picture.gif", "picture.eps", ".png"])
def test_other_formats_are_rejected(name: str, tmp_path: Path) -> None:
    with pytest.raises(ProductError, match=r"unknown .* format '.*'; \.png, .* or \.svgz is right"):
        check_format(tmp_path / name)
    with pytest.raises(ProductError, match="unknown picture format"):
        save_figure(new_figure((1.0, 1.0)), tmp_path / name)


def test_folder_that_is_none_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ProductError, match="cannot be written"):
        save_figure(new_figure((1.0, 1.0)), tmp_path / "file" / "picture.png")
