"""Quicklooks: a picture of every product, with gaps as gaps."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blindzone.core.errors import CurtainError, ProductError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.plots.quicklooks import (
    draw_curtain,
    draw_product,
    plot_curtain,
    plot_product,
)
from blindzone.pipeline.products.swath import join_rays

DAY = np.arange(0, 86_400, 120)
MakeProduct = Callable[..., xr.Dataset]


def read_pixels(path: Path) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(path))[..., :3]


def share_of(pixels: np.ndarray, grey: float) -> float:
    """Returns the share of pixels of one grey; a panel without data is 0.80."""
    return float(np.all(np.abs(pixels - grey) < 0.005, axis=-1).mean())


@pytest.fixture(scope="module")
def day_of_echo(make_product: MakeProduct, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("quicklooks") / "day.png"
    draw_product(make_product(DAY), path)
    return path


def test_full_day_makes_a_picture_of_publication_size(day_of_echo: Path) -> None:
    height, width, _ = read_pixels(day_of_echo).shape
    assert (width, height) == (1920, 1728)
    assert 10_000 < day_of_echo.stat().st_size < 1_500_000
    assert list(day_of_echo.parent.iterdir()) == [day_of_echo]  # nothing temporary is left


def test_gap_in_time_is_left_blank(
    make_product: MakeProduct, tmp_path: Path, day_of_echo: Path
) -> None:
    draw_product(make_product(DAY[(DAY < 30_000) | (DAY > 60_000)]), tmp_path / "gap.png")
    # The gap is 35 % of the day; the four panels that show it unhatched fill over half of the
    # picture.
    assert share_of(read_pixels(day_of_echo), 0.80) < 0.02
    assert 0.12 < share_of(read_pixels(tmp_path / "gap.png"), 0.80) < 0.35


def test_clear_day_is_white_and_keeps_its_colour_bars(
    make_product: MakeProduct, tmp_path: Path, day_of_echo: Path
) -> None:
    draw_product(make_product(DAY, echo_dbz=np.nan), tmp_path / "clear.png")
    echo, clear = read_pixels(day_of_echo), read_pixels(tmp_path / "clear.png")
    # Observed echo, half of a panel's fill, widths and probabilities lose their colour.
    assert share_of(clear, 1.0) > share_of(echo, 1.0) + 0.25
    assert (np.ptp(clear[:, -200:], axis=-1) > 0.3).any()


def panels_of(figure: Figure) -> list[Axes]:
    return [ax for ax in figure.axes if ax.get_title(loc="left")]


def test_product_has_five_panels_by_default(make_product: MakeProduct) -> None:
    figure = plot_product(make_product(DAY))
    assert [ax.get_title(loc="left")[4:].split(":")[0] for ax in panels_of(figure)] == [
        "Blind zone filled",
        "Observed",
        "Filled minus observed",
        "Width of the 90 % interval (95 % minus 5 % quantile) given echo, blind zone only",
        "Probability of hydrometeor echo, blind zone only",
    ]
    assert panels_of(figure)[0].get_xlim() == (0, 24)
    assert figure.get_suptitle() == (
        "A cloud radar at a station: reflectivity with its blind zone filled\nA station, 2021-03-14"
    )


def test_pyplot_knows_nothing_of_a_figure(make_product: MakeProduct) -> None:
    plot_product(make_product(DAY[:5]), variables="reflectivity")
    plot_curtain(make_curtain(DAY[:5]))
    assert pyplot.get_fignums() == []


def test_variables_are_drawn_in_the_order_asked_for(make_product: MakeProduct) -> None:
    names = ["hydrometeor_probability", "reflectivity_observed"]
    titles = [
        ax.get_title(loc="left")
        for ax in panels_of(plot_product(make_product(DAY[:9]), variables=names))
    ]
    assert titles == ["(a) Probability of hydrometeor echo, blind zone only", "(b) Observed"]


def test_one_variable_is_drawn_into_given_axes(make_product: MakeProduct) -> None:
    figure = Figure()
    upper, lower = figure.subplots(2)
    assert plot_product(make_product(DAY), ax=lower, variables="hydrometeor_probability") is figure
    assert lower.get_title(loc="left") == "Probability of hydrometeor echo, blind zone only"
    assert (len(upper.images), len(lower.images)) == (0, 1)
    assert figure.get_suptitle() == ""
    plot_product(make_product(DAY), ax=upper)
    assert upper.get_title(loc="left").startswith("Blind zone filled")


def test_axes_of_a_part_of_a_figure_give_the_whole_figure(make_product: MakeProduct) -> None:
    figure = Figure()
    part = figure.subfigures(1, 2)[1]
    assert plot_product(make_product(DAY[:9]), ax=part.subplots()) is figure


def test_several_variables_do_not_fit_into_given_axes(make_product: MakeProduct) -> None:
    with pytest.raises(ProductError, match="variables: 2 do not fit into one 'ax'"):
        plot_product(
            make_product(DAY[:9]),
            ax=Figure().subplots(),
            variables=["reflectivity", "hydrometeor_probability"],
        )


def test_picture_spans_the_time_asked_for(make_product: MakeProduct) -> None:
    figure = plot_product(make_product(DAY), time=("2021-03-14T06:00", "2021-03-14T09:00"))
    # Profiles every 120 s: their columns end 60 s beyond the first and the last.
    assert panels_of(figure)[0].get_xlim() == pytest.approx((6 - 1 / 60, 9 + 1 / 60))


def test_picture_spans_the_heights_asked_for(make_product: MakeProduct) -> None:
    product = make_product(DAY[:9])
    both = panels_of(plot_product(product, height=(250, 3000)))
    assert {ax.get_ylim() for ax in both} == {(0.25, 3.0)}
    assert {ax.get_ylim() for ax in panels_of(plot_product(product, height=2000))} == {(0.0, 2.0)}
    # By default 4 km, and the four filled rows of 250 m where only they have values.
    assert [ax.get_ylim()[1] for ax in panels_of(plot_product(product))] == [4, 4, 1, 1, 1]


def test_product_of_several_days_is_drawn_with_its_days(make_product: MakeProduct) -> None:
    days = [make_product(DAY, day=day) for day in ("2021-03-14", "2021-03-15", "2021-03-17")]
    product = xr.concat(
        days, "time", data_vars="minimal", coords="minimal", compat="override", join="exact"
    )
    figure = plot_product(product, variables="reflectivity")
    assert figure.get_suptitle().endswith("A station, 2021-03-14 to 2021-03-17")
    (panel,) = panels_of(figure)
    assert panel.get_xlim() == pytest.approx((0, 96), abs=0.1)
    # The third of four days was lost: a quarter of the columns shows the grey behind.
    assert np.mean(np.asarray(panel.images[0].get_array())[0, :, 3] == 0) == pytest.approx(
        0.25, abs=0.01
    )
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert {f"00:00\n2021-03-{day}" for day in (14, 15, 16, 17)} <= set(labels)


def test_swath_is_drawn_by_its_ray_with_distances_along_the_track(
    make_product: MakeProduct,
) -> None:
    rays = []
    for number in range(3):
        product = make_product(DAY[:9], echo_dbz=10.0 * number)
        track = {
            "latitude": ("time", 10.0 * number + np.arange(9)),
            "longitude": ("time", np.full(9, -30.0)),
            "along_track_distance": ("time", 5000.0 * np.arange(9)),
        }
        rays.append(product.assign_coords(track))
    swath = join_rays(rays, xr.Dataset(coords={"ray": range(3)}))
    for ray, named, north in ((None, "ray 1 of 0 to 2 (nearest to nadir)", 10), (2, "ray 2", 20)):
        figure = plot_product(swath, ray=ray, variables="reflectivity_observed")
        title, _, place = figure.get_suptitle().partition("\n")
        assert named in title
        assert f"A station, {north}.00° N 30.00° W to {north + 8}.00° N" in place
        (panel,) = panels_of(figure)
        (upper,) = panel.child_axes
        assert upper.get_xlabel() == "Distance along the track (km)"
    with pytest.raises(ProductError, match="the swath has no ray 3"):
        plot_product(swath, ray=3)


def test_dollars_of_a_title_are_no_formula(make_product: MakeProduct, tmp_path: Path) -> None:
    product = make_product(DAY[:5]).assign_attrs(title=r"$\frac{1$ of 5 $", site="$")
    draw_product(product, tmp_path / "picture.png", variables="reflectivity")
    draw_curtain(
        make_curtain(DAY[:5]).assign_attrs(title=r"$\frac{1$ of 5 $"), tmp_path / "curtain.png"
    )
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"variables": "velocity"},
            "no 'velocity' can be drawn .* possible are: .*, reflectivity,",
        ),
        ({"time": ("2021-03-15", None)}, "no profile is between .* 2021-03-14T00:00:00 to "),
        ({"height": (9000, 9500)}, "no row is between 9000 and 9500 m; .* from 0 to 4000 m"),
        ({"height": (900, 500)}, "a lower and a higher height in metres, is right"),
    ],
)
def test_what_is_not_there_is_named(
    options: dict[str, Any], reason: str, make_product: MakeProduct
) -> None:
    with pytest.raises(ProductError, match=reason):
        plot_product(make_product(DAY), **options)


def test_half_a_product_is_none(make_product: MakeProduct) -> None:
    with pytest.raises(ProductError, match="lacks 'inpainting_flag', 'height_bounds'; a whole"):
        plot_product(make_product(DAY[:3]).drop_vars(["inpainting_flag", "height_bounds"]))


def make_curtain(seconds: np.ndarray) -> xr.Dataset:
    """Echo everywhere, the status of every pixel, and a temperature."""
    shape = (seconds.size, 16)
    fields = {"reflectivity": 5.0, "temperature": 280.0}
    return xr.Dataset(
        {
            **{name: (DIMS, np.full(shape, value, np.float32)) for name, value in fields.items()},
            "detection_status": (DIMS, np.full(shape, DetectionStatus.ECHO, dtype=np.int8)),
        },
        {
            "time": np.datetime64("2021-03-14", "ns") + seconds.astype("timedelta64[s]"),
            "height": (np.arange(16) + 0.5) * 250,
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 0.0,
        },
    )


def test_part_of_a_curtain_is_drawn(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "variables": ["temperature", "reflectivity"],
        "time": slice("2021-03-14T06:00", "2021-03-14T09:00"),
        "height": (500, 2000),
    }
    figure = plot_curtain(make_curtain(DAY), **options)
    first, second = panels_of(figure)
    assert first.get_title(loc="left") == "(a) Temperature"
    assert second.get_title(loc="left") == "(b) Equivalent reflectivity factor"
    assert second.get_xlim() == pytest.approx((6 - 1 / 60, 9 + 1 / 60))
    assert second.get_ylim() == (0.5, 2.0)
    draw_curtain(make_curtain(DAY), tmp_path / "part.svg", **options)
    assert b"<svg" in (tmp_path / "part.svg").read_bytes()


def test_one_variable_of_a_curtain_is_drawn_into_given_axes() -> None:
    figure = Figure()
    ax = figure.subplots()
    assert plot_curtain(make_curtain(DAY), ax=ax, variables="detection_status") is figure
    assert ax.get_title(loc="left") == "What is known of each pixel"


def test_what_a_curtain_lacks_is_named() -> None:
    reason = "no 'doppler_velocity' can be drawn of this curtain; possible are: reflectivity, temp"
    with pytest.raises(ProductError, match=reason):
        plot_curtain(make_curtain(DAY), variables="doppler_velocity")
    with pytest.raises(ProductError, match="begins at 5000 m; a height below the highest gate"):
        plot_curtain(make_curtain(DAY), height=(5000, 6000))


@pytest.mark.parametrize(
    ("suffix", "begins"),
    [
        (".webp", b"RIFF"),
        (".pdf", b"%PDF"),
        (".svg", b"<?xml"),
        (".jpg", b"\xff\xd8"),
        (".tif", b"II*"),
        (".PNG", b"\x89PNG"),
    ],
)
def test_suffix_says_the_format(
    suffix: str, begins: bytes, make_product: MakeProduct, tmp_path: Path
) -> None:
    path = tmp_path / f"day{suffix}"
    draw_product(make_product(DAY[:20]), path, variables="reflectivity")
    assert path.read_bytes().startswith(begins)


@pytest.mark.parametrize("count", [1, 3])
def test_short_product_is_drawn(make_product: MakeProduct, tmp_path: Path, count: int) -> None:
    path = tmp_path / "short.png"
    draw_product(make_product(np.arange(count) * 9), path)
    assert path.stat().st_size > 10_000


def test_threads_draw_the_same_picture_as_one(make_product: MakeProduct, tmp_path: Path) -> None:
    product = make_product(np.arange(20) * 9)
    draw_product(product, tmp_path / "alone.png")
    paths = [tmp_path / f"{index}.png" for index in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda path: draw_product(product, path), paths))
    alone = (tmp_path / "alone.png").read_bytes()
    assert all(path.read_bytes() == alone for path in paths)


def test_unknown_picture_format_is_rejected(make_product: MakeProduct, tmp_path: Path) -> None:
    with pytest.raises(ProductError, match=r"'\.gif'; \.png, .*\.pdf, \.svg or \.svgz is right"):
        draw_product(make_product(np.arange(3) * 9), tmp_path / "picture.gif")


def test_product_is_no_curtain(make_product: MakeProduct, tmp_path: Path) -> None:
    with pytest.raises(CurtainError, match="needs the variable 'detection_status'"):
        draw_curtain(make_product(np.arange(3) * 9), tmp_path / "picture.png")
    assert list(tmp_path.iterdir()) == []
