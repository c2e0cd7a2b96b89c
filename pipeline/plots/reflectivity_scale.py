"""The colours of reflectivity, the same for one band in every picture."""

from __future__ import annotations

COLOURS = "HomeyerRainbow"
"""A map that people with a colour vision deficiency can read."""
CLOUD_DBZ = (-50.0, 25.0)
"""Range of cloud radars [dBZ]."""
PRECIPITATION_DBZ = (-15.0, 50.0)
"""Range of radars for rain and snow [dBZ]."""
_LOWEST_OF_CLOUD_GHZ = 30.0
"""Cloud radars work in Ka, W and G band; up to K band radars measure precipitation."""


def scale_reflectivity(frequency_ghz: float | None, weakest_dbz: float) -> tuple[float, float]:
    """Returns the range of a radar's reflectivity [dBZ].

    Args:
        frequency_ghz: Frequency of the radar [GHz]; None if it is not known.
        weakest_dbz: Weakest echo [dBZ], which decides where the frequency is not known; NaN counts
            as that of a cloud radar.
    """
    if frequency_ghz is None:
        of_cloud = not weakest_dbz >= PRECIPITATION_DBZ[0]
    else:
        of_cloud = frequency_ghz >= _LOWEST_OF_CLOUD_GHZ
    return CLOUD_DBZ if of_cloud else PRECIPITATION_DBZ
