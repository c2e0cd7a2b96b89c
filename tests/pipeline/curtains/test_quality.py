"""Quality rules: what each removes or doubts, with which flag, and when a day is rejected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.curtains.gridding import Grid, grid_curtain
from blindzone.pipeline.curtains.quality import (
    AttenuationRule,
    ClutterRule,
    InsectRule,
    QualityRules,
    apply_floor,
    apply_quality,
    check_measured,
    flag_attenuation,
    flag_below_floor,
    mark_untrusted,
    remove_clutter,
    remove_insects,
)
from blindzone.pipeline.readers import read_curtain

NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus
RULE = ClutterRule(below_m=400, weaker_than_dbz=-45)
DIMS = ("time", "height")


def make_native(dbz: list[list[float]], heights: list[float]) -> xr.Dataset:
    """Native profiles 10 s apart; NaN is no echo."""
    values = np.array(dbz, dtype=np.float32)
    echo = np.isfinite(values)
    return xr.Dataset(
        {
            "reflectivity": (DIMS, values),
            "detection_status": (DIMS, np.where(echo, ECHO, NO_ECHO).astype(np.int8)),
            "doppler_velocity": (DIMS, np.where(echo, -1, np.nan).astype(np.float32)),
        },
        {
            "time": (
                np.datetime64("2021-03-14", "ns") + np.arange(len(values)) * np.timedelta64(10, "s")
            ),
            "height": heights,
            "latitude": 48.7,
            "longitude": 2.2,
            "altitude": 156.0,
        },
    )


def make_lidar(backscatter: list[list[float]], heights: list[float]) -> xr.Dataset:
    """Native lidar profiles; NaN is no echo."""
    radar = make_native(backscatter, heights)
    return radar[["reflectivity", "detection_status"]].rename(
        reflectivity="attenuated_backscatter", detection_status="backscatter_status"
    )


def make_state(temperature: list[list[float]], heights: list[float]) -> xr.Dataset:
    return make_native(temperature, heights)[["reflectivity"]].rename(reflectivity="temperature")


def with_temperature(native: xr.Dataset, temperature: list[list[float]]) -> xr.Dataset:
    return native.assign(temperature=(DIMS, np.array(temperature, dtype=np.float32)))


def test_clutter_rule_takes_only_what_is_both_low_and_weak() -> None:
    # Gates at 300 (low), 400 (no longer below 400 m) and 500 m.
    native = make_native([[-50, -50, -50], [-45, -45, -45], [-10, -10, -10]], [300, 400, 500])
    cleaned = remove_clutter(native, RULE)
    check_curtain(cleaned)
    # Only -50 dBZ at 300 m is below 400 m and weaker than -45 dBZ; -45 dBZ itself is not weaker.
    assert cleaned["detection_status"].values.tolist() == [
        [CLUTTER_REMOVED, ECHO, ECHO],
        [ECHO] * 3,
        [ECHO] * 3,
    ]
    assert np.isnan(cleaned["reflectivity"].values).sum() == 1
    assert np.isnan(cleaned["doppler_velocity"].values).sum() == 1
    assert np.isnan(cleaned["reflectivity"].values[0, 0])
    assert np.isnan(cleaned["doppler_velocity"].values[0, 0])
    assert cleaned["quality_flags"].values.tolist() == [
        [QualityFlag.CLUTTER, 0, 0],
        [0] * 3,
        [0] * 3,
    ]
    assert cleaned["quality_flags"].dtype == np.uint8


def test_clutter_rule_leaves_every_other_status_alone() -> None:
    native = make_native([[-50, np.nan, np.nan]], [100, 200, 300])
    codes = np.array([[UNTRUSTED, NO_DATA, NO_ECHO]], dtype=np.int8)
    native = native.assign(detection_status=(("time", "height"), codes))
    cleaned = remove_clutter(native, RULE)
    xr.testing.assert_identical(cleaned.drop_vars("quality_flags"), native)
    assert not cleaned["quality_flags"].values.any()


def test_untrusted_gates_keep_what_was_measured() -> None:
    native = make_native([[-5, np.nan, -7]], [200, 233.9, 234])
    marked = mark_untrusted(native, 234)
    check_curtain(marked)
    assert marked["detection_status"].values.tolist() == [[UNTRUSTED, UNTRUSTED, ECHO]]
    assert marked["reflectivity"].identical(native["reflectivity"])
    assert marked["doppler_velocity"].identical(native["doppler_velocity"])
    below = QualityFlag.BELOW_LOWEST_TRUSTED_GATE
    assert marked["quality_flags"].values.tolist() == [[below, below, 0]]


def test_gate_without_data_stays_without_data_below_the_lowest_trusted_one() -> None:
    native = make_native([[np.nan, np.nan]], [100, 300])
    native = native.assign(
        detection_status=native["detection_status"].where(native["height"] > 200, np.int8(NO_DATA))
    )
    marked = mark_untrusted(native, 234)
    assert marked["detection_status"].values.tolist() == [[NO_DATA, NO_ECHO]]
    assert marked["quality_flags"].values.tolist() == [[0, 0]]


def test_rules_are_applied_in_order_and_leave_the_argument_alone() -> None:
    native = make_native([[-50, -50, -35, -10]], [100, 300, 350, 1000])
    before = native.copy(deep=True)
    rules = QualityRules(
        clutter=(RULE, ClutterRule(below_m=360, weaker_than_dbz=-30)), lowest_trusted_m=200
    )
    cleaned = apply_quality(native, rules)
    check_curtain(cleaned)
    # 100 m: clutter first, then untrusted. 300 m: by the first rule. 350 m: by the second. 1000 m:
    # kept.
    assert cleaned["detection_status"].values.tolist() == [
        [UNTRUSTED, CLUTTER_REMOVED, CLUTTER_REMOVED, ECHO]
    ]
    assert np.isfinite(cleaned["reflectivity"].values).tolist() == [[False, False, False, True]]
    both = QualityFlag.CLUTTER | QualityFlag.BELOW_LOWEST_TRUSTED_GATE
    assert cleaned["quality_flags"].values.tolist() == [
        [both, QualityFlag.CLUTTER, QualityFlag.CLUTTER, 0]
    ]
    xr.testing.assert_identical(native, before)


def test_types_and_dimensions_stay_canonical() -> None:
    native = make_native([[-50, -10]], [100, 1000])
    cleaned = apply_quality(native, QualityRules(clutter=(RULE,), lowest_trusted_m=234))
    for name in ("reflectivity", "detection_status", "doppler_velocity"):
        assert cleaned[name].dtype == native[name].dtype
        assert cleaned[name].dims == ("time", "height")


def test_curtain_without_velocity_is_cleaned_too() -> None:
    native = make_native([[-50, -10]], [100, 1000]).drop_vars("doppler_velocity")
    cleaned = apply_quality(native, QualityRules(clutter=(RULE,)))
    assert cleaned["detection_status"].values.tolist() == [[CLUTTER_REMOVED, ECHO]]


def test_no_rules_change_nothing_and_say_so() -> None:
    native = make_native([[-50, -10]], [100, 1000])
    cleaned = apply_quality(native, QualityRules())
    xr.testing.assert_identical(cleaned.drop_vars("quality_flags"), native)
    assert cleaned["quality_flags"].values.tolist() == [[0, 0]]


def test_flags_of_the_file_stay_beside_those_of_the_rules() -> None:
    native = make_native([[-50, -50]], [100, 1000])
    archived = np.array([[QualityFlag.SURFACE_CLUTTER, QualityFlag.REJECTED]], dtype=np.uint8)
    native = native.assign(quality_flags=(DIMS, archived))
    cleaned = apply_quality(native, QualityRules(clutter=(RULE,), lowest_trusted_m=150))
    assert cleaned["quality_flags"].values.tolist() == [[32 + 4 + 1, 128]]
    assert native["quality_flags"].values.tolist() == [[32, 128]]


def test_insects_are_weak_low_and_in_season() -> None:
    native = make_native([[-50, -20, -50], [-50, -20, -50]], [300, 900, 1100])
    native = native.assign_coords(
        time=np.array(["2021-03-14", "2021-07-12"], dtype="datetime64[ns]")
    )
    cleaned = remove_insects(
        native, InsectRule(below_m=1000, weaker_than_dbz=-40, months=(6, 7, 8))
    )
    check_curtain(cleaned)
    assert cleaned["detection_status"].values.tolist() == [
        [ECHO] * 3,
        [CLUTTER_REMOVED, ECHO, ECHO],
    ]
    assert cleaned["quality_flags"].values.tolist() == [[0, 0, 0], [QualityFlag.INSECTS, 0, 0]]
    all_year = remove_insects(native, InsectRule(below_m=1000, weaker_than_dbz=-40))
    assert all_year["quality_flags"].values.tolist() == [[QualityFlag.INSECTS, 0, 0]] * 2


def test_no_insects_where_it_is_known_to_be_cold() -> None:
    rule = InsectRule(below_m=1000, weaker_than_dbz=-40, warmer_than_k=283)
    native = make_native([[-50, -50, -50]], [100, 200, 300])
    cleaned = remove_insects(with_temperature(native, [[284, 283, np.nan]]), rule)
    # 283 K is not warmer; where the temperature is unknown, the rule holds as it does without any
    # temperature.
    assert cleaned["detection_status"].values.tolist() == [[CLUTTER_REMOVED, ECHO, CLUTTER_REMOVED]]
    assert remove_insects(native, rule)["detection_status"].values.tolist() == [
        [CLUTTER_REMOVED] * 3
    ]


def test_impossible_month_is_rejected() -> None:
    with pytest.raises(CurtainError) as caught:
        InsectRule(below_m=1000, weaker_than_dbz=-40, months=(0, 7, 13))
    assert str(caught.value).splitlines() == [
        "insects: months.0: should be greater than or equal to 1 (found 0)",
        "insects: months.2: should be less than or equal to 12 (found 13)",
    ]


def test_lidar_is_untrusted_below_its_own_height() -> None:
    lidar = make_lidar([[1e-6, np.nan, 1e-6]], [15, 45, 300])
    marked = apply_quality(lidar, QualityRules(lowest_trusted_m=100, clutter=(RULE,)))
    check_curtain(marked)
    assert marked["backscatter_status"].values.tolist() == [[UNTRUSTED, UNTRUSTED, ECHO]]
    assert marked["quality_flags"].values.tolist() == [[4, 4, 0]]
    assert marked["attenuated_backscatter"].identical(lidar["attenuated_backscatter"])


def test_lidar_beside_a_radar_has_a_lowest_trusted_height_of_its_own() -> None:
    both = make_native([[-10, -10, -10]], [100, 200, 300]).assign(
        make_lidar([[1e-6, 1e-6, np.nan]], [100, 200, 300]).data_vars
    )
    radar_alone = apply_quality(both, QualityRules(lowest_trusted_m=250))
    assert radar_alone["detection_status"].values.tolist() == [[UNTRUSTED, UNTRUSTED, ECHO]]
    assert radar_alone["backscatter_status"].values.tolist() == [[ECHO, ECHO, NO_ECHO]]
    assert radar_alone["quality_flags"].values.tolist() == [[4, 4, 0]]
    each = apply_quality(both, QualityRules(lowest_trusted_m=150, lidar_lowest_trusted_m=250))
    check_curtain(each)
    assert each["detection_status"].values.tolist() == [[UNTRUSTED, ECHO, ECHO]]
    assert each["backscatter_status"].values.tolist() == [[UNTRUSTED, UNTRUSTED, NO_ECHO]]
    assert each["quality_flags"].values.tolist() == [[4, 4, 0]]


def test_state_has_no_rules() -> None:
    state = make_state([[280, 270]], [100, 1000])
    rules = QualityRules(lowest_trusted_m=500, clutter=(RULE,), attenuation=AttenuationRule())
    assert apply_quality(state, rules).identical(state)


def test_rules_go_by_the_gates_own_heights_where_they_slope() -> None:
    native = make_native([[-50, -50, -50], [-50, -50, -50]], [100, 200, 300])
    slope = np.array([[350, 450, 550], [150, 250, 350]], dtype=np.float32)
    cleaned = apply_quality(
        native.assign(gate_height=(DIMS, slope)),
        QualityRules(clutter=(RULE,), lowest_trusted_m=200),
    )
    # Below 400 m lie one gate of the first profile and all of the second; below 200 m the lowest of
    # the second.
    assert cleaned["quality_flags"].values.tolist() == [[1, 0, 0], [5, 1, 1]]


def test_every_echo_above_rain_is_flagged_and_kept() -> None:
    # Rain of 5 dBZ at 500 m; a clear gate; cloud at 2000 and 3000 m. The second profile's 5 dBZ
    # lies above 1 km.
    native = make_native(
        [[-5, 5, np.nan, -20, 3], [-5, -3, 5, -20, 3]], [300, 500, 1500, 2000, 3000]
    )
    flagged = flag_attenuation(native, AttenuationRule(rain_dbz=0, below_m=1000))
    bit = QualityFlag.ATTENUATION_NOT_CORRECTED
    assert flagged["quality_flags"].values.tolist() == [[0, 0, 0, bit, bit], [0] * 5]
    xr.testing.assert_identical(flagged.drop_vars("quality_flags"), native)


def test_rain_is_looked_for_from_the_lowest_trusted_gate_up() -> None:
    # 10 dBZ at 100 m may be leakage; without a lower bound it would flag everything above.
    native = make_native([[10, -5, -20], [10, 5, -20]], [100, 500, 2000])
    rules = QualityRules(lowest_trusted_m=200, attenuation=AttenuationRule())
    assert apply_quality(native, rules)["quality_flags"].values.tolist() == [[4, 0, 0], [4, 0, 16]]


def test_no_rain_is_found_where_every_gate_is_at_or_above_the_height() -> None:
    native = make_native([[5, -20]], [500, 2000])
    flagged = flag_attenuation(native, AttenuationRule(below_m=500))
    assert flagged["quality_flags"].values.tolist() == [[0, 0]]
    slope = np.array([[500, 2000]], dtype=np.float32)
    sloping = flag_attenuation(
        native.assign(gate_height=(DIMS, slope)), AttenuationRule(below_m=500)
    )
    assert sloping["quality_flags"].values.tolist() == [[0, 0]]


def test_snow_does_not_attenuate() -> None:
    native = with_temperature(
        make_native([[5, -20]] * 3, [500, 2000]), [[273.15, 260], [280, 270], [np.nan, np.nan]]
    )
    # Snow, rain, and rain for all that is known.
    assert flag_attenuation(native, AttenuationRule())["quality_flags"].values.tolist() == [
        [0, 0],
        [0, 16],
        [0, 16],
    ]


def test_attenuation_from_below_is_rejected_for_a_radar_that_looks_down() -> None:
    native = make_native([[5, -20]], [500, 2000]).assign_coords(
        along_track_distance=("time", [0.0])
    )
    with pytest.raises(CurtainError, match="a radar that looks up; a spaceborne one looks down"):
        apply_quality(native, QualityRules(attenuation=AttenuationRule()))


def test_echo_at_or_below_the_floor_is_flagged_and_kept() -> None:
    gridded = make_native([[-30, -29.9, np.nan], [-60, 5, -30.1]], [39, 117, 195])
    flagged = flag_below_floor(gridded, -30)
    bit = QualityFlag.BELOW_SENSITIVITY_FLOOR
    assert flagged["quality_flags"].values.tolist() == [[bit, 0, 0], [bit, 0, bit]]
    xr.testing.assert_identical(flagged.drop_vars("quality_flags"), gridded)
    # The flag says of every echo just what apply_floor does with it.
    kept = np.isfinite(apply_floor(gridded["reflectivity"].values, -30))
    assert np.array_equal(
        kept, np.isfinite(gridded["reflectivity"].values) & (flagged["quality_flags"].values == 0)
    )


def test_lidar_has_no_floor_in_decibels() -> None:
    lidar = make_lidar([[1e-6, np.nan]], [100, 1000])
    assert flag_below_floor(lidar, -30).identical(lidar)


@given(
    dbz=st.lists(st.one_of(st.just(np.nan), st.floats(-70, 30, width=32)), min_size=6, max_size=6),
    trusted_m=st.sampled_from([0, 150, 350]),
    below_m=st.sampled_from([0, 250, 1000]),
)
def test_no_value_vanishes_without_its_flag(
    dbz: list[float], trusted_m: float, below_m: float
) -> None:
    native = make_native([dbz], [100, 200, 300, 400, 500, 600])
    rules = QualityRules(
        clutter=(ClutterRule(below_m=below_m, weaker_than_dbz=-45),),
        insects=(InsectRule(below_m=below_m, weaker_than_dbz=-30),),
        lowest_trusted_m=trusted_m,
        attenuation=AttenuationRule(),
    )
    cleaned = apply_quality(native, rules)
    check_curtain(cleaned)
    flags = cleaned["quality_flags"].values
    gone = np.isfinite(native["reflectivity"].values) & ~np.isfinite(cleaned["reflectivity"].values)
    assert np.array_equal(gone, (flags & (QualityFlag.CLUTTER | QualityFlag.INSECTS)) != 0)
    untrusted = cleaned["detection_status"].values == UNTRUSTED
    assert np.array_equal(untrusted, (flags & QualityFlag.BELOW_LOWEST_TRUSTED_GATE) != 0)
    again = apply_quality(cleaned, rules)
    xr.testing.assert_identical(again, cleaned)


def test_measured_rain_is_flagged_and_measured_clear_sky_is_not(measured_directory: Path) -> None:
    """A storm (11 March 2021) and a clear day of insects and clutter (30 March) at Palaiseau."""
    rules = QualityRules(clutter=(RULE,), lowest_trusted_m=234, attenuation=AttenuationRule())
    shares = {}
    for day in ("20210311", "20210330"):
        native = read_curtain(
            measured_directory / "palaiseau_basta" / f"{day}_palaiseau_basta.nc", "cloudnet_radar"
        )
        gridded = grid_curtain(apply_quality(native, rules), Grid())
        check_curtain(gridded)
        shares[day] = {
            flag: float(np.mean((gridded["quality_flags"].values & flag) != 0))
            for flag in (QualityFlag.CLUTTER, QualityFlag.ATTENUATION_NOT_CORRECTED)
        }
    assert shares["20210311"][QualityFlag.ATTENUATION_NOT_CORRECTED] > 0.01
    assert shares["20210330"][QualityFlag.ATTENUATION_NOT_CORRECTED] == 0
    assert shares["20210330"][QualityFlag.CLUTTER] > shares["20210311"][QualityFlag.CLUTTER] > 0


def test_day_without_any_value_is_rejected_with_its_size_and_the_way_out() -> None:
    empty = make_native([[np.nan, np.nan]] * 3, [100, 1000])
    with pytest.raises(
        CurtainError, match=r"^station 2021-03-14: no reflectivity in any of 3 profiles x 2 gates"
    ) as caught:
        check_measured(empty, QualityRules(), where="station 2021-03-14")
    assert "quality: {empty_day: clear}" in str(caught.value)


def test_day_without_any_value_is_clear_where_the_catalogue_says_so() -> None:
    empty = make_native([[np.nan, np.nan]] * 3, [100, 1000])
    check_measured(empty, QualityRules(empty_day="clear"), where="station")


def test_lidar_without_any_value_is_rejected_like_a_radar() -> None:
    empty = make_lidar([[np.nan, np.nan]], [100, 1000])
    with pytest.raises(
        CurtainError, match=r"no attenuated_backscatter in any of 1 profiles x 2 gates"
    ):
        check_measured(empty, QualityRules(), where="station")
    check_measured(empty, QualityRules(empty_day="clear"), where="station")
    check_measured(make_lidar([[np.nan, 1e-7]], [100, 1000]), QualityRules(), where="station")


def test_model_state_beside_a_dead_radar_is_no_measurement() -> None:
    dead = with_temperature(make_native([[np.nan, np.nan]], [100, 1000]), [[280, 270]])
    with pytest.raises(CurtainError, match=r"no reflectivity in any of 1 profiles"):
        check_measured(dead, QualityRules(), where="station")


def test_lidar_returns_make_a_day_on_which_the_radar_saw_nothing() -> None:
    heights = [100.0, 1000.0]
    both = make_native([[np.nan, np.nan]], heights).assign(
        make_lidar([[np.nan, 1e-7]], heights).data_vars
    )
    check_measured(both, QualityRules(), where="station")


def test_state_without_any_value_is_never_right() -> None:
    check_measured(make_state([[np.nan, 270]], [100, 1000]), QualityRules(), where="model")
    empty = make_state([[np.nan, np.nan]], [100, 1000])
    with pytest.raises(
        CurtainError, match=r"^model: no temperature in any of 1 profiles x 2 levels"
    ):
        check_measured(empty, QualityRules(empty_day="clear"), where="model")


def test_swath_is_measured_if_any_ray_is() -> None:
    rays = [make_native([[np.nan, value]], [100, 1000]) for value in (np.nan, 20)]
    check_measured(xr.concat(rays, dim="ray"), QualityRules(), where="swath")
    with pytest.raises(CurtainError, match=r"in any of 2 profiles x 2 gates"):
        check_measured(xr.concat([rays[0]] * 2, dim="ray"), QualityRules(), where="swath")


def test_day_with_a_single_value_is_measured() -> None:
    check_measured(make_native([[np.nan, -60]], [100, 1000]), QualityRules(), where="station")


def test_floor_takes_what_does_not_exceed_it_and_leaves_the_argument_alone() -> None:
    values = np.array([[-30.001, -30, -29.999], [np.nan, 5, -60]])
    before = values.copy()
    floored = apply_floor(values, -30)
    assert floored.dtype == np.float32
    assert np.isfinite(floored).tolist() == [[False, False, True], [False, True, False]]
    assert floored[1, 1] == 5
    assert np.array_equal(values, before, equal_nan=True)
    assert apply_floor(values.astype(np.float32), -30) is not values
