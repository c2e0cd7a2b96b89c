"""Products of a block's days against a disdrometer at the ground, next to what needs no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import Field

from blindzone.core.configuration import configuration
from blindzone.core.errors import ArchiveError, PlanError, ProductError
from blindzone.core.progress import OnProgress
from blindzone.flows.experiments.day_blocks import Block, find_days, find_training_days
from blindzone.flows.running.plans import Address, DataPlaces
from blindzone.flows.running.source_data import SourceData, open_source
from blindzone.flows.running.workspace import product_folder, workspace
from blindzone.pipeline.archive.collocation import open_surface
from blindzone.pipeline.curtains.surface import pick_series
from blindzone.pipeline.derivation.derived_product import derive_product
from blindzone.pipeline.derivation.precipitation import find_frequency, find_row
from blindzone.pipeline.derivation.rates import find_member_rates
from blindzone.pipeline.derivation.relations import LawChoice, Phase, choose_laws
from blindzone.pipeline.derivation.sums import DAY, HOUR, Windows, list_windows, sum_windows
from blindzone.pipeline.products.product_store import ProductStore
from blindzone.pipeline.verification.at_ground import (
    LEAST_RAIN_MM_H,
    GroundForecast,
    GroundSums,
    GroundTruth,
    WindowForecast,
    average_minutes,
    sum_ground,
    sum_measured,
)
from blindzone.pipeline.verification.bootstrap import Estimate, draw_scores
from blindzone.pipeline.verification.curtain_scores import Regime, find_regimes

FILLED = "filled"
SCHEMES = (FILLED, "lowest row", "persistence", "climatology")
"""What is scored: the product; the lowest trusted row, as a radar without a blind zone sees it; the
lowest visible row; and how often and how much it rains by what is seen above the blind zone."""
MM_H_PER_M_S = 3.6e6
_COUNTED = "n_particles"
"""A field that only disdrometers have."""


@configuration(error=PlanError, what="evaluate")
class GroundPlan:
    """What is scored against a disdrometer, and on what."""

    source: str
    """Name of the radar in the catalogue; one of its partners at the surface is a disdrometer."""
    block: Block = "validation"
    """`validation`, or `test`, which nothing may be tuned on."""
    members: Annotated[int, Field(ge=2)] = 50
    """Number of ensemble members."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the members and of the resampling of days."""
    products: Address | None = None
    """Folder or URL of the days' products; by default that of the workspace."""
    output: Path | None = None
    """Folder of the tables; by default one in the workspace."""
    places: DataPlaces = field(default_factory=DataPlaces)
    """Where catalogue and archive are."""

    @property
    def folder(self) -> Path:
        """Folder of the tables."""
        return self.output or workspace() / "evaluations" / f"{self.source}_{self.block}_at_ground"


@dataclass(frozen=True, kw_only=True)
class GroundReport:
    """Scores of a block's days at the ground.

    Attributes:
        source: Name of the source.
        block: Name of the block.
        days: Sums of each scheme by day.
        scores: Scores of each scheme with bounds.
        gains: How much those of the product differ from those of persistence.
    """

    source: str
    block: str
    days: Mapping[date, Mapping[str, GroundSums]]
    scores: Mapping[str, Mapping[str, Estimate]]
    gains: Mapping[str, Estimate]


def score_at_ground(plan: GroundPlan, on_progress: OnProgress) -> GroundReport:
    """Scores the products of a block's days against a disdrometer.

    Args:
        plan: What is scored, and on what.
        on_progress: Called with the progress.

    Raises:
        CatalogError: If the source or its days are not known.
        ArchiveError: If the archive lacks a day, or the disdrometer.
        ProductError: If a day has no product.
    """
    data = open_source(plan.source, plan.places)
    days = find_days(data, plan.block)
    store = ProductStore(plan.products or product_folder())
    products = {day: _locate(store, plan, day) for day in days}
    training = find_training_days(data)
    climatology = fit_climatology(data, training, lambda share: on_progress(share / 2, "training"))
    sums: dict[date, dict[str, GroundSums]] = {}
    for number, day in enumerate(days):
        on_progress(0.5 + number / len(days) / 2, str(day))
        with xr.open_dataset(products[day], engine="h5netcdf") as product:
            sums[day] = score_day(data, day, product.load(), climatology, plan)
    on_progress(1.0, "")
    drawn = {
        name: draw_scores(
            [of_day[name] for of_day in sums.values()], GroundSums.scores, seed=plan.seed
        )
        for name in SCHEMES
    }
    return GroundReport(
        source=plan.source,
        block=plan.block,
        days=sums,
        scores={name: of.bound() for name, of in drawn.items()},
        gains=drawn[FILLED].subtract(drawn["persistence"]).bound(),
    )


