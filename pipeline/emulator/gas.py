"""Attenuation by oxygen and water vapour: ITU-R P.676-10 (2013), annex 2, up to 120 GHz."""

from __future__ import annotations

import numpy as np

from blindzone.pipeline.emulator.atmosphere import Atmosphere

# Strength, temperature and width of each line of water vapour, its frequency [GHz], and whether its
# far wing is corrected. Of the wing of the others nothing but the distance to the line counts.
_NEAR_LINES = (
    (3.98, 2.23, 9.42, 22.235, 22.0),
    (11.96, 0.7, 11.14, 183.31, None),
    (0.081, 6.44, 6.29, 321.226, None),
    (3.66, 1.6, 9.22, 325.153, None),
)
_FAR_LINES = (
    (25.37, 1.09, 380.0, None),
    (17.4, 1.46, 448.0, None),
    (844.6, 0.17, 557.0, 557.0),
    (290.0, 0.41, 752.0, 752.0),
)


def attenuate_by_gas(air: Atmosphere, frequency_ghz: float) -> np.ndarray:
    """Returns the one-way attenuation by gases [dB km-1], of the shape of the air.

    Args:
        air: The air.
        frequency_ghz: Frequency [GHz], below 54 or from 66 to 120.
    """
    pressure, cold = air.pressure / 1013.0, 288.0 / air.temperature
    return np.asarray(
        _attenuate_by_oxygen(pressure, cold, frequency_ghz)
        + _attenuate_by_vapour(pressure, cold, air.vapour, frequency_ghz)
    )


def _attenuate_by_oxygen(pressure: np.ndarray, cold: np.ndarray, frequency: float) -> np.ndarray:
    def scale(a: float, b: float, c: float, d: float) -> np.ndarray:
        return np.asarray(pressure**a * cold**b * np.exp(c * (1 - pressure) + d * (1 - cold)))

    if frequency < 54:
        near = 7.2 * cold**2.8 / (frequency**2 + 0.34 * pressure**2 * cold**1.6)
        exponent = 1.16 * scale(0.0717, -1.8132, 0.0156, -1.6515)
        offset = 0.83 * scale(0.5146, -4.6368, -0.1921, -5.7416)
        far = 0.62 * scale(0.3414, -6.5851, 0.2130, -8.5854)
        total = near + far / ((54 - frequency) ** exponent + offset)
    else:
        line = 0.283 * cold**3.8 / ((frequency - 118.75) ** 2 + 2.91 * pressure**2 * cold**1.6)
        exponent = 1.4346 * scale(-0.0112, 0.0092, -0.1033, -0.0009)
        offset = 1.15 * scale(0.2705, -2.7192, -0.3016, -4.1033)
        strength = 0.502 * scale(0.2445, -5.9191, 0.0422, -8.0719)
        fall = 1 - 0.0163 * scale(-0.1833, 6.5589, -0.2402, 6.131) * (frequency - 66)
        wing = strength * fall / ((frequency - 66) ** exponent + offset)
        total = 3.02e-4 * cold**3.5 + line + wing
    return np.asarray(total * frequency**2 * pressure**2 * 1e-3)


def _attenuate_by_vapour(
    pressure: np.ndarray, cold: np.ndarray, vapour: np.ndarray, frequency: float
) -> np.ndarray:
    width = 0.955 * pressure * cold**0.68 + 0.006 * vapour
    far_width = 0.735 * pressure * cold**0.5 + 0.0353 * cold**4 * vapour

    def wing(line: float | None) -> float:
        return 1.0 if line is None else 1 + ((frequency - line) / (frequency + line)) ** 2

    lines = [
        strength
        * width
        * np.exp(heat * (1 - cold))
        / ((frequency - line) ** 2 + spread * width**2)
        * wing(far)
        for strength, heat, spread, line, far in _NEAR_LINES
    ]
    lines += [
        strength * width * np.exp(heat * (1 - cold)) / (frequency - line) ** 2 * wing(far)
        for strength, heat, line, far in _FAR_LINES
    ]
    lines.append(
        8.3328e4 * far_width * np.exp(0.99 * (1 - cold)) / (frequency - 1780) ** 2 * wing(1780.0)
    )
    return np.asarray(sum(lines) * frequency**2 * cold**2.5 * vapour * 1e-4)
