"""Echo of a curtain: how weak it gets, and columns of shallow echo and of virga."""

from __future__ import annotations

import numpy as np

ROWS_ABOVE = 4
"""Rows above the blind zone that decide whether a column holds shallow echo or virga."""
WEAKEST_LEVEL = 0.01
"""Level of the quantile that counts as the weakest echo."""
ENOUGH_ECHO = 1000
"""Pixels with echo from which on the weakest is estimated."""


def find_weakest_echo(echo_dbz: np.ndarray) -> float:
    """Returns the 1 % quantile of echo [dBZ]; NaN of fewer than `ENOUGH_ECHO` pixels.

    Args:
        echo_dbz: Reflectivity of the pixels with echo [dBZ], `(pixel,)`.
    """
    if echo_dbz.size < ENOUGH_ECHO:
        return float("nan")
    return float(np.quantile(echo_dbz, WEAKEST_LEVEL))


def find_shallow_and_virga(
    hidden_echo: np.ndarray, visible_echo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which columns hold shallow echo and which hold virga, both bool `(time,)`.

    A column of shallow echo has echo in its hidden rows and none in the `ROWS_ABOVE` rows above
    them. One of virga has echo in those and none in its hidden rows.

    Args:
        hidden_echo: Where there is echo in the blind zone, bool `(time, hidden row)`.
        visible_echo: Where there is echo above it, bool `(time, visible row)`, lowest row first.
    """
    below = np.asarray(hidden_echo.any(axis=1))
    above = np.asarray(visible_echo[:, :ROWS_ABOVE].any(axis=1))
    return below & ~above, above & ~below
