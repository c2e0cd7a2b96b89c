"""Simple schemes: predictions of tiny curtains, derived by hand, and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blindzone.core.errors import ModelError
from blindzone.models.baselines import (
    Baseline,
    BaselineConfig,
    Climatology,
    ClimatologyConfig,
    LinearExtrapolation,
    LinearExtrapolationConfig,
    MarchingAverage,
    MarchingAverageConfig,
    Persistence,
    PersistenceWithBias,
    Prediction,
)

NAN = np.nan
FLOOR = -30.0
JUST_ABOVE_FLOOR = np.nextafter(np.float32(FLOOR), np.float32(0))
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)

SCHEMES: dict[str, Callable[[], Baseline[Any]]] = {
    "repeat": lambda: Persistence(BaselineConfig(hidden_rows=3, levels=LEVELS)),
    "repeat with bias": lambda: PersistenceWithBias(BaselineConfig(hidden_rows=3, levels=LEVELS)),
    "linear": lambda: LinearExtrapolation(LinearExtrapolationConfig(hidden_rows=3, levels=LEVELS)),
    "marching average": lambda: MarchingAverage(
        MarchingAverageConfig(hidden_rows=3, levels=LEVELS)
    ),
    "climatology": lambda: Climatology(
        ClimatologyConfig(hidden_rows=3, levels=LEVELS, minimum_profiles=5)
    ),
}
each_scheme = pytest.mark.parametrize("build", SCHEMES.values(), ids=SCHEMES.keys())


def curtain(*profiles: list[float]) -> np.ndarray:
    return np.array(profiles, dtype=np.float32)


def trust(hidden: np.ndarray) -> np.ndarray:
    return np.ones(hidden.shape, dtype=bool)


def draw_curtain(seed: int, profiles: int = 40, rows: int = 8) -> np.ndarray:
    """Echo of -45 to 20 dBZ, some of it below the floor; a third of the pixels without."""
    random = np.random.default_rng(seed)
    drawn = random.uniform(-45, 20, (profiles, rows))
    return np.where(random.random((profiles, rows)) < 1 / 3, NAN, drawn).astype(np.float32)


def fit_climatology(
    visible: np.ndarray, hidden: np.ndarray, trusted: np.ndarray | None = None, **options: Any
) -> Any:
    options = {"hidden_rows": hidden.shape[1], "minimum_profiles": 1, "levels": LEVELS} | options
    scheme = Climatology(ClimatologyConfig(**options))
    scheme.fit(visible, hidden, trust(hidden) if trusted is None else trusted)
    return scheme


def assert_predicts(found: Prediction, expected: np.ndarray) -> None:
    """Checks a deterministic prediction against reflectivity [dBZ] on max(dBZ, floor)."""
    np.testing.assert_allclose(
        found.quantiles, np.broadcast_to(expected, found.quantiles.shape), atol=1e-5
    )
    np.testing.assert_array_equal(found.probability, expected > FLOOR)


def test_repeat_hands_the_lowest_visible_row_down() -> None:
    # -30 does not exceed the floor: no echo, as NaN is.
    prediction = Persistence(BaselineConfig(hidden_rows=2)).predict(
        curtain([5, -9], [NAN, 7], [-30, 7], [-29.5, NAN])
    )
    assert_predicts(prediction, curtain([5, 5], [-30, -30], [-30, -30], [-29.5, -29.5]))


@pytest.mark.parametrize("floor", [-30.1, -30.3])
def test_a_value_at_a_floor_that_single_precision_cannot_hold_is_no_echo(floor: float) -> None:
    # In single precision -30.1 lies 4e-7 below itself and -30.3 lies 8e-7 above.
    shape: dict[str, Any] = {"hidden_rows": 1, "floor_dbz": floor}
    schemes: list[Baseline[Any]] = [
        Persistence(BaselineConfig(**shape)),
        PersistenceWithBias(BaselineConfig(**shape)),
        MarchingAverage(MarchingAverageConfig(rows=1, **shape)),
        Climatology(ClimatologyConfig(minimum_profiles=1, **shape)),
    ]
    for scheme in schemes:
        scheme.fit(curtain([0], [floor]), curtain([5], [floor]), np.array([[True], [True]]))
        np.testing.assert_array_equal(
            scheme.predict(curtain([0], [floor])).probability, [[1], [0]], str(scheme)
        )


def test_bias_is_the_mean_over_trusted_hits_of_each_row_and_of_all_days() -> None:
    scheme = PersistenceWithBias(BaselineConfig(hidden_rows=2))
    # Row 1: 4 - 0 and 2 - 0 on the first day, -10 - (-1) on the second: -3 / 3 = -1 dB. Row 0: one
    # trusted hit, +6 dB. Neither clear visible rows, clear truth, truth at -31 dBZ nor the
    # untrusted 20 dBZ count.
    hidden = curtain([20, 4], [6, 2], [NAN, NAN], [9, 9])
    trusted = trust(hidden)
    trusted[0, 0] = False
    scheme.fit(curtain([0], [0], [0], [NAN]), hidden, trusted)
    later = curtain([-31, -10])
    scheme.fit(curtain([-1]), later, trust(later))
    assert_predicts(scheme.predict(curtain([3], [NAN])), curtain([9, 2], [-30, -30]))


def test_bias_takes_no_echo_away() -> None:
    # 10 dB less than -25 dBZ would be -35.
    scheme = PersistenceWithBias(BaselineConfig(hidden_rows=1))
    scheme.fit(curtain([0]), curtain([-10]), np.array([[True]]))
    prediction = scheme.predict(curtain([-25]))
    assert prediction.probability.item() == 1
    assert (prediction.quantiles == JUST_ABOVE_FLOOR).all()


def test_row_without_hits_takes_the_bias_of_the_nearest() -> None:
    scheme = PersistenceWithBias(BaselineConfig(hidden_rows=4))
    hidden = curtain([99, 3, 99, -2])
    scheme.fit(curtain([0]), hidden, np.array([[False, True, False, True]]))
    # Row 2 is as near to row 1 as to row 3: the lower one.
    assert_predicts(scheme.predict(curtain([0])), curtain([3, 3, 3, -2]))


def test_line_is_continued_exactly() -> None:
    # Rows 3 to 6 are visible; reflectivity is a + b row, with 2, -3 and 3 dB a row.
    heights = np.arange(3, 7)
    prediction = LinearExtrapolation(LinearExtrapolationConfig(hidden_rows=3)).predict(
        np.stack([-5 + 2.0 * heights, 4 - 3.0 * heights, -13 + 3.0 * heights])
    )
    assert_predicts(prediction, curtain([-5, -3, -1], [4, 1, -2], [-13, -10, -7]))


def test_line_runs_from_the_first_row_to_the_last_of_those_it_spans() -> None:
    # From -2 to 4 dBZ over two rows: 3 dB a row downwards, so 7, then 10. What lies between and
    # above does not count.
    prediction = LinearExtrapolation(LinearExtrapolationConfig(hidden_rows=2, rows=3)).predict(
        curtain([4, 17, -2, 25])
    )
    assert_predicts(prediction, curtain([10, 7]))


def test_line_takes_no_echo_for_the_floor() -> None:
    scheme = LinearExtrapolation(LinearExtrapolationConfig(hidden_rows=2, rows=4))
    # -24 - (-30) over three rows: 2 dB a row, so -22 and -20. Clear at the bottom: the line falls
    # below the floor.
    prediction = scheme.predict(curtain([-24, -10, -10, NAN], [NAN, 0, 0, 0], [NAN, NAN, NAN, NAN]))
    assert_predicts(prediction, curtain([-20, -22], [-30, -30], [-30, -30]))


def test_line_ends_at_the_strongest_echo() -> None:
    # 10 dB a row downwards would be 30 and 40 dBZ; -10 dB a row gives -30 and -40 dBZ, both no
    # echo.
    scheme = LinearExtrapolation(LinearExtrapolationConfig(hidden_rows=2, rows=2, highest_dbz=22))
    assert_predicts(scheme.predict(curtain([20, 10], [-20, -10])), curtain([22, 22], [-30, -30]))


def test_marching_average_by_hand() -> None:
    # In linear units 10, 100 and 10000 are visible, from below. Row 1: (10 + 100) / 2 = 55, row 0:
    # (55 + 10) / 2 = 32.5
    prediction = MarchingAverage(MarchingAverageConfig(hidden_rows=2, rows=2)).predict(
        curtain([10, 20, 40])
    )
    assert_predicts(prediction, 10 * np.log10([[32.5, 55]]))


def test_marching_average_counts_no_echo_as_nothing() -> None:
    scheme = MarchingAverage(MarchingAverageConfig(hidden_rows=2, rows=2))
    # 10 dBZ over a clear row: 5, then 2.5. -29 dBZ over a clear row: -32 dBZ is no echo. -40 dBZ
    # counts as none at all.
    prediction = scheme.predict(curtain([NAN, 10], [NAN, -29], [-40, -40]))
    assert_predicts(prediction, np.array([10 * np.log10([2.5, 5]), [-30, -30], [-30, -30]]))


def test_marching_average_over_one_row_is_repeat() -> None:
    visible = draw_curtain(1)
    prediction = MarchingAverage(MarchingAverageConfig(hidden_rows=5, rows=1)).predict(visible)
    expected = Persistence(BaselineConfig(hidden_rows=5)).predict(visible)
    np.testing.assert_allclose(prediction.quantiles, expected.quantiles, atol=1e-5)
    np.testing.assert_array_equal(prediction.probability, expected.probability)


def test_climatology_of_one_class_has_its_share_of_echo_and_its_quantiles() -> None:
    # Under a row of 2 dBZ lay 200 pixels: 80 clear, the others -20, -19.9, ... -8.1 dBZ. p = 0.6;
    # 0.05 and 0.25 lie in the atom of 0.4; 0.5 is (0.5 - 0.4) / 0.6 = 1/6 into the echo: 20 of 120
    # values, -18 dBZ; 0.75 is 70 values in, -13 dBZ; 0.95 is 110 values in, -9 dBZ. Histograms are
    # exact to a bin of 0.1 dB.
    hidden = np.concatenate([np.full(80, NAN), -20 + np.arange(120) / 10])[:, None].astype(
        np.float32
    )
    prediction = fit_climatology(np.full((200, 1), 2.0), hidden).predict(curtain([2]))
    assert prediction.probability.item() == pytest.approx(0.6)
    np.testing.assert_array_equal(prediction.quantiles[:2], FLOOR)
    np.testing.assert_allclose(prediction.quantiles[2:, 0, 0], [-18, -13, -9], atol=0.11)


def test_the_lowest_quantile_of_sure_echo_exceeds_the_floor() -> None:
    # A billionth of the way into the first bin is the floor in single precision.
    prediction = fit_climatology(curtain([0]), curtain([-29.95]), levels=(1e-9, 0.5)).predict(
        curtain([0])
    )
    assert prediction.quantiles[0].item() == JUST_ABOVE_FLOOR


def test_climatology_knows_classes_and_rows_apart() -> None:
    # 5 dB from the floor: -30 to -25 and -25 to -20 dBZ are two classes, no echo a third.
    visible = curtain([NAN], [-29.9], [-25.0])
    hidden = curtain([NAN, -3.05], [-10.05, NAN], [5.05, -20.05])
    prediction = fit_climatology(visible, hidden).predict(curtain([-30], [-25.1], [-20.1], [-24.9]))
    np.testing.assert_array_equal(prediction.probability, [[0, 1], [1, 0], [1, 1], [1, 1]])
    expected = curtain([-30, -3.05], [-10.05, -30], [5.05, -20.05], [5.05, -20.05])
    np.testing.assert_allclose(prediction.quantiles[2], expected, atol=0.051)


def test_climatology_median_leaves_the_floor_where_echo_is_likelier_than_not() -> None:
    visible = np.repeat(curtain([1], [6], [11]), 4, axis=0)
    clear = np.array([1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0], dtype=bool)  # 3, 2 and 1 of 4
    hidden = np.where(clear, NAN, 0.05)[:, None].astype(np.float32)
    prediction = fit_climatology(visible, hidden).predict(curtain([1], [6], [11]))
    np.testing.assert_array_equal(prediction.probability[:, 0], [0.25, 0.5, 0.75])
    np.testing.assert_array_equal(prediction.quantiles[2, :, 0] > FLOOR, [False, False, True])


def test_climatology_of_many_days_is_that_of_one_block() -> None:
    drawn = draw_curtain(2, profiles=90)
    visible, hidden = drawn[:, 3:], drawn[:, :3]
    trusted = np.random.default_rng(3).random(hidden.shape) < 0.8
    days = SCHEMES["climatology"]()
    for day in (slice(60, 90), slice(0, 1), slice(1, 60)):
        days.fit(visible[day], hidden[day], trusted[day])
    block = SCHEMES["climatology"]()
    block.fit(visible, hidden, trusted)
    for name, values in vars(block.predict(visible)).items():
        np.testing.assert_array_equal(getattr(days.predict(visible), name), values, err_msg=name)


def test_rare_class_borrows_from_the_nearest_class_of_echo() -> None:
    # Two profiles a class are enough: no echo, -30 to -25 and -10 to -5 dBZ. -20 to -15 dBZ has one
    # and is two classes from either: that of the weaker echo is taken. What was never seen borrows
    # likewise.
    visible = np.array([NAN, NAN, -27, -27, -17, -7, -7], dtype=np.float32)[:, None]
    hidden = np.array([NAN, NAN, -20.05, -20.05, 9, 1.05, 1.05], dtype=np.float32)[:, None]
    prediction = fit_climatology(visible, hidden, minimum_profiles=2).predict(
        curtain([NAN], [-17], [-12], [30], [-22])
    )
    np.testing.assert_allclose(
        prediction.quantiles[2, :, 0], [-30, -20.05, 1.05, 1.05, -20.05], atol=0.051
    )


def test_where_no_class_has_enough_all_classes_answer_together() -> None:
    # No echo and two classes of echo, one profile each: one clear and two echoes.
    scheme = fit_climatology(
        curtain([NAN], [-27], [3]), curtain([NAN], [1], [1]), minimum_profiles=2
    )
    np.testing.assert_allclose(scheme.predict(curtain([NAN], [-27], [3], [50])).probability, 2 / 3)


def test_rare_clear_sky_takes_all_classes_and_no_class_of_echo() -> None:
    # One clear profile above clear sky and three of one class above echo: 3 of 4 where the clear
    # one is too rare.
    scheme = fit_climatology(
        curtain([NAN], [3], [3], [3]), curtain([NAN], [1], [1], [1]), minimum_profiles=2
    )
    np.testing.assert_allclose(scheme.predict(curtain([NAN], [3])).probability, [[0.75], [1.0]])


def test_row_without_trusted_truth_takes_the_climatology_of_the_nearest() -> None:
    hidden = curtain([50, -10.05, 50, 5.05])
    scheme = fit_climatology(curtain([0]), hidden, np.array([[False, True, False, True]]))
    median = scheme.predict(curtain([0])).quantiles[2]
    np.testing.assert_allclose(median, curtain([-10.05, -10.05, -10.05, 5.05]), atol=0.051)


def test_climatology_counts_echo_beyond_its_last_bin_as_just_below_its_end() -> None:
    prediction = fit_climatology(curtain([80]), curtain([80]), highest_dbz=20.0).predict(
        curtain([99])
    )
    assert ((prediction.quantiles > 19.9) & (prediction.quantiles <= 20)).all()


@pytest.mark.parametrize("resolution_db", [0.1, 0.25, 7.0])
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_climatology_quantiles_hold_their_share_of_pixels(resolution_db: float, seed: int) -> None:
    # In sample: at most a level of the pixels lie more than a bin below its quantile, at least it
    # within a bin above.
    hidden = draw_curtain(seed, rows=1)
    visible = np.zeros_like(hidden)
    prediction = fit_climatology(visible, hidden, resolution_db=resolution_db).predict(visible[:1])
    truth = np.where(hidden > FLOOR, hidden, FLOOR)
    for level, quantile in zip(LEVELS, prediction.quantiles[:, 0, 0], strict=True):
        bin_db = resolution_db if quantile > FLOOR else 0.0
        assert (truth < quantile - bin_db).mean() <= level + 1e-6
        assert (truth <= quantile + bin_db).mean() >= level - 1e-6


@each_scheme
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_probability_and_quantiles_agree(build: Callable[[], Baseline[Any]], seed: int) -> None:
    drawn, other = draw_curtain(seed), draw_curtain(seed + 1)
    scheme = build()
    scheme.fit(drawn[:, 3:], drawn[:, :3], trust(drawn[:, :3]))
    prediction = scheme.predict(other[:, 3:])
    assert prediction.probability.shape == (40, 3)
    assert prediction.quantiles.shape == (len(LEVELS), 40, 3)
    assert prediction.probability.dtype == prediction.quantiles.dtype == np.float32
    assert (np.diff(prediction.quantiles, axis=0) >= 0).all()
    assert (prediction.quantiles >= FLOOR).all()
    clear_share = 1 - prediction.probability.astype(np.float64)
    np.testing.assert_array_equal(
        prediction.quantiles > FLOOR, np.array(LEVELS)[:, None, None] > clear_share
    )
    if scheme.is_deterministic:
        assert set(np.unique(prediction.probability)) <= {0, 1}
        assert (np.ptp(prediction.quantiles, axis=0) == 0).all()


@each_scheme
def test_arguments_stay_as_they_are(build: Callable[[], Baseline[Any]]) -> None:
    drawn = draw_curtain(4)
    before, trusted = drawn.copy(), trust(drawn[:, :3])
    scheme = build()
    scheme.fit(drawn[:, 3:], drawn[:, :3], trusted)
    scheme.predict(drawn[:, 3:])
    np.testing.assert_array_equal(drawn, before)
    assert trusted.all()


@each_scheme
def test_no_profiles_give_an_empty_prediction(build: Callable[[], Baseline[Any]]) -> None:
    drawn = draw_curtain(5)
    scheme = build()
    scheme.fit(drawn[:, 3:], drawn[:, :3], trust(drawn[:, :3]))
    scheme.fit(drawn[:0, 3:], drawn[:0, :3], trust(drawn[:0, :3]))
    prediction = scheme.predict(drawn[:0, 3:])
    assert prediction.probability.shape == (0, 3)
    assert prediction.quantiles.shape == (len(LEVELS), 0, 3)


@each_scheme
def test_wrong_arrays_are_refused(build: Callable[[], Baseline[Any]]) -> None:
    scheme = build()
    visible, hidden = np.zeros((6, 5)), np.zeros((6, 3))
    endless = hidden.copy()
    endless[1, 2] = -np.inf
    cases: list[tuple[str, tuple[np.ndarray, np.ndarray, np.ndarray]]] = [
        (
            r"visible \(time, visible row\) .* found shape \(5,\)",
            (visible[0], hidden, trust(hidden)),
        ),
        (r"visible .* found shape \(6, 0\)", (visible[:, :0], hidden, trust(hidden))),
        (r"hidden of shape \(6, 3\) .* found \(6, 2\)", (visible, hidden[:, :2], trust(hidden))),
        (r"hidden of shape \(6, 3\) .* found \(5, 3\)", (visible, hidden[:5], trust(hidden))),
        (r"trusted of shape \(6, 3\) .* found \(3,\)", (visible, hidden, trust(hidden)[0])),
        ("trusted must be a mask of bool; found float64", (visible, hidden, hidden)),
        ("hidden holds 1 infinite values", (visible, endless, trust(hidden))),
    ]
    for message, arrays in cases:
        with pytest.raises(ModelError, match=message):
            scheme.fit(*arrays)
    with pytest.raises(ModelError, match="visible holds 30 infinite values"):
        scheme.predict(np.full((6, 5), np.inf))
    with pytest.raises(ModelError, match=r"visible .* found shape \(5, 2, 8\)"):
        scheme.predict(np.zeros((5, 2, 8)))


@pytest.mark.parametrize("name", ["linear", "marching average"])
def test_too_few_visible_rows_are_refused(name: str) -> None:
    with pytest.raises(ModelError, match=r"at least 4 rows is right; found shape \(6, 3\)"):
        SCHEMES[name]().predict(np.zeros((6, 3)))


@each_scheme
def test_what_learns_refuses_to_predict_before_it_has(build: Callable[[], Baseline[Any]]) -> None:
    scheme = build()
    visible, hidden = np.zeros((6, 5)), np.zeros((6, 3))
    if not scheme.learns:
        scheme.predict(visible)
        return
    with pytest.raises(ModelError, match="fit it on"):
        scheme.predict(visible)
    scheme.fit(visible, hidden, ~trust(hidden))  # nothing of it trusted
    with pytest.raises(ModelError, match="fit it on"):
        scheme.predict(visible)


def test_climatology_alone_is_not_deterministic() -> None:
    assert {name for name, build in SCHEMES.items() if not build().is_deterministic} == {
        "climatology"
    }
    assert {name for name, build in SCHEMES.items() if build().learns} == {
        "repeat with bias",
        "climatology",
    }


@pytest.mark.parametrize(
    ("config", "wrong", "message"),
    [
        (BaselineConfig, {"hidden_rows": 0}, r"hidden_rows: should be greater than 0 \(found 0\)"),
        (BaselineConfig, {"floor_dbz": NAN}, "floor_dbz: should be a finite number"),
        (BaselineConfig, {"levels": ()}, "levels: .* at least 1 item"),
        (BaselineConfig, {"levels": (0.5, 0.5)}, "levels must increase"),
        (BaselineConfig, {"levels": (0.0, 0.5)}, r"levels\.0: should be greater than 0"),
        (BaselineConfig, {"levels": (0.5, 1.0)}, r"levels\.1: should be less than 1"),
        (
            LinearExtrapolationConfig,
            {"rows": 1},
            r"rows: should be greater than or equal to 2 \(found 1\)",
        ),
        (LinearExtrapolationConfig, {"highest_dbz": -30.0}, "highest_dbz must exceed the floor"),
        (MarchingAverageConfig, {"rows": 0}, r"rows: should be greater than 0 \(found 0\)"),
        (
            ClimatologyConfig,
            {"class_db": 0.0},
            r"class_db: should be greater than 0 \(found 0\.0\)",
        ),
        (
            ClimatologyConfig,
            {"class_db": 91.0},
            r"class_db and resolution_db must be at most 90, found 91\.0",
        ),
        (ClimatologyConfig, {"resolution_db": NAN}, "resolution_db: should be a finite number"),
        (ClimatologyConfig, {"minimum_profiles": 0}, "minimum_profiles: should be greater than 0"),
        (ClimatologyConfig, {"highest_dbz": np.inf}, "highest_dbz: should be a finite number"),
        (
            ClimatologyConfig,
            {"hidden_rows": -1},
            "climatology: hidden_rows: should be greater than 0",
        ),
    ],
)
def test_wrong_configuration_is_refused(
    config: type[BaselineConfig], wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        config(**wrong)
