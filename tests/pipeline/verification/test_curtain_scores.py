"""Scores of curtains: regimes, columns, sums that merge, and the pixels of a product that count."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DetectionStatus
from blindzone.pipeline.verification.curtain_scores import (
    CurtainSums,
    Regime,
    find_regimes,
    find_strata,
    score_product,
    sum_columns,
    sum_curtain,
)
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS
from blindzone.pipeline.verification.spectra import SEGMENT_PROFILES

FLOOR = -30.0
NAN = np.nan
NO_DATA, NO_ECHO, ECHO, CLUTTER_REMOVED, UNTRUSTED = DetectionStatus
LEVELS = (0.05, 0.5, 0.95)


def draw_curtain(seed: int, profiles: int, rows: int = 5) -> dict[str, Any]:
    """Truth, a distribution and what is visible, drawn; a tenth of the pixels does not count."""
    rng = np.random.default_rng(seed)
    truth = np.where(
        rng.random((profiles, rows)) < 0.4, NAN, rng.uniform(-35, 15, (profiles, rows))
    )
    prediction = np.sort(
        np.maximum(rng.normal(-20, 15, (len(EVALUATION_LEVELS), profiles, rows)), FLOOR), axis=0
    )
    return {
        "truth": truth.astype(np.float32),
        "probability": rng.random((profiles, rows)).astype(np.float32),
        "quantiles": prediction.astype(np.float32),
        "visible": np.where(rng.random((profiles, 8)) < 0.6, NAN, 0.0).astype(np.float32),
        "scored": rng.random((profiles, rows)) < 0.9,
    }


def take(curtain: dict[str, Any], part: slice) -> dict[str, Any]:
    return {name: v[:, part] if name == "quantiles" else v[part] for name, v in curtain.items()}


def score(curtain: dict[str, Any], **options: Any) -> CurtainSums:
    return sum_curtain(**curtain, levels=EVALUATION_LEVELS, floor_dbz=FLOOR, **options)


def test_regime_is_what_is_seen_above_the_blind_zone() -> None:
    visible = np.array(
        [[0, NAN, 5], [NAN, NAN, 5], [NAN, -29.9, NAN], [NAN, NAN, NAN], [-30, -30.5, NAN]]
    )
    touching, aloft, clear = Regime.TOUCHING, Regime.ALOFT, Regime.CLEAR
    assert find_regimes(visible, FLOOR, profiles=5).tolist() == [
        touching,
        aloft,
        aloft,
        clear,
        clear,
    ]
    assert find_regimes(None, FLOOR, profiles=2).tolist() == [Regime.UNKNOWN] * 2


def test_columns_of_shallow_echo_and_of_virga_by_hand() -> None:
    # Echo below, foreseen below, echo in the four rows above: shallow hit, miss and false alarm;
    # virga hit, miss and false alarm; deep echo; clear. Echo in the fifth visible row makes no
    # column less shallow.
    was = np.array([1, 1, 0, 0, 0, 1, 1, 0], dtype=bool)
    prediction = np.array([1, 0, 1, 0, 1, 0, 1, 0], dtype=bool)
    above = np.array([0, 0, 0, 1, 1, 1, 1, 0], dtype=bool)
    visible = np.zeros((8, 5), dtype=bool)
    visible[:, 3], visible[0, 4] = above, True
    below, foreseen = np.zeros((8, 2), dtype=bool), np.zeros((8, 2), dtype=bool)
    below[:, 0], foreseen[:, 1] = was, prediction

    sums = sum_columns(below, foreseen, visible, np.ones((8, 2), dtype=bool))

    assert sums.columns == 8
    assert (sums.shallow_hits, sums.shallow_misses, sums.shallow_false_alarms) == (1, 1, 1)
    assert (sums.virga_hits, sums.virga_misses, sums.virga_false_alarms) == (1, 1, 1)
    assert sums.scores()["shallow CSI"] == pytest.approx(1 / 3)
    assert sums.scores()["virga share"] == pytest.approx(2 / 8)


def test_column_without_a_scored_pixel_and_echo_in_one_that_is_not_scored_do_not_count() -> None:
    echo = np.array([[True, False], [True, False]])
    scored = np.array([[False, False], [False, True]])
    sums = sum_columns(echo, ~echo, np.zeros((2, 4), dtype=bool), scored)
    assert (sums.columns, sums.shallow_hits, sums.shallow_misses, sums.shallow_false_alarms) == (
        1,
        0,
        0,
        1,
    )


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 60), max_size=4))
@settings(max_examples=20, deadline=None)
def test_sums_of_parts_are_the_sums_of_the_whole(seed: int, cuts: list[int]) -> None:
    curtain = draw_curtain(seed, 60)
    parts = [
        score(take(curtain, slice(*bounds))) for bounds in pairwise([0, *sorted(cuts), 60])
    ]  # may be empty
    merged = sum(parts[1:], start=parts[0])
    for name, whole in score(curtain).to_arrays().items():
        if not name.endswith(".pit"):  # its draws at the floor are others
            np.testing.assert_allclose(
                merged.to_arrays()[name], whole, rtol=1e-9, atol=1e-9, err_msg=name
            )


def test_segments_in_time_merge_where_a_curtain_is_cut_between_them() -> None:
    curtain = draw_curtain(1, 3 * SEGMENT_PROFILES)
    curtain["scored"][:] = True
    parts = [score(take(curtain, slice(cut, cut + SEGMENT_PROFILES))) for cut in (0, 128, 256)]
    whole = score(curtain).spectra
    assert whole.temporal_pieces == 3 * 5
    np.testing.assert_allclose(sum(parts[1:], start=parts[0]).spectra.temporal, whole.temporal)


def test_pixel_that_is_not_scored_changes_nothing() -> None:
    curtain = draw_curtain(2, 40)
    before = score(curtain).scores()
    off = ~curtain["scored"]
    curtain["truth"][off], curtain["probability"][off], curtain["quantiles"][:, off] = 60, NAN, NAN
    after = score(curtain).scores()
    assert after == pytest.approx(before, nan_ok=True)


def test_rows_and_regimes_share_out_the_pixels() -> None:
    curtain = draw_curtain(3, 50)
    pixels = score(curtain).pixels
    assert [int(pixels.select(row=row).pixels.sum()) for row in range(5)] == curtain["scored"].sum(
        axis=0
    ).tolist()
    regimes = find_regimes(curtain["visible"], FLOOR, profiles=50)
    for regime in Regime:
        assert (
            pixels.select(regime=regime).pixels.sum() == curtain["scored"][regimes == regime].sum()
        )


def test_same_seed_gives_the_same_scores_and_another_seed_another_pit() -> None:
    curtain = draw_curtain(4, 50)
    pit = [score(curtain, seed=seed).pixels.pit.sum(axis=(0, 1)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(pit[0], pit[1])
    assert (pit[0] != pit[2]).any()


def test_without_visible_rows_columns_have_no_scores() -> None:
    curtain = draw_curtain(5, 20) | {"visible": None}
    sums = score(curtain)
    assert math.isnan(sums.scores()["shallow CSI"])
    assert sums.pixels.select(regime=Regime.UNKNOWN).pixels.sum() == curtain["scored"].sum()


def test_nothing_scored_gives_nan_and_no_error() -> None:
    assert all(
        math.isnan(value)
        for value in score(take(draw_curtain(6, 9), slice(0, 0))).scores().values()
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"probability": np.zeros((4, 4))}, r"probability of shape \(4, 5\) is right"),
        ({"quantiles": np.zeros((7, 4, 5))}, r"quantiles of shape \(21, 4, 5\) is right"),
        ({"scored": np.ones((5, 4), dtype=bool)}, r"scored of shape \(4, 5\) is right"),
        ({"visible": np.zeros((3, 8))}, r"visible \(4, visible row\) is right"),
        ({"visible": np.zeros((4, 0))}, r"visible \(4, visible row\) is right"),
        (
            {"probability": np.full((4, 5), NAN), "scored": np.ones((4, 5), dtype=bool)},
            "must be finite",
        ),
    ],
    ids=["probability", "quantiles", "scored", "visible", "no row", "nan"],
)
def test_wrong_arrays_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(CurtainError, match=message):
        score(draw_curtain(7, 4) | wrong)


@pytest.mark.parametrize("levels", [(0.1, 0.9), (0.5, 0.1), (0.5, 0.5)], ids=str)
def test_levels_must_increase_and_hold_the_median(levels: tuple[float, ...]) -> None:
    with pytest.raises(CurtainError, match="levels must increase and hold the median"):
        sum_curtain(
            np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((2, 3, 2)), levels, floor_dbz=FLOOR
        )


def test_levels_of_an_arithmetic_sequence_are_recognised() -> None:
    levels = np.linspace(0.05, 0.95, 19)  # 0.15000000000000002 among them
    flat = np.zeros((3, 2), dtype=np.float32)
    sums = sum_curtain(flat, flat + 1, np.zeros((19, 3, 2)), levels, floor_dbz=FLOOR)
    assert sums.scores()["CRPS [dB]"] == 0


def make_product() -> tuple[xr.Dataset, xr.DataArray]:
    """Three profiles of four rows, two hidden; row 0 is untrusted, profile 2 was not filled."""
    nan, dims = np.nan, ("time", "height")
    fields: dict[str, Any] = {
        "reflectivity_observed": [[5, -10, -14, -14], [5, nan, nan, 3], [5, -10, nan, nan]],
        "reflectivity": [[1, -12, -14, -14], [nan, -20, nan, 3], [nan, nan, nan, nan]],
        "hydrometeor_probability": [
            [0.9, 0.8, nan, nan],
            [0.1, 0.6, nan, nan],
            [nan, nan, nan, nan],
        ],
    }
    quantiles = np.full((3, 3, 4), nan)
    quantiles[:, 0, :2] = [[-15], [-12], [-9]]
    quantiles[:, 1, :2] = [[-30], [-20], [-18]]
    product = xr.Dataset(
        {name: (dims, np.array(values, dtype=np.float32)) for name, values in fields.items()}
        | {"reflectivity_quantile": (("quantile", *dims), quantiles.astype(np.float32))},
        {"quantile": list(LEVELS)},
    )
    status = np.array(
        [
            [UNTRUSTED, ECHO, ECHO, ECHO],
            [UNTRUSTED, NO_ECHO, NO_ECHO, ECHO],
            [UNTRUSTED, ECHO, NO_DATA, NO_DATA],
        ],
        dtype=np.int8,
    )
    return product, xr.DataArray(status, dims=dims)


def add_up(sums: CurtainSums, *names: str) -> tuple[float, ...]:
    return tuple(float(getattr(sums.pixels, name).sum()) for name in names)


def test_product_is_scored_where_it_was_filled_and_truth_is_trusted() -> None:
    sums = score_product(*make_product(), floor_dbz=FLOOR)
    # Row 1 of profiles 0 (truth -10, said -12, p 0.8) and 1 (truth clear, said -20, p 0.6); nothing
    # else.
    fill = sums["fill"]
    assert add_up(fill, "pixels", "hits", "misses", "false_alarms") == (2, 1, 0, 1)
    assert add_up(fill, "absolute_error", "absolute_error_hits") == (2 + 10, 2)
    # -10 in [-15, -9] and the floor in [-30, -18]; widths 6 and 12. The other intervals' bounds
    # were not published.
    scores = fill.scores()
    assert (scores["coverage 90 %"], scores["coverage 90 % echo"], scores["width 90 % [dB]"]) == (
        1,
        1,
        9,
    )
    assert math.isnan(scores["coverage 50 %"])
    assert math.isnan(scores["CRPS [dB]"])
    assert scores["Brier"] == pytest.approx((0.2**2 + 0.6**2) / 2, rel=1e-6)


def test_persistence_is_scored_on_the_same_pixels() -> None:
    # The lowest visible row is row 2: -14 dBZ in profile 0 and clear in profile 1.
    repeat = score_product(*make_product(), floor_dbz=FLOOR)["repeat"]
    assert add_up(repeat, "pixels", "hits", "misses", "false_alarms", "absolute_error") == (
        2,
        1,
        0,
        0,
        4,
    )
    assert repeat.scores()["width 90 % [dB]"] == 0


def test_pixel_without_data_is_not_scored() -> None:
    product, status = make_product()
    lost = status.copy()
    lost[0, 1] = NO_DATA
    sums = score_product(product, lost, floor_dbz=FLOOR)
    assert add_up(sums["fill"], "pixels", "hits", "false_alarms") == (1, 0, 1)
    assert add_up(sums["repeat"], "pixels") == (1,)


def test_product_without_a_scored_pixel_has_no_scores() -> None:
    product, status = make_product()
    sums = score_product(product, xr.full_like(status, NO_DATA), floor_dbz=FLOOR)
    assert all(math.isnan(value) for value in sums["fill"].scores().values())


def test_each_profile_is_scored_to_its_own_depth_and_repeats_its_own_lowest_visible_row() -> None:
    product, status = make_product()
    probability = product["hydrometeor_probability"].copy()
    quantiles = product["reflectivity_quantile"].copy()
    # Row 1 of profile 1 was visible: only its row 0 was hidden, which nobody trusts.
    probability[1, 1], quantiles[:, 1, 1] = np.nan, np.nan
    ragged = product.assign(hydrometeor_probability=probability, reflectivity_quantile=quantiles)
    sums = score_product(ragged, status, floor_dbz=FLOOR)
    assert add_up(sums["fill"], "pixels", "hits") == (1, 1)
    trusted, observed = status.copy(), ragged["reflectivity_observed"].copy()
    trusted[1, 0], observed[1, 0] = NO_ECHO, np.nan
    ragged = ragged.assign(reflectivity_observed=observed)
    repeat = score_product(ragged, trusted, floor_dbz=FLOOR)["repeat"]
    # Profile 0 repeats row 2, -14 dBZ for -10; profile 1 repeats its clear row 1 for row 0.
    assert add_up(repeat, "pixels", "hits", "misses", "false_alarms") == (2, 1, 0, 0)


def test_truth_below_the_floor_is_no_echo() -> None:
    product, status = make_product()
    observed = product["reflectivity_observed"].copy()
    observed[0, 1] = -35.0
    sums = score_product(product.assign(reflectivity_observed=observed), status, floor_dbz=FLOOR)[
        "fill"
    ]
    # Profile 0 turns from a hit into a false alarm, its error from 2 to 18 dB.
    assert add_up(sums, "hits", "false_alarms", "absolute_error") == (0, 2, 18 + 10)


def test_strata_are_those_of_hour_and_temperature() -> None:
    times = np.array(["2000-01-01T02:59", "2000-01-01T03:00", "2000-01-01T23:00"], "datetime64[ns]")
    curtain = xr.Dataset(
        {
            "reflectivity": (("time", "height"), np.zeros((3, 3))),
            "temperature": (
                ("time", "height"),
                [[0.0, 273.15, 273.2], [0, 280, np.nan], [0, 9, 9]],
            ),
        },
        coords={"time": times},
    )
    hours, phase = find_strata(curtain, slice(1, 3))
    assert hours.tolist() == [[0, 0], [1, 1], [7, 7]]
    assert phase.tolist() == [[0, 1], [1, 2], [0, 0]]
    assert set(find_strata(curtain.drop_vars("temperature"), slice(1, 3))[1].flat) == {2}


def test_pixels_of_all_strata_are_all_pixels() -> None:
    curtain = draw_curtain(0, 60)
    stratum = np.random.default_rng(0).integers(0, 3, (2, *curtain["truth"].shape))
    sums, plain = score(curtain, stratum=stratum), score(curtain)
    assert sums.pixels.scores() == pytest.approx(plain.pixels.scores(), nan_ok=True)
    counts = [[(stratum == [[[i]], [[j]]]).all(axis=0) for j in range(3)] for i in range(3)]
    scored = curtain.get("scored", np.ones(curtain["truth"].shape, dtype=bool))
    expected = [[(one & scored).sum() for one in row] for row in counts]
    assert sums.strata.pixels[:3].tolist() == expected
    assert sums.strata.pixels.sum() == plain.pixels.pixels.sum()
