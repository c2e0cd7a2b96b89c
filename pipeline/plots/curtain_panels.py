"""The panels of a curtain's picture: the gate of each dot, how each field looks, and the flags."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import matplotlib
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LogNorm, Normalize, to_rgba
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke
from matplotlib.ticker import MaxNLocator

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.curtain import (
    FIELDS,
    LIDAR_FIELDS,
    RADAR_FIELDS,
    STATUS_OF,
    ZERO_CELSIUS_K,
    DetectionStatus,
    QualityFlag,
)
from blindzone.pipeline.plots.panels import NO_DATA, Raster, colour, rasterize, show, spread_middle
from blindzone.pipeline.plots.reflectivity_scale import COLOURS, scale_reflectivity

_LEAST_ROWS, _MOST_ROWS = 100, 600
"""Rows of a picture's raster; a panel has some 250 dots."""
_STATE_TOP_M = 20_000.0
"""State above this height is of no use to a radar [m]."""
_LOWEST_TOP_M = 2000.0
_RUN = 5
"""So many returns in a row, in time or in height, are more than noise."""
_CLEAR_AIR = 2e-7
"""What is weaker is clear air, or nearly so [sr-1 m-1]."""
_FLAGS = "quality_flags"
_STATUSES_OF = STATUS_OF | {"doppler_velocity": "detection_status"}


@dataclass(frozen=True, kw_only=True)
class View:
    """What a picture shows of a curtain, on a regular raster of time and height.

    Attributes:
        raster: The columns.
        gate: Index of the gate that each dot shows, shape `(column, row)`; -1 where there is none.
        heights_m: Lower edge of the lowest row and upper edge of the highest [m].
    """

    raster: Raster
    gate: np.ndarray
    heights_m: tuple[float, float]

    @property
    def missing(self) -> np.ndarray:
        """Whether a dot shows no gate or no profile, shape `(column, row)`."""
        return np.asarray((self.gate < 0) | self.raster.empty[:, None])

    @property
    def rows_m(self) -> np.ndarray:
        """Middle of each row [m], shape `(row,)`."""
        return _middles(*self.heights_m, self.gate.shape[1])

    def pick(self, values: np.ndarray) -> np.ndarray:
        """Returns what each dot shows, shape `(column, row)`, of values `(time, height)`."""
        picked: np.ndarray = values[self.raster.profile[:, None], self.gate]
        return picked


def build_view(curtain: xr.Dataset, heights_m: tuple[float | None, float] | None) -> View:
    """Returns the view of a curtain.

    Args:
        curtain: A canonical curtain, its values in memory.
        heights_m: Lowest height, if one is asked for, and highest height [m]; by default up to the
            highest return.

    Raises:
        ProductError: If the heights are none at which the curtain has gates.
    """
    gates = (
        curtain["gate_height"].values
        if "gate_height" in curtain.variables
        else curtain["height"].values[None, :]
    )
    gates = gates.astype(np.float64)
    bottom, top = _pick_heights(curtain, gates, heights_m)
    count = int(np.clip((top - bottom) / _find_finest_step(gates[0]), _LEAST_ROWS, _MOST_ROWS))
    rows = _middles(bottom, top, count)
    raster = rasterize(curtain["time"].values)
    if gates.shape[0] == 1:
        gate = np.broadcast_to(_nearest_gates(gates[0], rows), (raster.profile.size, rows.size))
    else:
        gate = np.stack([_nearest_gates(gates[profile], rows) for profile in raster.profile])
    return View(raster=raster, gate=gate, heights_m=(bottom, top))


def _pick_heights(
    curtain: xr.Dataset, gates: np.ndarray, heights_m: tuple[float | None, float] | None
) -> tuple[float, float]:
    """Returns the lowest and highest height of the picture [m], from those asked for."""
    lowest = float(np.nanmin(gates))
    asked, top = heights_m or (None, _find_top(curtain, gates))
    if not lowest < top < np.inf:
        raise ProductError(
            f"the picture's top is {top:g} m; a height above the lowest gate, {lowest:g} m, is"
            " right"
        )
    # A little below the surface shows where that is.
    bottom = max(min(0.0, lowest), -0.05 * top) if asked is None else asked
    if bottom >= np.nanmax(gates):
        raise ProductError(
            f"the picture begins at {bottom:g} m; a height below the highest gate,"
            f" {np.nanmax(gates):g} m, is right"
        )
    return bottom, top


