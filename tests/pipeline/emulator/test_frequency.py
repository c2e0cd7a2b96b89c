"""Ka to W band."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.core.errors import CurtainError
from blindzone.pipeline.emulator.frequency import convert_dielectric_factor, to_w_band


def test_w_band_is_left_alone() -> None:
    dbz = np.array([-30.0, np.nan, 20.0])
    np.testing.assert_array_equal(to_w_band(dbz, 95.0), dbz)


def test_ka_band_follows_the_published_relation_up_to_30_dbz() -> None:
    # At 0 dBZ: 10^(-16.8251 + 2 * 8.4923) = 10^0.1595 = 1.4437 dB.
    found = to_w_band(np.array([0.0, -60.0, 30.0, 35.0, np.nan]), 35.5)
    assert found[0] == pytest.approx(-1.4437, abs=1e-4)
    assert found[1] == pytest.approx(-60, abs=1e-3)  # 40^8.4923 is nothing
    assert found[3] - found[2] == pytest.approx(5)
    assert np.isnan(found[4])


@pytest.mark.parametrize("frequency", [24.0, None])
def test_other_bands_are_refused(frequency: float | None) -> None:
    with pytest.raises(CurtainError, match="is right"):
        to_w_band(np.zeros(1), frequency)


def test_dielectric_factor_counts_only_where_it_is_stated() -> None:
    assert convert_dielectric_factor(None, 0.75) == 0
    assert convert_dielectric_factor(0.93, 0.75) == pytest.approx(10 * np.log10(0.93 / 0.75))
