"""What a network and its calibration saw, and how far outside of it each profile of a curtain lies.

Intervals are calibrated on some days of some radar. For another band, another sensitivity or
another kind of weather their coverage is not known, and nothing in an interval says so. A `Applicability`
is fitted from whole days, travels with the checkpoint, and tells for each profile which of its
bounds are left: `OutOfRangeFlag`.

The score of a profile compares its visible part with those of the fitted days. It is summarised as
the network's column paths do it: over bands of rows that double in depth upwards, by mean and
maximum of reflectivity above the sensitivity floor, in network units, and by the mean of each
measured channel; then by the running means of all these over ten minutes. A distance between such
summaries stands for the latent distance between a network's own features; it needs no network, and
each of its coordinates has a meaning. Clear sky is the origin.

    score = distance to the nearest reference profile / 99th percentile of that distance on held-out
    days

Distance to the nearest neighbour tells well what is out of distribution (Sun et al. 2022, arXiv
2204.06507). The references cover the fitted days: from each part of them, those profiles that lie
furthest from each other (Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5). For the percentile each
part is held against the references of all the others: of a further day that is like them about 1 %
of the profiles score above 1, as with leave-one-out prediction intervals (Barber et al. 2021, arXiv
1905.02928). Days differ, so that on one day it may be none or several percent.

Neither flag nor score tells how wrong an interval is. What looks like the fitted days may hide
something else below, as at another site: so that has a bit of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import CurtainError
from blindzone.core.network_units import ABSENT_UNIT
from blindzone.pipeline.curtains.cf import OutOfRangeFlag
from blindzone.pipeline.curtains.curtain import check_radar
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.network_input.channels import (
    COLLOCATED_CHANNELS,
    MEASURED_CHANNELS,
    Profiles,
)
from blindzone.pipeline.network_input.preprocessing import Preprocessing

UNLIKE_SHARE = 0.01
"""Share of held-out profiles that score above 1."""
RARE_SHARE = 0.01
"""What fewer of the fitted profiles than this had, or lacked, counts as unseen."""
BAND_FACTOR = 1.1
"""Frequencies within this factor are one band: 94 and 95 GHz are, or 33 and 36 GHz; 24 and 35 GHz
are not."""
TIME_STEP_FACTOR = 1.25
"""Steps between profiles within this factor are alike: a window then spans at most a quarter more
or less time."""
SENSITIVITY_MARGIN_DB = 3.0
"""By how much the sensitivity may be worse [dB]; the weakest echo of days of one radar differs by 2
dB."""
SAME_SITE_KM = 100.0
"""Profiles further than this from each fitted site are of another one [km]."""
MEAN_OVER_S = 600.0
"""Over how much time the running means go [s]."""

_EARTH_RADIUS_KM = 6371.0
_POSITION = ("latitude", "longitude")
_LOWEST_BAND_ROWS = 4
_WEAKEST_LEVEL = 0.01
_ENOUGH_ECHO = 1000
"""Pixels with echo, below which nothing is said of the weakest."""
_LARGEST_PARTS = 16
_REFERENCES_PER_PART = 16
_SMALLEST_SCALE = 0.01
"""In network units: 0.6 dB, 0.13 m s-1, 0.8 K. What hardly varied in the fitted days does not count
for more."""
_PROFILES_PER_CURTAIN = 2000
"""How many profiles of a day, evenly spaced, references and percentile are taken from."""


@dataclass(frozen=True, kw_only=True)
class Applicability:
    """What the fitted days were like.

    Attributes:
        grid: Height grid.
        hidden_rows: Number of lowest rows that are never looked at: those that the network answers
            for.
        floor_dbz: Sensitivity floor of the network [dBZ].
        frequency_ghz: Radar frequency [GHz], if known.
        sites: Latitude and longitude [degree] of each site that is known; `None` if a platform
            moved.
        weakest_echo_dbz: The 1 % quantile of visible echo [dBZ], of the day on which it was
            highest.
        time_steps_s: Shortest and longest time between profiles [s], the median of a day.
        presence: Share of the profiles that have each predictor: `reflectivity`, then the measured
            channels.
        centres: Mean of what the summaries of each kind and band hold `(kind, band)`; 0 for
            reflectivity.
        scales: Root mean square of what the summaries of each kind hold beside that `(kind,)`.
        references: The reference profiles `(reference, feature)`.
        limit: The distance that scores 1.
        days: Number of fitted days.
    """

    grid: Grid
    hidden_rows: int
    floor_dbz: float
    frequency_ghz: float | None
    sites: tuple[tuple[float, float], ...] | None
    weakest_echo_dbz: float
    time_steps_s: tuple[float, float]
    presence: Mapping[str, float]
    centres: tuple[tuple[float, ...], ...]
    scales: tuple[float, ...]
    references: tuple[tuple[float, ...], ...]
    limit: float
    days: int

    def __post_init__(self) -> None:
        kinds, bands = 1 + len(self.presence), find_bands(self.grid.rows - self.hidden_rows).size
        _check_numbers("centres", self.centres, (kinds, bands))
        _check_numbers("scales", self.scales, (kinds,))
        _check_numbers("references", self.references, (len(self.references), 2 * kinds * bands))
        _check_numbers("time_steps_s", self.time_steps_s, (2,))
        _check_numbers("presence", tuple(self.presence.values()), (kinds - 1,))
        plain = (self.limit, self.floor_dbz, self.weakest_echo_dbz, self.frequency_ghz or 0.0)
        _check_numbers("limit, floor_dbz, weakest_echo_dbz, frequency_ghz", plain, (4,))
        if not (0 < self.limit < np.inf and min(self.scales) > 0):
            raise CurtainError(
                f"the domain's limit {self.limit} and scales {self.scales} must be positive numbers"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain values, for JSON."""
        lists = {
            name: [list(line) for line in getattr(self, name)] for name in ("centres", "references")
        }
        sites = None if self.sites is None else [list(site) for site in self.sites]
        flat = {name: list(getattr(self, name)) for name in ("scales", "time_steps_s")}
        return asdict(self) | lists | flat | {"sites": sites}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Applicability:
        """Returns what `to_dict` gave.

        Raises:
            CurtainError: If it is not understood.
        """
        try:
            values = dict(content)
            shortest, longest = values.pop("time_steps_s")
            sites = values.pop("sites")
            return cls(
                sites=(
                    None
                    if sites is None
                    else tuple((float(north), float(east)) for north, east in sites)
                ),
                grid=Grid(**values.pop("grid")),
                time_steps_s=(shortest, longest),
                centres=tuple(tuple(map(float, line)) for line in values.pop("centres")),
                scales=tuple(map(float, values.pop("scales"))),
                references=tuple(tuple(map(float, line)) for line in values.pop("references")),
                **values,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CurtainError(f"the checkpoint's domain is not understood: {error}") from error

    def assess(
        self,
        curtain: xr.Dataset,
        preprocessing: Preprocessing,
        *,
        frequency_ghz: float | None = None,
        floor_dbz: float | None = None,
    ) -> xr.Dataset:
        """Returns how far each profile of a curtain lies outside what the fitted days were like.

        Args:
            curtain: Gridded radar curtain `(time, height)`, with its partners where the network
                uses them.
            preprocessing: How curtains are shown to the network that the domain belongs to.
            frequency_ghz: Radar frequency of the curtain [GHz], if known.
            floor_dbz: Sensitivity floor that the curtain's source states [dBZ], if it does.

        Returns:
            `out_of_range_flag` (int16, bits of `OutOfRangeFlag`) and `out_of_range_score`
            (float32), both `(time,)`, with the curtain's times. The score is NaN where nothing is
            visible, and throughout if the grid differs.

        Raises:
            CurtainError: If the curtain holds no radar echo, or the domain belongs to another
                network.
        """
        check_radar(curtain, where="out-of-range assessment")
        self._check_network(preprocessing)
        flag = np.full(curtain.sizes["time"], self._compare_source(frequency_ghz, floor_dbz))
        if self.sites is not None:
            flag[_find_elsewhere(curtain, self.sites)] |= OutOfRangeFlag.SITE_DIFFERS
        if not self.grid.matches(curtain["height"].values):
            return _make_assessment(
                curtain, flag | OutOfRangeFlag.GRID_DIFFERS, np.full(flag.size, np.nan)
            )
        seen = _look(curtain, preprocessing)
        flag |= self._compare_sampling(seen)
        for name, present in seen.present.items():
            alike = np.where(present, self.presence[name], 1 - self.presence[name])
            flag[alike < RARE_SHARE] |= OutOfRangeFlag.PREDICTORS_DIFFER
        score = self._score(seen)
        with np.errstate(invalid="ignore"):
            flag[score > 1] |= OutOfRangeFlag.PROFILE_UNLIKE_TRAINING
        flag[~seen.visible] |= OutOfRangeFlag.NO_VISIBLE_DATA
        return _make_assessment(curtain, flag, score)

    def _check_network(self, preprocessing: Preprocessing) -> None:
        ours = (self.grid, self.hidden_rows, self.floor_dbz, tuple(self.presence))
        asked = (
            preprocessing.grid,
            preprocessing.output_rows,
            preprocessing.floor_dbz,
            _list_predictors(preprocessing),
        )
        if ours != asked:
            raise CurtainError(
                f"the domain was fitted for another network: it has {ours}; this network has"
                f" {asked}"
            )

    def _compare_source(self, frequency_ghz: float | None, floor_dbz: float | None) -> int:
        """Returns the bits of what is known of a source without a look at its data."""
        bits = 0
        if frequency_ghz is None or self.frequency_ghz is None:
            bits |= OutOfRangeFlag.BAND_UNKNOWN
        elif not 1 / BAND_FACTOR <= frequency_ghz / self.frequency_ghz <= BAND_FACTOR:
            bits |= OutOfRangeFlag.BAND_DIFFERS
        # Of a more sensitive source the network's own floor takes away what it never saw.
        if floor_dbz is not None and floor_dbz > self.floor_dbz + SENSITIVITY_MARGIN_DB:
            bits |= OutOfRangeFlag.SENSITIVITY_DIFFERS
        return bits

    def _compare_sampling(self, seen: _Seen) -> int:
        """Returns the bits of what a whole curtain tells."""
        bits = 0
        shortest, longest = self.time_steps_s
        if (
            not shortest / TIME_STEP_FACTOR <= seen.step_s <= longest * TIME_STEP_FACTOR
        ):  # NaN is not alike either
            bits |= OutOfRangeFlag.TIME_STEP_DIFFERS
        if seen.weakest_echo_dbz > self.weakest_echo_dbz + SENSITIVITY_MARGIN_DB:
            bits |= OutOfRangeFlag.SENSITIVITY_DIFFERS
        return bits

    def _score(self, seen: _Seen) -> np.ndarray:
        """Returns the score `(time,)` as it is published, float32."""
        features = _standardize(seen, np.asarray(self.centres), np.asarray(self.scales))
        distance = _find_distance(features, np.asarray(self.references))
        return np.where(seen.visible, distance / self.limit, np.nan).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What a domain takes from a curtain.

    Attributes:
        time_s: Time of each profile [s] since any one moment `(time,)`.
        sites: Latitude and longitude [degree] of where the radar stands, if that is known; `None`
            if it moves.
        visible: Whether a profile has any visible data `(time,)`.
        present: Whether it has each predictor `(time,)`.
        summaries: `(time, kind, band)` in network units, NaN where a band holds nothing of a kind.
        step_s: Median time between profiles [s]; NaN of a single one.
        weakest_echo_dbz: The 1 % quantile of visible echo [dBZ]; NaN where there is too little.
    """

    time_s: np.ndarray
    sites: tuple[tuple[float, float], ...] | None
    visible: np.ndarray
    present: Mapping[str, np.ndarray]
    summaries: np.ndarray
    step_s: float
    weakest_echo_dbz: float


def fit_applicability(
    curtains: Iterable[xr.Dataset],
    preprocessing: Preprocessing,
    *,
    frequency_ghz: float | None = None,
) -> Applicability:
    """Returns what the days that a network was trained and calibrated on were like.

    Args:
        curtains: Gridded radar curtains `(time, height)`, one a day in the order of time, with
            their partners where the network uses them. Each is looked at once. A single one is held
            against itself, half by half.
        preprocessing: How curtains are shown to the network.
        frequency_ghz: Radar frequency [GHz], if known.

    Raises:
        CurtainError: If a curtain has no radar echo or another grid, or all of them show nothing
            but clear sky.
    """
    days = _look_at_all(curtains, preprocessing)
    centres, scales = _find_scales(days)
    parts = _part([_standardize(day, centres, scales)[day.visible] for day in days])
    references = [_cover(part, _REFERENCES_PER_PART) for part in parts]
    limit = _find_limit(parts, references)
    if limit <= 0:
        raise CurtainError(
            "fitting a domain: the curtains show nothing but clear sky; days with weather are right"
        )
    steps = [day.step_s for day in days if np.isfinite(day.step_s)]
    weakest = [day.weakest_echo_dbz for day in days if np.isfinite(day.weakest_echo_dbz)]
    moves = any(day.sites is None for day in days)
    return Applicability(
        grid=preprocessing.grid,
        hidden_rows=preprocessing.output_rows,
        floor_dbz=preprocessing.floor_dbz,
        frequency_ghz=frequency_ghz,
        sites=None if moves else tuple(sorted({site for day in days for site in day.sites or ()})),
        weakest_echo_dbz=max(weakest, default=preprocessing.floor_dbz),
        time_steps_s=(min(steps, default=0.0), max(steps, default=0.0)),
        presence={
            name: float(np.concatenate([day.present[name][day.visible] for day in days]).mean())
            for name in _list_predictors(preprocessing)
        },
        centres=tuple(map(tuple, centres.tolist())),
        scales=tuple(scales.tolist()),
        references=tuple(map(tuple, np.concatenate(references).tolist())),
        limit=limit,
        days=len(days),
    )


def find_bands(rows: int) -> np.ndarray:
    """Returns where the bands of so many rows begin: 0, 4, 8, 16, ..., each as deep as all below it together."""
    doublings = max(int(np.ceil(np.log2(rows / _LOWEST_BAND_ROWS))), 0)
    return np.array([0, *(_LOWEST_BAND_ROWS * 2**power for power in range(doublings))])


def _list_predictors(preprocessing: Preprocessing) -> tuple[str, ...]:
    return "reflectivity", *(name for name in preprocessing.channels if name in MEASURED_CHANNELS)


def _make_assessment(curtain: xr.Dataset, flag: np.ndarray, score: np.ndarray) -> xr.Dataset:
    variables = {
        "out_of_range_flag": ("time", flag.astype(np.int16)),
        "out_of_range_score": ("time", score.astype(np.float32)),
    }
    return xr.Dataset(variables, {"time": curtain["time"].values})


def _check_numbers(name: str, values: Sequence[Any], shape: tuple[int, ...]) -> None:
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise CurtainError(f"the domain's '{name}' are not numbers {shape}: {error}") from error
    if found.shape != shape or not found.size or not np.isfinite(found).all():
        raise CurtainError(
            f"the domain's '{name}' are of the shape {found.shape}; finite numbers {shape} are"
            " right"
        )


def _look(curtain: xr.Dataset, preprocessing: Preprocessing) -> _Seen:
    """Returns what a domain takes from the rows of a gridded curtain that no blind zone of the network hides."""
    profiles = preprocessing.encode_curtain(curtain)
    shown = slice(preprocessing.output_rows, None)
    looked, units = profiles.looked[:, shown], profiles.reflectivity[:, shown]
    echo = units > preprocessing.scaling.clear_limit
    present = {"reflectivity": 2 * looked.sum(axis=1) >= looked.shape[1]}
    summaries = _summarize_echo(units, preprocessing)
    for name in _list_predictors(preprocessing)[1:]:
        present[name], mean = _summarize_channel(profiles, name, shown, echo)
        summaries.append(mean)
    times = curtain["time"].values
    time_s = (times - times[0]) / np.timedelta64(1, "s")
    dbz = preprocessing.scaling.unscale(units[echo])
    return _Seen(
        time_s=time_s,
        sites=_find_sites(curtain),
        visible=np.any(profiles.looked[:, preprocessing.hidden_rows :], axis=1),
        present=present,
        summaries=np.stack(summaries, axis=1),
        step_s=float(np.median(np.diff(time_s))) if time_s.size > 1 else np.nan,
        weakest_echo_dbz=(
            float(np.quantile(dbz, _WEAKEST_LEVEL)) if dbz.size >= _ENOUGH_ECHO else np.nan
        ),
    )


def _look_at_all(curtains: Iterable[xr.Dataset], preprocessing: Preprocessing) -> list[_Seen]:
    """Returns what a domain takes from each curtain that has any visible data."""
    days = []
    for number, curtain in enumerate(curtains, start=1):
        where = f"fitting a domain, curtain {number}"
        check_radar(curtain, where=where)
        heights, right = curtain["height"].values, preprocessing.grid.centres_m
        if not preprocessing.grid.matches(heights):
            raise CurtainError(
                f"{where}: {heights.size} rows up to {heights[-1]:.1f} m; "
                f"{right.size} rows up to {right[-1]:.1f} m are right"
            )
        seen = _look(curtain, preprocessing)
        if seen.visible.any():
            days.append(seen)
    if not days:
        raise CurtainError(
            "fitting a domain: no curtain has any visible data; at least one day of weather is"
            " right"
        )
    return days


def _find_sites(curtain: xr.Dataset) -> tuple[tuple[float, float], ...] | None:
    """Returns latitude and longitude [degree] of a fixed site, nothing if it is not known, `None` if there is none."""
    position = [curtain[name].values for name in _POSITION]
    if any(values.ndim for values in position):
        return None
    north, east = (round(values.item(), 2) for values in position)
    return ((north, east),) if np.isfinite(north + east) else ()


def _find_elsewhere(curtain: xr.Dataset, sites: Sequence[tuple[float, float]]) -> np.ndarray:
    """Returns which profiles `(time,)` are not known to be within 100 km of a site."""
    shape = (curtain.sizes["time"], 1)
    north, east = (
        np.broadcast_to(np.radians(curtain[name].values.reshape(-1, 1)), shape)
        for name in _POSITION
    )
    north_of, east_of = np.radians(np.reshape(sites, (-1, 2))).T
    cosine = np.sin(north) * np.sin(north_of) + np.cos(north) * np.cos(north_of) * np.cos(
        east - east_of
    )
    near = (
        _EARTH_RADIUS_KM * np.arccos(np.clip(cosine, -1, 1)) <= SAME_SITE_KM
    )  # NaN is not near either
    elsewhere: np.ndarray = ~np.any(near, axis=1)
    return elsewhere


def _summarize_echo(units: np.ndarray, preprocessing: Preprocessing) -> list[np.ndarray]:
    """Returns mean and maximum above the floor of reflectivity `(time, row)`, both `(time, band)`, NaN without echo."""
    above = np.maximum(units - preprocessing.floor_unit, 0)
    bands = find_bands(units.shape[1])
    depths = np.diff(bands, append=units.shape[1])
    kinds = (
        np.add.reduceat(above, bands, axis=1) / depths,
        np.maximum.reduceat(above, bands, axis=1),
    )
    return [np.where(kind > 0, kind, np.nan) for kind in kinds]


def _summarize_channel(
    profiles: Profiles, name: str, shown: slice, echo: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns which profiles have a measured channel `(time,)`, and its mean `(time, band)`, NaN without a value."""
    bands = find_bands(echo.shape[1])
    if name not in profiles.measured:
        return np.zeros(len(echo), dtype=bool), np.full((len(echo), bands.size), np.nan)
    units, there = (plane[:, shown] for plane in profiles.measured[name])
    # A lidar may end below the highest rows; the velocity of each echo should be known.
    known = (
        np.any(there, axis=1)
        if name in COLLOCATED_CHANNELS
        else 2 * (there & echo).sum(axis=1) >= echo.sum(axis=1)
    )
    valued = units > ABSENT_UNIT
    count = np.add.reduceat(valued, bands, axis=1, dtype=np.float64)
    total = np.add.reduceat(np.where(valued, units, 0), bands, axis=1, dtype=np.float64)
    return known, np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _find_scales(days: Sequence[_Seen]) -> tuple[np.ndarray, np.ndarray]:
    """Returns centres `(kind, band)` and scales `(kind,)` of what the summaries of all days hold."""
    held = np.concatenate([day.summaries[day.visible] for day in days])
    count = np.isfinite(held).sum(axis=0)
    centres = np.nansum(held, axis=0) / np.maximum(count, 1)
    centres[:2] = 0  # reflectivity at the floor and no echo are next to each other
    squares = np.nansum((held - centres) ** 2, axis=(0, 2))
    scales = np.sqrt(squares / np.maximum(count.sum(axis=1), 1))
    return centres, np.maximum(scales, _SMALLEST_SCALE)


def _standardize(seen: _Seen, centres: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Returns the features `(time, feature)`: the summaries, 0 where there is nothing, and their running means."""
    now = np.nan_to_num((seen.summaries - centres) / scales[:, None]).reshape(len(seen.time_s), -1)
    first = np.searchsorted(seen.time_s, seen.time_s - MEAN_OVER_S / 2)
    last = np.searchsorted(seen.time_s, seen.time_s + MEAN_OVER_S / 2, side="right")
    sums = np.concatenate([np.zeros((1, now.shape[1])), np.cumsum(now, axis=0)])
    return np.concatenate([now, (sums[last] - sums[first]) / (last - first)[:, None]], axis=1)


def _part(days: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns profiles `(profile, feature)` in at most 16 parts, each of days in a row; of a single day, its halves."""
    thinned = [day[:: -(-len(day) // _PROFILES_PER_CURTAIN)] for day in days]
    if len(thinned) == 1:
        thinned = np.array_split(thinned[0], 2)
    numbers = np.array_split(np.arange(len(thinned)), min(len(thinned), _LARGEST_PARTS))
    return [np.concatenate([thinned[number] for number in part]) for part in numbers]


def _cover(profiles: np.ndarray, count: int) -> np.ndarray:
    """Returns clear sky and those profiles that lie, one after another, furthest from all before (Gonzalez 1985)."""
    chosen = [np.zeros(profiles.shape[1])]
    nearest = np.full(len(profiles), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((profiles - chosen[-1]) ** 2).sum(axis=1))
        if not nearest.any():
            break
        chosen.append(profiles[np.argmax(nearest)].round(2))  # as it is stored
    return np.array(chosen)


def _find_limit(parts: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    """Returns the percentile of the distances of each part to the references of all the others."""
    distances = [
        _find_distance(part, np.concatenate([*references[:number], *references[number + 1 :]]))
        for number, part in enumerate(parts)
    ]
    return float(np.quantile(np.concatenate(distances), 1 - UNLIKE_SHARE, method="higher"))


def _find_distance(profiles: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Returns the Euclidean distance of each profile `(profile, feature)` to the nearest reference, `(profile,)`."""
    # |x - r|^2 = |x|^2 - 2 x.r + |r|^2, whose rounding may leave a little less than 0.
    squares = (references**2).sum(axis=1) - 2 * profiles @ references.T
    distance: np.ndarray = np.sqrt(np.maximum(squares.min(axis=1) + (profiles**2).sum(axis=1), 0))
    return distance
