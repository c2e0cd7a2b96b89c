"""What all pictures share: a raster of time, the image of a panel, and figures and their files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import cmweather  # noqa: F401  (registers its colour maps with matplotlib)
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from blindzone.core.errors import ProductError, shorten
from blindzone.core.files import write_atomically

COLUMNS = 1600
"""Columns of the time raster of a full day: about one a dot of a panel."""
_LEAST_COLUMNS = 400
"""Columns where profiles are few, so that each is drawn about its time."""
NO_DATA = "0.80"
"""The grey that shows where there is no data."""
DPI = 120
_LONGEST_LINE = 160
"""Most characters of a line of a heading: what a figure of 16 inches has room for."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

PICTURE_SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf", ".svg", ".svgz")
"""Formats of pictures. PostScript is none of them: it knows no transparency, and grey means no
data."""


@dataclass(frozen=True, kw_only=True)
class Raster:
    """A regular raster of time: which profile each column shows, and which columns show none.

    Attributes:
        profile: Index of the nearest profile, shape `(column,)`.
        empty: Whether that profile is too far away, shape `(column,)`.
        hours: First and last edge [h since the day's midnight].
    """

    profile: np.ndarray
    empty: np.ndarray
    hours: tuple[float, float]

    @property
    def centres(self) -> np.ndarray:
        """Middle of each column [h since the day's midnight], shape `(column,)`."""
        first, last = self.hours
        return first + (np.arange(self.profile.size) + 0.5) * (last - first) / self.profile.size


def rasterize(times: np.ndarray, *, whole_day: bool = True) -> Raster:
    """Returns the raster of the time that profiles span.

    Args:
        times: Times of the profiles, shape `(time,)`.
        whole_day: Whether the raster is that of the whole UTC day where profiles span most of one.
    """
    hours = count_hours(times)
    step = float(np.median(np.diff(hours))) if hours.size > 1 else 1 / 60
    first, last = hours[0] - step / 2, hours[-1] + step / 2
    if whole_day and last - first > 12 and last <= 24 + step:
        first, last = 0.0, 24.0
    profiles = np.ceil((last - first) / step - 1e-6)
    count = int(min(profiles * np.ceil(_LEAST_COLUMNS / profiles), COLUMNS))
    column = (last - first) / count
    centres = first + (np.arange(count) + 0.5) * column
    after = (
        np.clip(np.searchsorted(hours, centres), 1, hours.size - 1)
        if hours.size > 1
        else np.zeros(count, dtype=np.intp)
    )
    before = np.maximum(after - 1, 0)
    profile = np.where(centres - hours[before] < hours[after] - centres, before, after)
    # Three quarters of a step bridges jitter and shows a lost profile.
    empty = np.abs(hours[profile] - centres) > 0.75 * max(step, column)
    return Raster(profile=profile, empty=empty, hours=(float(first), float(last)))


def count_hours(times: np.ndarray) -> np.ndarray:
    """Returns hours `(time,)` since the midnight before the first profile."""
    return np.asarray((times - times[0].astype("datetime64[D]")) / np.timedelta64(1, "h"))


def colour(
    values: np.ndarray, missing: np.ndarray, colours: Colormap, scale: Normalize
) -> np.ndarray:
    """Returns colours (uint8 RGBA): white where a value is NaN, see-through where data are missing.

    Args:
        values: Any shape.
        missing: Same shape; true where the grey behind is to show.
        colours: Colour map.
        scale: What scales values to it.
    """
    white = colours.with_extremes(bad=(1, 1, 1, 1))
    out = np.asarray(white(scale(np.ma.masked_invalid(values)), bytes=True))
    out[missing, 3] = 0
    return out


def spread_middle(name: str) -> Colormap:
    """Returns a diverging colour map with a narrow pale middle: small values must show on white."""
    to_end = np.linspace(-1, 1, 255)
    return ListedColormap(
        matplotlib.colormaps[name](0.5 + 0.5 * np.sign(to_end) * np.abs(to_end) ** 0.6)
    )


