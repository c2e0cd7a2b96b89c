"""The metadata table: what it sets, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.cf import check_cf, to_cf
from blindzone.pipeline.curtains.cf_table import METADATA
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag


def make_curtain() -> xr.Dataset:
    """Three profiles 10 s apart, four rows of 100 m, echo everywhere."""
    times = np.datetime64("2021-03-14T00:00:00", "ns") + np.arange(3) * np.timedelta64(10, "s")
    shape = (3, 4)
    return xr.Dataset(
        {
            "reflectivity": (("time", "height"), np.full(shape, -5, dtype=np.float32)),
            "doppler_velocity": (("time", "height"), np.full(shape, -1, dtype=np.float32)),
            "detection_status": (
                ("time", "height"),
                np.full(shape, DetectionStatus.ECHO, dtype=np.int8),
            ),
        },
        {
            "time": times,
            "height": [50.0, 150.0, 250.0, 350.0],
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 156.0,
        },
    )


def test_archive_curtain_is_described_by_the_table() -> None:
    curtain = to_cf(make_curtain())
    check_cf(curtain)
    assert curtain["reflectivity"].attrs["units"] == "dBZ"
    assert curtain["reflectivity"].attrs["ancillary_variables"] == "detection_status"
    velocity = curtain["doppler_velocity"].attrs
    assert velocity["standard_name"] == "radial_velocity_of_scatterers_away_from_instrument"
    assert velocity["units"] == "m s-1"
    assert curtain["height"].attrs["positive"] == "up"


def test_flag_values_and_meanings_follow_the_enumeration() -> None:
    status = to_cf(make_curtain())["detection_status"].attrs
    assert status["flag_values"].tolist() == [0, 1, 2, 3, 4]
    assert status["flag_values"].dtype == np.int8
    assert status["flag_meanings"].split() == [
        "no_data",
        "no_echo",
        "echo",
        "clutter_removed",
        "untrusted",
    ]
    assert [code.value for code in InpaintingFlag] == [0, 1, 2, 3]  # published: these never change


def test_bits_of_a_profile_are_masks_of_the_variable_s_own_type() -> None:
    flag = make_curtain().assign(out_of_range_flag=("time", np.zeros(3, dtype=np.int16)))
    found = to_cf(flag)["out_of_range_flag"].attrs
    assert "flag_values" not in found
    assert found["flag_masks"].dtype == np.int16
    assert found["flag_masks"].tolist() == [2**bit for bit in range(11)]
    assert found["flag_meanings"].split() == [
        bit.name.lower() for bit in OutOfRangeFlag if bit.name
    ]


def test_flag_values_take_the_type_that_the_variable_has() -> None:
    curtain = make_curtain()
    curtain["detection_status"] = curtain["detection_status"].astype(np.int16)
    assert to_cf(curtain)["detection_status"].attrs["flag_values"].dtype == np.int16


def test_argument_keeps_its_own_attributes() -> None:
    curtain = make_curtain()
    curtain["reflectivity"].attrs["units"] = "furlong"
    to_cf(curtain)
    assert curtain["reflectivity"].attrs == {"units": "furlong"}


def test_foreign_attributes_of_a_variable_are_dropped_and_global_ones_kept() -> None:
    curtain = make_curtain().assign_attrs(site="Palaiseau")
    curtain["reflectivity"].attrs["valid_range"] = "nonsense"
    described = to_cf(curtain)
    assert "valid_range" not in described["reflectivity"].attrs
    assert described.attrs["site"] == "Palaiseau"


def test_simulated_curtain_is_no_physical_measurement() -> None:
    described = to_cf(make_curtain(), simulated=True)
    for name in ("reflectivity", "doppler_velocity"):
        assert described[name].attrs["coverage_content_type"] == "modelResult"
        assert described[name].attrs["long_name"].startswith("simulated ")


def test_wrong_unit_is_rejected() -> None:
    curtain = to_cf(make_curtain())
    curtain["reflectivity"].attrs["units"] = "mm6 m-3"
    with pytest.raises(ProductError, match=r"'reflectivity' has units 'mm6 m-3'; 'dBZ' is right"):
        check_cf(curtain)


def test_missing_unit_is_rejected() -> None:
    curtain = to_cf(make_curtain())
    del curtain["height"].attrs["units"]
    with pytest.raises(ProductError, match=r"'height' has units none; 'm' is right"):
        check_cf(curtain)


def test_wrong_standard_name_is_rejected() -> None:
    curtain = to_cf(make_curtain())
    curtain["doppler_velocity"].attrs["standard_name"] = (
        "radial_velocity_of_scatterers_toward_instrument"
    )
    with pytest.raises(ProductError, match="'doppler_velocity' has standard_name"):
        check_cf(curtain)


def test_other_dimensions_are_rejected() -> None:
    curtain = to_cf(make_curtain()).transpose("height", "time")
    with pytest.raises(ProductError, match=r"dimensions \('height', 'time'\)"):
        check_cf(curtain)


def test_variable_without_entry_is_rejected() -> None:
    extra = ("time", np.zeros(3))
    with pytest.raises(ProductError, match="'spectrum_width' has no entry"):
        to_cf(make_curtain().assign(spectrum_width=extra))
    with pytest.raises(ProductError, match="'spectrum_width' has no entry"):
        check_cf(to_cf(make_curtain()).assign(spectrum_width=extra))


def test_every_ancillary_variable_of_the_table_has_an_entry() -> None:
    named = {other for entry in METADATA.values() for other in entry.ancillary}
    assert named <= set(METADATA)
