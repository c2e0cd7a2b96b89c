"""The strip above a picture's panels: there only if profiles are outside, and in their places."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.colors import to_rgba

from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.plots.out_of_range_strip import draw_strip, has_strip
from blindzone.pipeline.plots.panels import NO_DATA, new_figure, rasterize
from blindzone.pipeline.plots.quicklooks import plot_product

SECONDS = np.arange(20) * 60


def test_product_all_in_range_has_no_strip(make_product: Callable[..., xr.Dataset]) -> None:
    inside = make_product(SECONDS)
    assert not has_strip(inside)
    assert not has_strip(inside.drop_vars("out_of_range_flag"))
    outside = make_product(SECONDS, flag=int(OutOfRangeFlag.SITE_DIFFERS))
    assert has_strip(outside)
    # A panel has a colour bar of its own; the strip has none.
    count = len(plot_product(inside).axes)
    figure = plot_product(outside)
    assert len(figure.axes) == count + 1
    assert "20 of 20 profiles lie outside" in figure.axes[0].get_title(loc="left")
    assert figure.axes[1].get_title(loc="left").startswith("(a) Blind zone filled")


def test_strip_marks_the_profiles_that_are_outside(make_product: Callable[..., xr.Dataset]) -> None:
    product = make_product(SECONDS)
    product["out_of_range_flag"][:5] = int(OutOfRangeFlag.PROFILE_UNLIKE_TRAINING)
    product["out_of_range_flag"][-1] = int(OutOfRangeFlag.NO_VISIBLE_DATA)
    ax, raster = new_figure((4, 1)).subplots(), rasterize(product["time"].values)
    draw_strip(ax, product, raster)
    (row,) = np.asarray(ax.images[0].get_array())
    for profile, colour in ((0, "#D55E00"), (4, "#D55E00"), (5, "white"), (19, NO_DATA)):
        columns = row[raster.profile == profile]
        assert np.allclose(columns, to_rgba(colour))
    assert "5 of 19 profiles" in ax.get_title(loc="left")
