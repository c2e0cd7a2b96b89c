"""What a file states twice, compared: heights, position, direction of the beam.

A reader takes what it needs. The rest of a file may contradict it: a height above sea level next to
a range, an elevation next to a zenith angle, attributes next to variables. What is impossible is
refused, what is doubtful becomes a doubt of the curtain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.findings import with_doubt
from blindzone.pipeline.curtains.position import is_moving
from blindzone.pipeline.readers._netcdf import is_netcdf, read_netcdf
from blindzone.pipeline.readers._numbers import is_missing
from blindzone.pipeline.readers._units import METRES, find_factor, is_in

_LATITUDE = ("latitude", "lat", "Lat", "Latitude", "LATITUDE")
_LONGITUDE = ("longitude", "lon", "Lon", "Longitude", "LONGITUDE")
_ALTITUDE = ("altitude", "alt", "MSL", "Altitude", "ALTITUDE")
_ZENITH = ("zenith_angle", "zenith", "sensor_zenith_angle", "tilt_angle")
_ELEVATION = ("elevation", "elv", "Elv", "elevation_angle")
_FREQUENCY = ("radar_frequency", "frequency", "freq")
_NYQUIST = ("nyquist_velocity", "DoppMax", "NyquistVelocity", "nyquist")
_NAMES = (
    *("range", "height"),
    *(*_LATITUDE, *_LONGITUDE, *_ALTITUDE, *_ZENITH, *_ELEVATION, *_NYQUIST, *_FREQUENCY),
)
_FEET = 0.3048

HEIGHT_KEY = "first_gate_m"
"""Key of a source in the catalogue that states the height of the lowest gate."""
_LEAST_TOLERANCE_M = 20.0
"""Site and antenna may differ by the height of a roof or a mast."""
_HEIGHT_TOLERANCE = 0.01
"""Of the range; the Earth's curvature puts a beam of 5 degrees off zenith at 15 km 0.1 m higher."""
_LOWEST_GATE_M = -100.0
"""The delay of a pulse of 0.6 us, not corrected, puts gates 90 m too low."""
_TOP_M = {
    "reflectivity": 30_000.0,
    "attenuated_backscatter": 35_000.0,
    "normalized_relative_backscatter": 65_000.0,
}
"""Highest gate [m] of a radar or lidar that looks up: radars of the ARM and Cloudnet networks end
below 22 km, since no cloud is above, ceilometers at 16 km and other lidars at 30 km, micropulse
lidars at 60 km. In feet, a range of 10 km or more is beyond."""
_STEP_M = {
    "reflectivity": (1.0, 500.0),
    "attenuated_backscatter": (1.0, 80.0),
    "normalized_relative_backscatter": (1.0, 80.0),
}
"""Least and largest median distance [m] of their gates: micro rain radars go to 200 m, ceilometers
to 30 m, micropulse lidars to 75 m."""
_LEAST_TOP_M = 100.0
_LARGEST_GATE_OFFSET = 0.1
"""By this share of the spacing gates may be off a whole number of spacings."""
_MICRO_RAIN_GHZ = (24.0, 24.3)
"""The band of micro rain radars."""

_HIGHEST_SITE_M, _LOWEST_SITE_M = 6000.0, -500.0
"""No weather station with a radar or lidar is above 5400 m (Chacaltaya), and no land below -430 m
(Dead Sea)."""
_FILLS = (9990.0, 999.0)
_NEAR_DEGREES = 0.5
_ANGLE_TOLERANCE = 1.0


@dataclass(frozen=True, kw_only=True)
class Witnesses:
    """What a file says of its geometry, as numbers.

    Attributes:
        raw: One- and zero-dimensional variables of the names that are known here, and all global
            attributes.
    """

    raw: xr.Dataset

    def find(self, names: tuple[str, ...]) -> np.ndarray:
        """Returns the values of the first variable that there is, flat; empty without one."""
        for name in names:
            if name in self.raw.variables:
                variable = self.raw[name]
                packed = np.where(is_missing(variable), np.nan, variable.values.astype(np.float64))
                scale, offset = (
                    float(variable.attrs.get(key, neutral))
                    for key, neutral in (("scale_factor", 1.0), ("add_offset", 0.0))
                )
                values = np.ravel(packed) * scale + offset
                return values * (find_factor(variable, METRES) or 1.0)
        return np.empty(0)

    def is_length(self, name: str) -> bool:
        """Returns whether a variable states a unit of length."""
        return name in self.raw.variables and is_in(self.raw[name], METRES)

    def find_one(self, names: tuple[str, ...]) -> float:
        """Returns the median of what `find` returns, NaN if nothing is known."""
        values = self.find(names)
        known = values[np.isfinite(values)]
        return float(np.median(known)) if known.size else float("nan")

    def find_stated(self, *keys: str) -> float:
        """Returns the number that a global attribute starts with, NaN if none does."""
        for key in keys:
            text = str(self.raw.attrs.get(key, "")).split()
            try:
                return float(text[0])
            except (IndexError, ValueError):
                continue
        return float("nan")

    @property
    def nyquist(self) -> float | None:
        """The largest Nyquist velocity [m s-1]; none if not stated."""
        values = self.find(_NYQUIST)
        known = [*values[np.isfinite(values)], self.find_stated("nyquist_velocity")]
        stated = [abs(value) for value in known if np.isfinite(value) and value != 0]
        return max(stated) if stated else None


