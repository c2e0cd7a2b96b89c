"""Fitting hidden shallow echo: rates of days, their weight, and scores of days left out."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.derivation.shallow_fit import ClearSky, compare_days, fit_hidden_echo


def make_day(
    *, members: float, truth: float, largest: float = 0.1, profiles: int = 1000
) -> ClearSky:
    """Profiles that are alike; so many of them hold echo."""
    return ClearSky(
        largest=np.full(profiles, largest),
        members=np.full(profiles, members),
        echo=np.arange(profiles) < truth * profiles,
    )


def test_days_count_against_the_members_own_chance() -> None:
    days = [make_day(members=0.2, truth=0.05)] * 4
    # A rate of a quarter of the members': (4 * 0.25 + 4 * 1) / 8; without any prior a quarter.
    for prior_days, share in ((4, 0.625), (0, 0.25), (1e12, 1.0)):
        hidden = fit_hidden_echo(days, prior_days)
        assert hidden is not None
        assert hidden.find(np.array([0.1])) == pytest.approx(share)
        assert (hidden.days, hidden.prior_days) == (4, prior_days)


def test_shares_depend_on_the_largest_probability() -> None:
    days = [
        make_day(members=0.2, truth=0.02, largest=0.1),
        make_day(members=0.5, truth=0.4, largest=0.3),
    ]
    hidden = fit_hidden_echo(days, 0)
    assert hidden is not None
    assert hidden.find(np.array([0.0, 0.1, 0.3, 0.9])) == pytest.approx([0.1, 0.1, 0.8, 0.8])


def test_members_gain_no_echo() -> None:
    hidden = fit_hidden_echo([make_day(members=0.1, truth=0.9)], 0)
    assert hidden is not None
    assert set(hidden.shares) == {1.0}
    never = fit_hidden_echo([make_day(members=0.0, truth=0.9)], 0)
    assert never is not None
    assert set(never.shares) == {1.0}


def test_without_a_clear_sky_there_is_no_curve() -> None:
    cloudy = make_day(members=0.1, truth=0, profiles=0)
    assert fit_hidden_echo([cloudy], 5) is None
    assert compare_days([cloudy, make_day(members=0.1, truth=0)], 5) == ({}, {})


def test_each_day_is_scored_by_the_curve_of_the_others() -> None:
    days = [make_day(members=0.2, truth=0.0), make_day(members=0.2, truth=0.1)]
    before, after = compare_days(days, 0)
    assert before["hidden echo: happened"] == after["hidden echo: happened"] == 0.05
    assert before["hidden echo: stated"] == pytest.approx(0.2)
    # The first day is told 0.1 by the second, the second 0 by the first.
    assert after["hidden echo: stated"] == pytest.approx(0.05)
    assert after["hidden echo: brier"] == pytest.approx((0.1**2 + 0.1) / 2)
