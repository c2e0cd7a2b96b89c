"""Native gates to rows: means in linear units, what a row claims to know, and the protocol on measured days."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from blindzone.pipeline.catalog import read_catalog
from blindzone.pipeline.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.errors import CurtainError
from blindzone.pipeline.gridding import Grid, grid_curtain
from blindzone.pipeline.quality import apply_floor, apply_quality
from blindzone.pipeline.readers import read_curtain
from blindzone.pipeline.verification import Prediction, ScoreSums, sum_scores

NONE = math.nan
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus


def make_profile(
    gates: dict[float, float],
    status: dict[float, DetectionStatus] | None = None,
    velocity: dict[float, float] | None = None,
) -> xr.Dataset:
    """One profile from reflectivity [dBZ] by height [m]; a gate is echo or no echo where its status is not given."""
    heights = np.array(sorted(gates))
    dbz = np.array([[gates[height] for height in heights]], dtype=np.float32)
    codes = np.where(np.isnan(dbz), NO_ECHO, ECHO).astype(np.int8)
    for height, code in (status or {}).items():
        codes[0, heights == height] = code
    fields = {"reflectivity": (("time", "height"), dbz), "detection_status": (("time", "height"), codes)}
    if velocity is not None:
        speeds = np.array([[velocity.get(height, NONE) for height in heights]], dtype=np.float32)
        fields["doppler_velocity"] = (("time", "height"), speeds)
    site = {"latitude": 48.7, "longitude": 2.2, "altitude": 156.0}
    curtain = xr.Dataset(fields, {"time": [np.datetime64("2021-03-14", "ns")], "height": heights, **site})
    check_curtain(curtain)
    return curtain


def grid_profile(curtain: xr.Dataset, rows: int = 1, row_depth_m: float = 100) -> tuple[list[float], list[int]]:
    """Reflectivity [dBZ] and status of each row of the one profile."""
    gridded = grid_curtain(curtain, Grid(rows=rows, row_depth_m=row_depth_m))
    check_curtain(gridded)
    return gridded["reflectivity"].values[0].tolist(), gridded["detection_status"].values[0].tolist()


def test_row_is_the_mean_in_linear_units_no_echo_counting_as_zero() -> None:
    # 0 dBZ = 1 mm6 m-3, 10 dBZ = 10, no echo = 0: 10 log10((1 + 10 + 0) / 3) = 5.643 dBZ; in decibels it would be 5.
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
    # Row 0: one gate looked. Row 1: none did. Row 2 (200 to 300 m) has no gate at all. Row 3: one gate looked.
    dbz, status = grid_profile(make_profile(gates, {50: NO_DATA, 150: NO_DATA, 190: NO_DATA}), rows=4)
    assert np.isnan(dbz).all()
    assert status == [NO_ECHO, NO_DATA, NO_DATA, NO_ECHO]


def test_row_is_untrusted_if_any_of_its_gates_is_and_keeps_its_value() -> None:
    dbz, status = grid_profile(make_profile({10: 0, 50: 10, 150: 5}, {10: UNTRUSTED}), rows=2)
    # Row 0: 10 log10((1 + 10) / 2); row 1: its single gate.
    assert dbz == pytest.approx([10 * math.log10(11 / 2), 5], abs=1e-5)
    assert status == [UNTRUSTED, ECHO]


def test_uneven_gates_count_once_each_in_the_row_of_their_centre() -> None:
    # Steps of 5 m, then 10, then 80: row 0 has four gates, row 1 has one, row 2 has one.
    dbz, status = grid_profile(make_profile({5: 0, 10: 0, 20: NONE, 30: 10, 110: -20, 290: -5}), rows=3)
    assert dbz == pytest.approx([10 * math.log10((1 + 1 + 0 + 10) / 4), -20, -5], abs=1e-5)
    assert status == [ECHO, ECHO, ECHO]


def test_centre_on_an_edge_belongs_to_the_row_above() -> None:
    # Rows of 100 m: 100 m is in the second; -1 m lies below the grid and 300 m above it, so that the third has no gate.
    dbz, status = grid_profile(make_profile({-1: 30, 99.99: 0, 100: 10, 300: 30}), rows=3)
    assert dbz == pytest.approx([0, 10, NONE], abs=1e-5, nan_ok=True)
    assert status == [ECHO, ECHO, NO_DATA]


def test_velocity_is_weighted_with_linear_reflectivity() -> None:
    # 0 dBZ at -1 m/s and 10 dBZ at -2: (1 * -1 + 10 * -2) / (1 + 10) = -21/11 m/s. The third gate has no velocity.
    curtain = make_profile({10: 0, 50: 10, 90: 20}, velocity={10: -1, 50: -2})
    gridded = grid_curtain(curtain, Grid(rows=1, row_depth_m=100))
    assert gridded["doppler_velocity"].values[0] == pytest.approx([-21 / 11], abs=1e-6)


def test_row_of_echo_without_any_velocity_has_none() -> None:
    gridded = grid_curtain(make_profile({10: 0, 50: 10}, velocity={}), Grid(rows=1, row_depth_m=100))
    assert np.isfinite(gridded["reflectivity"].values).all()
    assert np.isnan(gridded["doppler_velocity"].values).all()


def test_gates_that_end_below_the_grid_are_refused_with_both_heights() -> None:
    curtain = make_profile({float(height): 0.0 for height in range(25, 500, 50)})
    with pytest.raises(
        CurtainError, match=r"^station: the gates end at 475 m, the grid's top is 1000 m \(10 rows of 100"
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
def test_row_lies_between_its_strongest_gate_shared_out_and_that_gate(values: list[float | None]) -> None:
    gates = {90.0 - 10 * i: NONE if value is None else value for i, value in enumerate(values)}
    dbz, status = grid_profile(make_profile(gates))
    echoes = [value for value in values if value is not None]
    if not echoes:
        assert (math.isnan(dbz[0]), status) == (True, [NO_ECHO])
    else:
        # All gates as strong as the strongest, or none but it: max - 10 log10(n) <= mean <= max.
        assert max(echoes) - 10 * math.log10(len(values)) - 1e-4 <= dbz[0] <= max(echoes) + 1e-4


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


@pytest.mark.parametrize("settings", [{"rows": 0}, {"row_depth_m": 0.0}, {"row_depth_m": -1.0}])
def test_impossible_grid_is_refused(settings: dict[str, float]) -> None:
    with pytest.raises(CurtainError, match="rows and row_depth_m must be positive; found"):
        Grid(**settings)  # type: ignore[arg-type]


def test_measured_days_give_the_published_scores_of_repeating_the_lowest_visible_row(
    measured_directory: Path, catalog_file: Path
) -> None:
    entry = read_catalog(catalog_file)["palaiseau_basta"]
    files, floor = entry.find_days(measured_directory), entry.quality.sensitivity_floor_dbz
    hidden, sums = entry.blind_zone.rows(entry.grid), ScoreSums()
    lowest = entry.grid.row_of(entry.quality.lowest_trusted_m)
    assert (lowest, hidden) == (3, 16)  # rows 3 to 15 are scored
    for day in entry.split.validation:
        native = read_curtain(files[day][0], entry.reader)
        gridded = grid_curtain(apply_quality(native, entry.quality), entry.grid)
        dbz = np.nan_to_num(apply_floor(gridded["reflectivity"].values, floor), nan=floor)
        truth = dbz[:, lowest:hidden]
        repeated = np.broadcast_to(dbz[:, hidden : hidden + 1], truth.shape)
        said = Prediction(
            reflectivity=repeated, probability=(repeated > floor).astype(float), lower=repeated, upper=repeated
        )
        sums += sum_scores(truth, said, floor)
    scores = sums.scores()
    # The protocol's own table: 38123 profiles of 13 rows, 17.1 % echo, "repeat lowest visible row".
    assert sums.pixels == 38123 * 13
    assert round((sums.hits + sums.misses) / sums.pixels, 3) == 0.171
    assert [round(scores[name], 3) for name in ("POD", "FAR", "CSI", "Dice", "MAE [dB]")] == [
        0.814,
        0.118,
        0.734,
        0.846,
        1.632,
    ]
    assert [round(scores[name], 2) for name in ("frequency bias", "MAE hits [dB]")] == [0.92, 7.22]
