"""Trends: a panel a number that there is, a colour a source, days in order."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.dates import num2date
from matplotlib.figure import Figure

from blindzone.core.errors import ProductError
from blindzone.pipeline.plots.trends import TRENDS, Point, draw_trends, plot_trends

FIRST = date(2021, 3, 14)


def make_points(**numbers: list[float]) -> list[Point]:
    """Days in a row with numbers of two sources, the later day first."""
    names = list(numbers)
    days = range(len(numbers[names[0]]))
    return [
        (source, FIRST + timedelta(days=day), {name: numbers[name][day] for name in names})
        for source in ("station", "ship")
        for day in reversed(days)
    ]


def columns_of(figure: Figure | None) -> dict[str, list[Axes]]:
    """Returns the panels below each title, those of the first source first."""
    assert figure is not None
    columns: dict[float, list[Axes]] = {}
    for ax in figure.axes:
        columns.setdefault(round(ax.get_position().x0, 3), []).append(ax)
    return {
        panels[0].get_title(loc="left").replace("\n", " "): panels for panels in columns.values()
    }


def test_only_numbers_that_there_are_have_panels() -> None:
    points = make_points(CSI=[0.5, 0.6], filled_pixel_share=[0.9, 1.0], unknown=[1.0, 2.0])
    assert set(columns_of(plot_trends(points))) == {"CSI", TRENDS["filled_pixel_share"]}


def test_days_are_drawn_in_order_a_row_a_source() -> None:
    station, ship = columns_of(plot_trends(make_points(CSI=[0.5, 0.6, 0.7])))["CSI"]
    assert [ax.texts[0].get_text() for ax in (station, ship)] == ["station", "ship"]
    for ax in (station, ship):
        (line,) = ax.lines
        assert np.asarray(line.get_ydata()).tolist() == [0.5, 0.6, 0.7]
        assert [num2date(at).date() for at in line.get_xdata(orig=False)] == [  # type: ignore[no-untyped-call, union-attr]
            FIRST + timedelta(days=day) for day in range(3)
        ]


def test_line_is_broken_where_days_are_missing() -> None:
    days = (0, 1, 4, 5)
    points: list[Point] = [
        ("station", FIRST + timedelta(days=day), {"CSI": day / 10}) for day in days
    ]
    ((panel,),) = columns_of(plot_trends(points)).values()
    drawn = np.asarray(panel.lines[0].get_ydata(), float)
    np.testing.assert_array_equal(drawn, [0.0, 0.1, np.nan, 0.4, 0.5])


def test_day_without_a_number_is_left_out() -> None:
    points = [*make_points(CSI=[0.5]), ("station", FIRST + timedelta(days=1), {"drift_score": 2.0})]
    columns = columns_of(plot_trends(points))
    assert [len(np.asarray(ax.lines[0].get_ydata())) for ax in columns["CSI"]] == [1, 1]
    station, ship = columns[TRENDS["drift_score"]]
    assert [list(np.asarray(line.get_ydata())) for line in station.lines] == [[2.0], [1.0, 1.0]]
    assert [list(np.asarray(line.get_ydata())) for line in ship.lines] == [[1.0, 1.0]]  # the limit


def test_shares_are_percent_from_none_to_all() -> None:
    panel, _ = columns_of(plot_trends(make_points(filled_pixel_share=[0.2, 0.4])))[
        TRENDS["filled_pixel_share"]
    ]
    assert panel.get_ylim() == (-0.03, 1.03)
    assert panel.yaxis.get_major_formatter()(0.5) == "50%"


def test_nothing_to_draw_makes_no_picture(tmp_path: Path) -> None:
    assert plot_trends([]) is None
    assert not draw_trends([("station", FIRST, {"unknown": 1.0})], tmp_path / "trends.png")
    assert list(tmp_path.iterdir()) == []


def test_picture_is_written(tmp_path: Path) -> None:
    assert draw_trends(make_points(CSI=[0.5, 0.6]), tmp_path / "trends.png")
    assert (tmp_path / "trends.png").stat().st_size > 5_000
    with pytest.raises(ProductError, match="unknown picture format"):
        draw_trends(make_points(CSI=[0.5]), tmp_path / "trends.txt")
