"""Flags of a product: origin of each pixel, and differences of a profile from the trained ones."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class InpaintingFlag(IntEnum):
    """Origin of a pixel's reflectivity; the codes are published and never change meaning."""

    OBSERVED = 0
    """As the source has it, no echo included."""
    FILLED = 1
    """In the blind zone: from the predictive distribution."""
    FILLED_BEYOND_TRUSTED_TRUTH = 2
    """Filled in a row near the ground where no trusted truth ever trained or verified the fill."""
    NO_DATA = 3
    """The source has nothing here, and nothing was filled."""


class OutOfRangeFlag(IntFlag):
    """Differences of a profile from the data that network and calibration were fitted on.

    The bits are published and never change meaning.

    Without any bit, everything that was compared is alike.
    """

    NOT_ASSESSED = 1
    """Nothing was compared: the checkpoint does not record its training data."""
    NO_VISIBLE_DATA = 2
    """The profile has no visible data, so nothing can be compared."""
    BAND_UNKNOWN = 4
    """The frequency of this radar, or of the one trained on, is not known."""
    BAND_DIFFERS = 8
    """The radar works at another frequency."""
    SENSITIVITY_DIFFERS = 16
    """The radar does not detect echo as weak as the network was trained on."""
    TIME_STEP_DIFFERS = 32
    """Profiles follow each other faster or more slowly, so that a window spans another time."""
    GRID_DIFFERS = 64
    """The grid has other rows."""
    PREDICTORS_DIFFER = 128
    """A predictor is absent that nearly all training profiles had, or the reverse."""
    PROFILE_UNLIKE_TRAINING = 256
    """The visible part of the profile is unlike all training profiles: its score exceeds 1."""
    SITE_DIFFERS = 512
    """The radar is at another site, or its site is not known: the blind zone may differ below
    profiles that look alike."""
    BLIND_ZONE_DIFFERS = 1024
    """The blind zone is shallower or deeper than those that intervals were calibrated for. Where it
    is deeper than any in training, nothing is filled."""
