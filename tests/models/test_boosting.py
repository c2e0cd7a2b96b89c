"""Gradient boosting of columns: predictions of small curtains, its sample, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from blindzone.core.errors import ModelError
from blindzone.models import boosting
from blindzone.models.boosting import Boosting, BoostingConfig, _Sample, describe_profiles

FLOOR = -30.0
NAN = np.nan
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
VISIBLE_ROWS = 10


def build(**options: Any) -> Boosting:
    """A scheme small enough for tests."""
    small = {
        "hidden_rows": 3,
        "levels": LEVELS,
        "trees": 12,
        "class_trees": 6,
        "classes": 6,
        "leaf_samples": 10,
    }
    return Boosting(BoostingConfig(**small | {"learning_rate": 0.5} | options))


def draw(seed: int, profiles: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Echo of -45 to 20 dBZ in two thirds of the pixels; all truth trusted."""
    random = np.random.default_rng(seed)
    drawn = np.where(
        random.random((profiles, 13)) < 1 / 3, NAN, random.uniform(-45, 20, (profiles, 13))
    )
    hidden = drawn[:, :3].astype(np.float32)
    return drawn[:, 3:].astype(np.float32), hidden, np.ones(hidden.shape, dtype=bool)


def describe(*profile: float) -> np.ndarray:
    """Features of one profile given from its lowest visible row on, the rows above it clear."""
    return describe_profiles(
        np.array([[*profile, *[FLOOR] * (VISIBLE_ROWS - len(profile))]]), FLOOR, ()
    )[0]


def test_profile_is_described_by_rows_bands_and_extent_of_its_cloud() -> None:
    # Ten rows: eight of their own; strongest echo of rows 0-3, 4-7 and 8-9; share of echo in 8, 16,
    # 32 and all rows; rows up to the highest echo; clear rows below the lowest; rows of echo at the
    # bottom.
    found = describe(-5, 3, FLOOR, FLOOR, FLOOR, 7)
    expected = [-5, 3, *[FLOOR] * 3, 7, FLOOR, FLOOR, 3, 7, FLOOR, 3 / 8, 0.3, 0.3, 0.3, 6, 0, 2]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert describe(FLOOR, FLOOR, 1)[-3:].tolist() == [3, 2, 0]
    assert describe()[-3:].tolist() == [0, VISIBLE_ROWS, 0]  # clear
    assert describe(*[1.0] * VISIBLE_ROWS)[-3:].tolist() == [VISIBLE_ROWS, 0, VISIBLE_ROWS]


def test_running_means_reach_over_their_width_and_are_shorter_at_the_ends() -> None:
    visible = np.full((5, VISIBLE_ROWS), FLOOR)
    visible[2, 0] = 0.0
    alone, averaged = (describe_profiles(visible, FLOOR, widths) for widths in ((), (3,)))
    # Of row 0: -30, -30 and 0 dBZ give -20; the two profiles at an end -30.
    np.testing.assert_allclose(averaged[:, alone.shape[1]], [-30, -20, -20, -20, -30], rtol=1e-6)
    np.testing.assert_array_equal(averaged[:, : alone.shape[1]], alone)


def test_what_follows_from_the_lowest_visible_row_is_learned() -> None:
    # Echo lies below echo alone, 2 dB weaker a row downwards: row 2 touches the lowest visible row.
    random = np.random.default_rng(1)
    visible = np.full((900, VISIBLE_ROWS), NAN)
    visible[::2, 0] = random.uniform(-15, 15, 450)
    hidden = visible[:, :1] - np.array([6.0, 4.0, 2.0]) + random.uniform(-0.5, 0.5, (900, 3))
    scheme = build(class_trees=20, classes=12)
    scheme.fit(visible, hidden, np.ones(hidden.shape, dtype=bool))
    prediction = scheme.predict(np.array([[10.0, *[NAN] * 9], [NAN] * 10, [-7.0, *[NAN] * 9]]))
    np.testing.assert_allclose(prediction.probability, [[1, 1, 1], [0, 0, 0], [1, 1, 1]], atol=0.01)
    np.testing.assert_allclose(
        prediction.quantiles[2], [[4, 6, 8], [FLOOR] * 3, [-13, -11, -9]], atol=0.6
    )


