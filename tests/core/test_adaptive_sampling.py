"""Adaptive sampling: values that make no sense are refused with the key and what was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blindzone.core.adaptive_sampling import AdaptiveSampling
from blindzone.core.configuration import read_plain, to_plain
from blindzone.core.errors import ModelError


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tolerance_db": 0.0}, "tolerance_db: a positive number of dB is right; found 0.0"),
        ({"tolerance_db": -1.0}, "tolerance_db: a positive number of dB is right; found -1.0"),
        ({"tolerance_db": np.nan}, "tolerance_db: a positive number of dB is right; found nan"),
        ({"tolerance_db": np.inf}, "tolerance_db: a positive number of dB is right; found inf"),
        ({"share": 1.5}, r"share: should be less than or equal to 1 \(found 1.5\)"),
        ({"share": np.nan}, r"share: should be a finite number \(found nan\)"),
        ({"levels": (np.nan,)}, "levels.0: should be a finite number"),
        ({"levels": (0.05, 1.0)}, r"levels.1: should be less than 1 \(found 1.0\)"),
        ({"levels": ()}, "levels: .* at least 1 item"),
        ({"least": 1}, r"least: should be greater than or equal to 2 \(found 1\)"),
        ({"least": 20, "most": 10}, "most must be no less than least; found 10 and 20"),
        ({"values": 1}, "values: should be greater than or equal to 2"),
        ({"tolerance": 1}, "tolerance: unknown key; known keys here: least, levels, most, share"),
    ],
)
def test_adaptive_sampling_that_makes_no_sense_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=f"adaptive sampling: {message}"):
        AdaptiveSampling(**changes)


def test_adaptive_sampling_survives_its_way_through_plain_values() -> None:
    sampling = AdaptiveSampling(tolerance_db=0.5, least=4, most=90)
    plain = to_plain(sampling)
    assert plain["tolerance_db"] == 0.5
    assert read_plain(AdaptiveSampling, plain, where="test", error=ModelError) == sampling
