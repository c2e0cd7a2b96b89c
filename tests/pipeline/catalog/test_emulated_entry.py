"""Entries of emulated sources."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from blindzone.core.errors import CatalogError
from blindzone.pipeline.catalog.catalog import Catalog, describe_source, parse_catalog, read_catalog
from blindzone.pipeline.curtains.gridding import Grid
from blindzone.pipeline.emulator.sensor import SENSORS

GROUND = """
    version: 1
    sources:
      ground:
        title: Cloud radar
        reader: cloudnet_radar
        directory: radar
        files: "%Y%m%d.nc"
        frequency_ghz: 95
        site: Here
        licence: CC BY 4.0
        quality: {lowest_trusted_m: 234}
        split: {training: [2021-02-01]}
"""
NUMBERS = (
    "{name: Small, altitude_m: 400000, beamwidth_deg: 0.1, profile_spacing_m: 250, integration_m:"
    " 250, pulse_repetition_hz: 7000, pulse_length_m: 250, gate_spacing_m: 50, gates: 160,"
    " noise_dbz: -20}"
)


def parse(entry: str, name: str = "space") -> Catalog:
    text = dedent(GROUND) + f"  {name}:\n" + indent(dedent(entry), "    ")
    return parse_catalog(Path("catalog.yaml"), text)


def test_files_site_days_and_terms_are_those_of_the_ground_radar() -> None:
    catalog = parse("emulate: {of: ground, sensor: earthcare, wind: 10}")
    space, ground = catalog["space"], catalog["ground"]
    for key in ("directory", "files", "reader", "unit", "site", "licence", "split"):
        assert getattr(space, key) == getattr(ground, key)
    assert space.emulate is not None
    assert space.emulate.wind == 10
    assert space.grid == SENSORS["earthcare"].grid
    assert space.frequency_ghz == 94.05
    # Its title is its own, and says what it is; quality rules of the ground count on the ground.
    assert space.full_title == "space (emulated)"
    assert space.quality.lowest_trusted_m == 0
    assert space.quality.empty_day == "clear"


def test_own_keys_go_before_those_of_the_ground_radar() -> None:
    own = "emulate: {of: ground, sensor: cloudsat}\ntitle: Emulated\nsplit: {test: [2021-03-01]}\n"
    space = parse(own + "grid: {rows: 32, row_depth_m: 240}")["space"]
    assert space.full_title == "Emulated"
    assert not space.split.training
    assert space.grid == Grid(rows=32, row_depth_m=240)


def test_sensor_may_be_given_by_its_numbers() -> None:
    space = parse(f"emulate: {{of: ground, sensor: {NUMBERS}, wind: drawn}}")["space"]
    assert space.emulate is not None
    assert space.emulate.spaceborne.pulse_length_m == 250
    assert space.grid == Grid(rows=160, row_depth_m=50)


def test_described_entry_reads_back_as_itself() -> None:
    space = parse("emulate: {of: ground, sensor: cloudsat}")["space"]
    again = parse(describe_source(space))
    again.check_entries()
    assert again["space"] == space


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        ("emulate: {of: nobody, sensor: cloudsat}", "emulate.of: 'nobody' is no source; one of"),
        ("emulate: {of: space, sensor: cloudsat}", "emulate.of: 'space' is emulated itself"),
        ("emulate: {sensor: cloudsat}", "emulate.of: 'None' is no source"),
        ("emulate: 3", "emulate: must be a mapping of keys, found 3"),
        ("emulate: {of: ground}", "emulate.sensor: this key is missing"),
        ("emulate: {of: ground, sensor: gpm}", "emulate.sensor.*unknown sensor 'gpm'; cloudsat"),
        (
            "emulate: {of: ground, sensor: {name: X}}",
            "emulate.sensor.numbers.altitude_m: this key is missing",
        ),
        (
            "emulate: {of: ground, sensor: cloudsat, wind: north}",
            "emulate.wind: found 'north'; 'state', 'station', 'drawn' or a speed",
        ),
        ("emulate: {of: ground, sensor: cloudsat, wind: -3}", "emulate.wind: found -3 m s-1"),
        ("emulate: {of: ground, sensor: cloudsat, speed: 3}", "emulate.speed: unknown key"),
        (
            "emulate: {of: ground, sensor: cloudsat}\nreader: mrr",
            "reader: an emulated source takes it from 'ground'",
        ),
    ],
)
def test_faults_cost_the_emulated_source_alone_and_name_line_and_key(
    entry: str, fault: str
) -> None:
    catalog = parse(entry)
    assert "ground" in catalog
    with pytest.raises(CatalogError, match=rf"^catalog.yaml, line 1\d: sources.space.{fault}"):
        catalog["space"]


def test_a_chain_of_emulations_is_refused() -> None:
    chain = "  chain:\n    emulate: {of: space, sensor: cloudsat}\n"
    text = dedent(GROUND) + "  space:\n    emulate: {of: chain, sensor: cloudsat}\n" + chain
    assert set(parse_catalog(Path("catalog.yaml"), text).faults) == {"space", "chain"}


@pytest.mark.parametrize("winds", ["", "_drawn"])
def test_shipped_catalogue_emulates_both_sensors_on_the_same_days(
    catalog_file: Path, winds: str
) -> None:
    catalog = read_catalog(catalog_file)
    ground, first = catalog["palaiseau_basta"].split, catalog["palaiseau_as_cloudsat"].split
    for sensor in ("cloudsat", "earthcare"):
        source = catalog[f"palaiseau_as_{sensor}{winds}"]
        assert source.split == first
        # The days of the ground radar, and the near-clear ones.
        for block in ("training", "validation", "test"):
            assert {*getattr(ground, block)} <= {*getattr(source.split, block)}
        assert source.split.test == ground.test
        assert "emulated" in source.full_title
        assert source.find_frequency() == 94.05