def _middles(first: float, last: float, count: int) -> np.ndarray:
    """Returns the middles of equal parts of a span, shape `(count,)`."""
    return np.asarray(first + (np.arange(count) + 0.5) * (last - first) / count)


def _find_finest_step(gates: np.ndarray) -> float:
    """Returns the least distance [m] between gates, shape `(height,)`."""
    steps = np.diff(gates)
    rising = steps[steps > 0]
    return float(rising.min()) if rising.size else 1.0


def _find_top(curtain: xr.Dataset, gates: np.ndarray) -> float:
    """Returns a height [m] 250 to 750 m above the highest return, else that of the highest gate.

    Single pixels are noise, and no reason to draw everything below them small.
    """
    highest = float(np.nanmax(gates))
    found = [
        np.isfinite(curtain[name].values) for name in RADAR_FIELDS + LIDAR_FIELDS if name in curtain
    ]
    if not found or not (returned := np.logical_or.reduce(found)).any():
        return max(min(highest, _STATE_TOP_M), 1.0)
    runs = _find_runs(returned)
    reached = float(np.nanmax(np.where(runs if runs.any() else returned, gates, -np.inf)))
    return max(min(max(float(np.ceil(reached / 500 + 0.5)) * 500, _LOWEST_TOP_M), highest), 1.0)


def _find_runs(returned: np.ndarray) -> np.ndarray:
    """Returns the last pixels of returns in a row, in a profile or at a gate, `(time, height)`."""
    out = np.zeros_like(returned)
    for along, found in ((returned, out), (returned.T, out.T)):
        count = along.shape[0] - _RUN + 1
        if count > 0:
            found[_RUN - 1 :] |= np.logical_and.reduce(
                [along[start : start + count] for start in range(_RUN)]
            )
    return out


