"""The one metadata table: names, units and attributes of every published or archived variable.

CF 1.11 and ACDD 1.3. Attributes of variables are stated here and nowhere else, so that a new form
of the conventions (CF has no settled one for the bounds of an interval yet) is taken up in one
place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, IntFlag
from types import MappingProxyType

from blindzone.pipeline.curtains.curtain import (
    DIMS,
    BlindZoneOrigin,
    DetectionStatus,
    QualityFlag,
)
from blindzone.pipeline.curtains.flags import InpaintingFlag, OutOfRangeFlag
from blindzone.pipeline.curtains.hidden import HiddenKind
from blindzone.pipeline.curtains.surface import SURFACE_FIELDS


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """One line of the table.

    Attributes:
        dims: Dimensions, in order.
        units: UDUNITS unit; `None` for what has none of its own: flags, bounds, and time (set on
            writing).
        long_name: What it is, in words.
        standard_name: CF standard name, with its modifier if any.
        comment: What else a reader must know.
        content: ACDD `coverage_content_type`, an ISO 19115-1 code.
        ancillary: Variables that describe this one; named in the file where they are in it.
        flags: The codes of a flag variable, or its bits.
        extra: Attributes that only this kind of variable has, such as `axis`.
    """

    dims: tuple[str, ...]
    units: str | None = None
    long_name: str = ""
    standard_name: str = ""
    comment: str = ""
    content: str = ""
    ancillary: tuple[str, ...] = ()
    flags: type[IntEnum] | type[IntFlag] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


_PRODUCT_DESCRIPTION = (
    "inpainting_flag",
    "hidden_kind",
    "hydrometeor_probability",
    "reflectivity_standard_deviation",
    "sensitivity_floor",
    "out_of_range_flag",
    "out_of_range_score",
)

_STATE_COMMENT = (
    "Of a model, a reanalysis or a radiosonde; interpolated linearly in height and, to profiles, in"
    " time."
)

METADATA: Mapping[str, Metadata] = MappingProxyType(
    {
        "time": Metadata(
            dims=("time",),
            long_name="time of the profile, UTC",
            standard_name="time",
            content="coordinate",
            extra={"axis": "T", "units_metadata": "leap_seconds: utc"},
        ),
        "height": Metadata(
            dims=("height",),
            units="m",
            long_name="height of the row's centre above the ground at the radar",
            standard_name="height",
            content="coordinate",
            extra={"axis": "Z", "positive": "up"},
        ),
        "height_bounds": Metadata(dims=("height", "bnds")),
        # CF 1.11 has no standard name for a quantile level.
        "quantile": Metadata(
            dims=("quantile",),
            units="1",
            long_name=(
                "probability that the predictive distribution gives to values at or below the"
                " quantile"
            ),
            content="coordinate",
        ),
        "realization": Metadata(
            dims=("realization",),
            units="1",
            long_name="number of the ensemble member",
            standard_name="realization",
            content="coordinate",
        ),
        "latitude": Metadata(
            dims=(),
            units="degrees_north",
            long_name="latitude of the radar",
            standard_name="latitude",
            content="coordinate",
        ),
        "longitude": Metadata(
            dims=(),
            units="degrees_east",
            long_name="longitude of the radar",
            standard_name="longitude",
            content="coordinate",
        ),
        "altitude": Metadata(
            dims=(),
            units="m",
            long_name="altitude of the radar above mean sea level",
            standard_name="altitude",
            content="coordinate",
            extra={"positive": "up"},
        ),
        "reflectivity": Metadata(
            dims=DIMS,
            units="dBZ",
            long_name="equivalent reflectivity factor",
            standard_name="equivalent_reflectivity_factor",
            comment=(
                "Missing where there is no echo. A row is averaged in linear units (mm6 m-3)."
                " Pixels that inpainting_flag marks as filled are the median of the predictive"
                " distribution where it exceeds sensitivity_floor and are missing where no echo is"
                " more likely."
            ),
            content="physicalMeasurement",
            ancillary=(
                *_PRODUCT_DESCRIPTION,
                "detection_status",
                "quality_flags",
                "path_integrated_attenuation",
            ),
        ),
        "reflectivity_observed": Metadata(
            dims=DIMS,
            units="dBZ",
            long_name=(
                "equivalent reflectivity factor as observed, before the blind zone was filled"
            ),
            standard_name="equivalent_reflectivity_factor",
            comment=(
                "Never altered. Where the source has data in the blind zone, this has the hidden"
                " values."
            ),
            content="physicalMeasurement",
        ),
        # CF's standard_error is the uncertainty of the data value itself (CF 1.11, appendix C).
        "reflectivity_standard_deviation": Metadata(
            dims=DIMS,
            units="dBZ",
            long_name=(
                "standard deviation of the predictive distribution of equivalent reflectivity"
                " factor"
            ),
            standard_name="equivalent_reflectivity_factor standard_error",
            comment=(
                "Of max(reflectivity, sensitivity_floor), in decibels; in the blind zone only. The"
                " spread of the pixel's predictive distribution, not the standard error of its"
                " mean."
            ),
            content="modelResult",
        ),
        "reflectivity_quantile": Metadata(
            dims=("quantile", *DIMS),
            units="dBZ",
            long_name="quantiles of the predictive distribution of equivalent reflectivity factor",
            standard_name="equivalent_reflectivity_factor",
            comment=(
                "Of max(reflectivity, sensitivity_floor), in the blind zone only; at the floor: no"
                " echo."
            ),
            content="modelResult",
        ),
        "reflectivity_quantile_given_echo": Metadata(
            dims=("quantile", *DIMS),
            units="dBZ",
            long_name=(
                "quantiles of equivalent reflectivity factor given that there is hydrometeor echo"
            ),
            standard_name="equivalent_reflectivity_factor",
            comment=(
                "Above sensitivity_floor, in the blind zone only: how strong echo is if there is"
                " any, whatever its hydrometeor_probability. Calibrated apart from"
                " reflectivity_quantile, on echo alone."
            ),
            content="modelResult",
        ),
        "reflectivity_realization": Metadata(
            dims=("realization", *DIMS),
            units="dBZ",
            long_name="ensemble members of equivalent reflectivity factor",
            standard_name="equivalent_reflectivity_factor",
            comment=(
                "Of max(reflectivity, sensitivity_floor), in the blind zone only; at the floor: no"
                " echo. All members are equally likely, and each is coherent in time and height."
                " Over all of them a pixel follows its predictive distribution. To propagate the"
                " uncertainty, compute a quantity of each member, then the spread of the results."
            ),
            content="modelResult",
        ),
        # CF 1.11 has no standard name for a probability of hydrometeors, and ACDD 1.3 wants one of
        # every variable. Of what the table offers, quality_flag (assessed quality information on
        # another variable, tied to it by ancillary_variables) fits this one's role; the names for
        # cloud would be wrong in rain.
        "hydrometeor_probability": Metadata(
            dims=DIMS,
            units="1",
            long_name="probability of hydrometeor echo above the sensitivity floor",
            standard_name="quality_flag",
            comment=(
                "A probability from 0 to 1 and no code: how sure it is that a filled pixel has"
                " echo. In the blind zone only."
            ),
            content="modelResult",
        ),
        "inpainting_flag": Metadata(
            dims=DIMS,
            long_name="origin of the equivalent reflectivity factor",
            standard_name="status_flag",
            comment=(
                "filled_beyond_trusted_truth: filled in a row near the ground where no trusted"
                " truth trained or verified the fill. no_data: the source has nothing here and"
                " nothing was filled."
            ),
            content="qualityInformation",
            flags=InpaintingFlag,
        ),
        "hidden_kind": Metadata(
            dims=DIMS,
            long_name="why the pixel was hidden from the radar",
            standard_name="status_flag",
            comment=(
                "visible: it was measured, no echo included. Hidden pixels are filled or without"
                " data, as inpainting_flag says."
            ),
            content="qualityInformation",
            flags=HiddenKind,
        ),
        "blind_zone_top": Metadata(
            dims=("time",),
            units="m",
            long_name="height of the top of the blind zone above the ground at the radar",
            standard_name="height",
            content="auxiliaryInformation",
            extra={"positive": "up"},
        ),
        "sensitivity_floor": Metadata(
            dims=(),
            units="dBZ",
            long_name="equivalent reflectivity factor at or below which echo counts as none",
            standard_name="equivalent_reflectivity_factor detection_minimum",
            content="auxiliaryInformation",
        ),
        "out_of_range_flag": Metadata(
            dims=("time",),
            long_name="differences of the profile from the data of training and calibration",
            standard_name="quality_flag",
            comment=(
                "Zero: none of those that are compared. Where a bit is set, the coverage of the"
                " quantiles is not known. not_assessed: the checkpoint does not record its training"
                " data, so nothing was compared."
            ),
            content="qualityInformation",
            flags=OutOfRangeFlag,
        ),
        # As for hydrometeor_probability: no standard name fits better.
        "out_of_range_score": Metadata(
            dims=("time",),
            units="1",
            long_name=(
                "distance of the visible part of the profile from the profiles of training and"
                " calibration"
            ),
            standard_name="quality_flag",
            comment=(
                "A number and no code: the distance to the nearest reference profile over the 99th"
                " percentile of that distance on withheld days. Above 1 a profile is unlike all of"
                " them. Missing where nothing is visible and where out_of_range_flag is"
                " not_assessed or grid_differs."
            ),
            content="qualityInformation",
        ),
        "detection_status": Metadata(
            dims=DIMS,
            long_name="detection status of the pixel",
            standard_name="status_flag",
            content="qualityInformation",
            flags=DetectionStatus,
        ),
        "doppler_velocity": Metadata(
            dims=DIMS,
            units="m s-1",
            long_name="mean Doppler velocity, positive away from the radar",
            standard_name="radial_velocity_of_scatterers_away_from_instrument",
            content="physicalMeasurement",
            ancillary=("detection_status",),
        ),
        # CF 1.11 names the attenuated backscatter of a lidar with its molecular and particle part.
        "attenuated_backscatter": Metadata(
            dims=DIMS,
            units="m-1 sr-1",
            long_name="attenuated backscatter coefficient of a lidar",
            standard_name="volume_attenuated_backwards_scattering_function_in_air",
            comment=("Missing where nothing exceeds the noise. A row is the mean of its gates."),
            content="physicalMeasurement",
            ancillary=("backscatter_status", "quality_flags"),
        ),
        # Not a physical quantity that CF names: counts corrected for energy, range and the
        # instrument's own faults.
        "normalized_relative_backscatter": Metadata(
            dims=DIMS,
            units="MHz km2 uJ-1",
            long_name="normalized relative backscatter of a lidar, not calibrated",
            comment=(
                "Proportional to attenuated backscatter, by a constant of the instrument that is"
                " not known."
            ),
            content="physicalMeasurement",
            ancillary=("backscatter_status", "quality_flags"),
        ),
        "backscatter_status": Metadata(
            dims=DIMS,
            long_name="detection status of the lidar's pixel",
            standard_name="status_flag",
            content="qualityInformation",
            flags=DetectionStatus,
        ),
        "temperature": Metadata(
            dims=DIMS,
            units="K",
            long_name="air temperature",
            standard_name="air_temperature",
            comment=_STATE_COMMENT,
            content="auxiliaryInformation",
        ),
        "specific_humidity": Metadata(
            dims=DIMS,
            units="1",
            long_name="specific humidity",
            standard_name="specific_humidity",
            comment=_STATE_COMMENT,
            content="auxiliaryInformation",
        ),
        "eastward_wind": Metadata(
            dims=DIMS,
            units="m s-1",
            long_name="eastward wind",
            standard_name="eastward_wind",
            comment=_STATE_COMMENT,
            content="auxiliaryInformation",
        ),
        "northward_wind": Metadata(
            dims=DIMS,
            units="m s-1",
            long_name="northward wind",
            standard_name="northward_wind",
            comment=_STATE_COMMENT,
            content="auxiliaryInformation",
        ),
        "quality_flags": Metadata(
            dims=DIMS,
            long_name="why the pixel is not simply an observation",
            standard_name="quality_flag",
            content="qualityInformation",
            flags=QualityFlag,
        ),
        "along_track_distance": Metadata(
            dims=("time",),
            units="m",
            long_name="distance along the ground track from the first profile",
            content="coordinate",
        ),
        # UDUNITS does not know dB; this is a decibel for it. CF 1.11 has no name for attenuation by
        # hydrometeors: as for hydrometeor_probability, no standard name fits better.
        "path_integrated_attenuation": Metadata(
            dims=("time",),
            units="0.1 lg(re 1)",
            long_name="attenuation of the radar's beam down to the surface and back, in decibels",
            standard_name="quality_flag",
            comment="A number and no code: how much reflectivity near the surface may lack.",
            content="auxiliaryInformation",
        ),
        "surface_echo": Metadata(
            dims=("time",),
            units="0.1 lg(re 1)",
            long_name="normalized radar cross section of the surface, in decibels",
            standard_name="surface_backwards_scattering_coefficient_of_radar_wave",
            content="physicalMeasurement",
        ),
        "blind_zone_origin": Metadata(
            dims=("time",),
            long_name="how the top of the blind zone is known",
            standard_name="status_flag",
            content="qualityInformation",
            flags=BlindZoneOrigin,
        ),
        "ray": Metadata(
            dims=("ray",),
            units="1",
            long_name="number of the ray across the swath",
            content="coordinate",
        ),
        "profile": Metadata(
            dims=("time",),
            units="1",
            long_name="number of the profile, counted from 0",
            content="coordinate",
            extra={"cf_role": "profile_id"},
        ),
        "source_file": Metadata(
            dims=("time",),
            long_name=(
                "which of the files that the ledger lists the profile comes from, counted from 0"
            ),
            content="auxiliaryInformation",
        ),
    }
    | {
        name: Metadata(
            dims=("time",),
            units=field.units,
            long_name=field.long_name,
            standard_name=field.standard_name,
            comment=field.comment,
            content="physicalMeasurement",
        )
        for name, field in SURFACE_FIELDS.items()
    }
)

FROM_ABOVE: Mapping[str, Metadata] = MappingProxyType(
    {
        "height": replace(
            METADATA["height"],
            long_name="height of the row's centre above the surface below the radar",
        ),
        "latitude": replace(METADATA["latitude"], long_name="latitude of the profile"),
        "longitude": replace(METADATA["longitude"], long_name="longitude of the profile"),
        "altitude": replace(
            METADATA["altitude"],
            long_name="altitude of the surface below the radar",
            standard_name="surface_altitude",
            comment=(
                "Above mean sea level, or above the ellipsoid if the heights in the files of the"
                " source are. Heights of rows count from it."
            ),
        ),
        "blind_zone_top": replace(
            METADATA["blind_zone_top"],
            long_name="height of the top of the blind zone above the surface below the radar",
            comment="Missing where it is not known: nothing of such a profile is filled.",
        ),
    }
)
"""What differs of a radar that looks down, which `along_track_distance` marks."""

AT_SURFACE: Mapping[str, Metadata] = MappingProxyType(
    {
        name: replace(
            METADATA[name], long_name=METADATA[name].long_name.replace("radar", "instrument")
        )
        for name in ("latitude", "longitude", "altitude")
    }
    | {"time": replace(METADATA["time"], long_name="time of the measurement, UTC")}
)
"""What differs of a surface series."""
