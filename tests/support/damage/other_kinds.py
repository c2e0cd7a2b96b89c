"""The kinds of lidar, state, categorize and spaceborne files, and their required outcomes."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np

from damage.cases import REST, SAME, SOUND
from damage.other_files import (
    Convert,
    Kind,
    OtherUnit,
    write_arm_ceilometer,
    write_categorize,
    write_cloudnet_ceilometer,
    write_disdrometer,
    write_dpr,
    write_minimpl,
    write_model,
    write_sonde,
    write_station,
    write_trajectory,
)


def times(factor: float) -> Convert:
    return lambda values: values * factor


def plus(offset: float) -> Convert:
    return lambda values: values + offset


def decibels(values: np.ndarray) -> np.ndarray:
    return np.asarray(10 * np.log10(np.maximum(np.abs(values), 1e-12)))


def linear(values: np.ndarray) -> np.ndarray:
    return np.asarray(10 ** (values / 10))


def state_units(
    temperature: str, humidity: str, eastward: str, northward: str
) -> tuple[OtherUnit, ...]:
    return (
        OtherUnit(temperature, "degC", plus(-273.15)),
        OtherUnit(temperature, "degF", lambda t: (t - 273.15) * 1.8 + 32),
        OtherUnit(humidity, "g kg-1", times(1000)),
        OtherUnit(humidity, "%", times(10000)),
        OtherUnit(eastward, "cm s-1", times(100)),
        OtherUnit(northward, "mm s-1", times(1000)),
        OtherUnit(eastward, "knots", times(1.944), silent=None),
    )


STATION_FIELDS = (
    "air_temperature",
    "relative_humidity",
    "air_pressure",
    "wind_speed",
    "wind_direction",
    "rainfall_rate",
    "rainfall_amount",
)
DISDROMETER_FIELDS = ("rainfall_rate", "snowfall_rate", "radar_reflectivity")
DPR_CLOCK = {
    "Year": (-9999, 14, 0, 32767),
    "Month": (0, 13, -99),
    "DayOfMonth": (0, 32),
    "Hour": (24, -1),
    "Minute": (60, -9999),
    "Second": (61, -1),
    "MilliSecond": (1000, -9999),
}
DPR_PRE = tuple(
    f"NS/PRE/{name}"
    for name in (
        "localZenithAngle",
        "ellipsoidBinOffset",
        "elevation",
        "binClutterFreeBottom",
        "binRealSurface",
    )
)
KINDS: dict[str, Kind] = {
    "arm_ceilometer": Kind(
        reader="ceilometer",
        unit=date(2019, 1, 3),
        measured="arm_ceilometer/sgpceilC1.b1.20190103.*.nc",
        cut={"time": slice(2000, 2012)},
        write=write_arm_ceilometer,
        form="NETCDF3_CLASSIC",
        fields=("backscatter",),
        required=("range", "time_offset"),
        optional=("tilt_angle", "status_flag", "lat", "lon", "alt"),
        levels="range",
        labelled=("backscatter", "range"),
        stated=("lat", "lon", "alt", "tilt_angle"),
        local=("backscatter",),
        since=("time_offset", "seconds since 2019-01-03"),
        units=(
            OtherUnit("backscatter", "sr-1 m-1", times(1e-7), SAME, None),
            OtherUnit("backscatter", "1/(sr km)", times(1e-4), SAME, None),
            OtherUnit("backscatter", "counts", times(1e7)),
            OtherUnit("backscatter", "dB", decibels, silent=None),
            OtherUnit("range", "km", times(1e-3)),
            OtherUnit("range", "mm", times(1e3)),
            OtherUnit("alt", "km", times(1e-3), silent=None),
            OtherUnit("lat lon", "radian", np.radians, silent=None),
            OtherUnit("tilt_angle", "radian", np.radians, declared=SAME, silent=None),
        ),
        exceptions={"no time_offset": SOUND},  # measured files have a rounded `time` beside it
    ),
    "cloudnet_ceilometer": Kind(
        reader="ceilometer",
        unit=date(2022, 7, 29),
        measured="norunda_ceilometer/20220729_norunda_cl51.nc",
        cut={"time": slice(100, 112), "range": slice(300)},
        write=write_cloudnet_ceilometer,
        fields=("beta",),
        required=("range", "time"),
        optional=("beta_raw", "zenith_angle", "latitude", "longitude", "altitude"),
        labelled=("beta", "range"),
        stated=("zenith_angle", "latitude", "longitude", "altitude"),
        levels="range",
        local=("beta", "beta_raw"),
        since=("time", "hours since 2022-07-29"),
        units=(
            OtherUnit("beta", "km-1 sr-1", times(1e3), SAME, None),
            OtherUnit("beta", "1/(sr*km*10000)", times(1e7), SAME),
            OtherUnit("beta", "dB", decibels),
            OtherUnit("range", "km", times(1e-3)),
            OtherUnit("range", "mm", times(1e3)),
            OtherUnit("altitude", "km", times(1e-3), silent=None),
            OtherUnit("time", "seconds since 2022-07-29", times(3600)),
            OtherUnit("latitude longitude", "radian", np.radians, silent=None),
            OtherUnit("zenith_angle", "radian", np.radians, declared=SAME, silent=None),
        ),
        exceptions={"no beta": SOUND, "field is a group": SOUND},  # beta_raw takes its place
    ),
    "weather_station": Kind(
        reader="cloudnet_weather_station",
        unit=date(2021, 3, 11),
        measured="palaiseau_surface/weather-station/20210311_*.nc",
        cut={"time": slice(464, 476)},
        write=write_station,
        level_dim="",
        fields=STATION_FIELDS,
        required=("time",),
        optional=("latitude", "longitude", "altitude"),
        labelled=("air_temperature", "air_pressure", "wind_speed", "rainfall_rate"),
        stated=("latitude", "longitude", "altitude"),
        since=("time", "hours since 2021-03-11"),
        local=STATION_FIELDS,
        units=(
            OtherUnit("air_temperature", "degC", plus(-273.15)),
            OtherUnit("air_temperature", "degF", lambda t: (t - 273.15) * 1.8 + 32),
            OtherUnit("relative_humidity", "%", times(100), silent=None),
            OtherUnit("air_pressure", "hPa", times(0.01), silent=None),
            OtherUnit("wind_speed", "mm s-1", times(1000), silent=None),
            OtherUnit("rainfall_rate", "mm h-1", times(3.6e6)),
            OtherUnit("altitude", "km", times(1e-3), silent=None),
        ),
        # Any of the quantities can be absent.
        exceptions={f"no {name}": SOUND for name in STATION_FIELDS} | {"field is a group": SOUND},
    ),
    "disdrometer": Kind(
        reader="cloudnet_disdrometer",
        unit=date(2021, 3, 14),
        measured="palaiseau_surface/disdrometer/20210314_*.nc",
        cut={"time": slice(1335, 1347)},
        write=write_disdrometer,
        level_dim="",
        fields=DISDROMETER_FIELDS,
        required=("time",),
        optional=("visibility", "n_particles", "state_sensor", "latitude", "longitude"),
        labelled=("rainfall_rate", "radar_reflectivity", "visibility"),
        stated=("latitude", "longitude", "altitude"),
        since=("time", "hours since 2021-03-14"),
        local=("rainfall_rate", "radar_reflectivity"),
        units=(
            OtherUnit("rainfall_rate snowfall_rate", "mm h-1", times(3.6e6)),
            OtherUnit("visibility", "km", times(1e-3), silent=None),
            OtherUnit("radar_reflectivity", "0.01 dBZ", times(100)),
        ),
        exceptions={f"no {name}": SOUND for name in DISDROMETER_FIELDS}
        | {"field is a group": SOUND},
    ),
    "minimpl": Kind(
        reader="mpl",
        unit=date(2016, 6, 1),
        measured="minimpl_lille/MPL_5030_20160601*.nc",
        cut={},
        write=write_minimpl,
        unit_key="unit",
        fields=("copol_nrb", "crosspol_nrb"),
        level_dim="range_nrb",
        required=(
            "copol_raw",
            "crosspol_raw",
            "range_nrb",
            "range_raw",
            "laser_energy",
            "year",
            "minute",
            "second",
        ),
        optional=("elevation_angle", "azimuth_angle", "latitude", "longitude", "altitude"),
        levels="range_nrb",
        labelled=(
            "copol_nrb",
            "crosspol_nrb",
            "copol_raw",
            "crosspol_raw",
            "laser_energy",
            "range_raw",
        ),
        stated=("elevation_angle", "azimuth_angle", "latitude", "longitude", "altitude"),
        local=("copol_nrb", "crosspol_nrb", "copol_raw"),
        clock={
            "year": (16, -1, 0, 2015, np.inf, 1e30, np.nan),
            "month": (0, 13, 6.5),
            "day": (0, 32, 2),
            "hour": (-1, 24, 7.5, -np.inf),
            "minute": (60, 1e9),
            "second": (60, -1, np.nan, np.inf),
        },
        units=(
            OtherUnit("range_raw range_nrb", "m", times(1e3), SAME),
            OtherUnit("range_raw range_nrb", "mm", times(1e6)),
            OtherUnit("range_raw", "miles", times(0.621)),
            OtherUnit("laser_energy", "mJ", times(1e-3)),
            OtherUnit("copol_nrb crosspol_nrb", "counts*m^2/(us*uJ)", times(1e6)),
            OtherUnit("laser_energy", "nJ", times(1e3)),
            OtherUnit("copol_nrb crosspol_nrb", "dB", decibels, silent=None),
            OtherUnit("copol_raw crosspol_raw", "counts/s", times(1e6)),
            OtherUnit("altitude", "km", times(1e-3), silent=None),
        ),
    ),
    "categorize": Kind(
        reader="cloudnet_categorize",
        unit=date(2025, 2, 11),
        measured="cabauw_categorize/20250211*.nc",
        cut={
            "time": slice(40, 52),
            "height": slice(80),
            "model_time": slice(8),
            "model_height": slice(60),
        },
        write=write_categorize,
        fields=("Z", "beta", "temperature", "q", "uwind", "vwind"),
        level_dim="height",
        required=(
            "time",
            "height",
            "category_bits",
            "quality_bits",
            "altitude",
            "model_time",
            "model_height",
        ),
        optional=("v", "latitude", "longitude"),
        stated=("latitude", "longitude"),
        levels="height",
        labelled=(
            "Z",
            "v",
            "beta",
            "height",
            "altitude",
            "model_height",
            "temperature",
            "q",
            "uwind",
            "vwind",
        ),
        local=("Z", "v", "beta", "category_bits", "quality_bits"),
        since=("time", "hours since 2025-02-11"),
        units=(
            *state_units("temperature", "q", "uwind", "vwind"),
            OtherUnit("Z", "mm6 m-3", linear, silent=None),
            OtherUnit("Z", "0.01 dBZ", times(100)),
            OtherUnit("v", "mm s-1", times(1000)),
            OtherUnit("v", "km/h", times(3.6), silent=None),
            OtherUnit("beta", "km-1 sr-1", times(1e3), silent=None),
            OtherUnit("beta", "1/(sr*km*10000)", times(1e7)),
            OtherUnit("height", "km", times(1e-3)),
            OtherUnit("model_height", "km", times(1e-3)),
            OtherUnit("altitude", "km", times(1e-3), silent=None),
            OtherUnit("time", "seconds since 2025-02-11 00:00:00", times(3600), REST),
            OtherUnit("model_time", "minutes since 2025-02-11", times(60), REST, None),
        ),
        exceptions={  # without them the state is left out
            f"no {name}": SOUND
            for name in ("model_time", "model_height", "temperature", "q", "uwind", "vwind")
        },
    ),
    "model": Kind(
        reader="cloudnet_model",
        unit=date(2019, 5, 17),
        measured="state_profiles/20190517_mace-head_ecmwf.nc",
        cut={"time": slice(8), "level": slice(0, 60, 3)},
        write=write_model,
        level_dim="level",
        fields=("temperature", "q", "uwind", "vwind", "height"),
        required=("time",),
        optional=("latitude", "longitude", "sfc_geopotential"),
        stated=("sfc_height_amsl", "latitude", "longitude"),
        labelled=("temperature", "q", "uwind", "vwind", "height"),
        since=("time", "hours since 2019-05-17"),
        local=("temperature", "q", "uwind", "vwind", "height"),
        units=(
            *state_units("temperature", "q", "uwind", "vwind"),
            OtherUnit("height", "km", times(1e-3)),
            OtherUnit("height", "mm", times(1e3)),
            OtherUnit("sfc_height_amsl", "km", times(1e-3), silent=None),
            OtherUnit("sfc_geopotential", "m", times(1 / 9.80665), silent=None),
            OtherUnit("time", "seconds since 2019-05-17 00:00:00", times(3600), REST),
        ),
        exceptions={"levels reversed": SAME},
    ),
    "trajectory": Kind(
        reader="era5",
        unit=datetime(2020, 3, 13, 18),
        measured="state_profiles/theta_*_era5ml_*.nc",
        cut={"time": slice(8), "latitude": slice(8), "pressure": slice(0, 60, 3)},
        write=write_trajectory,
        fields=("Temp", "SH", "U", "V", "GEOS_HT"),
        required=("Time", "Latitude", "Longitude"),
        optional=(),
        labelled=("Temp", "SH", "U", "V", "GEOS_HT"),
        stated=("Latitude", "Longitude"),
        level_dim="pressure",
        since=("Time", "Hours since 2020-03-13-18"),
        profile_dims=("time", "latitude"),
        local=("Temp", "SH", "U", "V", "GEOS_HT"),
        units=(
            *state_units("Temp", "SH", "U", "V"),
            OtherUnit("GEOS_HT", "km", times(1e-3)),
            OtherUnit("GEOS_HT", "m2 s-2", times(9.80665), silent=None),
            OtherUnit("Latitude Longitude", "radian", np.radians, silent=None),
            OtherUnit("Time", "Days since 2020-03-13-18", times(1 / 24), silent=None),
        ),
        exceptions={"levels reversed": SAME, "profiles reversed": SAME, "profiles shuffled": SAME},
    ),
    "sonde": Kind(
        reader="arm_sonde",
        unit=date(2019, 1, 1),
        measured="state_profiles/sgpsondewnpnC1.b1.20190101.*.cdf",
        cut={"time": slice(0, 3000, 25)},
        write=write_sonde,
        form="NETCDF3_CLASSIC",
        level_dim="",
        fields=("pres", "tdry", "dp", "alt"),
        required=("time_offset",),
        stated=("lat", "lon"),
        optional=("wspd", "deg", "u_wind", "lat", "lon", "qc_pres"),
        since=("time_offset", "seconds since 2019-01-01"),
        labelled=("pres", "tdry", "dp", "alt", "u_wind", "v_wind", "wspd", "deg"),
        units=(
            OtherUnit("pres", "Pa", times(100)),
            OtherUnit("pres", "kPa", times(0.1)),
            OtherUnit("tdry dp", "K", plus(273.15)),
            OtherUnit("tdry", "K", plus(273.15)),
            OtherUnit("dp", "K", plus(273.15)),
            OtherUnit("alt", "km", times(1e-3)),
            OtherUnit("alt", "cm", times(100)),
            OtherUnit("alt", "ft", times(3.2808)),
            OtherUnit("pres", "mmHg", times(0.75)),
            OtherUnit("u_wind", "cm/s", times(100)),
            OtherUnit("v_wind wspd", "knots", times(1.944), silent=None),
            OtherUnit("deg", "radian", np.radians, silent=None),
        ),
        exceptions={"u_wind in cm/s": SOUND},  # measured files state a valid range in m/s
    ),
    "gpm_dpr": Kind(
        reader="gpm_dpr",
        unit=datetime(2014, 12, 6, 9, 50, 2),
        measured="gpm_dpr/2A-CS-*.HDF5",
        form="HDF5",
        cut={"nscan": slice(60, 68), "nray": slice(23, 25)},
        write=write_dpr,
        fields=("NS/SLV/zFactorCorrected",),
        required=(
            "NS/Latitude",
            "NS/Longitude",
            "NS/ScanTime/Year",
            "NS/ScanTime/Second",
            "NS/scanStatus/dataQuality",
            DPR_PRE[0],
            *DPR_PRE[3:],
        ),
        optional=(*DPR_PRE[1:3], "NS/FLG/qualityFlag"),
        level_dim="nbin",
        profile_dims=("nscan",),
        stated=(),
        labelled=("NS/SLV/zFactorCorrected", "NS/Latitude", "NS/Longitude", *DPR_PRE[:3]),
        local=("NS/SLV/zFactorCorrected", "NS/FLG/qualityFlag", *DPR_PRE),
        clock={f"NS/ScanTime/{name}": values for name, values in DPR_CLOCK.items()},
        units=(
            OtherUnit("NS/SLV/zFactorCorrected", "mm^6/m^3", linear),
            OtherUnit("NS/SLV/zFactorCorrected", "cdBZ", times(100)),
            OtherUnit("NS/Latitude NS/Longitude", "radian", np.radians, silent=None),
            OtherUnit("NS/PRE/localZenithAngle", "radian", np.radians, silent=None),
            OtherUnit("NS/PRE/elevation", "km", times(1e-3), silent=None),
            OtherUnit("NS/PRE/elevation", "mm", times(1e3)),
            OtherUnit("NS/PRE/ellipsoidBinOffset", "mm", times(1e3)),
            OtherUnit("NS/PRE/binClutterFreeBottom", "m", times(125)),
        ),
        exceptions={
            "levels reversed": SOUND,
            "levels shuffled": SOUND,
            # A length all the same, and so near the sea that no bin contradicts it.
            "NS/PRE/elevation in '\u03bcm'": SOUND,
            # Measured files state their units twice, as `Units` too.
            **{f"{name} in None": SOUND for name in ("NS/Latitude", "NS/Longitude")},
            **{f"{name} in None": SOUND for name in ("NS/SLV/zFactorCorrected", *DPR_PRE[:3])},
        },  # bins are told by their number alone
    ),
}
