"""Network units: the numbers of King et al. (2024), and what follows from them."""

from __future__ import annotations

from blindzone.core import network_units as units


def test_clear_sky_lies_as_far_below_the_weakest_echo_as_documented() -> None:
    # -60 ... 30 dBZ to -0.5 ... 1: 90 dB are 1.5 units.
    assert units.DB_PER_UNIT == 60.0
    assert units.CLEAR_UNIT < units.ECHO_ABOVE < units.LOWEST_UNIT
    assert units.ECHO_ABOVE == -0.75


def test_absent_values_lie_outside_the_range_of_every_field() -> None:
    assert units.ABSENT_UNIT < units.LOWEST_UNIT
