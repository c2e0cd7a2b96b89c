"""The emulator: time for a day, and its reflectivity against that of `orbital-radar`.

Run `python benchmarks/emulator.py [DAY]`; it needs the measured days of `palaiseau_basta` and
prints one line a sensor. `orbital-radar` (https://github.com/igmk/orbital-radar) is compared where
it is installed. Both get the same input: a grid of 50 m along the track and 20 m in height, beam
and pulse of the same width and reach, neither noise nor attenuation, and no limit of detection.
"""

from __future__ import annotations

import contextlib
import io
import math
import sys
import time
from dataclasses import replace
from datetime import date
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import xarray as xr

from blindzone.pipeline.archive.assembly import emulate_part, read_native
from blindzone.pipeline.catalog.catalog import read_catalog
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus
from blindzone.pipeline.emulator.emulate import emulate
from blindzone.pipeline.emulator.sensor import SENSORS, Sensor, SensorName
from blindzone.pipeline.emulator.settings import EmulationSettings

GROUND, SPEED = "palaiseau_basta", 10.0
STEP_M, GATE_M, HOURS = 50.0, 20.0, 6.0
FLOOR_DBZ, BOUND_DB = -25.0, 0.2


def main() -> None:
    """Measures both and prints the tables."""
    day = date.fromisoformat(sys.argv[1]) if len(sys.argv) > 1 else date(2021, 3, 12)
    catalog = read_catalog()
    ground = catalog[GROUND]
    (path,) = ground.find_days(catalog.data_directory(GROUND), day, day)[day]
    native = read_native(path, ground)
    for name in SENSORS:
        start = time.process_time()
        found = emulate_part(native, ground, catalog[f"palaiseau_as_{name}"], str(path))
        took = time.process_time() - start
        print(f"{name}: {found.sizes['time']} profiles of {day} in {took:.1f} s of one core")
    if find_spec("orbital_radar") is None:
        print("orbital-radar is not installed: nothing is compared")
        return
    fine = resample(native)
    for name in SENSORS:
        print_comparison(name, *compare(fine, name))


def resample(native: xr.Dataset) -> xr.Dataset:
    """Returns the day's last hours on a regular grid, pixels as those next to them are."""
    midnight = native["time"].values[0].astype("datetime64[D]").astype("datetime64[ns]")
    seconds = np.arange(0, HOURS * 3600, STEP_M / SPEED)
    times = native["time"].values - midnight
    wanted = seconds + 86_400 - HOURS * 3600
    following = np.searchsorted(times / np.timedelta64(1, "s"), wanted).clip(max=times.size - 1)
    heights = np.arange(0, 15_000, GATE_M)
    picked = native.isel(time=following).sel(height=heights, method="nearest")
    dbz = picked["reflectivity"].values
    status = np.where(np.isfinite(dbz), DetectionStatus.ECHO, DetectionStatus.NO_ECHO)
    return xr.Dataset(
        {"reflectivity": (DIMS, dbz), "detection_status": (DIMS, status.astype(np.int8))},
        {
            "time": midnight + np.rint(seconds * 1e9).astype("timedelta64[ns]"),
            "height": heights,
            **{name: native[name] for name in ("latitude", "longitude", "altitude")},
        },
        {"frequency_ghz": 94.05},
    )


def compare(fine: xr.Dataset, name: SensorName) -> tuple[np.ndarray, np.ndarray]:
    """Returns reflectivity [dBZ] of both, `(profile, gate)`, on the same profiles and gates."""
    sensor = SENSORS[name]
    shifted = fine.assign_coords(height=fine["height"] + sensor.gate_spacing_m / 2)
    theirs, spec = run_orbital_radar(shifted, name, sensor)
    equal = make_equal(sensor, spec)
    # Its profiles average the points in (a, b], which are centred half a step after the middle.
    settings = EmulationSettings(
        sensor=equal,
        wind=SPEED,
        noise=False,
        attenuation=False,
        phase=STEP_M / 2 / equal.profile_spacing_m,
    )
    ours = emulate(shifted, settings)
    distance = ours["along_track_distance"].values - STEP_M / 2
    profile, gate = (
        np.searchsorted(there, here - 1e-3)
        for there, here in (
            (distance, theirs["along_track_sat"].values),
            (ours["height"].values, theirs["height_sat"].values),
        )
    )
    inside = gate < equal.gates
    np.testing.assert_allclose(distance[profile], theirs["along_track_sat"].values)
    mine = ours["reflectivity"].values[np.ix_(profile, gate[inside])]
    other = 10 * np.log10(np.maximum(theirs.values[:, inside], 1e-20))
    return mine, other


def make_equal(sensor: Sensor, spec: object) -> Sensor:
    """Returns a sensor with the beam and pulse that `orbital-radar` takes."""
    footprint = float(spec.ifov)  # type: ignore[attr-defined]
    return replace(
        sensor,
        beamwidth_deg=math.degrees(footprint / sensor.altitude_m),
        # Its points end inside of half a footprint; each represents one step.
        beam_reach=(math.floor(footprint / 2 / STEP_M) + 0.5) * STEP_M / footprint,
        pulse_reach_m=(sensor.pulse_length_m // GATE_M + 0.5) * GATE_M,
        profile_spacing_m=float(spec.spec.along_track_resolution),  # type: ignore[attr-defined]
        integration_m=float(spec.spec.along_track_resolution),  # type: ignore[attr-defined]
        measures_doppler=False,
    )


def run_orbital_radar(fine: xr.Dataset, name: str, sensor: Sensor) -> tuple[xr.DataArray, object]:
    """Returns the linear reflectivity of `orbital-radar`, and its beam."""
    with contextlib.redirect_stdout(io.StringIO()):
        simulator = import_module("orbital_radar.simulator").Simulator(
            sat_name=name, pulse_length=sensor.pulse_length_m
        )
        linear = np.nan_to_num(10 ** (0.1 * fine["reflectivity"].values.astype(np.float64)))
        dims = ("along_track", "height")
        simulator.ds = xr.Dataset(
            {"ze": (dims, linear), "vm": (dims, np.zeros(linear.shape))},
            {
                "along_track": np.arange(linear.shape[0]) * STEP_M,
                "height": fine["height"].values,
            },
        )
        simulator.prepare_input_dataset()
        simulator.beam.calculate_weighting_functions(
            range_coords=simulator.ds["height"], along_track_coords=simulator.ds["along_track"]
        )
        simulator.convolve_along_track()
        simulator.integrate_along_track()
        simulator.convolve_height()
    return simulator.ds["ze_sat"].transpose("along_track_sat", "height_sat"), simulator.beam


def print_comparison(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Prints how far both differ where both are known and either exceeds the floor."""
    # At the ends of the curtain one takes what is beyond for clear, the other for unknown.
    ours, theirs = ours[3:-3], theirs[3:-3]
    both = np.isfinite(theirs) & (np.fmax(ours, theirs) > FLOOR_DBZ) & np.isfinite(ours)
    both[:, : int(600 // SENSORS[name].gate_spacing_m) + 1] = False  # type: ignore[index]
    apart = np.abs(ours - theirs)[both]
    print(
        f"{name}: {apart.size} gates above {FLOOR_DBZ:g} dBZ: median {np.median(apart):.3f} dB,"
        f" 99 % {np.quantile(apart, 0.99):.3f} dB, largest {apart.max():.3f} dB;"
        f" {(apart <= BOUND_DB).mean():.2%} within {BOUND_DB:g} dB"
    )


if __name__ == "__main__":
    main()
