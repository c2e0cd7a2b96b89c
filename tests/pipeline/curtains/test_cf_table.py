"""The metadata table: what a radar from above says otherwise, and how its flags are told."""

from __future__ import annotations

from enum import IntFlag

from blindzone.pipeline.curtains.cf_table import FROM_ABOVE, METADATA


def test_radars_from_above_differ_in_words_and_not_in_form() -> None:
    for name, entry in FROM_ABOVE.items():
        usual = METADATA[name]
        assert (entry.dims, entry.units, entry.content) == (usual.dims, usual.units, usual.content)
        assert "at the radar" not in entry.long_name
        assert "of the radar" not in entry.long_name


def test_what_describes_a_variable_is_in_the_table() -> None:
    for entry in METADATA.values():
        assert set(entry.ancillary) <= set(METADATA)
        assert entry.flags is None or issubclass(entry.flags, IntFlag) or 0 in list(entry.flags)