def test_time_context_tells_what_one_profile_does_not() -> None:
    # Blocks of 30 profiles: in every other block all profiles have echo below and every second one
    # shows it above.
    active = np.arange(900) // 30 % 2 == 1
    visible = np.full((900, VISIBLE_ROWS), NAN)
    visible[active & (np.arange(900) % 2 == 0), 0] = 0.0
    hidden = np.where(active[:, None], 0.0, NAN) * np.ones(3)
    inner = (np.arange(900) % 30 > 5) & (np.arange(900) % 30 < 25) & np.isnan(visible[:, 0])
    probability = {}
    for widths in ((), (7,)):
        scheme = build(average_profiles=widths)
        scheme.fit(visible, hidden, np.ones(hidden.shape, dtype=bool))
        probability[widths] = scheme.predict(visible).probability[inner & active]
    # Of three clear profiles one lies in an active block.
    np.testing.assert_allclose(probability[()], 1 / 3, atol=0.05)
    np.testing.assert_allclose(probability[(7,)], 1, atol=0.02)


@pytest.mark.parametrize("widths", [(), (3, 9)], ids=["column", "time"])
def test_probability_and_quantiles_agree(widths: tuple[int, ...]) -> None:
    scheme = build(average_profiles=widths)
    scheme.fit(*draw(2))
    prediction = scheme.predict(draw(3)[0])
    assert prediction.probability.shape == (200, 3)
    assert prediction.quantiles.shape == (5, 200, 3)
    assert prediction.probability.min() >= 0
    assert prediction.probability.max() <= 1
    assert (np.diff(prediction.quantiles, axis=0) >= 0).all()
    for level, quantile in zip(LEVELS, prediction.quantiles, strict=True):
        np.testing.assert_array_equal(
            quantile > FLOOR, level > 1 - prediction.probability.astype(np.float64)
        )


def test_answer_does_not_depend_on_how_many_profiles_are_answered_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scheme = build(average_profiles=(5,))
    scheme.fit(*draw(4))
    visible = draw(5)[0]
    whole = scheme.predict(visible)
    monkeypatch.setattr(boosting, "_PROFILES_AT_ONCE", 7)
    parts = scheme.predict(visible)
    np.testing.assert_array_equal(parts.probability, whole.probability)
    np.testing.assert_array_equal(parts.quantiles, whole.quantiles)


def test_same_seed_gives_the_same_answer_and_another_day_changes_it() -> None:
    prediction = []
    for _ in range(2):
        scheme = build(samples=300)
        scheme.fit(*draw(6))
        prediction.append(scheme.predict(draw(7)[0]).probability)
    np.testing.assert_array_equal(prediction[0], prediction[1])
    visible, hidden, trusted = draw(8)
    scheme.fit(
        visible, np.full_like(hidden, NAN), trusted
    )  # it has predicted already, and learns on
    assert scheme.predict(draw(7)[0]).probability.mean() < 0.8 * prediction[0].mean()


def test_sample_is_bounded_and_every_pixel_is_as_likely_to_be_in_it() -> None:
    sample = _Sample(1000, seed=0)
    # Three days of 2000, 6000 and 2000 pixels, distinguished by their one feature.
    for day, pixels in enumerate((2000, 6000, 2000)):
        sample.offer(
            np.full((1, 1), day),
            np.zeros(pixels, dtype=int),
            np.zeros(pixels, dtype=int),
            np.zeros(pixels),
        )
    shares = np.bincount(sample.features[:, 0].astype(int)) / 1000
    # Standard deviation of a share of 0.6 in 1000: 0.015.
    np.testing.assert_allclose(shares, [0.2, 0.6, 0.2], atol=0.06)