def _locate(store: ProductStore, plan: GroundPlan, day: date) -> str:
    """Returns the place of a day's product.

    Raises:
        ProductError: If there is none.
    """
    place = store.locate(plan.source, day)
    if store.find_target(plan.source, day) is None:
        raise ProductError(
            f"{place}: no product that opens; 'blindzone inpaint {plan.source} --start {day} --end"
            f" {day}' makes it"
        )
    return place


@dataclass(frozen=True, kw_only=True)
class Climatology:
    """How often and how much it rains at the ground, by what is seen above the blind zone.

    Attributes:
        echo: Share of minutes in which the disdrometer counts a particle `(regime,)`.
        rain: Share of minutes with rain.
        rate_mm_h: Mean rate [mm h-1].
    """

    echo: np.ndarray
    rain: np.ndarray
    rate_mm_h: np.ndarray


def fit_climatology(
    data: SourceData, days: Sequence[date], on_share: Callable[[float], None]
) -> Climatology:
    """Returns the climatology of days; minutes of the pooled one count where a regime has none."""
    counts = np.zeros((4, len(Regime)))
    for number, day in enumerate(days):
        stamps, rate = read_minutes(data, day)
        curtain = data.read(day)
        visible = _cut_visible(curtain["reflectivity"], data.entry.blind_zone.top_m)
        floor_dbz = data.entry.quality.sensitivity_floor_dbz
        regime = _find_minute_regimes(visible, floor_dbz, curtain["time"].values, stamps)
        known = np.isfinite(rate)
        for row, values in enumerate((known, rate > 0, rate >= LEAST_RAIN_MM_H, rate)):
            counts[row] += np.bincount(regime[known], values[known], minlength=len(Regime))
        on_share((number + 1) / len(days))
    pooled = counts.sum(axis=1, keepdims=True)
    used = np.where(counts[0] > 0, counts, pooled)
    return Climatology(
        **dict(zip(("echo", "rain", "rate_mm_h"), used[1:] / np.maximum(used[0], 1), strict=True))
    )


def read_minutes(data: SourceData, day: date) -> tuple[np.ndarray, np.ndarray]:
    """Returns ends of the minutes that a disdrometer measured on a day, and their rates [mm h-1].

    Raises:
        ArchiveError: If no disdrometer is collocated, or the archive has nothing of it on the day.
    """
    series = open_surface(data.archive, data.catalog, data.name, day)
    drops = pick_series(series.values(), _COUNTED)
    start = np.datetime64(day, "ns")
    if drops is not None:
        stamps = drops["time"].values
        inside = (stamps > start) & (stamps <= start + DAY)
        if inside.any():
            return stamps[inside], drops["rainfall_rate"].values[inside] * MM_H_PER_M_S
    names = data.entry.partners.surface
    raise ArchiveError(
        f"{data.where(day)}: the archive has no minute of a disdrometer at the surface (partners:"
        f" {', '.join(names) or 'none'}); one under 'partners: {{surface: [...]}}' that is ingested"
        " is right"
    )


def _cut_visible(reflectivity: xr.DataArray, top_m: float) -> np.ndarray:
    """Returns the rows that begin at the blind zone's top or above, `(time, row)`."""
    heights = reflectivity["height"].values
    half = (heights[1] - heights[0]) / 2
    return np.asarray(reflectivity.values[:, heights - half >= top_m - 1e-3])


def _find_minute_regimes(
    visible: np.ndarray, floor_dbz: float, times: np.ndarray, stamps: np.ndarray
) -> np.ndarray:
    """Returns the commonest `Regime` of each minute's profiles; unknown where there is none."""
    of_profiles = find_regimes(visible, floor_dbz, profiles=len(visible))
    one_hot = np.asarray([of_profiles == regime for regime in Regime], dtype=np.float32)
    shares = average_minutes(one_hot, times, stamps)
    unknown = np.isnan(shares).any(axis=0)
    return np.where(unknown, Regime.UNKNOWN, np.nan_to_num(shares).argmax(axis=0))


def score_day(
    data: SourceData, day: date, product: xr.Dataset, climatology: Climatology, plan: GroundPlan
) -> dict[str, GroundSums]:
    """Returns the sums of a day of each scheme, all over the same minutes and windows."""
    stamps, rate = read_minutes(data, day)
    times, top_m = product["time"].values, float(product["blind_zone_top"][0])
    visible = _cut_visible(product["reflectivity_observed"], top_m)
    floor_dbz = float(product["sensitivity_floor"])
    regime = _find_minute_regimes(visible, floor_dbz, times, stamps)
    windows = list_windows(times, HOUR), list_windows(times, DAY)
    truth = GroundTruth(
        rate_mm_h=rate,
        regime=regime,
        hours_mm=sum_measured(stamps, rate, windows[0].starts, windows[0].ends),
        days_mm=sum_measured(stamps, rate, windows[1].starts, windows[1].ends),
    )
    rows = {
        "lowest row": product["reflectivity_observed"].isel(height=find_row(product, None)),
        "persistence": product["reflectivity_observed"].isel(
            height=int(product.sizes["height"] - visible.shape[1])
        ),
    }
    laws = choose_laws(find_frequency(product), Phase.RAIN)
    derived = derive_product(product, members=plan.members, seed=plan.seed, with_members=True)
    forecasts = {
        FILLED: forecast_filled(derived, stamps),
        **{name: forecast_row(row, laws, floor_dbz, stamps, windows) for name, row in rows.items()},
        "climatology": forecast_climatology(climatology, regime, stamps, windows),
    }
    return _score_alike(forecasts, truth)


