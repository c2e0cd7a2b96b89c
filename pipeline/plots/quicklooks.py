"""Quicklooks: one picture of one product, or of one curtain, for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blindzone.core.errors import CurtainError, ProductError
from blindzone.pipeline.curtains.acdd import NOT_STATED
from blindzone.pipeline.curtains.along_track import looks_down
from blindzone.pipeline.curtains.curtain import STATUS_OF, check_curtain
from blindzone.pipeline.curtains.position import is_moving
from blindzone.pipeline.curtains.surface import is_surface
from blindzone.pipeline.plots.curtain_panels import View, build_view, draw_blind_zone, list_panels
from blindzone.pipeline.plots.out_of_range_strip import draw_strip, has_strip
from blindzone.pipeline.plots.panels import (
    check_format,
    new_figure,
    rasterize,
    save_figure,
    set_heading,
)
from blindzone.pipeline.plots.product_panels import (
    draw_panel,
    explain,
    list_drawable,
    pick_panels,
)
from blindzone.pipeline.plots.product_view import check_drawable, view_product
from blindzone.pipeline.plots.selection import (
    HeightSpan,
    TimeSpan,
    find_heights,
    find_names,
    select_time,
)
from blindzone.pipeline.plots.surface_panels import plot_surface
from blindzone.pipeline.plots.time_axis import (
    describe_days,
    label_distances,
    label_times,
)
from blindzone.pipeline.products.swath import pick_ray

_WIDTH_INCHES = 16.0
_PANEL_INCHES = 2.7
_STRIP_INCHES = 0.2
_TITLE_INCHES = 0.35
_MARGIN_INCHES = {"product": 0.9, "curtain": 1.6}


def plot_product(
    product: xr.Dataset,
    *,
    ax: Axes | None = None,
    time: TimeSpan | None = None,
    height: HeightSpan | None = None,
    variables: str | Sequence[str] | None = None,
    ray: int | None = None,
) -> Figure:
    """Returns a figure of a product: filled, true where known, and how sure the filling is.

    Pyplot is not used: show the figure by itself in a notebook, or save it with `savefig`.

    Args:
        product: A product `(time, height)`, or that of a swath, as built or reopened.
        ax: Where one variable is drawn, `reflectivity` by default; a new figure by default.
        time: First and last time in UTC, as a slice or pair of datetimes or ISO 8601 texts, or one
            text such as `2021-03-14`; all profiles by default.
        height: Lowest and highest height above the ground, or the highest alone [m]; by default
            4000 m, and the blind zone alone where only that has values.
        variables: Names of variables, top first; up to five panels by default, those of the truth
            where it is known. Of quantiles the width of the 90 % interval is drawn, of ensemble
            members the first. `fill_error` is the fill minus the truth, `network_input` what was
            observed above the blind zone.
        ray: Number of the ray of a swath, counted from 0; the middle one by default.

    Raises:
        ProductError: If it is no product, lacks a variable or ray, or has no profile or row in
            view.
    """
    nearest = " (nearest to nadir)" if "ray" in product.dims and ray is None else ""
    product, which = pick_ray(product, ray)
    check_drawable(product)
    selected = select_time(product, time)
    raster = rasterize(selected["time"].values, whole_day=time is None)
    view = view_product(selected, raster, None if height is None else find_heights(height))
    names = _pick_names(variables, list_drawable(product), pick_panels(view), "product", ax)
    is_marked = ax is None and has_strip(selected)
    figure, axes = _open_axes(ax, len(names), _MARGIN_INCHES["product"], has_strip=is_marked)
    if is_marked:
        draw_strip(axes.pop(0), selected, raster)
    for panel, name in zip(axes, names, strict=True):
        panel.set_title(draw_panel(panel, name, view), loc="left", fontsize=11)
    _finish_titles(axes, given=ax is not None)
    label_times(axes[-1], raster.hours, selected["time"].values)
    if looks_down(selected):
        label_distances(axes[0], selected)
    if ax is None:
        set_heading(figure, *_title_of_product(selected, f"{which}{nearest}"))
    return figure


def _title_of_product(product: xr.Dataset, which: str) -> tuple[str, str]:
    """Returns what a product is, and where and when it was measured."""
    about, days = product.attrs, describe_days(product["time"].values)
    site = str(about.get("site", ""))
    if is_moving(product):
        site = ", ".join(filter(None, [site.replace(NOT_STATED, ""), _describe_place(product)]))
    return f"{about.get('title', 'Product')}{which}", f"{site}, {days}"


def draw_product(product: xr.Dataset, path: Path, **options: Any) -> None:
    """Writes the picture of a product to a file.

    Args:
        product: A product `(time, height)`, as built or reopened.
        path: The picture; its suffix says the format: `.png`, `.webp`, `.pdf`, `.svg` and more.
        options: As `plot_product` takes them.

    Raises:
        ProductError: If the suffix is unknown, the product cannot be drawn as asked, or the picture
            cannot be written.
    """
    check_format(path)
    save_figure(plot_product(product, **options), path)


def plot_curtain(
    curtain: xr.Dataset,
    *,
    ax: Axes | None = None,
    time: TimeSpan | None = None,
    height: HeightSpan | None = None,
    variables: str | Sequence[str] | None = None,
    ray: int | None = None,
) -> Figure:
    """Returns a figure of every field of a curtain, native or gridded, and of its pixels' status.

    A surface series has a panel a quantity. Of a curtain a dot shows the nearest profile and the
    gate around its height, nothing averaged. Heights of gates are those of `gate_height`, if a
    curtain has it.

    Args:
        curtain: A canonical curtain `(time, height)`, a swath of them, or a surface series.
        ax: Where one variable is drawn, the first by default; a new figure by default.
        time: As for `plot_product`.
        height: Lowest and highest height above the ground, or the highest alone [m]; up to the
            highest return by default.
        variables: Names of fields and statuses, top first; all by default.
        ray: Number of the ray of a swath, counted from 0; the middle one by default.

    Raises:
        CurtainError: If it is no canonical curtain, or has no such ray.
        ProductError: If it lacks a variable, or has no profile or gate in view.
    """
    if is_surface(curtain):
        _check_surface_options(ax=ax, height=height, ray=ray)
        return plot_surface(curtain, time=time, variables=variables)
    picked, place = pick_ray(curtain, ray, error=CurtainError)
    whole = picked.compute()  # an archived one is read once
    check_curtain(whole)
    selected = select_time(whole, time)
    view = build_view(selected, None if height is None else find_heights(height))
    panels = list_panels(selected)
    names = _pick_names(variables, list(panels), tuple(panels), "curtain", ax)
    figure, axes = _open_axes(ax, len(names), _MARGIN_INCHES["curtain"])
    for panel, name in zip(axes, names, strict=True):
        _draw_curtain_panel(panel, panels[name], selected, view)
    explain(axes[0], _legend_of(selected))
    _finish_titles(axes, given=ax is not None)
    label_times(axes[-1], view.raster.hours, selected["time"].values)
    if looks_down(selected):
        label_distances(axes[0], selected)
    if ax is None:
        set_heading(figure, *_title_of(selected, place))
    return figure


def _check_surface_options(**options: Any) -> None:
    """Checks that nothing is asked of a surface series that it does not have.

    Raises:
        ProductError: If something is.
    """
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ProductError(
            f"{', '.join(given)}: what is measured at the surface has no heights and no rays, and a"
            " figure of its own; times and names of variables are right"
        )


def draw_curtain(curtain: xr.Dataset, path: Path, **options: Any) -> None:
    """Writes the picture of a curtain to a file.

    Args:
        curtain: A canonical curtain `(time, height)`, or a swath of them.
        path: The picture; its suffix says the format: `.png`, `.webp`, `.pdf`, `.svg` and more.
        options: As `plot_curtain` takes them.

    Raises:
        CurtainError: If it is no canonical curtain, or has no such ray.
        ProductError: If the suffix is unknown, the curtain cannot be drawn as asked, or the picture
            cannot be written.
    """
    check_format(path)
    save_figure(plot_curtain(curtain, **options), path)


def _pick_names(
    variables: str | Sequence[str] | None,
    known: Sequence[str],
    default: Sequence[str],
    what: str,
    ax: Axes | None,
) -> list[str]:
    """Returns the names of what is drawn, one if it is drawn into given axes."""
    if variables is None and ax is not None:
        variables = "reflectivity" if "reflectivity" in known else known[0]
    names = find_names(default if variables is None else variables, known, what)
    if ax is not None and len(names) != 1:
        raise ProductError(
            f"variables: {len(names)} do not fit into one 'ax'; one name, or no 'ax', is right"
        )
    return names


def _open_axes(
    ax: Axes | None, count: int, margin_inches: float, *, has_strip: bool = False
) -> tuple[Figure, list[Axes]]:
    """Returns the figure of given axes, or a new figure with `count` panels below each other.

    A strip is an axis more, above the panels.
    """
    if ax is not None:
        figure = ax.get_figure(root=True)
        if figure is None:
            raise ProductError("the axes given as 'ax' belong to no figure; those of one are right")
        return figure, [ax]
    heights = [*([_STRIP_INCHES] if has_strip else []), *[_PANEL_INCHES] * count]
    margin = margin_inches + (_TITLE_INCHES if has_strip else 0.0)
    figure = new_figure((_WIDTH_INCHES, margin + sum(heights)))
    grid = figure.subplots(
        len(heights), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    return figure, list(grid[:, 0])


def _finish_titles(axes: Sequence[Axes], *, given: bool) -> None:
    """Numbers titles by letters; given axes may be too narrow for more than the title."""
    for letter, ax in zip(ascii_lowercase, axes, strict=False):
        if given:
            explain(ax, "")
        else:
            ax.set_title(f"({letter}) {ax.get_title(loc='left')}", loc="left", fontsize=11)


def _draw_curtain_panel(
    ax: Axes, draw: Callable[[Axes, View], None], curtain: xr.Dataset, view: View
) -> None:
    draw(ax, view)
    ax.set_ylim(*(edge / 1000 for edge in view.heights_m))
    if "blind_zone_top" in curtain.variables:
        draw_blind_zone(ax, curtain, view)


def _legend_of(curtain: xr.Dataset) -> str:
    has_status = any(name in curtain for name in STATUS_OF)
    line = ["line: top of the blind zone"] if "blind_zone_top" in curtain.variables else []
    return "; ".join([*line, *(["white: nothing detected"] if has_status else []), "grey: no data"])


def _title_of(curtain: xr.Dataset, place: str) -> tuple[str, str]:
    """Returns what a curtain is, and where and when it was measured."""
    about = curtain.attrs
    where = ", ".join(filter(None, [str(about.get("site", "")), _describe_place(curtain)]))
    what = about.get("title") or about.get("instrument") or "Curtain"
    days = describe_days(curtain["time"].values)
    return f"{what}{place}", f"{where}{', ' if where else ''}{days}"


def _describe_place(curtain: xr.Dataset) -> str:
    """Returns where a curtain is, or from where to where; nothing if its place is unknown."""
    latitude, longitude = (np.ravel(curtain[name].values) for name in ("latitude", "longitude"))
    known = np.flatnonzero(np.isfinite(latitude) & np.isfinite(longitude))
    if not known.size:
        return ""
    ends = dict.fromkeys(
        f"{abs(y):.2f}° {'N' if y >= 0 else 'S'} {abs(x):.2f}° {'E' if x >= 0 else 'W'}"
        for y, x in (
            (latitude[end], (longitude[end] + 180) % 360 - 180) for end in (known[0], known[-1])
        )
    )
    return " to ".join(ends)
