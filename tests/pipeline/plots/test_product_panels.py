"""The panels of a product: what each variable's image shows, and what is marked on it."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.plots.panels import rasterize
from blindzone.pipeline.plots.product_panels import (
    NETWORK_INPUT,
    draw_panel,
    list_drawable,
    pick_panels,
)
from blindzone.pipeline.plots.product_view import ProductView, view_product

MakeProduct = Callable[..., xr.Dataset]
SECONDS = np.arange(0, 3600, 120)
WHITE = (255, 255, 255, 255)


def view(product: xr.Dataset) -> ProductView:
    return view_product(product, rasterize(product["time"].values), None)


def draw(product: xr.Dataset, name: str) -> tuple[Axes, str]:
    ax: Axes = Figure().subplots()
    return ax, draw_panel(ax, name, view(product))


def colours_of(ax: Axes) -> np.ndarray:
    """Returns the colours of the first profile, the lowest row first: shape (row, RGBA)."""
    return np.asarray(ax.images[0].get_array())[:, 0]


def colour_of(value: float, limits: tuple[float, float], colours: str) -> tuple[int, ...]:
    found = matplotlib.colormaps[colours](Normalize(*limits)(value), bytes=True)
    return tuple(int(part) for part in found)


@pytest.fixture
def product(make_product: MakeProduct) -> xr.Dataset:
    """Echo of 0 dBZ on 16 rows, the lowest 4 of them filled."""
    return make_product(SECONDS, samples=3)


def test_observed_pixels_have_the_colour_of_their_reflectivity(product: xr.Dataset) -> None:
    ax, title = draw(product, "reflectivity_observed")
    assert title == "Observed"
    assert (colours_of(ax) == colour_of(0.0, (-50, 25), "HomeyerRainbow")).all()


def test_network_input_is_blank_where_the_blind_zone_is(product: xr.Dataset) -> None:
    rows = colours_of(draw(product, NETWORK_INPUT)[0])
    assert (rows[:4] == WHITE).all()
    assert (rows[4:] == colour_of(0.0, (-50, 25), "HomeyerRainbow")).all()


def test_width_is_that_between_the_outer_quantiles(product: xr.Dataset) -> None:
    quantiles = product["reflectivity_quantile"]
    width = float(quantiles.sel(quantile=0.95)[0, 2] - quantiles.sel(quantile=0.05)[0, 2])
    rows = colours_of(draw(product, "reflectivity_quantile")[0])
    assert tuple(rows[2]) == colour_of(width, (0, 40), "magma_r")
    assert (rows[4:] == WHITE).all()


@pytest.mark.parametrize("quantiles", [[0.05, 0.5], [0.5, 0.95]])
def test_width_needs_both_quantiles(product: xr.Dataset, quantiles: list[float]) -> None:
    with pytest.raises(
        ProductError, match=rf"the quantile 0\.\d+ is needed; found \[{quantiles[0]}"
    ):
        draw(product.sel(quantile=quantiles), "reflectivity_quantile")


def test_first_member_is_drawn_below_what_was_observed(product: xr.Dataset) -> None:
    product["reflectivity_realization"][0, :, 1] = product["sensitivity_floor"]
    ax, title = draw(product, "reflectivity_realization")
    assert title == "Blind zone filled: ensemble member 1"
    rows = colours_of(ax)
    member = float(product["reflectivity_realization"][0, 0, 0])
    assert tuple(rows[0]) == colour_of(member, (-50, 25), "HomeyerRainbow")
    assert tuple(rows[1][:3]) != WHITE[:3]  # at the floor: no echo, by the fill
    assert np.ptp(rows[1][:3].astype(int)) < 20  # nearly grey
    assert (rows[4:] == colour_of(0.0, (-50, 25), "HomeyerRainbow")).all()


def test_another_member_is_drawn_if_it_is_selected(product: xr.Dataset) -> None:
    assert draw(product.sel(realization=3), "reflectivity_realization")[1].endswith("member 3")
    assert draw(product.sel(realization=[2]), "reflectivity_realization")[1].endswith("member 2")


def test_flag_shows_where_each_pixel_comes_from(product: xr.Dataset) -> None:
    product["inpainting_flag"][:, 0] = InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH
    ax, _ = draw(product, "inpainting_flag")
    rows = colours_of(ax)[:, :3] / 255
    for row, colour in ((0, "#F0E442"), (1, "#E69F00"), (15, "#56B4E9")):
        assert rows[row] == pytest.approx(to_rgb(colour), abs=1 / 255)
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "observed",
        "filled",
        "filled beyond trusted truth",
    ]


def test_dotted_line_is_at_the_top_of_the_untrusted_rows(product: xr.Dataset) -> None:
    signs = "hatched: filled; line: top of the blind zone"
    assert draw(product, "reflectivity")[0].get_title(loc="right") == signs
    product["inpainting_flag"][:, :2] = InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH
    ax, _ = draw(product, "reflectivity")
    assert ax.get_title(loc="right") == f"{signs}; dotted line: no trusted truth below it"
    assert [line.get_ydata()[0] for line in ax.lines] == [1.0, 0.5]  # type: ignore[index]


def test_profile_without_data_is_see_through(product: xr.Dataset) -> None:
    product["inpainting_flag"][0] = InpaintingFlag.NO_DATA
    product["reflectivity_observed"][0] = np.nan
    rows = colours_of(draw(product, "reflectivity_observed")[0])
    assert (rows[:, 3] == 0).all()


def test_score_is_a_line_with_its_limit(product: xr.Dataset) -> None:
    product["out_of_range_score"][:] = np.linspace(0, 2, product.sizes["time"])
    ax, _ = draw(product, "out_of_range_score")
    score, limit = ax.lines
    assert np.asarray(score.get_ydata()) == pytest.approx(product["out_of_range_score"].values)
    assert set(np.asarray(limit.get_ydata())) == {1.0}


def test_everything_that_is_listed_can_be_drawn(product: xr.Dataset) -> None:
    assert "reflectivity_realization" in list_drawable(product)
    assert "reflectivity_realization" not in list_drawable(
        product.drop_vars("reflectivity_realization")
    )
    for name in list_drawable(product):
        assert draw(product, name)[1]


def test_zone_of_each_profile_is_drawn_as_a_line_and_hatched(product: xr.Dataset) -> None:
    tops = product["blind_zone_top"].values + 40 * (np.arange(SECONDS.size) % 3)
    tops = tops.astype(np.float32)
    tops[4] = np.nan
    ragged = product.assign(blind_zone_top=("time", tops))
    ax, _ = draw(ragged, NETWORK_INPUT)
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), tops / 1000)
    # The hatched area ends at each profile's own top.
    (area,) = ax.collections
    assert np.nanmax(area.get_paths()[0].vertices[:, 1]) == pytest.approx(np.nanmax(tops) / 1000)
    assert np.isfinite(view(ragged.assign(blind_zone_top=("time", tops * np.nan))).filled_top_m)


def test_zone_that_its_radar_does_not_see_is_grey_and_not_white(product: xr.Dataset) -> None:
    observed = product["reflectivity_observed"].copy()
    observed[:, :4] = np.nan
    blind = product.assign(reflectivity_observed=observed)
    above = blind.assign(hidden_kind=(("time", "height"), np.zeros(observed.shape, np.int8)))
    # Where the image is see-through, the grey behind it shows.
    for dataset, opacity in ((blind, 255), (above, 0)):
        ax, _ = draw(dataset, "reflectivity_observed")
        assert (colours_of(ax)[:4, 3] == opacity).all()
        assert (colours_of(ax)[4:, 3] == 255).all()
    # The truth of an emulated zone: no echo in all profiles but one.
    observed[0, 1] = -20.0
    emulated = above.assign(reflectivity_observed=observed)
    assert not view(emulated).unseen.any()


def test_repaired_product_is_drawn_to_its_top_with_its_holes_hidden(product: xr.Dataset) -> None:
    kinds = np.where(np.isnan(product["hydrometeor_probability"].values), 0, 2).astype(np.int8)
    repaired = product.assign(hidden_kind=(("time", "height"), kinds))
    ax, title = draw(repaired, NETWORK_INPUT)
    assert title == "Network input: holes hidden"
    assert not ax.patches
    assert ax.get_ylim()[1] == pytest.approx(float(product["height_bounds"].values[-1, 1]) / 1000)


def test_filled_pixels_are_hatched_and_clear_ones_not_white(make_product: MakeProduct) -> None:
    clear = make_product(SECONDS, echo_dbz=np.nan)
    ax, _ = draw(clear, "reflectivity")
    (hatched,) = ax.collections
    assert hatched.get_hatch() == "//" or hatched.hatches == ["//"]
    heights = np.concatenate([path.vertices[:, 1] for path in hatched.get_paths()])
    assert (heights.min(), heights.max()) == pytest.approx((0.0, 1.0), abs=0.13)
    rows = colours_of(ax)
    assert (rows[4:] == WHITE).all()
    assert (rows[:4] != WHITE).any(axis=1).all()


def test_width_given_echo_is_left_out_where_echo_is_improbable(product: xr.Dataset) -> None:
    product["hydrometeor_probability"][:, 1] = 0.1
    rows = colours_of(draw(product, "reflectivity_quantile_given_echo")[0])
    assert tuple(rows[1]) == WHITE
    assert tuple(rows[2]) != WHITE


@pytest.mark.parametrize(
    ("title", "limits"), [("A 35-GHz radar", (-50, 25)), ("A 24-GHz radar", (-15, 50))]
)
def test_one_band_has_one_scale(
    product: xr.Dataset, title: str, limits: tuple[float, float]
) -> None:
    rows = colours_of(draw(product.assign_attrs(title=title), "reflectivity_observed")[0])
    assert tuple(rows[9]) == colour_of(0.0, limits, "HomeyerRainbow")


def test_truth_is_drawn_only_where_it_is_known(product: xr.Dataset) -> None:
    assert pick_panels(view(product))[1:3] == ["reflectivity_observed", "fill_error"]
    filled = ~np.isnan(product["hydrometeor_probability"])
    hidden = product.assign(
        hidden_kind=filled.astype(np.int8),
        reflectivity_observed=product["reflectivity_observed"].where(~filled),
    )
    assert pick_panels(view(hidden))[1] == "reflectivity_quantile_given_echo"