def test_untrusted_pixels_train_nothing() -> None:
    visible, hidden, trusted = draw(9)
    spoiled = hidden.copy()
    trusted[:, 1] = False
    spoiled[:, 1] = 20.0
    prediction = []
    for truth in (hidden, spoiled):
        scheme = build()
        scheme.fit(visible, truth, trusted)
        prediction.append(scheme.predict(visible).quantiles)
    np.testing.assert_array_equal(*prediction)


def test_days_without_any_echo_predict_clear_sky() -> None:
    visible, hidden, trusted = draw(10)
    scheme = build()
    scheme.fit(visible, np.full_like(hidden, NAN), trusted)
    prediction = scheme.predict(visible)
    assert (prediction.probability == 0).all()
    assert (prediction.quantiles == FLOOR).all()


def test_echo_that_always_differs_by_the_same_is_predicted_exactly() -> None:
    visible = np.full((50, VISIBLE_ROWS), 5.0)
    hidden = np.full((50, 3), 2.0)
    scheme = build()
    scheme.fit(visible, hidden, np.ones(hidden.shape, dtype=bool))
    np.testing.assert_allclose(scheme.predict(visible).quantiles, 2.0, atol=1e-6)


def test_echo_stays_above_the_floor() -> None:
    # 25 dB weaker than the lowest visible row: below a row of -20 dBZ that would be -45 dBZ.
    visible = np.repeat([[0.0, *[NAN] * 9], [-20.0, *[NAN] * 9]], [95, 5], axis=0)
    hidden = np.where(visible[:, :1] == 0, -25.0, -29.0) * np.ones(3)
    scheme = build(leaf_samples=1000)  # no tree can split: all classes everywhere
    scheme.fit(visible, hidden, np.ones(hidden.shape, dtype=bool))
    prediction = scheme.predict(visible)
    assert (prediction.probability == 1).all()
    assert (prediction.quantiles > FLOOR).all()


def test_no_profiles_give_an_empty_prediction() -> None:
    visible, hidden, trusted = draw(11)
    scheme = build(average_profiles=(3,))
    scheme.fit(visible, hidden, trusted)
    scheme.fit(visible[:0], hidden[:0], trusted[:0])
    prediction = scheme.predict(visible[:0])
    assert prediction.probability.shape == (0, 3)
    assert prediction.quantiles.shape == (5, 0, 3)


def test_scheme_without_a_trusted_pixel_refuses_to_predict() -> None:
    visible, hidden, trusted = draw(12)
    scheme = build()
    with pytest.raises(ModelError, match="fit it on"):
        scheme.predict(visible)
    scheme.fit(visible, hidden, ~trusted)
    with pytest.raises(ModelError, match="fit it on"):
        scheme.predict(visible)


def test_days_of_another_grid_and_too_few_rows_are_refused() -> None:
    visible, hidden, trusted = draw(13)
    scheme = build()
    scheme.fit(visible, hidden, trusted)
    with pytest.raises(ModelError, match=r"these profiles have 17 features, earlier ones 18"):
        scheme.fit(visible[:, :8], hidden, trusted)
    with pytest.raises(
        ModelError, match=r"these profiles have 17 features, the scheme learned from 18"
    ):
        scheme.predict(visible[:, :8])
    with pytest.raises(ModelError, match=r"at least 8 rows is right; found shape \(200, 7\)"):
        scheme.fit(visible[:, :7], hidden, trusted)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"samples": 1}, r"samples: should be greater than or equal to 2 \(found 1\)"),
        ({"classes": 0}, r"classes: should be greater than 0 \(found 0\)"),
        ({"leaves": 1}, r"leaves: should be greater than or equal to 2 \(found 1\)"),
        ({"learning_rate": 0.0}, r"learning_rate: should be greater than 0 \(found 0\.0\)"),
        ({"average_profiles": (7, 8)}, r"average_profiles must be odd, found \(7, 8\)"),
        ({"seed": -1}, r"seed: should be greater than or equal to 0 \(found -1\)"),
        ({"hidden_rows": 0}, "boosting: hidden_rows: should be greater than 0"),
    ],
)
def test_wrong_configuration_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        BoostingConfig(**wrong)
