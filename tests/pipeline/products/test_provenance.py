"""Provenance: every attribute says what is known, and names nobody for what nobody stated."""

from __future__ import annotations

import json
from datetime import date, datetime

import pytest
from tiny_products import make_product, make_provenance

from blindzone.core.errors import ProductError
from blindzone.pipeline.products.provenance import describe_provenance, product_id


def test_provenance_is_written_in_full() -> None:
    found = describe_provenance(make_provenance())
    assert found["source_files"] == (
        f"20210314_station.nc sha256:{'ab' * 32}; 20210314_station_2.nc sha256:{'cd' * 32}"
    )
    assert found["source_file_uuids"] == "00000000-0000-0000-0000-000000000001"
    assert found["checkpoint_sha256"] == "ef" * 32
    assert found["target_sha256"] == "cd" * 32
    assert (found["realizations"], found["seed"], found["software_version"]) == (20, 7, "0.1.0")
    assert json.loads(found["configuration"]) == {"depth": 4, "days": ["2021-03-14"]}
    assert found["date_created"] == "2026-01-02T03:04:05Z"
    assert (found["license"], found["acknowledgement"]) == ("CC BY 4.0", "A reference")
    assert found["references"].startswith("A reference; method after King et al. (2024)")
    assert found["id"] == "station_20210314_blindzone"


def test_dropped_profiles_are_stated_where_there_are_any() -> None:
    assert "profiles_dropped" not in describe_provenance(make_provenance())
    counts = {"off zenith": 3, "at the time of another": 1}
    found = describe_provenance(make_provenance(profiles_dropped=counts))
    assert found["profiles_dropped"] == "off zenith: 3; at the time of another: 1"


def test_experimental_network_is_named_so_in_words_and_for_machines() -> None:
    assert "network_status" not in describe_provenance(make_provenance())
    found = describe_provenance(make_provenance(experimental="one winter alone"))
    assert found["network_status"] == "experimental: one winter alone"
    assert "The network is experimental: one winter alone." in found["comment"]


def test_software_is_named_as_software_alone() -> None:
    attributes = make_product().attrs
    named = {key for key, value in attributes.items() if "blindzone" in str(value)}
    # The id is the file's name, which ends in `_blindzone`.
    assert named == {"history", "source", "id"}
    assert "blindzone 0.1.0" in attributes["history"]
    assert attributes["software_version"] == "0.1.0"


def test_people_behind_the_source_are_named_where_they_are_stated() -> None:
    found = describe_provenance(
        make_provenance(institution="An observatory", creator="A group", publisher="A portal")
    )
    assert found["institution"] == found["creator_institution"] == "An observatory"
    assert (found["creator_name"], found["creator_type"]) == ("A group", "group")
    assert (found["publisher_name"], found["publisher_type"]) == ("A portal", "group")
    assert (found["contributor_name"], found["contributor_role"]) == (
        "An observatory",
        "source of the profiles",
    )
    same = describe_provenance(make_provenance(institution="A", creator="A"))
    assert (same["creator_name"], same["creator_type"]) == ("A", "institution")


@pytest.mark.parametrize("nothing", [{}, {"institution": "", "creator": "", "publisher": ""}])
def test_people_whom_nobody_stated_are_not_stated(nothing: dict[str, str]) -> None:
    found = describe_provenance(make_provenance(licence="", references="", **nothing))
    for name in (
        "institution",
        "license",
        "acknowledgement",
        "naming_authority",
        "project",
        "program",
        "contributor_name",
        "contributor_role",
        *(
            f"{role}_{what}"
            for role in ("creator", "publisher")
            for what in ("name", "institution", "url", "email")
        ),
    ):
        assert found[name] == "not stated", name
    assert found["creator_type"] == "group"


def test_number_of_passes_is_written_with_the_tolerance_that_chose_it() -> None:
    fixed, chosen = make_product().attrs, make_product(tolerance_db=0.25).attrs
    assert "realizations_tolerance_db" not in fixed
    assert (chosen["realizations"], chosen["realizations_tolerance_db"]) == (20, 0.25)
    assert (
        "20 forward passes on average, chosen for interval bounds to 0.25 dB" in chosen["history"]
    )
    assert "20 forward passes, seed 7" in fixed["history"]


def test_family_of_the_network_is_stated() -> None:
    assert "(UNet3+ with Monte Carlo dropout, 20" in make_product().attrs["history"]
    assert "(DynamicUnet with" in make_product(family="DynamicUnet").attrs["history"]


def test_simulated_product_says_so_and_claims_no_measurement() -> None:
    product = make_product(simulated=True)
    assert "simulated" in product.attrs["title"]
    assert "simulated" in product.attrs["source"]
    every = [product.attrs, *(product[name].attrs for name in product.variables)]
    text = " ".join(str(value) for attributes in every for value in attributes.values())
    assert "easure" not in text  # measured, measurement, Measurement
    assert "simulated" not in make_product().attrs["title"]


def test_creation_time_is_written_in_utc_and_needs_its_zone() -> None:
    local = datetime.fromisoformat("2026-01-02T03:04:05+02:00")
    assert make_product(created=local).attrs["date_created"] == "2026-01-02T01:04:05Z"
    with pytest.raises(ProductError, match="no time zone"):
        make_provenance(created=datetime(2026, 1, 2))


def test_identifier_holds_source_and_day_or_start_of_the_granule() -> None:
    assert product_id("station", date(2021, 3, 14)) == "station_20210314_blindzone"
    granule = datetime(2008, 1, 2, 3, 4, 5)
    assert product_id("cloudsat", granule) == "cloudsat_20080102T030405_blindzone"


def test_frequency_is_a_number_where_no_text_names_it() -> None:
    for texts in ({"title": "A 95-GHz radar"}, {"instrument": "a radar at 94.05 GHz"}):
        assert "frequency_ghz" not in describe_provenance(
            make_provenance(**texts, frequency_ghz=95)
        )
    silent = {"title": "A radar", "instrument": "a radar"}
    found = describe_provenance(make_provenance(**silent, frequency_ghz=94.05))
    assert found["frequency_ghz"] == 94.05
    assert "frequency_ghz" not in describe_provenance(make_provenance(**silent))