def read_witnesses(curtain: xr.Dataset, path: Path) -> Witnesses:
    """Returns the heights [m] and angles [degree] that a file states, if it is a netCDF file.

    It is read for the curtain of a radar or lidar that looks up.

    Raises:
        SourceFileError: If it cannot be read.
    """
    if not _looks_up(curtain) or not is_netcdf(path):
        return Witnesses(raw=xr.Dataset())
    raw = read_netcdf(path, _NAMES)
    return Witnesses(
        raw=raw.drop_vars(
            [
                name
                for name, variable in raw.variables.items()
                if variable.dtype.kind not in "iuf" or not _is_flat(variable)
            ]
        )
    )


def _looks_up(curtain: xr.Dataset) -> bool:
    if "gate_height" in curtain or "along_track_distance" in curtain.coords:
        return False
    return any(name in curtain for name in _TOP_M)


def _is_flat(variable: xr.Variable) -> bool:
    return variable.ndim <= 1 or max(variable.shape) == variable.size


def check_against_file(curtain: xr.Dataset, found: Witnesses, path: Path) -> xr.Dataset:
    """Returns the native curtain with the doubts that its file's other statements raise.

    Args:
        curtain: A native curtain `(time, height)` of a radar or lidar that looks up; others come
            back as they are.
        found: What the file states.
        path: The file, for messages.

    Raises:
        SourceFileError: If the file contradicts itself, or states what no station has.
    """
    if not _looks_up(curtain):
        return curtain
    checks: tuple[Callable[[Witnesses, Path], None], ...] = (
        _check_position,
        _check_angles,
        _check_spacing,
    )
    for check in checks:
        check(found, path)
    _check_whole_gates(curtain, path)
    curtain = _check_heights(curtain, found, path)
    return _doubt_origin(_doubt_position(curtain, found), found)


def check_gates(curtain: xr.Dataset, path: Path) -> xr.Dataset:
    """Returns the curtain of a radar or lidar that looks up, its gates at credible heights [m].

    Raises:
        SourceFileError: If they begin below the instrument, or end or are spaced as in another
            unit.
    """
    if not _looks_up(curtain):
        return curtain
    field = next(name for name in _TOP_M if name in curtain)
    heights = curtain["height"].values
    lowest, top = float(heights[0]), float(heights[-1])
    if not _LEAST_TOP_M <= top <= _TOP_M[field]:
        raise SourceFileError(
            f"{path}: its gates end at {top:g} m; {_LEAST_TOP_M:g} to {_TOP_M[field]:g} m is right"
            f" for {field}, and a range in km or feet would look like this"
        )
    step = float(np.median(np.diff(heights))) if heights.size > 1 else _LEAST_TOP_M
    least, largest = _STEP_M[field]
    if not least <= step <= largest:
        raise SourceFileError(
            f"{path}: its gates are {step:g} m apart; {least:g} to {largest:g} m is right for"
            f" {field}, and a range in another unit would look like this"
        )
    if lowest >= 0:
        return curtain
    if lowest < _LOWEST_GATE_M:
        raise SourceFileError(
            f"{path}: its lowest gate lies at {lowest:g} m, below the instrument; 0 m or more is"
            f" right. {_advise_height()}"
        )
    doubt = f"the lowest gate lies {-lowest:g} m below the instrument"
    return curtain.assign_attrs(with_doubt(curtain.attrs, doubt))


def shift_heights(curtain: xr.Dataset, first_gate_m: float) -> xr.Dataset:
    """Returns the curtain with its lowest gate at a height above the instrument [m]."""
    heights = curtain["height"]
    return curtain.assign_coords(height=heights - heights[0] + first_gate_m)


def _advise_height() -> str:
    return f"'{HEIGHT_KEY}' of the source in the catalogue can state the lowest gate's height"


