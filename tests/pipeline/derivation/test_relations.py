"""Power laws: published numbers, choice by band and phase, and spread over printed ranges."""

from __future__ import annotations

import numpy as np
import pytest

from blindzone.pipeline.derivation.relations import (
    LAWS,
    Phase,
    PowerLaw,
    choose_laws,
    find_band,
)


def find(name: str) -> PowerLaw:
    (law,) = [law for law in LAWS if law.name == name]
    return law


def test_marshall_and_palmer_have_the_printed_rates() -> None:
    # The example of wradlib's documentation on converting reflectivity to rainfall, as printed.
    printed = {20.0: 0.65, 30.0: 2.73, 40.0: 11.53, 45.0: 23.68, 50.0: 48.62, 55.0: 99.85}
    rates = find("Marshall and Palmer 1948").find_rate(np.asarray(list(printed)))
    assert np.round(rates, 2).tolist() == list(printed.values())


def test_sassen_reproduces_its_own_form_of_the_law() -> None:
    # The abstract has R = 0.067 Zi^0.804 with Zi = 5.3 Ze: at Zi = 10 dBZ, 0.067 * 10^0.804.
    law = find("Sassen 1987")
    rate = law.find_rate(np.asarray([law.strongest_dbz]))
    assert np.round(rate, 3).tolist() == [0.427]


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("Souverijns 2017", 18, 1.10),
        ("Matrosov 2007", 56, 1.20),
        ("Grazioli 2017", 76, 0.91),
        ("Comstock 2004", 25, 1.3),
        ("Aniol 1980", 256, 1.42),
    ],
)
def test_a_law_gives_its_prefactor_at_one_millimetre_an_hour(name: str, a: float, b: float) -> None:
    law = find(name)
    # R = 1 has Z = a, and R = 10 has Z = a 10^b, so 10 b decibels more.
    at = law.find_reflectivity(np.asarray([1.0, 10.0]))
    assert np.allclose(10 ** (at[0] / 10), a)
    assert np.allclose(at[1] - at[0], 10 * b)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_rate_and_reflectivity_are_inverse_and_every_law_says_where_it_is_from(
    law: PowerLaw,
) -> None:
    dbz = np.linspace(-40, 40, 9)
    assert np.allclose(law.find_reflectivity(law.find_rate(dbz)), dbz)
    assert law.paper
    assert law.where
    assert law.read_in
    assert law.validity


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_a_printed_range_is_the_5_to_95_percent_of_the_spread(law: PowerLaw) -> None:
    spread = list(law.spread())
    assert np.isclose(sum(weight for _, weight in spread), 1)
    if law.prefactor_range is None:
        assert [each for each, _ in spread] == [law]
        return
    upper = [np.log(each.prefactor / law.prefactor) for each, _ in spread]
    # Three normal nodes: the outer is 3^0.5 deviations away, and 95 % is 1.645 of them.
    assert np.isclose(
        max(upper) / 3**0.5 * 1.64485363, np.log(law.prefactor_range[1] / law.prefactor)
    )


def test_choice_is_by_frequency_and_phase() -> None:
    assert [law.name for law in choose_laws(95, Phase.RAIN).laws] == ["Comstock 2004"]
    assert [law.name for law in choose_laws(24.1, Phase.SNOW).laws] == ["Souverijns 2017"]
    assert [law.name for law in choose_laws(35.5, Phase.SNOW).laws] == ["Matrosov 2007"]
    laws, weights = choose_laws(13.6, Phase.RAIN).spread()
    assert len(laws) == 3
    assert np.allclose(weights, 1 / 3)


def test_a_band_without_a_law_says_why() -> None:
    nothing = choose_laws(13.6, Phase.SNOW)
    assert not nothing.laws
    assert "snow at Ku band" in nothing.describe()
    assert "5.6 GHz" in choose_laws(5.6, Phase.RAIN).describe()
    assert "not known" in choose_laws(None, Phase.RAIN).describe()


def test_bands_meet_without_overlap() -> None:
    assert [find_band(at) for at in (8, 12, 18, 27, 40, 95)] == ["X", "Ku", "K", "Ka", None, "W"]
