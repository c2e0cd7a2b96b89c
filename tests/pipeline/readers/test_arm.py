"""Shared by the readers of ARM files: exact times and bit-packed quality control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._arm import find_rejected, read_arm_times

FILE = Path("a.cdf")
UNITS = {"units": "seconds since 2019-05-29 00:00:00 0:00"}
MIDNIGHT = np.datetime64("2019-05-29", "ns")


def test_times_come_from_the_offset_where_the_file_has_one() -> None:
    raw = xr.Dataset(
        {"time_offset": ("time", [0.0, 2.002], UNITS)}, {"time": ("time", [0.0, 2.0], UNITS)}
    )
    found = read_arm_times(raw, FILE) - MIDNIGHT
    assert found.tolist() == [0, 2_002_000_000]
    alone = read_arm_times(raw.drop_vars("time_offset"), FILE) - MIDNIGHT
    assert alone.tolist() == [0, 2_000_000_000]


def test_offsets_of_each_gate_must_agree() -> None:
    offsets = np.array([[0.0, 0.0], [2.0, 2.0]])
    raw = xr.Dataset({"time_offset": (("time", "range"), offsets, UNITS)})
    assert (read_arm_times(raw, FILE) - MIDNIGHT).tolist() == [0, 2_000_000_000]
    raw["time_offset"][1, 1] = 3
    with pytest.raises(SourceFileError, match="differs between gates; one time a profile is right"):
        read_arm_times(raw, FILE)


def make_qc(bits: list[int], **attrs: Any) -> xr.Dataset:
    return xr.Dataset({"z": ("time", np.zeros(len(bits))), "qc_z": ("time", np.int32(bits), attrs)})


def test_bits_are_bad_unless_they_are_indeterminate() -> None:
    # Bits 1 and 3 are set in 1 and 4; both together in 5.
    raw = make_qc([0, 1, 4, 5], bit_1_assessment="Indeterminate", bit_3_assessment="Bad")
    assert find_rejected(raw, "z", FILE).tolist() == [False, False, True, True]


def test_assessment_of_the_file_counts_where_the_variable_has_none() -> None:
    raw = make_qc([0, 1, 2], bit_2_assessment="Bad").assign_attrs(
        qc_bit_1_assessment="Indeterminate", qc_bit_2_assessment="Indeterminate"
    )
    assert find_rejected(raw, "z", FILE).tolist() == [False, False, True]


def test_without_a_companion_nothing_is_rejected() -> None:
    assert not find_rejected(make_qc([1, 1]).drop_vars("qc_z"), "z", FILE).any()


def test_companion_that_is_no_field_of_bits_is_rejected() -> None:
    raw = make_qc([0, 1])
    raw["qc_z"] = raw["qc_z"] + np.float32(0.5)
    with pytest.raises(SourceFileError, match="'qc_z' holds values of type float64 such as"):
        find_rejected(raw, "z", FILE)


def test_companion_of_a_profile_holds_for_all_its_gates() -> None:
    raw = xr.Dataset(
        {"z": (("time", "range"), np.zeros((3, 2))), "qc_z": ("time", np.int32([0, 1, 2]))}
    )
    raw["qc_z"].attrs["bit_2_assessment"] = "Indeterminate"
    assert find_rejected(raw, "z", FILE).tolist() == [[False] * 2, [True] * 2, [False] * 2]


@pytest.mark.parametrize(
    "attrs",
    [
        {"flag_masks": np.int32([1, 2, 4]), "flag_assessments": "Bad Indeterminate Suspect"},
        {"flag_values": np.int32([0, 2, 4, 1]), "flag_assessments": ["Good", "good", "Ok", "Bad"]},
        {"flag_method": "integer", "flag_2_assessment": "Good", "flag_4_assessment": "Suspect"},
        {"bit_1_assessment": "Bad", "bit_2_assessment": "suspect", "bit_3_assessment": "Good"},
    ],
)
def test_assessments_are_read_in_each_form(attrs: dict[str, Any]) -> None:
    assert find_rejected(make_qc([0, 1, 2, 4], **attrs), "z", FILE).tolist() == [
        *(False, True),
        *(False, False),
    ]


def test_whole_numbers_may_be_real_ones_with_nan_for_none() -> None:
    raw = make_qc([0, 1])
    raw["qc_z"] = ("time", np.array([np.nan, 1.0]))
    assert find_rejected(raw, "z", FILE).tolist() == [False, True]
