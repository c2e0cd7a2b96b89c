"""Sensors: derived numbers agree with published ones that they are not made of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from blindzone.core.errors import CurtainError
from blindzone.pipeline.emulator.sensor import CLOUDSAT, EARTHCARE, SENSORS, find_sensor


def test_cloudsat_has_its_published_footprint_pulses_and_sensitivity() -> None:
    assert CLOUDSAT.footprint_m == pytest.approx(1400)
    # 688 pulses in 0.16 s (CloudSat Data Processing Center).
    assert CLOUDSAT.pulses == pytest.approx(688, rel=0.01)
    assert CLOUDSAT.sensitivity_dbz == pytest.approx(-30, abs=0.05)
    assert not CLOUDSAT.measures_doppler


def test_earthcare_has_its_published_sensitivity_speed_and_folding_velocity() -> None:
    # -35 dBZ and 7.2 km/s (Kollias et al. 2014); 5.7 m/s at 7150 Hz.
    assert EARTHCARE.sensitivity_dbz == pytest.approx(-35, abs=0.2)
    assert EARTHCARE.ground_speed == pytest.approx(7200, rel=0.01)
    fast = replace(EARTHCARE, pulse_repetition_hz=7150)
    assert fast.nyquist_velocity == pytest.approx(5.7, abs=0.01)


def test_gates_are_the_rows_of_the_two_grids() -> None:
    assert (CLOUDSAT.grid.top_m, EARTHCARE.grid.top_m) == (15_360, 12_800)
    assert find_sensor("cloudsat") is SENSORS["cloudsat"]
    assert find_sensor(EARTHCARE) is EARTHCARE


def test_response_with_heights_out_of_order_is_refused() -> None:
    with pytest.raises(CurtainError, match="two or more that increase"):
        replace(CLOUDSAT, range_response=((100.0, 0.0), (-100.0, 0.0)))
