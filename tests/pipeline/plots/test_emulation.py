"""Pictures of an emulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ground_curtains import make_ground

from blindzone.core.errors import ProductError
from blindzone.pipeline.emulator.emulate import emulate
from blindzone.pipeline.emulator.settings import EmulationSettings
from blindzone.pipeline.plots.emulation import draw_emulation, plot_emulation

SHAPE = (120, 400)


def test_each_field_of_both_radars_has_a_panel_the_ground_radars_above() -> None:
    ground = make_ground(np.full(SHAPE, 5.0), np.full(SHAPE, -1.0), gate_m=40.0)
    earthcare, cloudsat = (
        emulate(ground, EmulationSettings(sensor=sensor, wind=20.0))
        for sensor in ("earthcare", "cloudsat")
    )
    figure = plot_emulation(ground, earthcare)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert [title.partition(":")[0] for title in titles] == [
        "BASTA",
        "emulated EarthCARE CPR from BASTA",
    ] * 2
    assert "reflectivity" in titles[1]
    assert "velocity" in titles[3]
    heading = figure.get_suptitle()
    assert "Emulated EarthCARE CPR" in heading
    assert "2021-03-12" in heading
    few = plot_emulation(ground, cloudsat, height=3000.0)
    assert sum(bool(ax.get_title(loc="left")) for ax in few.axes) == 2


def test_picture_is_written_and_curtains_without_a_radar_are_refused(tmp_path: Path) -> None:
    ground = make_ground(np.full(SHAPE, 5.0), gate_m=40.0)
    found = emulate(ground, EmulationSettings(sensor="cloudsat", wind=20.0))
    draw_emulation(ground, found, tmp_path / "both.webp")
    assert (tmp_path / "both.webp").stat().st_size > 1000
    with pytest.raises(ProductError, match="reflectivity in both is right"):
        plot_emulation(ground.drop_vars("reflectivity"), found)