def _nearest_gates(gates: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the index of the gate at each row's middle, shape `(row,)`; -1 beyond all gates."""
    finite = np.flatnonzero(np.isfinite(gates))
    order = finite[np.argsort(gates[finite], kind="stable")]
    if order.size == 0:
        return np.full(rows.shape, -1)
    heights = gates[order]
    half = np.diff(heights) / 2 if order.size > 1 else np.array([max(abs(heights[0]) / 2, 1.0)])
    edges = np.concatenate(
        [[heights[0] - half[0]], heights[:-1] + half[: order.size - 1], [heights[-1] + half[-1]]]
    )
    found = np.searchsorted(edges, rows, side="right") - 1
    inside = (found >= 0) & (found < order.size)
    return np.where(inside, order[np.clip(found, 0, order.size - 1)], -1)


def _scale_band(curtain: xr.Dataset, dbz: np.ndarray) -> Normalize:
    weakest = float(np.quantile(dbz, 0.05)) if dbz.size else np.nan
    return Normalize(*scale_reflectivity(curtain.attrs.get("frequency_ghz"), weakest))


def _scale_about_zero(values: np.ndarray) -> Normalize:
    reached = float(np.quantile(np.abs(values), 0.99)) if values.size else 0.0
    limit = float(_round_ends(0.0, max(reached, 1.0))[1])
    return Normalize(-limit, limit)


def _scale_all(values: np.ndarray) -> Normalize:
    return Normalize(
        *_round_ends(*((float(values.min()), float(values.max())) if values.size else (0.0, 1.0)))
    )


def _scale_from_zero(values: np.ndarray) -> Normalize:
    return Normalize(*_round_ends(0.0, float(values.max()) if values.size else 1.0))


def _scale_backscatter(values: np.ndarray) -> Normalize:
    """Returns the range from aerosol, or clear air where much is weaker, to cloud [sr-1 m-1]."""
    weak = values.size > 0 and float(np.quantile(values, 0.1)) < _CLEAR_AIR
    return LogNorm(1e-8 if weak else 1e-7, 1e-4)


def _scale_decades(values: np.ndarray) -> Normalize:
    """Returns the decades of the middle 98 % of the positive values."""
    positive = values[values > 0]
    if not positive.size:
        return LogNorm(1e-2, 1.0)
    low, high = np.log10(np.quantile(positive, [0.01, 0.99]))
    first = np.floor(low)
    return LogNorm(10.0**first, 10.0 ** max(np.ceil(high), first + 1))


def _round_ends(low: float, high: float) -> tuple[float, float]:
    ticks = MaxNLocator(nbins=7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return float(ticks[0]), float(ticks[-1])


@dataclass(frozen=True, kw_only=True)
class _Look:
    """How a field looks.

    Attributes:
        title: What it is, in words.
        label: What its colour bar says.
        colours: Colour map, or its name. Where white means no echo, none that has white or grey in
            it.
        scale: Takes the values in view, of any number; returns the range of the colours. That of
            reflectivity is its band's.
        factor: Turns the curtain's unit into the label's.
    """

    title: str
    label: str
    colours: str | Colormap
    scale: Callable[[np.ndarray], Normalize] | None = None
    factor: float = 1.0


_VELOCITY_COLOURS = spread_middle("RdYlBu_r")
_LOOKS: Mapping[str, _Look] = {
    "reflectivity": _Look(
        title="Equivalent reflectivity factor",
        label="Reflectivity (dBZ)",
        colours=COLOURS,
    ),
    "doppler_velocity": _Look(
        title="Mean Doppler velocity, positive away from the radar",
        label="Velocity (m s$^{-1}$)",
        colours=_VELOCITY_COLOURS,
        scale=_scale_about_zero,
    ),
    "attenuated_backscatter": _Look(
        title="Attenuated backscatter coefficient",
        label="Backscatter (sr$^{-1}$ m$^{-1}$)",
        colours="viridis",
        scale=_scale_backscatter,
    ),
    "normalized_relative_backscatter": _Look(
        title="Normalized relative backscatter, not calibrated",
        label="Backscatter (MHz km$^2$ µJ$^{-1}$)",
        colours="viridis",
        scale=_scale_decades,
    ),
    "temperature": _Look(
        title="Temperature", label="Temperature (K)", colours="plasma", scale=_scale_all
    ),
    "specific_humidity": _Look(
        title="Specific humidity",
        label="Humidity (g kg$^{-1}$)",
        colours="YlGnBu",
        scale=_scale_from_zero,
        factor=1000.0,
    ),
    "eastward_wind": _Look(
        title="Eastward wind", label="Wind (m s$^{-1}$)", colours="RdBu_r", scale=_scale_about_zero
    ),
    "northward_wind": _Look(
        title="Northward wind", label="Wind (m s$^{-1}$)", colours="RdBu_r", scale=_scale_about_zero
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Mark:
    """How pixels of a status or with a flag are marked; stripes cover the colour of the status."""

    label: str
    colour: str
    hatch: str = ""


# Colours of Okabe and Ito for the colour-blind; grey and white mean what they mean in other panels.
_STATUS_MARKS: Mapping[DetectionStatus, _Mark] = {
    DetectionStatus.NO_DATA: _Mark(label="no data", colour=NO_DATA),
    DetectionStatus.NO_ECHO: _Mark(label="no echo", colour="white"),
    DetectionStatus.ECHO: _Mark(label="echo", colour="#56B4E9"),
    DetectionStatus.CLUTTER_REMOVED: _Mark(label="removed as clutter", colour="#E69F00"),
    DetectionStatus.UNTRUSTED: _Mark(label="untrusted gate", colour="#F0E442"),
}
_FLAG_MARKS: Mapping[QualityFlag, _Mark] = {
    QualityFlag.CLUTTER: _Mark(label="ground clutter", colour="black", hatch="\\"),
    QualityFlag.INSECTS: _Mark(label="insects", colour="#009E73", hatch="/"),
    QualityFlag.BELOW_LOWEST_TRUSTED_GATE: _Mark(
        label="below lowest trusted gate", colour="black", hatch="-"
    ),
    QualityFlag.BELOW_SENSITIVITY_FLOOR: _Mark(
        label="below sensitivity floor", colour="#0072B2", hatch="-"
    ),
    QualityFlag.ATTENUATION_NOT_CORRECTED: _Mark(
        label="attenuated, not corrected", colour="#CC79A7", hatch="/"
    ),
    QualityFlag.SURFACE_CLUTTER: _Mark(label="surface clutter", colour="#D55E00", hatch="\\"),
    QualityFlag.BELOW_SURFACE: _Mark(label="below the surface", colour="#6B3E1D", hatch="|"),
    QualityFlag.REJECTED: _Mark(label="rejected by the file", colour="black", hatch="/"),
}
_STRIPED_SHAPE = (1600, 320)
"""Dots of the image that carries the stripes, whatever the size of the curtain's pixels."""
_STRIPES = {"/": (1, -1), "\\": (1, 1), "|": (1, 0), "-": (0, 1)}
_STRIPE_PERIOD, _STRIPE_WIDTH = 12, 3
_LEGEND_COLUMNS = 7


def list_panels(curtain: xr.Dataset) -> dict[str, Callable[[Axes, View], None]]:
    """Returns a function to draw each panel, by variable: the fields, then the pixels' status."""

    def field(name: str) -> Callable[[Axes, View], None]:
        return lambda ax, view: _draw_field(ax, curtain, name, view)

    def status(name: str) -> Callable[[Axes, View], None]:
        return lambda ax, view: _draw_status(ax, curtain, name, view)

    statuses = [name for name in dict.fromkeys(STATUS_OF.values()) if name in curtain]
    if not statuses and _FLAGS in curtain:
        statuses = [_FLAGS]
    return {name: field(name) for name in FIELDS if name in curtain} | {
        name: status(name) for name in statuses
    }


def _draw_field(ax: Axes, curtain: xr.Dataset, name: str, view: View) -> None:
    look = _LOOKS[name]
    values = view.pick(curtain[name].values) * look.factor
    values[view.missing] = np.nan
    unknown = np.isnan(values)
    status = _STATUSES_OF.get(name)
    if status in curtain:
        unknown &= view.pick(curtain[status].values) == DetectionStatus.NO_DATA
    known = values[np.isfinite(values)]
    scale = _scale_band(curtain, known) if look.scale is None else look.scale(known)
    if isinstance(scale, LogNorm):  # values that are not positive are below the scale
        values = np.maximum(values, np.finfo(np.float32).tiny)
    colours = matplotlib.colormaps.get_cmap(look.colours)
    show(
        ax,
        colour(values, unknown | view.missing, colours, scale),
        view.raster.hours,
        view.heights_m,
    )
    has_line = name == "temperature" and _draw_freezing_level(ax, values, view)
    ax.set_title(f"{look.title}; line: 0 °C" if has_line else look.title, loc="left", fontsize=11)
    beyond = (
        known.size > 0 and known.min() < scale.vmin,
        known.size > 0 and known.max() > scale.vmax,
    )
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get(
        beyond, "neither"
    )
    bar = ScalarMappable(scale, colours)
    ax.figure.colorbar(bar, ax=ax, label=look.label, pad=0.01, aspect=12, extend=extend)


def _draw_freezing_level(ax: Axes, kelvin: np.ndarray, view: View) -> bool:
    """Draws where the temperature [K] is 0 degC; returns whether that is anywhere."""
    # Lines run from the middle of a column to that of the next; the first and last reach the edges.
    hours = [view.raster.hours[0], *view.raster.centres, view.raster.hours[1]]
    to_edges = np.ma.masked_invalid(np.concatenate([kelvin[:1], kelvin, kelvin[-1:]]))
    crossed = bool(to_edges.count() and to_edges.min() < ZERO_CELSIUS_K < to_edges.max())
    if crossed:
        ax.contour(
            hours,
            view.rows_m / 1000,
            to_edges.T,
            levels=[ZERO_CELSIUS_K],
            colors="black",
            linewidths=1.0,
        )
    return crossed


def _draw_status(ax: Axes, curtain: xr.Dataset, name: str, view: View) -> None:
    """Draws the status of every pixel in its colour, if it is known, and the flags as stripes."""
    handles = _draw_status_colours(ax, curtain, name, view)
    if _FLAGS in curtain:
        handles += _draw_stripes(ax, curtain, view)
    whose = ": lidar" if name == "backscatter_status" else ""
    ax.set_title(f"What is known of each pixel{whose}", loc="left", fontsize=11)
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=_LEGEND_COLUMNS,
        fontsize=9,
        frameon=False,
        borderpad=0.2,
        columnspacing=1.4,
    )


def _draw_status_colours(ax: Axes, curtain: xr.Dataset, name: str, view: View) -> list[Patch]:
    """Draws the status of every pixel, white if it is not known, and returns its legend."""
    handles = []
    image = np.full((*view.gate.shape, 4), 255, dtype=np.uint8)
    if name != _FLAGS:
        status = np.where(view.missing, DetectionStatus.NO_DATA, view.pick(curtain[name].values))
        for code, mark in _STATUS_MARKS.items():
            image[status == code] = _to_bytes(mark.colour)
            if (status == code).any():
                label = _name_status(code, name)
                handles.append(Patch(facecolor=mark.colour, edgecolor="0.4", label=label))
    image[view.missing, 3] = 0
    show(ax, image, view.raster.hours, view.heights_m)
    return handles


def _draw_stripes(ax: Axes, curtain: xr.Dataset, view: View) -> list[Patch]:
    """Draws the flags of every pixel as stripes, and returns their legend."""
    bits = np.where(view.missing, 0, view.pick(curtain[_FLAGS].values)).astype(np.uint8)
    show(ax, _stripe(bits), view.raster.hours, view.heights_m)
    return [
        Patch(facecolor="white", edgecolor=mark.colour, hatch=3 * mark.hatch, label=mark.label)
        for flag, mark in _FLAG_MARKS.items()
        if (bits & flag).any()
    ]


def _name_status(code: DetectionStatus, name: str) -> str:
    of_lidar = {
        DetectionStatus.NO_ECHO: "nothing above noise",
        DetectionStatus.ECHO: "return above noise",
    }
    label = _STATUS_MARKS[code].label
    return of_lidar.get(code, label) if name == "backscatter_status" else label


def _stripe(bits: np.ndarray) -> np.ndarray:
    """Returns the image (uint8 RGBA) of the stripes of flags `(column, row)`, else see-through."""
    columns, rows = (
        np.arange(size) * now // size for size, now in zip(_STRIPED_SHAPE, bits.shape, strict=True)
    )
    flags = bits[columns][:, rows]
    x, y = np.ogrid[: flags.shape[0], : flags.shape[1]]
    image = np.zeros((*flags.shape, 4), dtype=np.uint8)
    for number, (flag, mark) in enumerate(_FLAG_MARKS.items()):
        along_x, along_y = _STRIPES[mark.hatch]
        # Each flag begins elsewhere, so that two of one direction both show.
        striped = (
            along_x * x + along_y * y + number * _STRIPE_WIDTH
        ) % _STRIPE_PERIOD < _STRIPE_WIDTH
        image[striped & ((flags & flag) > 0)] = _to_bytes(mark.colour)
    return image


def _to_bytes(colour_name: str) -> np.ndarray:
    return np.round(255 * np.array(to_rgba(colour_name))).astype(np.uint8)


def draw_blind_zone(ax: Axes, curtain: xr.Dataset, view: View) -> None:
    """Draws the top of each profile's blind zone [km] as a line, with the profiles' gaps."""
    tops = np.where(
        view.raster.empty, np.nan, curtain["blind_zone_top"].values[view.raster.profile]
    )
    halo = [Stroke(linewidth=2.6, foreground="white"), Normal()]
    ax.plot(view.raster.centres, tops / 1000, color="black", linewidth=1.0, path_effects=halo)
