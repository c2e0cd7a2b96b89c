"""Published flags: codes and bits that readers of earlier products rely on."""

from __future__ import annotations

from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag


def test_codes_never_change_meaning() -> None:
    assert {flag.name: flag.value for flag in InpaintingFlag} == {
        "OBSERVED": 0,
        "FILLED": 1,
        "FILLED_BEYOND_TRUSTED_TRUTH": 2,
        "NO_DATA": 3,
    }


def test_bits_never_change_meaning() -> None:
    assert {flag.name: flag.value for flag in OutOfRangeFlag} == {
        "NOT_ASSESSED": 1,
        "NO_VISIBLE_DATA": 2,
        "BAND_UNKNOWN": 4,
        "BAND_DIFFERS": 8,
        "SENSITIVITY_DIFFERS": 16,
        "TIME_STEP_DIFFERS": 32,
        "GRID_DIFFERS": 64,
        "PREDICTORS_DIFFER": 128,
        "PROFILE_UNLIKE_TRAINING": 256,
        "SITE_DIFFERS": 512,
        "BLIND_ZONE_DIFFERS": 1024,
    }