def _check_position(found: Witnesses, path: Path) -> None:
    latitude, longitude = found.find_one(_LATITUDE), found.find_one(_LONGITUDE)
    for name, value, limit in (("latitude", latitude, 90.0), ("longitude", longitude, 360.0)):
        if limit < abs(value) <= 400 or (_is_stated(value) and abs(value) > limit):
            swapped = name == "latitude" and abs(longitude) <= 90 and abs(value) <= 360
            hint = "; latitude and longitude may be swapped" if swapped else ""
            raise SourceFileError(
                f"{path}: its {name} is {value:g}; {-limit:g} to {limit:g} is right{hint}"
            )
    altitude = found.find_one(_ALTITUDE)
    credible = _LOWEST_SITE_M <= altitude <= _HIGHEST_SITE_M or not _is_stated(altitude)
    if not credible and not np.ptp(found.find(_ALTITUDE)) > 0:  # an aircraft's changes
        raise SourceFileError(
            f"{path}: its altitude is {altitude:g} m; {_LOWEST_SITE_M:g} to {_HIGHEST_SITE_M:g} m"
            " is right for an instrument on the ground"
        )
    stated = [
        found.find_stated(f"geospatial_{name}_min", f"site_{long}", long, name)
        for name, long in (("lat", "latitude"), ("lon", "longitude"))
    ]
    if _are_near((latitude, longitude), (stated[1], stated[0])) and not _are_near(
        (latitude, longitude), (stated[0], stated[1])
    ):
        raise SourceFileError(
            f"{path}: its latitude {latitude:g} and longitude {longitude:g} are swapped: its"
            f" attributes state {stated[0]:g} and {stated[1]:g}"
        )


def _doubt_position(curtain: xr.Dataset, found: Witnesses) -> xr.Dataset:
    if is_moving(curtain):
        return curtain
    for (name, names), long in zip(
        (("lat", _LATITUDE), ("lon", _LONGITUDE)), ("latitude", "longitude"), strict=True
    ):
        stated = found.find_stated(f"geospatial_{name}_min", f"site_{long}", long, name)
        value = found.find_one(names)
        if abs((value - stated + 180) % 360 - 180) > _NEAR_DEGREES:
            doubt = f"{long} is {value:g} as a variable and {stated:g} as an attribute"
            curtain = curtain.assign_attrs(with_doubt(curtain.attrs, doubt))
    return curtain


def _doubt_origin(curtain: xr.Dataset, found: Witnesses) -> xr.Dataset:
    """Returns the curtain with doubts about where its gates count from, and its frequency."""
    heights, altitude = curtain["height"].values, found.find_one(_ALTITUDE)
    step = float(np.median(np.diff(heights))) if heights.size > 1 else 0.0
    is_high = min(heights[0], altitude) > 2 * step > 0 and "height" not in found.raw.variables
    doubts = []
    if is_high and 0 <= heights[0] - altitude <= step:
        doubts.append(
            f"its gates begin at {heights[0]:g} m and its altitude is {altitude:g} m: its range"
            " may count from sea level"
        )
    frequency = found.find_one(_FREQUENCY)
    if frequency > 0 and "reflectivity" in curtain and "frequency_ghz" not in curtain.attrs:
        doubts.append(f"its radar frequency is {frequency:g}, which no radar has in its unit")
    for doubt in doubts:
        curtain = curtain.assign_attrs(with_doubt(curtain.attrs, doubt))
    return curtain


def _is_stated(value: float) -> bool:
    """Returns whether a number is none of those that stand for what is missing: -999, 9999 ..."""
    return bool(np.isfinite(value)) and abs(value) < _FILLS[0] and abs(value) != _FILLS[1]


