"""A strip along time above a product's panels: profiles outside what the network was made for."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from blindzone.pipeline.curtains.flags import OutOfRangeFlag
from blindzone.pipeline.inpainting.range_summary import summarize_range
from blindzone.pipeline.plots.panels import NO_DATA, Raster

_FLAG = "out_of_range_flag"
_OUTSIDE = "#D55E00"
"""Vermilion, which colour-blind readers tell from the panels' blue and grey."""


def has_strip(product: xr.Dataset) -> bool:
    """Returns whether any profile `(time,)` is outside; a product all in range has no strip."""
    return _FLAG in product and summarize_range(product[_FLAG].values).outside > 0


def draw_strip(ax: Axes, product: xr.Dataset, raster: Raster) -> None:
    """Marks the profiles outside what the network was made for.

    Args:
        ax: Where; a low one, whose horizontal axis is that of the panels.
        product: The profiles in view `(time, height)`.
        raster: Their columns.
    """
    flag = product[_FLAG].values
    without_data = flag & OutOfRangeFlag.NO_VISIBLE_DATA != 0
    image = np.full((flag.size, 4), to_rgba("white"))
    image[flag != 0] = to_rgba(_OUTSIDE)
    image[without_data] = to_rgba(NO_DATA)
    columns = image[raster.profile]
    columns[raster.empty] = to_rgba(NO_DATA)
    ax.imshow(
        columns[None],
        aspect="auto",
        interpolation="nearest",
        extent=(*raster.hours, 0, 1),
    )
    ax.set_yticks([])
    ax.tick_params(axis="x", which="both", bottom=False)
    found = summarize_range(flag)
    ax.set_title(str(found), loc="left", fontsize=11, color=_OUTSIDE)
