"""The calendar of derived days."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from tiny_products import make_product

from blindzone.core.errors import ProductError
from blindzone.pipeline.derivation.columns import CLASS_NAMES
from blindzone.pipeline.derivation.derived_product import derive_product
from blindzone.pipeline.derivation.phase import PrecipitationPhase
from blindzone.pipeline.plots.derived_calendar import draw_calendar, plot_calendar


@pytest.fixture(scope="module")
def derived() -> xr.Dataset:
    return derive_product(make_product(), members=3)


def shift(derived: xr.Dataset, days: int, rain_mm: float = 3.0) -> xr.Dataset:
    """The same day some days later, of a sum and an interval from half of it to twice it."""
    step = np.timedelta64(days, "D")
    moved = derived.assign_coords(time=derived["time"] + step, day=derived["day"] + step)
    bounds = derived["daily_rainfall_amount_quantile"] * 0
    shares = xr.DataArray([0.5, 0.8, 1.0, 1.2, 2.0], dims="quantile")
    return moved.assign(
        daily_rainfall_amount=("day", [rain_mm]),
        daily_rainfall_amount_quantile=(bounds.dims, rain_mm * shares.values[:, None]),
        daily_snowfall_amount=("day", [0.0]),
        daily_snowfall_amount_quantile=(bounds.dims, np.zeros((5, 1))),
        precipitation_phase=("time", np.full(moved.sizes["time"], PrecipitationPhase.RAIN)),
    )


def list_texts(figure: object, axis: int) -> list[str]:
    return [text.get_text() for text in figure.axes[axis].texts]  # type: ignore[attr-defined]


def test_day_has_its_sum_and_interval_and_the_others_are_empty(derived: xr.Dataset) -> None:
    # From Sunday, 14 March, on: the same month, and the next one.
    figure = plot_calendar([shift(derived, 20), shift(derived, 1, 0.5), shift(derived, 0)])
    march, april, hours = figure.axes
    assert march.get_title(loc="left") == "March 2021"
    assert len(march.patches) == 31
    assert len(april.patches) == 30
    texts = list_texts(figure, 0)
    assert texts.count("3 mm rain") == 1
    assert texts[texts.index("3 mm rain") + 1] == "1.5 to 6"
    assert "0.50 mm rain" in texts
    # It is too warm for snow, so that there is no word of it.
    assert not any("snow" in text for text in texts)
    filled = [tuple(patch.get_facecolor()) != (1, 1, 1, 1) for patch in march.patches]
    assert np.flatnonzero(filled).tolist() == [13, 14]
    assert hours.get_xlabel() == "Time (UTC)"


def test_classes_of_an_hour_stack_up_to_one(derived: xr.Dataset) -> None:
    *_, hours = plot_calendar([derived]).axes
    bars = np.asarray([patch.get_height() for patch in hours.patches])
    by_class = bars.reshape(len(CLASS_NAMES), 24)
    np.testing.assert_allclose(by_class.sum(axis=0), [1] + [0] * 23, atol=1e-6)


def test_day_without_a_sum_says_so(derived: xr.Dataset) -> None:
    nothing = shift(derived, 0, np.nan)
    nothing["daily_snowfall_amount"][:] = np.nan
    assert "no sum" in list_texts(plot_calendar([nothing]), 0)


def test_sums_of_an_unknown_phase_are_those_of_rain_and_of_snow(derived: xr.Dataset) -> None:
    unknown = shift(derived, 0)
    unknown["precipitation_phase"][:] = PrecipitationPhase.UNKNOWN
    texts = list_texts(plot_calendar([unknown]), 0)
    assert {"3 mm rain", "0 mm snow"} <= set(texts)


def test_days_that_do_not_go_together_are_refused(derived: xr.Dataset, tmp_path: Path) -> None:
    elsewhere = shift(derived, 1).assign_coords(latitude=50.0)
    for days, message in (
        ([], "no derived product"),
        ([derived, derived], "2021-03-14 is in another file too"),
        ([derived, elsewhere], "of another site"),
        ([derived.drop_dims("day")], "no daily sums"),
        ([make_product()], "no derived product"),
    ):
        with pytest.raises(ProductError, match=message):
            plot_calendar(days)
    draw_calendar([derived], tmp_path / "days.png")
    assert (tmp_path / "days.png").read_bytes().startswith(b"\x89PNG")