def _score_alike(
    forecasts: Mapping[str, GroundForecast], truth: GroundTruth
) -> dict[str, GroundSums]:
    """Returns the sums of schemes over the minutes and windows that all of them know."""
    every = forecasts.values()
    minutes = np.all([np.isfinite(one.echo + one.rain + one.rate_mm_h) for one in every], axis=0)
    hours = np.all([np.isfinite(one.hours.expected_mm) for one in every], axis=0)
    days = np.all([np.isfinite(one.days.expected_mm) for one in every], axis=0)
    shared = replace(
        truth,
        rate_mm_h=np.where(minutes, truth.rate_mm_h, np.nan),
        hours_mm=np.where(hours, truth.hours_mm, np.nan),
        days_mm=np.where(days, truth.days_mm, np.nan),
    )
    return {name: sum_ground(forecast, shared) for name, forecast in forecasts.items()}


def forecast_filled(derived: xr.Dataset, stamps: np.ndarray) -> GroundForecast:
    """Returns what a derived product says of minutes and windows.

    Args:
        derived: What `derive_product` returned, with the rates of members.
        stamps: Ends of the minutes.
    """
    times, height_m = derived["time"].values, float(derived["precipitation_height"])
    rates = derived["rainfall_rate_realization"].transpose("realization", "time").values
    of_members = average_minutes(rates, times, stamps, height_m)
    known = np.isfinite(of_members).all(axis=0)
    echo = derived["echo_to_ground_probability"].values
    return GroundForecast(
        echo=average_minutes(echo, times, stamps, height_m),
        rain=np.where(known, (of_members >= LEAST_RAIN_MM_H).mean(axis=0), np.nan),
        rate_mm_h=of_members.mean(axis=0),
        hours=_take_windows(derived, "hourly"),
        days=_take_windows(derived, "daily"),
    )


def _take_windows(derived: xr.Dataset, kind: str) -> WindowForecast:
    quantiles = derived[f"{kind}_rainfall_amount_quantile"]
    return WindowForecast(
        expected_mm=derived[f"{kind}_rainfall_amount"].values,
        low_mm=quantiles.sel(quantile=0.05).values,
        high_mm=quantiles.sel(quantile=0.95).values,
    )


def forecast_row(
    row: xr.DataArray,
    laws: LawChoice,
    floor_dbz: float,
    stamps: np.ndarray,
    windows: tuple[Windows, Windows],
) -> GroundForecast:
    """Returns what an observed row says if it goes on to the ground.

    Args:
        row: Reflectivity [dBZ] `(time,)`, NaN without echo.
        laws: The laws of rain.
        floor_dbz: Sensitivity floor [dBZ].
        stamps: Ends of the minutes.
        windows: Hours and days.
    """
    times, height_m = row["time"].values, float(row["height"])
    single = (
        row.drop_vars("height").fillna(floor_dbz).clip(min=floor_dbz).expand_dims("realization")
    )
    single = single.assign_coords(realization=[1])
    rates = find_member_rates(single, laws, floor_dbz).values[0]
    rate = average_minutes(rates, times, stamps, height_m)
    echo = average_minutes((single.values[0] > floor_dbz).astype(float), times, stamps, height_m)

    def add_up(of: Windows) -> WindowForecast:
        return WindowForecast.without_bounds(sum_windows(single, of, laws, floor_dbz)["sum"].values)

    return GroundForecast(
        echo=echo,
        rain=np.where(np.isfinite(rate), rate >= LEAST_RAIN_MM_H, np.nan),
        rate_mm_h=rate,
        hours=add_up(windows[0]),
        days=add_up(windows[1]),
    )


def forecast_climatology(
    climatology: Climatology,
    regime: np.ndarray,
    stamps: np.ndarray,
    windows: tuple[Windows, Windows],
) -> GroundForecast:
    """Returns the climatology given what is seen above the blind zone."""
    rate = climatology.rate_mm_h[regime]

    def add_up(of: Windows) -> WindowForecast:
        return WindowForecast.without_bounds(sum_measured(stamps, rate, of.starts, of.ends))

    return GroundForecast(
        echo=climatology.echo[regime],
        rain=climatology.rain[regime],
        rate_mm_h=rate,
        hours=add_up(windows[0]),
        days=add_up(windows[1]),
    )
