"""The panel of a fill's errors where the truth is known: echo missed, invented, or off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from matplotlib.patches import Patch

from blindzone.pipeline.plots.panels import NO_DATA, colour, show, spread_middle
from blindzone.pipeline.plots.product_view import ProductView
from blindzone.pipeline.verification.statistics import LEAST_CASES, ratio

FILL_ERROR = "fill_error"
"""A panel that is no variable of its own: what was filled minus what was observed there."""
DIFFERENCE = Normalize(-20.0, 20.0), spread_middle("PuOr_r")
MISSED, INVENTED = "#000000", "#009E73"


@dataclass(frozen=True, kw_only=True, eq=False)
class FillErrors:
    """What was filled against the truth; all arrays `(time, height)`.

    Attributes:
        known: Filled pixels whose truth is known and trusted.
        missed: Echo that was not filled.
        invented: Filled echo where there was none.
        difference: Filled minus observed reflectivity where both have echo [dB]; else NaN.
        absolute: Absolute error of what was filled, no echo being the sensitivity floor [dB].
    """

    known: np.ndarray
    missed: np.ndarray
    invented: np.ndarray
    difference: np.ndarray
    absolute: np.ndarray

    @property
    def echo(self) -> int:
        """Number of pixels with echo, observed or filled."""
        return int((np.isfinite(self.difference) | self.missed | self.invented).sum())

    def describe(self) -> str:
        """Returns the scores as a line; those of occurrence are absent where echo is too rare."""
        pixels, hits = int(self.known.sum()), int(np.isfinite(self.difference).sum())
        echo = self.echo
        error = f"MAE {ratio(self.absolute[self.known].sum(), pixels):.2f} dB"
        if echo < LEAST_CASES:
            return f"{error}; too little echo for CSI ({echo} of {pixels} pixels)"
        bias = f", bias of hits {np.nansum(self.difference) / hits:+.1f} dB" if hits else ""
        return f"CSI {ratio(hits, echo):.2f}, {error}{bias}"


def find_errors(view: ProductView) -> FillErrors:
    """Returns the errors of a product's filled pixels, as `blindzone evaluate` counts them."""
    floor = float(view.product["sensitivity_floor"])
    filled, observed = (
        np.fmax(view.product[name].values, floor)
        for name in ("reflectivity", "reflectivity_observed")
    )
    is_filled, is_there = (view.truth & (dbz > floor) for dbz in (filled, observed))
    difference = filled - observed
    return FillErrors(
        known=view.truth,
        missed=is_there & ~is_filled,
        invented=is_filled & ~is_there,
        difference=np.where(is_filled & is_there, difference, np.nan),
        absolute=np.abs(difference),
    )


def draw_errors(ax: Axes, view: ProductView) -> str:
    """Draws a fill's errors with their scores, and returns the panel's title."""
    errors = find_errors(view)
    profile, empty = view.raster.profile, view.raster.empty
    norm, colours = DIFFERENCE
    missing = (view.hidden & ~errors.known)[profile] | empty[:, None]
    image = colour(errors.difference[profile], missing, colours, norm)
    for pixels, of in ((errors.missed, MISSED), (errors.invented, INVENTED)):
        image[pixels[profile] & ~missing] = np.round(255 * np.array(to_rgba(of)))
    show(ax, image, view.raster.hours, (float(view.edges_m[0]), float(view.edges_m[-1])))
    handles = [
        Patch(color=MISSED, label="echo missed"),
        Patch(color=INVENTED, label="echo invented"),
        Patch(color=NO_DATA, label="no trusted truth"),
    ]
    ax.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=3,
        fontsize=9,
        frameon=False,
        borderpad=0.2,
    )
    bar = ScalarMappable(norm, colours)
    ax.figure.colorbar(bar, ax=ax, label="Difference (dB)", pad=0.01, aspect=12, extend="both")
    return f"Filled minus observed: {errors.describe()}"