def show(
    ax: Axes, colours: np.ndarray, hours: tuple[float, float], heights_m: tuple[float, float]
) -> None:
    """Draws an image on grey.

    Args:
        ax: Where.
        colours: Colours `(column, row, RGBA)`.
        hours: Outer edges of the columns [h].
        heights_m: Outer edges of the rows [m].
    """
    ax.imshow(
        colours.transpose(1, 0, 2),
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(*hours, heights_m[0] / 1000, heights_m[1] / 1000),
    )
    ax.set_facecolor(NO_DATA)
    ax.set_ylabel("Height (km)")


def hatch(ax: Axes, pixels: np.ndarray, hours: np.ndarray, heights_m: np.ndarray) -> None:
    """Hatches pixels, so that they are told apart without colours too.

    Args:
        ax: Where.
        pixels: Whether each is hatched, shape `(column, row)`.
        hours: Middle of each column [h], shape `(column,)`.
        heights_m: Edges of the rows [m], shape `(row + 1,)`.
    """
    # Contours run through middles: a rim of half a pixel keeps them at the outer edges.
    rows = np.concatenate([heights_m[:1], (heights_m[1:] + heights_m[:-1]) / 2, heights_m[-1:]])
    half = (hours[1] - hours[0]) / 2 if hours.size > 1 else 0.5
    columns = np.concatenate([[hours[0] - half], hours, [hours[-1] + half]])
    with matplotlib.rc_context({"hatch.linewidth": 0.5}):
        drawn = ax.contourf(
            columns,
            rows / 1000,
            np.pad(pixels, 1, mode="edge").T.astype(np.float32),
            levels=[0.5, 1.5],
            colors="none",
            hatches=["//"],
        )
    drawn.set_edgecolor((0.0, 0.0, 0.0, 0.4))
    drawn.set_linewidth(0.0)


class Picture(Figure):
    """A figure that pyplot does not know and that notebooks show by themselves."""

    def _repr_png_(self) -> bytes:
        """Returns the picture as PNG, for IPython."""
        stream = BytesIO()
        self.savefig(stream, format="png")
        return stream.getvalue()


def new_figure(size_inches: tuple[float, float], *, is_placed: bool = False) -> Figure:
    """Returns an empty figure that pyplot does not know.

    Pyplot's global state is not safe in threads. This figure is freed with its last reference.

    Args:
        size_inches: Width and height.
        is_placed: Whether its panels are placed by hand, which is faster.
    """
    figure = Picture(figsize=size_inches, dpi=DPI, layout=None if is_placed else "constrained")
    FigureCanvasAgg(figure)
    return figure


def set_heading(figure: Figure, *lines: str, fontsize: float = 13) -> None:
    """Writes what a file or catalogue calls itself above a figure, as it is: `$` is no formula.

    Args:
        figure: The figure.
        lines: The lines; the middle of one that is too long is left out.
        fontsize: Size of the letters [pt].
    """
    clean = (shorten(_CONTROL.sub(" ", line), _LONGEST_LINE) for line in lines)
    figure.suptitle("\n".join(clean), fontsize=fontsize, parse_math=False)


def check_format(path: Path) -> None:
    """Checks that a picture's suffix names a format that can be written.

    Raises:
        ProductError: If it does not.
    """
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise ProductError(
            f"{path}: unknown picture format '{path.suffix}';"
            f" {', '.join(PICTURE_SUFFIXES[:-1])} or {PICTURE_SUFFIXES[-1]} is right"
        )


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure to a file, whole or not at all.

    Args:
        figure: What is written.
        path: The picture; its suffix, one of `PICTURE_SUFFIXES`, says the format.

    Raises:
        ProductError: If the suffix is unknown, or the picture cannot be written.
    """
    check_format(path)
    with write_atomically(path, error=ProductError) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())
