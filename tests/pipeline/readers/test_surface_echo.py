"""The surface echo that is followed upwards, on echoes of known shape and on written frames."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from earthcare_files import write_earthcare_frame
from overpasses import Overpass

from blindzone.pipeline.curtains.curtain import BlindZoneOrigin, DetectionStatus
from blindzone.pipeline.emulator.sensor import EARTHCARE
from blindzone.pipeline.readers._surface_echo import (
    MeasuredSurface,
    find_hidden_gates,
    find_slope,
)
from blindzone.pipeline.readers.earthcare import FLOOR_DBZ, read_earthcare

GATE_M = 100.0
HEIGHTS = GATE_M * np.arange(-5, 40)
GROUND = 5
"""Index of the gate at the surface."""


def find_top(dbz: np.ndarray, slope: float = 0.0, sigma0_db: float = np.nan) -> float:
    """Returns the height [m] of the highest hidden gate of one profile; NaN if there is none."""
    gate = find_hidden_gates(
        MeasuredSurface(
            dbz=dbz[np.newaxis],
            gate_height=HEIGHTS[np.newaxis],
            surface=np.zeros(1),
            slope=np.array([slope]),
            cross_section_db=np.array([sigma0_db]),
        ),
        EARTHCARE,
        FLOOR_DBZ,
    )[0]
    return float(HEIGHTS[gate]) if gate >= 0 else np.nan


def make_echo(peak_dbz: float, width_m: float) -> np.ndarray:
    """Returns a Gaussian echo of the surface [dBZ] `(height,)` above noise of -40 dBZ."""
    surface = 10 ** (0.1 * (peak_dbz - 10 / np.log(10) * HEIGHTS**2 / (2 * width_m**2)))
    return np.asarray(10 * np.log10(surface + 1e-4))


@pytest.mark.parametrize("peak_dbz", [0.0, 20.0, 42.0])
@pytest.mark.parametrize("width_m", [90.0, 130.0, 200.0])
def test_echo_is_followed_until_it_sinks_below_the_floor(peak_dbz: float, width_m: float) -> None:
    # peak - 4.343 h^2 / (2 width^2) = floor; whatever the width, without knowing it.
    reach = width_m * np.sqrt(2 * (peak_dbz - FLOOR_DBZ) / 4.343)
    assert find_top(make_echo(peak_dbz, width_m)) == np.floor(reach / GATE_M) * GATE_M


def test_saturated_peak_does_not_shorten_the_echo() -> None:
    clear = make_echo(42.0, 130.0)
    assert find_top(np.minimum(clear, 20.0)) == find_top(clear)


def test_cloud_on_the_echo_hides_no_more_than_the_pulse_reaches() -> None:
    cloud = np.where(HEIGHTS < 2500, 5.0, -40.0)
    both = 10 * np.log10(10 ** (0.1 * make_echo(42.0, 130.0)) + 10 ** (0.1 * cloud))
    # EarthCARE's pulse of 500 m has a standard deviation of 132.5 m: 755 m from 42 dBZ.
    assert find_top(both) == 700
    # The same surface through a saturated receiver: sigma0 of 11 dB says 42 dBZ.
    assert find_top(np.minimum(both, 30.0), sigma0_db=11.0) == 700


def test_slope_lets_the_echo_behind_a_cloud_reach_farther() -> None:
    rain = np.where(HEIGHTS < 3000, 20.0, -40.0)
    both = 10 * np.log10(10 ** (0.1 * make_echo(42.0, 130.0)) + 10 ** (0.1 * rain))
    assert find_top(both, slope=0.5) > find_top(both)


def test_without_an_echo_at_the_surface_there_is_nothing_to_follow() -> None:
    assert np.isnan(find_top(np.full(HEIGHTS.size, -40.0)))
    assert np.isnan(find_top(np.where(HEIGHTS > 1000, 0.0, -40.0)))


def test_echo_up_to_the_highest_gate_ends_there() -> None:
    assert find_top(np.linspace(60, 60 - 10 * HEIGHTS.size, HEIGHTS.size) / 10) <= HEIGHTS[-1]


def test_slope_is_that_of_the_steeper_side_and_none_where_nothing_is_known() -> None:
    elevation = np.array([0.0, 0.0, 100.0, np.nan, 0.0])
    np.testing.assert_allclose(find_slope(elevation, 500.0 * np.arange(5)), [0, 0.2, 0.2, 0, 0])


@pytest.fixture(scope="module")
def frame(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Overpass]:
    path = tmp_path_factory.mktemp("c_nom") / "frame.h5"
    return path, write_earthcare_frame(path, "C-NOM", profiles=600)


@pytest.mark.parametrize("saturated_dbz", [None, 25.0])
def test_zone_of_a_written_frame_ends_where_its_surface_echo_does(
    saturated_dbz: float | None, frame: tuple[Path, Overpass]
) -> None:
    path, overpass = frame
    if saturated_dbz is not None:
        with h5py.File(path, "a") as file:
            stored = file["ScienceData/Data/radarReflectivityFactor"]
            stored[...] = np.minimum(stored[...], 10 ** (0.1 * saturated_dbz))
    curtain = read_earthcare(path)
    gate_height = curtain["gate_height"].values
    surface = overpass.echo_of_surface(gate_height, is_sharp=True)
    weather = overpass.sample(overpass.weather, gate_height)
    hidden = surface > 10 ** (0.1 * FLOOR_DBZ)
    highest = hidden.shape[1] - 1 - np.argmax(hidden[:, ::-1], axis=1)
    expected = gate_height[np.arange(highest.size), highest] + GATE_M / 2
    off = curtain["blind_zone_top"].values - expected
    # A gate lower only where noise took the place of the echo's last gate, higher below cloud.
    assert np.quantile(off, [0.05, 0.95]) == pytest.approx(0, abs=1.5 * GATE_M)
    assert np.abs(off).max() <= 3.5 * GATE_M
    echo = curtain["detection_status"].values == DetectionStatus.ECHO
    mistaken = echo & (surface > weather) & hidden
    assert mistaken.any(axis=1).mean() < 0.01
    assert (curtain["blind_zone_origin"].values == BlindZoneOrigin.SURFACE_ECHO).all()
