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


def panels_of(figure: Figure | None) -> dict[str, Axes]:
    assert figure is not None
    return {ax.get_title(loc="left"): ax for ax in figure.axes if ax.axison}


def test_only_numbers_that_there_are_have_a_panel() -> None:
    points = make_points(CSI=[0.5, 0.6], filled_pixel_share=[0.9, 1.0], unknown=[1.0, 2.0])
    assert set(panels_of(plot_trends(points))) == {"CSI", TRENDS["filled_pixel_share"]}


def test_days_are_drawn_in_order_a_line_a_source() -> None:
    panel = panels_of(plot_trends(make_points(CSI=[0.5, 0.6, 0.7])))["CSI"]
    assert len(panel.lines) == 2
    assert len({line.get_color() for line in panel.lines}) == 2
    for line in panel.lines:
        assert np.asarray(line.get_ydata()).tolist() == [0.5, 0.6, 0.7]
        assert [num2date(at).date() for at in line.get_xdata(orig=False)] == [  # type: ignore[no-untyped-call, union-attr]
            FIRST + timedelta(days=day) for day in range(3)
        ]


def test_day_without_a_number_is_left_out() -> None:
    points = [*make_points(CSI=[0.5]), ("station", FIRST + timedelta(days=1), {"drift_score": 2.0})]
    panels = panels_of(plot_trends(points))
    assert [len(np.asarray(line.get_ydata())) for line in panels["CSI"].lines] == [1, 1]
    drift = panels[TRENDS["drift_score"]]
    assert [list(np.asarray(line.get_ydata())) for line in drift.lines] == [[2.0], [1.0, 1.0]]
    # The second line is the limit.


def test_shares_are_percent_from_none_to_all() -> None:
    panel = panels_of(plot_trends(make_points(filled_pixel_share=[0.2, 0.4])))[
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
