"""Columns: each class by hand, probabilities as shares of members, and what is not known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from tiny_products import FLOOR, NO_DATA_PROFILE, make_product, set_pixel

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.echo import ROWS_ABOVE, find_shallow_and_virga
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.derivation.columns import (
    CLASS_NAMES,
    QUANTITIES,
    ColumnClass,
    ColumnRows,
    classify_columns,
    derive_columns,
    describe_columns,
    find_bases,
    find_cloud_bases,
    find_rows,
)
from blindzone.pipeline.derivation.rates import LEVELS
from blindzone.pipeline.products.members import draw_members

ROWS, HIDDEN, LOWEST = 10, 3, 1
EDGES = np.arange(ROWS + 1) * 100.0


def column(*rows: int) -> np.ndarray:
    """Echo `(height,)` in these rows."""
    return np.isin(np.arange(ROWS), rows)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ((), ColumnClass.CLEAR),
        ((9,), ColumnClass.CLOUD_ALOFT),
        ((HIDDEN,), ColumnClass.VIRGA),
        ((HIDDEN + ROWS_ABOVE - 1, 2), ColumnClass.VIRGA),
        ((HIDDEN + ROWS_ABOVE, 2), ColumnClass.SHALLOW),
        ((1,), ColumnClass.SHALLOW),
        ((HIDDEN, 2, 1), ColumnClass.PRECIPITATION_TO_GROUND),
        ((HIDDEN + 1, LOWEST), ColumnClass.PRECIPITATION_TO_GROUND),
    ],
)
def test_class_is_found_by_the_rows_with_echo(rows: tuple[int, ...], kind: ColumnClass) -> None:
    echo = column(*rows)[None, None]
    assert classify_columns(echo, np.array([HIDDEN]), LOWEST).item() == kind


@given(arrays.arrays(bool, (3, 5, ROWS)), st.integers(2, 5))
def test_shallow_columns_are_those_of_the_scores(echo: np.ndarray, depth: int) -> None:
    echo[..., :LOWEST] = False
    found = classify_columns(echo, np.full(5, depth), LOWEST)
    for member, classes in zip(echo, found, strict=True):
        shallow, empty_below = find_shallow_and_virga(member[:, :depth], member[:, depth:])
        np.testing.assert_array_equal(classes == ColumnClass.SHALLOW, shallow)
        assert (classes[empty_below] == ColumnClass.VIRGA).all()


def test_base_is_the_lower_edge_of_the_lowest_echo() -> None:
    echo = np.stack([column(4, 6), column(), column(0)])[None]
    np.testing.assert_array_equal(find_bases(echo, EDGES), [[400.0, np.nan, 0.0]])


def describe(members: np.ndarray, observed: np.ndarray, flag: np.ndarray) -> dict[str, np.ndarray]:
    rows = ColumnRows(lowest=LOWEST, edges_m=EDGES, floor_dbz=FLOOR)
    found = describe_columns(members, observed, flag, rows=rows)
    return dict(zip(QUANTITIES, found.T, strict=True))


def make_column(echo: list[tuple[int, ...]], visible: tuple[int, ...]) -> dict[str, np.ndarray]:
    """What is derived of one column whose members have echo in these hidden rows."""
    observed = np.where(column(*visible), 5.0, np.nan)[None]
    flag = np.full((1, ROWS), InpaintingFlag.OBSERVED)
    flag[0, :HIDDEN] = InpaintingFlag.FILLED
    members = np.stack([np.where(column(*rows), 0.0, FLOOR) for rows in echo])[:, None]
    members[..., HIDDEN:] = np.nan
    return describe(members, observed, flag)


def test_probabilities_are_shares_of_members() -> None:
    found = make_column([(2, 1), (2,), (), (1,)], visible=(HIDDEN,))
    assert found["precipitation_to_ground_probability"] == 0.5
    assert found["virga_probability"] == 0.5
    assert found["filled_echo_depth"] == (200 + 100 + 0 + 100) / 4
    # Sorted bases are 100, 100, 200 and 300 m; of four, level p is the ceil(4 p)-th.
    bases = [found[f"echo_base_height {level}"].item() for level in LEVELS]
    assert bases == [100, 100, 100, 200, 300]


def test_rows_below_trusted_truth_count_for_nothing() -> None:
    found = make_column([(0,), (0,)], visible=())
    assert found["clear_column_probability"] == 1
    assert found["filled_echo_depth"] == 0


def test_what_the_radar_saw_inside_the_zone_is_not_used() -> None:
    assert make_column([(), ()], visible=(1,))["clear_column_probability"] == 1


@pytest.mark.parametrize("row", [LOWEST, HIDDEN, HIDDEN + ROWS_ABOVE - 1])
def test_column_without_data_where_it_is_decided_is_not_known(row: int) -> None:
    flag = np.full((1, ROWS), InpaintingFlag.OBSERVED)
    flag[0, :HIDDEN] = InpaintingFlag.FILLED
    flag[0, row] = InpaintingFlag.NO_DATA
    found = describe(np.full((2, 1, ROWS), FLOOR), np.full((1, ROWS), np.nan), flag)
    assert all(np.isnan(values).all() for values in found.values())


def test_hole_far_above_decides_nothing() -> None:
    flag = np.full((1, ROWS), InpaintingFlag.OBSERVED)
    flag[0, :HIDDEN] = InpaintingFlag.FILLED
    flag[0, -1] = InpaintingFlag.NO_DATA
    found = describe(np.full((2, 1, ROWS), FLOOR), np.full((1, ROWS), np.nan), flag)
    assert found["clear_column_probability"] == 1


@pytest.mark.parametrize("lazily", [False, True])
def test_product_gives_what_its_members_are(lazily: bool) -> None:
    product = make_product(lazily=lazily)
    members = draw_members(product, 8, seed=3)
    derived = derive_columns(product, members)
    assert derived["column_class"].chunks is not None
    values = np.stack([derived[name].values for name in CLASS_NAMES.values()])
    known = np.arange(product.sizes["time"]) != NO_DATA_PROFILE
    np.testing.assert_allclose(values.sum(axis=0)[known], 1, atol=1e-6)
    assert np.isnan(values[:, NO_DATA_PROFILE]).all()
    assert derived["column_class"].values[NO_DATA_PROFILE] == ColumnClass.UNKNOWN
    # Echo in the lowest trusted row is as likely as the product says.
    ground = product["hydrometeor_probability"].isel(height=find_rows(product).lowest).values
    np.testing.assert_array_equal(
        derived["echo_to_ground_probability"].values[known], ground[known]
    )


def test_untrusted_rows_raise_the_lowest_one() -> None:
    product = make_product()
    assert find_rows(product).lowest == 1  # row 0 is untrusted
    assert find_rows(product).edges_m[1] == 78.125


def test_rays_of_a_swath_are_derived_each_by_itself() -> None:
    product = make_product()
    of_time = [name for name, variable in product.data_vars.items() if "time" in variable.dims]
    swath = xr.concat([product, product], "ray", data_vars=of_time)
    members = draw_members(product, 4)
    both = xr.concat([members, members], "ray")
    derived = derive_columns(swath, both)
    assert derived["virga_probability"].dims == ("ray", "time")
    alone = derive_columns(product, members)
    xr.testing.assert_allclose(
        derived["virga_probability"].isel(ray=1).drop_vars("ray", errors="ignore"),
        alone["virga_probability"],
    )


def test_product_without_any_data_is_refused() -> None:
    product = make_product()
    nothing = set_pixel(product, "inpainting_flag", np.s_[:], InpaintingFlag.NO_DATA)
    with pytest.raises(ProductError, match="no pixel of the product is observed"):
        find_rows(nothing)


@pytest.mark.parametrize(
    ("rows", "base_m"),
    [((), np.nan), ((LOWEST, 2), np.nan), ((LOWEST, 2, 5, 6, 8), 500), ((2, 3), 200)],
)
def test_the_base_of_cloud_is_above_what_reaches_the_ground(
    rows: tuple[int, ...], base_m: float
) -> None:
    echo = column(*rows)[None, None]
    before = echo.copy()
    assert np.array_equal(find_cloud_bases(echo, EDGES, LOWEST), [[base_m]], equal_nan=True)
    assert np.array_equal(echo, before)
