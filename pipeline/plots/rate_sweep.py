"""The picture of a sweep over learning rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from blindzone.pipeline.plots.panels import check_format, new_figure, save_figure, set_heading

_INCHES = (7.0, 4.5)
_SHOWN = 0.95
"""Share of the losses that the picture has room for."""


def draw_rate_sweep(
    rates: np.ndarray,
    losses: np.ndarray,
    smoothed: np.ndarray,
    suggested: float | None,
    path: Path,
    *,
    title: str,
) -> None:
    """Writes the picture of losses over rates to a file.

    Args:
        rates: Learning rates, `(step,)`.
        losses: Loss of each step.
        smoothed: The same, smoothed.
        suggested: The rate to be marked, if there is one.
        path: The picture; its suffix is one of `PICTURE_SUFFIXES`.
        title: What was swept.

    Raises:
        ProductError: If the suffix is unknown, or the picture cannot be written.
    """
    check_format(path)
    figure = new_figure(_INCHES)
    axes = figure.add_subplot()
    axes.plot(rates, losses, ".", color="0.7", label="loss of a batch")
    axes.plot(rates, smoothed, color="#0072B2", label="smoothed")
    if suggested is not None:
        axes.axvline(suggested, color="#D55E00", label=f"suggested: {suggested:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    # The last losses may be a thousand times the first.
    lowest, highest = float(losses.min()), float(np.quantile(losses, _SHOWN))
    margin = 0.1 * (highest - lowest) or 1.0
    axes.set_ylim(lowest - margin, highest + margin)
    axes.legend()
    set_heading(figure, title, fontsize=10)
    save_figure(figure, path)
