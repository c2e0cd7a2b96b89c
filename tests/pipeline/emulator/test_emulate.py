"""The whole emulation on closed-form curtains, and the traps of others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from ground_curtains import make_ground

from blindzone.core.errors import CurtainError
from blindzone.pipeline.curtains.curtain import DIMS, DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.curtains.gridding import grid_curtain
from blindzone.pipeline.emulator.emulate import emulate
from blindzone.pipeline.emulator.sensor import CLOUDSAT, EARTHCARE, Sensor
from blindzone.pipeline.emulator.settings import EmulationSettings

PROFILES, GATES = 600, 720


def make_settings(sensor: Sensor = EARTHCARE, **others: object) -> EmulationSettings:
    """Neither noise nor attenuation."""
    return EmulationSettings(
        **{"sensor": sensor, "wind": 10.0, "noise": False, "attenuation": False} | others  # type: ignore[arg-type]
    )


def to_linear(curtain: xr.Dataset) -> np.ndarray:
    return np.nan_to_num(10 ** (0.1 * curtain["reflectivity"].values.astype(np.float64)), nan=0.0)


@pytest.mark.parametrize("sensor", [CLOUDSAT, EARTHCARE])
def test_uniform_curtain_keeps_its_reflectivity(sensor: Sensor) -> None:
    found = emulate(make_ground(np.full((PROFILES, GATES), 5.0)), make_settings(sensor))
    check_curtain(found)
    np.testing.assert_allclose(to_linear(found), 10**0.5, rtol=1e-6)
    assert (found["detection_status"] == DetectionStatus.ECHO).all()


def test_thin_layer_keeps_its_integral() -> None:
    dbz = np.full((PROFILES, GATES), np.nan)
    dbz[:, 80:84] = 10.0
    sensor = replace(EARTHCARE, gate_spacing_m=25.0, gates=300)
    found = to_linear(emulate(make_ground(dbz), make_settings(sensor)))
    np.testing.assert_allclose(found.sum(axis=1) * 25, 10 * 100, rtol=1e-6)


def test_energy_of_a_point_target_is_conserved() -> None:
    dbz = np.full((PROFILES, GATES), np.nan)
    dbz[300, 100] = 30.0
    sensor = replace(EARTHCARE, gate_spacing_m=25.0, gates=300)
    found = to_linear(emulate(make_ground(dbz), make_settings(sensor)))
    # 1000 mm6 m-3 over 100 m of track and 25 m of height.
    assert found.sum() * 25 * 500 == pytest.approx(1000 * 100 * 25, rel=1e-6)


def test_gates_are_rows_so_that_gridding_changes_nothing() -> None:
    random = np.random.default_rng(0)
    ground = make_ground(random.uniform(-20, 10, (PROFILES, GATES)))
    for sensor in (CLOUDSAT, EARTHCARE):
        found = emulate(ground, EmulationSettings(sensor=sensor, wind=10.0))
        gridded = grid_curtain(found, sensor.grid)
        np.testing.assert_allclose(
            gridded["reflectivity"], found["reflectivity"], rtol=1e-5, atol=1e-5
        )
        for name in ("detection_status", "blind_zone_top", "along_track_distance"):
            np.testing.assert_array_equal(gridded[name], found[name])


def test_limit_of_detection_comes_after_averaging() -> None:
    # Echo below the sensitivity in each gate is none after averaging; and strong echo in a tenth of
    # the gates is echo everywhere, its weak surroundings counted.
    dbz = np.full((PROFILES, GATES), -60.0)
    dbz[::10, 200:300] = -10.0
    found = emulate(make_ground(dbz), EmulationSettings(sensor="earthcare", wind=10.0))
    inside = found.sel(height=slice(5600, 6900))["detection_status"] == DetectionStatus.ECHO
    assert inside.mean() > 0.99
    weak = emulate(
        make_ground(np.full((PROFILES, GATES), -60.0)),
        EmulationSettings(sensor="earthcare", wind=10.0),
    )
    assert (weak["detection_status"] == DetectionStatus.ECHO).mean() < 1e-3


def test_velocity_is_weighted_with_linear_reflectivity() -> None:
    # Two kinds of profiles in turn: 0 dBZ falling at 1 m/s, 10 dBZ at 3 m/s: (1 + 30) / 11.
    dbz = np.zeros((PROFILES, GATES))
    dbz[::2] = 10.0
    velocity = np.where(dbz > 0, -3.0, -1.0)
    found = emulate(make_ground(dbz, velocity), make_settings())["doppler_velocity"]
    np.testing.assert_allclose(found[5:-5], 31 / 11, atol=2e-3)


def test_motion_of_the_satellite_shows_where_the_beam_is_not_filled() -> None:
    dbz = np.full((PROFILES, GATES), np.nan)
    dbz[300:] = 0.0  # ahead of the beam: nearer every pulse, so velocity is negative
    found = emulate(make_ground(dbz, np.zeros(dbz.shape)), make_settings())["doppler_velocity"]
    edge = found.sel(height=5050.0).values
    distance = found["along_track_distance"].values
    before = (distance > 29_400) & (distance < 30_000)
    assert (edge[before] < -0.5).all()
    np.testing.assert_allclose(edge[distance > 32_000], 0, atol=1e-3)


def test_noise_is_everywhere_and_in_linear_units() -> None:
    clear = make_ground(np.full((1440, GATES), np.nan), step_s=30.0)
    found = emulate(clear, EmulationSettings(sensor="earthcare", wind=20.0))
    alarms = found["detection_status"].values == DetectionStatus.ECHO
    assert 0 < alarms.mean() < 1e-3
    assert alarms.any(axis=0).sum() > 20  # at all heights


def test_what_is_unknown_does_not_count_as_clear() -> None:
    status = np.full((PROFILES, GATES), DetectionStatus.ECHO)
    status[::3] = DetectionStatus.NO_DATA  # a third of the profiles
    status[:, 400:480] = DetectionStatus.NO_DATA  # 10 to 12 km
    status[:, :10] = DetectionStatus.UNTRUSTED  # up to 250 m
    dbz = np.where(status == DetectionStatus.ECHO, 5.0, np.nan)
    found = emulate(make_ground(dbz, status=status), make_settings())
    values = found["detection_status"].values
    height = found["height"].values
    np.testing.assert_allclose(to_linear(found)[values == 2], 10**0.5, rtol=1e-6)
    assert (values[:, (height > 10_200) & (height < 11_800)] == DetectionStatus.NO_DATA).all()
    assert (values[:, height < 200] == DetectionStatus.UNTRUSTED).all()
    flags = found["quality_flags"].values[:, height < 200]
    assert (flags == QualityFlag.BELOW_LOWEST_TRUSTED_GATE).all()
    # At the ends half of the beam is beyond the curtain.
    inside = values[2:-2, (height > 300) & (height < 9_500)]
    assert (inside == DetectionStatus.ECHO).all()


def test_profiles_in_a_gap_are_left_out() -> None:
    ground = make_ground(np.full((PROFILES, GATES), 5.0)).isel(time=np.r_[0:200, 400:PROFILES])
    found = emulate(ground, make_settings())
    assert found["along_track_distance"].diff("time").max() > 15_000


def test_zone_keeps_what_the_surface_would_hide() -> None:
    found = emulate(make_ground(np.full((PROFILES, GATES), 5.0)), make_settings(CLOUDSAT))
    assert (found["blind_zone_top"] >= 480).all()
    in_zone = found["height"] < found["blind_zone_top"]
    assert (found["detection_status"].where(in_zone) != DetectionStatus.NO_DATA).all()


def test_rain_is_weaker_at_the_ground_and_stronger_aloft_from_above() -> None:
    dbz = np.full((PROFILES, GATES), np.nan)
    dbz[:, :200] = 10.0
    ground = make_ground(dbz).assign_coords(
        time=make_ground(dbz)["time"].values + np.timedelta64(120, "D")  # July: rain up to 4 km
    )
    found = emulate(ground, make_settings(attenuation=True)).isel(time=10)["reflectivity"]
    assert float(found.sel(height=50)) < 5 < 15 < float(found.sel(height=4450))
    corrected = emulate(ground, make_settings(attenuation=True, attenuated_from_below=False))
    assert float(corrected["reflectivity"].isel(time=10).sel(height=4450)) == pytest.approx(
        10, abs=0.5
    )


def test_same_input_and_seed_give_the_same_bits() -> None:
    ground = make_ground(np.full((PROFILES, GATES), -25.0))
    first, again, other = (
        emulate(ground, EmulationSettings(sensor="earthcare", wind=10.0, seed=seed))
        for seed in (3, 3, 4)
    )
    xr.testing.assert_identical(first, again)
    assert not first["reflectivity"].equals(other["reflectivity"])


def test_emulated_curtain_says_so() -> None:
    ground = make_ground(np.zeros((PROFILES, GATES))).assign_attrs(reader="a", other="b")
    found = emulate(ground, make_settings(CLOUDSAT))
    assert (found.attrs["reader"], "other" in found.attrs) == ("a", False)
    assert found.attrs["title"] == "Emulated CloudSat CPR over BASTA at Palaiseau"
    assert found.attrs["instrument"] == "emulated CloudSat CPR from BASTA"
    assert found.attrs["emulated_from"] == "BASTA"
    assert found.attrs["frequency_ghz"] == 94.05


def test_drawn_wind_is_one_a_day() -> None:
    ground = make_ground(np.zeros((PROFILES, GATES)))
    days = [
        ground.assign_coords(time=ground["time"].values + np.timedelta64(n, "D")) for n in (0, 1)
    ]
    settings = make_settings(wind="drawn")
    lengths = [emulate(day, settings)["along_track_distance"].values[-1] for day in days]
    assert lengths[0] != lengths[1]
    later = days[0].isel(time=slice(300, None))
    assert emulate(later, settings)["along_track_distance"].values[-1] == lengths[0]
    assert all(5 * 6000 - 500 <= length <= 25 * 6000 for length in lengths)


def test_wind_of_the_state_is_its_mean() -> None:
    ground = make_ground(np.zeros((PROFILES, GATES)))
    with pytest.raises(CurtainError, match="needs a state"):
        emulate(ground, make_settings(wind="state"))
    winds = {
        name: (DIMS, np.full((PROFILES, GATES), speed, dtype=np.float32))
        for name, speed in (("eastward_wind", 6.0), ("northward_wind", 8.0))
    }
    found = emulate(ground.assign(winds), make_settings(wind="state"))
    expected = emulate(ground, make_settings(wind=10.0))
    np.testing.assert_allclose(found["along_track_distance"], expected["along_track_distance"])


def test_wind_of_a_station_needs_speeds_alone() -> None:
    ground = make_ground(np.zeros((PROFILES, GATES)))
    with pytest.raises(CurtainError, match="needs a wind_speed measured at the surface"):
        emulate(ground, make_settings(wind="station"))
    minutes = np.datetime64("2021-03-12", "ns") + np.arange(101) * np.timedelta64(60, "s")
    # Calm air counts as 1 m s-1. A minute without a speed is between its neighbours.
    for speeds, constant in ((np.full(101, 8.0), 8.0), (np.zeros(101), 1.0)):
        speeds[50] = np.nan
        station = xr.Dataset({"wind_speed": ("time", speeds.astype(np.float32))}, {"time": minutes})
        found = emulate(ground, make_settings(wind="station"), station=station)
        expected = emulate(ground, make_settings(wind=constant))
        np.testing.assert_allclose(found["along_track_distance"], expected["along_track_distance"])
    unknown = station.assign(wind_speed=station["wind_speed"] * np.nan)
    with pytest.raises(CurtainError, match="needs a wind_speed"):
        emulate(ground, make_settings(wind="station"), station=unknown)


def test_files_of_a_day_share_a_track_in_the_wind_of_its_state() -> None:
    ground = make_ground(np.zeros((PROFILES, GATES)))
    speed = np.linspace(5, 15, 5)[:, np.newaxis] * np.ones((1, 3))
    hours = np.datetime64("2021-03-12", "ns") + np.arange(5) * np.timedelta64(1500, "s")
    state = xr.Dataset(
        {"eastward_wind": (DIMS, speed), "northward_wind": (DIMS, 0 * speed)},
        {"time": hours, "height": [500.0, 1500.0, 2500.0]},
    )
    whole, late = (
        emulate(part, make_settings(wind="state"), state=state)
        for part in (ground, ground.isel(time=slice(300, None)))
    )
    shared = np.isin(whole["along_track_distance"], late["along_track_distance"])
    times = whole["time"].values[shared]
    assert shared.sum() == late.sizes["time"]
    np.testing.assert_array_equal(times, late["time"].values)


@pytest.mark.parametrize("kind", ["spaceborne", "sloping", "lidar", "micro rain radar"])
def test_other_curtains_are_refused(kind: str) -> None:
    ground = make_ground(np.zeros((PROFILES, 40)))
    wrong = {
        "spaceborne": ground.assign_coords(along_track_distance=("time", np.arange(PROFILES))),
        "sloping": ground.assign(gate_height=(DIMS, np.zeros((PROFILES, 40)))),
        "lidar": ground.drop_vars("reflectivity"),
        "micro rain radar": ground.assign_attrs(frequency_ghz=24.0),
    }
    with pytest.raises(CurtainError, match="right"):
        emulate(wrong[kind], make_settings())
