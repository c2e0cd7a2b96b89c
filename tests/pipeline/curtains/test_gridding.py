"""Native gates to rows: linear means, the status of a row, and the protocol on measured days."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.core.errors import CurtainError
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.curtain import (
    DetectionStatus,
    QualityFlag,
    check_curtain,
    map_rays,
)
from blindzone.pipeline.curtains.gridding import Grid, grid_curtain
from blindzone.pipeline.curtains.quality import apply_floor, apply_quality
from blindzone.pipeline.readers import read_curtain

DIMS = ("time", "height")
NONE = math.nan
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus


def make_profile(
    gates: dict[float, float],
    status: dict[float, DetectionStatus] | None = None,
    velocity: dict[float, float] | None = None,
) -> xr.Dataset:
    """One profile of reflectivity [dBZ] by height [m]; echo or no echo where no status is given."""
    heights = np.array(sorted(gates))
    dbz = np.array([[gates[height] for height in heights]], dtype=np.float32)
    codes = np.where(np.isnan(dbz), NO_ECHO, ECHO).astype(np.int8)
    for height, code in (status or {}).items():
        codes[0, heights == height] = code
    fields = {"reflectivity": (DIMS, dbz), "detection_status": (DIMS, codes)}
    if velocity is not None:
        speeds = np.array([[velocity.get(height, NONE) for height in heights]], dtype=np.float32)
        fields["doppler_velocity"] = (DIMS, speeds)
    site = {"latitude": 48.7, "longitude": 2.2, "altitude": 156.0}
    curtain = xr.Dataset(
        fields, {"time": [np.datetime64("2021-03-14", "ns")], "height": heights, **site}
    )
    check_curtain(curtain)
    return curtain


def grid_profile(
    curtain: xr.Dataset, rows: int = 1, row_depth_m: float = 100
) -> tuple[list[float], list[int]]:
    """Reflectivity [dBZ] and status of each row of the one profile."""
    gridded = grid_curtain(curtain, Grid(rows=rows, row_depth_m=row_depth_m))
    check_curtain(gridded)
    return (
        gridded["reflectivity"].values[0].tolist(),
        gridded["detection_status"].values[0].tolist(),
    )


def test_row_is_the_mean_in_linear_units_no_echo_counting_as_zero() -> None:
    # 0 dBZ = 1 mm6 m-3, 10 dBZ = 10, no echo = 0: 10 log10((1 + 10 + 0) / 3) = 5.643 dBZ; in
    # decibels it would be 5.
    dbz, status = grid_profile(make_profile({10: 0, 50: 10, 90: NONE}))
    assert dbz == pytest.approx([10 * math.log10((1 + 10 + 0) / 3)], abs=1e-5)
    assert status == [ECHO]


def test_gates_without_data_do_not_count() -> None:
    # The same row with the third gate unseen: 10 log10((1 + 10) / 2) = 7.404 dBZ.
    dbz, status = grid_profile(make_profile({10: 0, 50: 10, 90: NONE}, {90: NO_DATA}))
    assert dbz == pytest.approx([10 * math.log10(11 / 2)], abs=1e-5)
    assert status == [ECHO]


def test_removed_clutter_counts_as_no_echo_and_leaves_its_reason() -> None:
    # One echo of 0 dBZ over two gates: 10 log10(1 / 2) = -3.01 dBZ. Without echo, the reason stays.
    with_echo = make_profile({10: 0, 50: NONE}, {50: CLUTTER_REMOVED})
    dbz, status = grid_profile(with_echo)
    assert dbz == pytest.approx([10 * math.log10(0.5)], abs=1e-5)
    assert status == [ECHO]
    dbz, status = grid_profile(make_profile({10: NONE, 50: NONE}, {50: CLUTTER_REMOVED}))
    assert (math.isnan(dbz[0]), status) == (True, [CLUTTER_REMOVED])


def test_row_without_echo_is_clear_and_row_without_data_is_neither() -> None:
    gates: dict[float, float] = dict.fromkeys((50, 90, 150, 190, 350), NONE)
    # Row 0: one gate looked. Row 1: none did. Row 2 (200 to 300 m) has no gate at all. Row 3: one
    # gate looked.
    dbz, status = grid_profile(
        make_profile(gates, {50: NO_DATA, 150: NO_DATA, 190: NO_DATA}), rows=4
    )
    assert np.isnan(dbz).all()
    assert status == [NO_ECHO, NO_DATA, NO_DATA, NO_ECHO]


def test_row_is_untrusted_if_any_of_its_gates_is_and_keeps_its_value() -> None:
    dbz, status = grid_profile(make_profile({10: 0, 50: 10, 150: 5}, {10: UNTRUSTED}), rows=2)
    # Row 0: 10 log10((1 + 10) / 2); row 1: its single gate.
    assert dbz == pytest.approx([10 * math.log10(11 / 2), 5], abs=1e-5)
    assert status == [UNTRUSTED, ECHO]


def test_uneven_gates_count_once_each_in_the_row_of_their_centre() -> None:
    # Steps of 5 m, then 10, then 80: row 0 has four gates, row 1 has one, row 2 has one.
    dbz, status = grid_profile(
        make_profile({5: 0, 10: 0, 20: NONE, 30: 10, 110: -20, 290: -5}), rows=3
    )
    assert dbz == pytest.approx([10 * math.log10((1 + 1 + 0 + 10) / 4), -20, -5], abs=1e-5)
    assert status == [ECHO, ECHO, ECHO]


def test_centre_on_an_edge_belongs_to_the_row_above() -> None:
    # Rows of 100 m: 100 m is in the second, 200 m in the third; -1 m lies below the grid and 300 m
    # above it.
    dbz, status = grid_profile(make_profile({-1: 30, 99.99: 0, 100: 10, 200: 5, 300: 30}), rows=3)
    assert dbz == pytest.approx([0, 10, 5], abs=1e-5)
    assert status == [ECHO, ECHO, ECHO]


def test_velocity_is_weighted_with_linear_reflectivity() -> None:
    # 0 dBZ at -1 m/s and 10 dBZ at -2: (1 * -1 + 10 * -2) / (1 + 10) = -21/11 m/s. The third gate
    # has no velocity.
    curtain = make_profile({10: 0, 50: 10, 90: 20}, velocity={10: -1, 50: -2})
    gridded = grid_curtain(curtain, Grid(rows=1, row_depth_m=100))
    assert gridded["doppler_velocity"].values[0] == pytest.approx([-21 / 11], abs=1e-6)


def test_row_of_echo_without_any_velocity_has_none() -> None:
    gridded = grid_curtain(
        make_profile({10: 0, 50: 10}, velocity={}), Grid(rows=1, row_depth_m=100)
    )
    assert np.isfinite(gridded["reflectivity"].values).all()
    assert np.isnan(gridded["doppler_velocity"].values).all()


def test_gates_that_end_below_the_grid_are_rejected_with_both_heights() -> None:
    curtain = make_profile({float(height): 0.0 for height in range(25, 500, 50)})
    with pytest.raises(
        CurtainError,
        match=r"^station: the gates end at 475 m, the grid's top is 1000 m \(10 rows of 100",
    ):
        grid_curtain(curtain, Grid(rows=10, row_depth_m=100), where="station")
    assert grid_curtain(curtain, Grid(rows=5, row_depth_m=100)).sizes["height"] == 5


def test_grid_is_canonical_and_the_argument_stays(simulated_file: Path) -> None:
    native = read_curtain(simulated_file, "cloudnet_radar")
    before = native.copy(deep=True)
    gridded = grid_curtain(native, Grid())
    check_curtain(gridded)
    xr.testing.assert_identical(native, before)
    assert gridded.sizes == {"time": 240, "height": 128}
    assert gridded["time"].identical(native["time"])
    assert gridded.attrs == native.attrs
    assert {str(name): field.dtype for name, field in gridded.data_vars.items()} == {
        "reflectivity": np.float32,
        "detection_status": np.int8,
        "doppler_velocity": np.float32,
    }


@given(st.lists(st.one_of(st.none(), st.floats(-60, 30)), min_size=1, max_size=8))
def test_row_lies_between_its_strongest_gate_shared_out_and_that_gate(
    values: list[float | None],
) -> None:
    gates = {90.0 - 10 * i: NONE if value is None else value for i, value in enumerate(values)}
    dbz, status = grid_profile(make_profile(gates))
    echoes = [value for value in values if value is not None]
    if not echoes:
        assert (math.isnan(dbz[0]), status) == (True, [NO_ECHO])
    else:
        # All gates as strong as the strongest, or none but it: max - 10 log10(n) <= mean <= max.
        assert max(echoes) - 10 * math.log10(len(values)) - 1e-4 <= dbz[0] <= max(echoes) + 1e-4


def make_lidar(
    backscatter: list[list[float]], status: list[list[DetectionStatus]], heights: list[float]
) -> xr.Dataset:
    """Lidar profiles 16 s apart on fixed gates."""
    profiles = len(backscatter)
    curtain = xr.Dataset(
        {
            "attenuated_backscatter": (DIMS, np.array(backscatter, dtype=np.float32)),
            "backscatter_status": (DIMS, np.array(status, dtype=np.int8)),
        },
        {
            "time": (
                np.datetime64("2019-01-03", "ns") + np.arange(profiles) * np.timedelta64(16, "s")
            ),
            "height": heights,
            "latitude": 36.6,
            "longitude": -97.5,
            "altitude": 318.0,
        },
    )
    check_curtain(curtain)
    return curtain


def make_track(gate_height: np.ndarray, dbz: np.ndarray, **fields: np.ndarray) -> xr.Dataset:
    """A spaceborne curtain with sloping gates: height [m], reflectivity [dBZ], `(time, height)`."""
    profiles = len(dbz)
    along = np.arange(profiles, dtype=np.float64)
    curtain = xr.Dataset(
        {
            "reflectivity": (DIMS, dbz.astype(np.float32)),
            "detection_status": (DIMS, np.where(np.isnan(dbz), NO_ECHO, ECHO).astype(np.int8)),
            "gate_height": (DIMS, gate_height.astype(np.float32)),
            **{name: (DIMS, values) for name, values in fields.items()},
        },
        {
            "time": (
                np.datetime64("2014-12-06T09:50", "ns")
                + np.arange(profiles) * np.timedelta64(160, "ms")
            ),
            "height": np.median(gate_height, axis=0).astype(np.float64),
            **dict.fromkeys(
                ("latitude", "longitude", "altitude", "along_track_distance"), ("time", along)
            ),
            "blind_zone_top": ("time", along + 1000),
        },
        {"instrument": "nadir radar"},
    )
    check_curtain(curtain)
    return curtain


def test_lidar_row_is_the_mean_in_its_own_units_no_return_counting_as_zero() -> None:
    # Gates of 20 m, rows of 100 m. Row 0: (4 + 2 + 0 + 0) / 4 = 1.5e-6, the fifth gate without data
    # not counting. Row 1: looked, saw nothing. Row 2: no data.
    values = [4e-6, 2e-6, NONE, NONE, NONE, *[NONE] * 10]
    status = [ECHO, ECHO, NO_ECHO, NO_ECHO, NO_DATA, *[NO_ECHO] * 5, *[NO_DATA] * 5]
    gridded = grid_curtain(
        make_lidar([values], [status], [10.0 + 20 * gate for gate in range(15)]),
        Grid(rows=3, row_depth_m=100),
    )
    check_curtain(gridded)
    assert gridded["attenuated_backscatter"].values[0] == pytest.approx(
        [1.5e-6, NONE, NONE], rel=1e-6, nan_ok=True
    )
    assert gridded["backscatter_status"].values[0].tolist() == [ECHO, NO_ECHO, NO_DATA]
    assert gridded["attenuated_backscatter"].dtype == np.float32
    assert "reflectivity" not in gridded


def test_lidar_mean_may_come_from_noise_around_zero() -> None:
    # Gates that stand out in the file's own judgement may be negative: (-1 + 3) / 2 and a sum of
    # exactly zero.
    lidar = make_lidar([[-1e-6, 3e-6, -1e-6, 1e-6]], [[ECHO] * 4], [25, 75, 125, 175])
    gridded = grid_curtain(lidar, Grid(rows=2, row_depth_m=100))
    assert gridded["attenuated_backscatter"].values[0] == pytest.approx([1e-6, 0], abs=1e-12)
    assert gridded["backscatter_status"].values[0].tolist() == [ECHO, ECHO]


def test_lidar_that_ends_below_the_grid_leaves_rows_without_data() -> None:
    lidar = make_lidar([[1e-6] * 4], [[ECHO] * 4], [25, 75, 125, 175])
    gridded = grid_curtain(lidar, Grid(rows=5, row_depth_m=100))
    check_curtain(gridded)
    assert gridded["backscatter_status"].values[0].tolist() == [
        ECHO,
        ECHO,
        NO_DATA,
        NO_DATA,
        NO_DATA,
    ]


def test_state_is_interpolated_to_row_centres_and_never_extrapolated() -> None:
    # 300 K at 20 m falling by 1 K in 100 m; centres at 50, 150, ..., 450 m, the highest level at
    # 420 m.
    heights = np.array([20.0, 120.0, 220.0, 320.0, 420.0])
    state = make_profile(dict.fromkeys(heights, 0)).drop_vars(["reflectivity", "detection_status"])
    state = state.assign(
        temperature=(DIMS, (300 - (heights - 20) / 100)[np.newaxis].astype(np.float32))
    )
    gridded = grid_curtain(state, Grid(rows=5, row_depth_m=100))
    check_curtain(gridded)
    assert gridded["temperature"].values[0] == pytest.approx(
        [299.7, 298.7, 297.7, 296.7, NONE], rel=1e-6, nan_ok=True
    )
    assert gridded["temperature"].dtype == np.float32


def test_state_on_sloping_levels_goes_by_their_own_heights() -> None:
    heights = np.array([[0, 100, 200], [50, 250, 450]], dtype=np.float64)
    state = make_track(heights, np.full((2, 3), NONE)).drop_vars(
        ["reflectivity", "detection_status"]
    )
    state = state.assign(
        temperature=(DIMS, np.array([[280, 270, 260], [280, 270, 260]], dtype=np.float32))
    )
    gridded = grid_curtain(state, Grid(rows=3, row_depth_m=100))
    # Centres at 50, 150 and 250 m: 10 K in 100 m, then 10 K in 200 m from 50 m up.
    assert gridded["temperature"].values[0] == pytest.approx([275, 265, NONE], nan_ok=True)
    assert gridded["temperature"].values[1] == pytest.approx([280, 275, 270])


def test_row_of_state_beside_echo_needs_the_level_above_the_grid() -> None:
    # The highest centre, 250 m, lies between the levels at 210 and 310 m, of which the second is
    # above the grid.
    curtain = make_profile({10: 0, 110: 0, 210: 0, 310: 0, 410: 0})
    curtain = curtain.assign(
        temperature=(DIMS, np.array([[290, 289, 288, 287, 286]], dtype=np.float32))
    )
    gridded = grid_curtain(curtain, Grid(rows=3, row_depth_m=100))
    assert gridded["temperature"].values[0] == pytest.approx([289.6, 288.6, 287.6])


def test_row_holds_the_flags_of_all_its_gates() -> None:
    curtain = make_profile({10: 0, 50: NONE, 90: 0, 110: 0, 190: 0, 250: 0}, {50: CLUTTER_REMOVED})
    flags = np.array([[16, 1, 0, 0, 0, 64]], dtype=np.uint8)
    gridded = grid_curtain(
        curtain.assign(quality_flags=(DIMS, flags)), Grid(rows=3, row_depth_m=100)
    )
    assert gridded["quality_flags"].values.tolist() == [[17, 0, 64]]
    assert gridded["quality_flags"].dtype == np.uint8


def test_rows_between_deep_gates_take_the_gate_around_them() -> None:
    # Gates of 240 m on rows of 80 m, centres at 40, 120, ...: the gate at 120 m reaches from 0 to
    # 240 m and the one at 360 m from 240 to 480 m, each over three rows.
    curtain = make_profile({120: -5, 360: NONE, 600: 7}, velocity={120: -1.5, 600: 2}).assign(
        quality_flags=(DIMS, np.array([[16, 0, 8]], dtype=np.uint8))
    )
    gridded = grid_curtain(curtain, Grid(rows=9, row_depth_m=80))
    check_curtain(gridded)
    assert gridded["reflectivity"].values[0] == pytest.approx(
        [-5] * 3 + [NONE] * 3 + [7] * 3, abs=1e-5, nan_ok=True
    )
    assert gridded["detection_status"].values[0].tolist() == [ECHO] * 3 + [NO_ECHO] * 3 + [ECHO] * 3
    assert gridded["doppler_velocity"].values[0] == pytest.approx(
        [-1.5] * 3 + [NONE] * 3 + [2] * 3, nan_ok=True
    )
    assert gridded["quality_flags"].values[0].tolist() == [16] * 3 + [0] * 3 + [8] * 3


def test_rows_beyond_the_lowest_and_highest_gate_have_no_data() -> None:
    # The lowest gate reaches from 180 to 420 m: rows 0 and 1 (centres 40 and 120 m) lie below it,
    # row 2 (200 m) in it.
    lidar = make_lidar([[1e-6, 2e-6]], [[ECHO, ECHO]], [300, 540])
    gridded = grid_curtain(lidar, Grid(rows=10, row_depth_m=80))
    # 540 m reaches up to 660 m: row 7 (600 m) lies in it, row 8 (680 m) does not.
    assert (
        gridded["backscatter_status"].values[0].tolist()
        == [NO_DATA] * 2 + [ECHO] * 6 + [NO_DATA] * 2
    )
    assert gridded["attenuated_backscatter"].values[0, 2:8] == pytest.approx(
        [1e-6] * 3 + [2e-6] * 3, rel=1e-6
    )


def test_gates_as_deep_as_rows_or_finer_lend_nothing() -> None:
    # Micro rain radars: 50 m gates from 50 m up on rows of 50 m. Row 0 has no gate, and stays
    # without data.
    curtain = make_profile({50.0: 10, 100.0: 5, 150.0: 0})
    gridded = grid_curtain(curtain, Grid(rows=4, row_depth_m=50))
    assert gridded["detection_status"].values[0].tolist() == [NO_DATA, ECHO, ECHO, ECHO]


def test_sloping_gates_fall_into_rows_profile_by_profile() -> None:
    heights = np.array([[-50, 50, 150, 250], [50, 150, 250, 350], [160, 170, 180, 260]])
    dbz = np.array([[30, 0, 10, NONE], [0, 10, NONE, 30], [0, 10, NONE, -3]])
    flags = np.array([[64, 0, 0, 0], [0, 2, 0, 0], [1, 16, 0, 0]], dtype=np.uint8)
    gridded = grid_curtain(
        make_track(heights, dbz, quality_flags=flags), Grid(rows=3, row_depth_m=100)
    )
    check_curtain(gridded)
    # Third profile: nothing in row 0, three gates in row 1, 10 log10((1 + 10 + 0) / 3).
    expected = [[0, 10, NONE], [0, 10, NONE], [NONE, 10 * math.log10(11 / 3), -3]]
    assert gridded["reflectivity"].values == pytest.approx(
        np.array(expected), abs=1e-5, nan_ok=True
    )
    assert gridded["detection_status"].values.tolist() == [
        [ECHO, ECHO, NO_ECHO],
        [ECHO, ECHO, NO_ECHO],
        [NO_DATA, ECHO, ECHO],
    ]
    assert gridded["quality_flags"].values.tolist() == [[0, 0, 0], [0, 2, 0], [0, 17, 0]]


def test_deep_sloping_gates_leave_no_stripes() -> None:
    # CloudSat: gates of 240 m that shift from profile to profile by up to 60 m, on rows of 78.125
    # m.
    rng = np.random.default_rng(1)
    profiles, gates = 40, 60
    heights = np.arange(gates) * 239.8 - 500 + rng.uniform(0, 60, (profiles, 1))
    dbz = np.round(rng.uniform(-30, 20, (profiles, gates)), 2)
    gridded = grid_curtain(make_track(heights, dbz), Grid())
    assert (gridded["detection_status"].values == ECHO).all()
    nearest = np.abs(heights[:, np.newaxis] - Grid().centres_m[:, np.newaxis]).argmin(axis=2)
    # Gates thrice as deep as rows: the gate in a row, or around its centre, is the one nearest to
    # its centre.
    assert np.allclose(
        gridded["reflectivity"].values, np.take_along_axis(dbz, nearest, axis=1), rtol=0, atol=1e-4
    )


@given(
    shift_m=st.floats(-100, 100),
    step_m=st.floats(5, 400),
    values=st.lists(st.one_of(st.none(), st.floats(-60, 30)), min_size=30, max_size=30),
)
def test_gates_that_all_slope_alike_give_what_fixed_gates_give(
    shift_m: float, step_m: float, values: list[float | None]
) -> None:
    heights = np.float64(np.float32(shift_m + np.arange(30) * step_m))
    dbz = np.array([[NONE if value is None else value for value in values]])
    sloping = make_track(heights[np.newaxis], dbz)
    fixed = sloping.drop_vars("gate_height")
    grid = Grid(rows=12, row_depth_m=50)
    xr.testing.assert_identical(grid_curtain(sloping, grid), grid_curtain(fixed, grid))


def test_what_a_curtain_says_of_its_profiles_is_kept() -> None:
    heights = np.array([[50.0, 150.0]] * 3)
    curtain = make_track(heights, np.zeros((3, 2))).assign(
        source_file=("time", np.array([0, 0, 1], dtype=np.int16))
    )
    curtain = curtain.assign_coords(ray=24)
    gridded = grid_curtain(curtain, Grid(rows=2, row_depth_m=100))
    kept = (
        "latitude",
        "longitude",
        "altitude",
        "along_track_distance",
        "blind_zone_top",
        "time",
        "ray",
        "source_file",
    )
    for name in kept:
        assert gridded[name].variable.identical(curtain[name].variable), name
    assert gridded.attrs == curtain.attrs
    assert "gate_height" not in gridded
    assert gridded["height"].values.tolist() == [50, 150]


def test_rays_of_a_swath_are_gridded_each_for_itself() -> None:
    rays = [
        make_track(np.array([[50.0, 150.0]]) + offset, np.array([[0.0, 10.0]]))
        for offset in (0, 100)
    ]
    swath = xr.concat(
        rays, dim="ray", data_vars="all", coords="different", compat="equals", join="override"
    )
    gridded = map_rays(lambda ray: grid_curtain(ray, Grid(rows=3, row_depth_m=100)), swath)
    assert gridded["reflectivity"].values[:, 0] == pytest.approx(
        np.array([[0, 10, NONE], [NONE, 0, 10]]), abs=1e-5, nan_ok=True
    )


def test_untrusted_rows_are_those_flagged_so(measured_directory: Path, catalog_file: Path) -> None:
    entry = read_catalog(catalog_file)["palaiseau_basta"]
    native = read_curtain(
        entry.find_days(measured_directory)[entry.split.validation[0]][0], entry.reader
    )
    gridded = grid_curtain(apply_quality(native, entry.quality), entry.grid)
    check_curtain(gridded)
    flags, status = gridded["quality_flags"].values, gridded["detection_status"].values
    assert np.array_equal((flags & QualityFlag.BELOW_LOWEST_TRUSTED_GATE) != 0, status == UNTRUSTED)
    assert ((flags & QualityFlag.CLUTTER) != 0)[status == CLUTTER_REMOVED].all()
    # Gates up to 212 m lie below 234 m: rows 0 to 2.
    assert (status[:, :3] == UNTRUSTED).all()
    assert not (status[:, 3:] == UNTRUSTED).any()


def test_default_grid_is_that_of_the_published_network() -> None:
    grid = Grid()
    assert (grid.rows, grid.top_m) == (128, 10_000)
    assert grid.centres_m[[0, -1]].tolist() == [39.0625, 9960.9375]
    assert grid.edges_m[[0, 16, -1]].tolist() == [0, 1250, 10_000]


@pytest.mark.parametrize(
    ("height_m", "row"), [(0, 0), (1, 1), (78.125, 1), (78.13, 2), (234, 3), (1250, 16), (2e4, 128)]
)
def test_row_of_is_the_first_row_wholly_at_or_above(height_m: float, row: int) -> None:
    assert Grid().row_of(height_m) == row


@pytest.mark.parametrize(
    "settings", [{"rows": 0}, {"row_depth_m": 0.0}, {"row_depth_m": -1.0}, {"row_depth_m": NONE}]
)
def test_impossible_grid_is_rejected(settings: dict[str, float]) -> None:
    (key, value), *_ = settings.items()
    with pytest.raises(CurtainError, match=rf"^grid: {key}: should be .*\(found {value}\)$"):
        Grid(**settings)  # type: ignore[arg-type]


def test_measured_days_give_the_published_scores_of_repeating_the_lowest_visible_row(
    measured_directory: Path, catalog_file: Path
) -> None:
    entry = read_catalog(catalog_file)["palaiseau_basta"]
    files, floor = entry.find_days(measured_directory), entry.quality.sensitivity_floor_dbz
    hidden, lowest = (
        entry.blind_zone.rows(entry.grid),
        entry.grid.row_of(entry.quality.lowest_trusted_m),
    )
    assert (lowest, hidden) == (3, 16)  # rows 3 to 15 are scored
    truths, saids = [], []
    # The near-clear day came with version 2 of the split; the table is of version 1.
    for day in sorted({*entry.split.validation} - {date(2021, 3, 8)}):
        native = read_curtain(files[day][0], entry.reader)
        gridded = grid_curtain(apply_quality(native, entry.quality), entry.grid)
        dbz = np.nan_to_num(apply_floor(gridded["reflectivity"].values, floor), nan=floor)
        truths.append(dbz[:, lowest:hidden])
        saids.append(np.broadcast_to(dbz[:, hidden : hidden + 1], truths[-1].shape))
    truth, prediction = np.concatenate(truths), np.concatenate(saids)
    echo, predicted, error = (
        truth > floor,
        prediction > floor,
        np.abs(prediction.astype(np.float64) - truth),
    )
    hits, either = (echo & predicted).sum(), (echo | predicted).sum()
    # The protocol's own table: 38123 profiles of 13 rows, 17.1 % echo, "repeat lowest visible row".
    assert truth.size == 38123 * 13
    assert round(echo.mean(), 3) == 0.171
    pod, far, csi = hits / echo.sum(), 1 - hits / predicted.sum(), hits / either
    assert [round(float(score), 3) for score in (pod, far, csi, error.mean())] == [
        0.814,
        0.118,
        0.734,
        1.632,
    ]
    bias, error_over_hits = predicted.sum() / echo.sum(), error[echo & predicted].mean()
    assert [round(float(score), 2) for score in (bias, error_over_hits)] == [0.92, 7.22]
