"""A ground radar's curtain and what a spaceborne radar would make of it, one below the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.curtain import RADAR_FIELDS
from blindzone.pipeline.plots.panels import check_format, new_figure, save_figure, set_heading
from blindzone.pipeline.plots.quicklooks import plot_curtain
from blindzone.pipeline.plots.selection import HeightSpan, TimeSpan
from blindzone.pipeline.plots.time_axis import describe_days

_WIDTH_INCHES, _PANEL_INCHES, _MARGIN_INCHES = 16.0, 3.1, 1.0
_USUAL_TOP_M = 12_000.0


def plot_emulation(
    ground: xr.Dataset,
    emulated: xr.Dataset,
    *,
    time: TimeSpan | None = None,
    height: HeightSpan | None = None,
) -> Figure:
    """Returns a figure of each radar field of both curtains, the ground radar's above.

    Args:
        ground: Curtain of the ground radar `(time, height)`, native or gridded.
        emulated: What was emulated from it.
        time: As for `plot_product`.
        height: Lowest and highest height above the ground, or the highest alone [m]; 12 km by
            default.

    Raises:
        ProductError: If they share no radar field, or have nothing in view.
        CurtainError: If either is no canonical curtain.
    """
    names = [name for name in RADAR_FIELDS if name in ground and name in emulated]
    if not names:
        raise ProductError(
            f"the curtains hold {', '.join(map(str, ground.data_vars))} and"
            f" {', '.join(map(str, emulated.data_vars))}; reflectivity in both is right"
        )
    panels = [(curtain, name) for name in names for curtain in (ground, emulated)]
    figure = new_figure((_WIDTH_INCHES, _MARGIN_INCHES + _PANEL_INCHES * len(panels)))
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    top = _USUAL_TOP_M if height is None else height
    for ax, (curtain, name) in zip(axes, panels, strict=True):
        plot_curtain(curtain, ax=ax, time=time, height=top, variables=name)
        instrument = curtain.attrs.get("instrument") or curtain.attrs.get("source") or "curtain"
        ax.set_title(f"{instrument}: {ax.get_title(loc='left')}", loc="left", fontsize=11)
        if ax is not axes[-1]:
            ax.set_xlabel("")
    about = emulated.attrs
    days = describe_days(emulated["time"].values)
    set_heading(figure, str(about.get("title", "Emulation")), f"{about.get('site', '')}, {days}")
    return figure


def draw_emulation(ground: xr.Dataset, emulated: xr.Dataset, path: Path, **options: Any) -> None:
    """Writes the picture of an emulation to a file.

    Args:
        ground: Curtain of the ground radar `(time, height)`, native or gridded.
        emulated: What was emulated from it.
        path: The picture; its suffix says the format: `.png`, `.webp`, `.pdf`, `.svg` and more.
        options: As `plot_emulation` takes them.

    Raises:
        ProductError: If the suffix is unknown, the curtains cannot be drawn as asked, or the
            picture cannot be written.
    """
    check_format(path)
    save_figure(plot_emulation(ground, emulated, **options), path)