def _are_near(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return bool(np.all(np.abs(np.subtract(one, other)) <= _NEAR_DEGREES))


def _check_angles(found: Witnesses, path: Path) -> None:
    # Of some lidars the elevation is that of the site [m].
    angles = tuple(name for name in _ELEVATION if not found.is_length(name))
    zenith, elevation = found.find_one(_ZENITH), found.find_one(angles)
    stated = abs(zenith) <= 360 and abs(elevation) <= 360
    if stated and abs(90 - elevation - abs(zenith)) > _ANGLE_TOLERANCE:
        raise SourceFileError(
            f"{path}: its zenith angle is {zenith:g} and its elevation {elevation:g} degrees;"
            " together 90 are right, and an angle in radian would look like this"
        )
    for name in _ZENITH:
        if name in found.raw.variables:
            meaning = str(found.raw[name].attrs.get("standard_name", ""))
            if "elevation" in meaning:
                raise SourceFileError(
                    f"{path}: '{name}' has the standard name {meaning!r}; a zenith angle is right"
                )


def _check_spacing(found: Witnesses, path: Path) -> None:
    """Checks the gates against the first gate and the spacing that CfRadial states with them."""
    gates = found.find(("range",))
    if gates.size < 2 or not np.isfinite(gates).all():
        return
    attrs, step = found.raw["range"].attrs, float(np.median(np.diff(gates)))
    between, first = (
        _to_number(attrs.get(key))
        for key in ("meters_between_gates", "meters_to_center_of_first_gate")
    )
    # A part of the gates, or every other one, is still a whole number of gates away.
    for stated, away in ((between, step / between), (first, (gates[0] - first) / between)):
        if np.isfinite(away) and abs(away - np.round(away)) > _LARGEST_GATE_OFFSET:
            raise SourceFileError(
                f"{path}: 'range' begins at {gates[0]:g} in steps of {step:g}, and its attributes"
                f" state {stated:g}; whole gates are right"
            )


def _to_number(stated: object) -> float:
    """Returns an attribute's first number above zero, or NaN; zero metres is NaN too."""
    values = np.ravel(np.asarray(np.nan if stated is None else stated))
    return float(values[0]) if values.dtype.kind in "iuf" and values.size else float("nan")


def _check_whole_gates(curtain: xr.Dataset, path: Path) -> None:
    """Checks that the gates of a micro rain radar count from its antenna.

    The spectrum of a radar that modulates its frequency puts them at whole spacings from it, the
    first one at 0 or 1: the published processings of MRR-2 and MRR-Pro spectra multiply by the
    square of the gate's number, counted from 0 at the antenna (Maahn and Kollias 2012, doi
    10.5194/amt-5-2661-2012; Garcia-Benadi et al. 2021, doi 10.3390/rs13214323). Half gates are
    none.
    """
    lowest, highest = _MICRO_RAIN_GHZ
    heights = curtain["height"].values
    if heights.size < 2 or not lowest <= curtain.attrs.get("frequency_ghz", 0.0) <= highest:
        return
    away = float(heights[0] / np.median(np.diff(heights)))
    if abs(away - round(away)) > _LARGEST_GATE_OFFSET:
        raise SourceFileError(
            f"{path}: its gates begin at {heights[0]:g} m, {away:.2f} spacings from the radar, and"
            f" may count from sea level; whole spacings are right. {_advise_height()}"
        )


def _check_heights(curtain: xr.Dataset, found: Witnesses, path: Path) -> xr.Dataset:
    """Returns the curtain with a doubt if its altitude does not fit its heights.

    Height is range times the cosine of the zenith angle, plus altitude. A range that is wrong is
    refused; an altitude that is wrong leaves the heights above the ground right.
    """
    gates, heights = found.find(("range",)), found.find(("height",))
    altitude, zenith = found.find_one(_ALTITUDE), found.find_one(_ZENITH)
    if gates.shape != heights.shape or gates.size < 2 or not np.isfinite(altitude):
        return curtain
    slant = gates * (np.cos(np.radians(zenith)) if abs(zenith) < 90 else 1.0)
    step = float(np.median(np.diff(gates)))
    allowed = np.maximum(_LEAST_TOLERANCE_M, step / 2) + _HEIGHT_TOLERANCE * np.abs(gates)
    offset = float(np.median(heights - slant))
    named = str(found.raw["height"].attrs.get("standard_name", ""))
    counts_from_ground = abs(offset) <= allowed[0] and named == "height"
    is_constant = bool(np.all(np.abs(heights - slant - offset) <= allowed))
    if is_constant and (counts_from_ground or abs(offset - altitude) <= allowed[0]):
        return curtain
    if is_constant and abs(offset) > allowed[0]:
        doubt = f"its altitude is {altitude:g} m, and {offset:.0f} m by its range and height"
        return curtain.assign_attrs(with_doubt(curtain.attrs, doubt))
    raise SourceFileError(
        f"{path}: its lowest gate has range {gates[0]:g} m and height {heights[0]:g} m, its highest"
        f" {gates[-1]:g} and {heights[-1]:g} m, at altitude {altitude:g} m and zenith angle"
        f" {0.0 if np.isnan(zenith) else zenith:g} degrees; height above sea level less altitude"
        f" is range times the cosine. {_explain(gates, heights, is_constant)} {_advise_height()}"
    )


def _explain(gates: np.ndarray, heights: np.ndarray, is_constant: bool) -> str:
    """Returns what may be wrong with contradicting heights, in a sentence."""
    if is_constant:
        return "The range counts from sea level, or the height from the ground."
    rates = float(np.median(np.diff(gates)) / np.median(np.diff(heights)))
    for factor, unit in ((1 / _FEET, "feet"), (1e-3, "km"), (_FEET, "m and the height in feet")):
        if abs(rates / factor - 1) < 0.02:
            return f"The range may be in {unit}."
    return "Another unit of one, or another zenith angle, would look like this."
