"""Simple schemes by name: what is built for a layer, and under which names."""

from __future__ import annotations

import numpy as np

from blindzone.flows.experiments.schemes import FORMER_SCHEMES, SCHEMES, build_schemes
from blindzone.models.baselines import Climatology, Persistence
from blindzone.models.boosting import DAY_AVERAGES, Boosting
from blindzone.pipeline.verification.curtain_scores import ScoredLayer
from blindzone.pipeline.verification.pixel_scores import EVALUATION_LEVELS

LAYER = ScoredLayer(hidden_rows=3, lowest_row=1, floor_dbz=-28.0, longest_gap_s=60.0)


def test_climatology_of_a_track_borrows_below_the_same_length_of_it() -> None:
    built = build_schemes(("climatology", "persistence"), LAYER, 1090.0)
    # 45 km are 41 profiles of 1.09 km.
    assert built["climatology"].config.minimum_profiles == 41
    assert build_schemes(("climatology",), LAYER)["climatology"].config.minimum_profiles == 500


def test_each_name_builds_a_scheme_for_the_hidden_rows_of_the_layer() -> None:
    schemes = build_schemes(SCHEMES, LAYER)
    assert tuple(schemes) == SCHEMES
    for scheme in schemes.values():
        assert scheme.config.hidden_rows == 3
        assert scheme.config.floor_dbz == -28.0
        assert tuple(scheme.config.levels) == tuple(EVALUATION_LEVELS)


def test_schemes_come_in_the_order_that_they_are_asked_for() -> None:
    schemes = build_schemes(["climatology", "persistence"], LAYER)
    assert [type(scheme) for scheme in schemes.values()] == [Climatology, Persistence]
    assert build_schemes([], LAYER) == {}


def test_boosting_with_time_context_is_boosting_with_averages() -> None:
    schemes = build_schemes(["boosting", "boosting_time"], LAYER)
    plain, timed = schemes["boosting"], schemes["boosting_time"]
    assert isinstance(plain, Boosting)
    assert isinstance(timed, Boosting)
    assert tuple(timed.config.average_profiles) == tuple(DAY_AVERAGES)
    assert tuple(plain.config.average_profiles) != tuple(DAY_AVERAGES)


def test_each_call_builds_schemes_of_its_own() -> None:
    first, second = (build_schemes(["climatology"], LAYER)["climatology"] for _ in range(2))
    assert first is not second  # one that is fitted leaves the other as it was


def test_former_names_lead_to_schemes_of_today() -> None:
    assert set(FORMER_SCHEMES.values()) <= set(SCHEMES)
    assert set(FORMER_SCHEMES).isdisjoint(SCHEMES)


def test_scheme_predicts_the_layers_rows_at_the_levels_of_an_evaluation() -> None:
    visible = np.full((4, 5), -40.0)
    visible[:2, 0] = 5.0
    found = build_schemes(["persistence"], LAYER)["persistence"].predict(visible)
    assert found.quantiles.shape == (len(EVALUATION_LEVELS), 4, 3)
    np.testing.assert_array_equal(found.quantiles[:, :2], 5.0)
    np.testing.assert_array_equal(found.quantiles[:, 2:], -28.0)  # raised to the floor
