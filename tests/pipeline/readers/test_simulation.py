from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import CurtainError, SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.readers.cloudnet import read_cloudnet_radar
from blindzone.pipeline.readers.simulation import SCENE_NAMES, simulate_day, write_simulated_day

DAY = date(2000, 1, 1)
FLOOR_DBZ = -30.0
"""What later steps count as echo (`QualityRules.sensitivity_floor_dbz`)."""


def scene_days(name: str, *, days: int = 4) -> xr.Dataset:
    """Several three-hour stretches of one scene, over the year, against single odd draws."""
    parts = [
        simulate_day(DAY + timedelta(days=90 * i), hours=3, profile_step_s=30, scenes=(name,))
        for i in range(days)
    ]
    return xr.concat([part[["Zh", "v"]].drop_vars("time") for part in parts], "time")


def echo(dataset: xr.Dataset, above_m: float, below_m: float) -> np.ndarray:
    """Whether each pixel between two ranges [m] holds echo that counts, `(time, range)`."""
    inside = (dataset["range"] >= above_m) & (dataset["range"] < below_m)
    return np.asarray(dataset["Zh"].values[:, inside.values] > FLOOR_DBZ)


def test_same_settings_give_equal_values() -> None:
    first, second = (simulate_day(DAY, seed=3, hours=2) for _ in range(2))
    xr.testing.assert_identical(first, second)


@pytest.mark.parametrize(
    "other", [{"seed": 4}, {"day": DAY + timedelta(days=1)}], ids=["seed", "day"]
)
def test_other_seed_or_day_differs(other: dict[str, object]) -> None:
    # Cirrus does not feel the season's freezing level: what differs is the draw.
    settings: dict[str, object] = {
        "day": DAY,
        "seed": 3,
        "hours": 2,
        "profile_step_s": 30,
        "scenes": ("cirrus",),
    }
    first = simulate_day(**settings)  # type: ignore[arg-type]
    second = simulate_day(**(settings | other))  # type: ignore[arg-type]
    assert first.attrs["file_uuid"] != second.attrs["file_uuid"]
    assert not np.array_equal(
        np.isfinite(first["Zh"].sel(range=slice(6000, None))),
        np.isfinite(second["Zh"].sel(range=slice(6000, None))),
    )


def test_grid_is_that_of_the_layout() -> None:
    dataset = simulate_day(DAY, hours=1, profile_step_s=12)
    # 3600 s / 12 s = 300 profiles; 12 km / 25 m = 480 gates, the first centre at half a gate.
    assert dict(dataset["Zh"].sizes) == {"time": 300, "range": 480}
    np.testing.assert_allclose(dataset["range"].values, 12.5 + 25 * np.arange(480))
    np.testing.assert_allclose(np.diff(dataset["time"].values), 12 / 3600, rtol=1e-9)
    np.testing.assert_allclose(
        dataset["height"].values - dataset["range"].values, dataset["altitude"].item()
    )
    assert dataset["time"].attrs["units"] == "hours since 2000-01-01 00:00:00 +00:00"
    assert (dataset["Zh"].dtype, dataset["v"].dtype) == (np.float32, np.float32)


def test_attributes_say_simulated_and_carry_no_time_stamp() -> None:
    dataset = simulate_day(DAY, hours=0.5)
    assert dataset.attrs["source"] == "simulated 95 GHz cloud radar"
    assert dataset.attrs["location"] == "simulated site"
    assert "simulated" in dataset.attrs["title"].lower()
    assert (dataset["Zh"].attrs["units"], dataset["v"].attrs["units"]) == ("dBZ", "m s-1")
    # The only date that the attributes may name is the simulated one.
    assert str(date.today().year) not in " ".join(map(str, dataset.attrs.values()))


def test_written_file_is_read_as_a_curtain(tmp_path: Path) -> None:
    path = tmp_path / "not_there_yet" / "20000101_simulated.nc"
    write_simulated_day(DAY, path, seed=1, hours=2, profile_step_s=30, scenes=("front", "clear"))
    curtain = read_cloudnet_radar(path)
    check_curtain(curtain)
    expected = simulate_day(DAY, seed=1, hours=2, profile_step_s=30, scenes=("front", "clear"))
    np.testing.assert_array_equal(curtain["reflectivity"].values, expected["Zh"].values)
    np.testing.assert_array_equal(curtain["doppler_velocity"].values, expected["v"].values)
    # No echo is stored as the fill value, which the reader separates from missing data.
    assert set(np.unique(curtain["detection_status"])) == {
        DetectionStatus.NO_ECHO,
        DetectionStatus.ECHO,
    }
    assert curtain["time"].values[0] == np.datetime64("2000-01-01T00:00:15", "ns")
    assert curtain.attrs["instrument"] == "simulated 95 GHz cloud radar"


def test_written_file_opens_with_plain_xarray(tmp_path: Path) -> None:
    path = tmp_path / "day.nc"
    write_simulated_day(DAY, path, hours=1, profile_step_s=60)
    with xr.open_dataset(path, engine="h5netcdf") as dataset:
        assert dataset["time"].dtype.kind == "M"
        assert np.isnan(dataset["Zh"].values).any()
        assert dataset["Zh"].encoding["_FillValue"] == np.float32(9.96921e36)


def test_writing_twice_gives_the_same_content(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("first.nc", "second.nc")]
    for path in paths:
        write_simulated_day(DAY, path, hours=1, profile_step_s=60, scenes=("virga",))
    first, second = (xr.load_dataset(path, engine="h5netcdf", decode_cf=False) for path in paths)
    xr.testing.assert_identical(first, second)


@pytest.mark.parametrize("step", ["write_bytes", "replace"])
def test_interrupted_write_leaves_nothing_under_the_final_name(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.write_bytes

    def write_half(self: Path, content: bytes) -> None:
        whole(self, content[:1000])
        raise KeyboardInterrupt

    def refuse(source: object, target: object) -> None:
        raise OSError("no space left on device")

    if step == "write_bytes":
        monkeypatch.setattr(Path, "write_bytes", write_half)
    else:
        monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises((KeyboardInterrupt, SourceFileError)):
        write_simulated_day(DAY, tmp_path / "day.nc", hours=0.5, scenes=("clear",))
    assert list(tmp_path.iterdir()) == []


def test_interrupted_write_keeps_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "day.nc"
    write_simulated_day(DAY, path, hours=0.5, scenes=("clear",))
    earlier = path.read_bytes()

    def refuse(source: object, target: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(SourceFileError, match="cannot be written: no space left"):
        write_simulated_day(DAY, path, hours=0.5, seed=1, scenes=("clear",))
    assert [path.read_bytes()] == [earlier]
    assert list(tmp_path.iterdir()) == [path]


def test_front_reaches_from_high_up_to_the_ground() -> None:
    front = scene_days("front")
    assert echo(front, 4000, 6000).any(axis=1).mean() > 0.3
    assert echo(front, 100, 300).any(axis=1).mean() > 0.2


def test_front_arrives_aloft_before_it_reaches_the_ground() -> None:
    for seed in range(4):
        front = simulate_day(DAY, seed=seed, hours=6, profile_step_s=60, scenes=("front",))
        first_aloft = int(np.argmax(echo(front, 4000, 6000).any(axis=1)))
        first_below = int(np.argmax(echo(front, 100, 300).any(axis=1)))
        # The cloud comes down within 35 % to 60 % of the 360 profiles; a tenth of them is far below
        # either.
        assert first_below > first_aloft + 36


def test_showers_are_deep_and_narrow_and_reach_the_ground() -> None:
    showers = scene_days("showers")
    deep = echo(showers, 2000, 2500).any(axis=1)
    assert 0.02 < deep.mean() < 0.7
    assert echo(showers, 100, 300).all(axis=1)[deep].mean() > 0.5
    assert not echo(showers, 9000, 12_000).any()


def test_stratocumulus_stays_below_two_and_a_half_kilometres() -> None:
    stratocumulus = scene_days("stratocumulus")
    assert echo(stratocumulus, 200, 2000).any(axis=1).mean() > 0.3
    assert not np.isfinite(stratocumulus["Zh"].sel(range=slice(2500, None)).values).any()
    # The top stands at 0.85 to 1.8 km, plus a drift of at most 125 m and waves of 90 m standard
    # deviation.
    assert echo(stratocumulus, 2000, 2500).mean() < 0.02


def test_some_stratocumulus_is_hidden_whole_below_the_blind_zone_top() -> None:
    shallow = [
        echo(
            simulate_day(DAY, seed=seed, hours=1, profile_step_s=60, scenes=("stratocumulus",)),
            1250,
            2500,
        ).mean()
        == 0
        for seed in range(12)
    ]
    # The mean top lies below 1250 m in (1250 - 850) / (1800 - 850) = 42 % of the draws, some by
    # little.
    assert 1 <= sum(shallow) <= 9


def test_virga_evaporates_before_it_reaches_the_ground() -> None:
    virga = scene_days("virga")
    aloft = echo(virga, 2500, 5000).any(axis=1)
    assert aloft.mean() > 0.4
    reaches_ground = echo(virga, 100, 300).any(axis=1)
    assert (aloft & ~reaches_ground).mean() > 0.9 * aloft.mean()


def test_some_virga_ends_inside_the_blind_zone_and_some_above() -> None:
    virga = [
        simulate_day(DAY, seed=seed, hours=2, profile_step_s=60, scenes=("virga",))
        for seed in range(10)
    ]
    inside = [echo(dataset, 234, 1250).any(axis=1).mean() > 0.2 for dataset in virga]
    # Evaporation ends at 350 to 2200 m: below 1250 m, about every second time.
    assert 1 <= sum(inside) <= 9


def test_cirrus_has_nothing_below_five_kilometres() -> None:
    cirrus = scene_days("cirrus")
    assert echo(cirrus, 6000, 10_500).any(axis=1).mean() > 0.2
    assert not np.isfinite(cirrus["Zh"].sel(range=slice(250, 5000)).values).any()


def test_clear_holds_nothing_but_the_clutter_line() -> None:
    clear = scene_days("clear")
    assert not echo(clear, 0, 12_000).any()
    filled = np.isfinite(clear["Zh"].values).mean(axis=0)
    gates = clear["range"].values
    assert set(gates[filled > 0]) == {187.5, 212.5}
    # Clutter is drawn in 40 % and 9 % of the profiles; 1440 profiles give it to within 4 % (three
    # sigma).
    np.testing.assert_allclose(filled[filled > 0], [0.40, 0.09], atol=0.04)
    # Its strength is normal, -53 dBZ with 1.5 dB standard deviation; six sigma leave out 2e-9 of
    # the values.
    assert -62 < np.nanmin(clear["Zh"].values) < np.nanmax(clear["Zh"].values) < -44
    np.testing.assert_allclose(np.nanmean(clear["Zh"].values), -53, atol=0.25)


def test_no_echo_is_weaker_than_the_sensitivity_floor() -> None:
    dataset = simulate_day(DAY, hours=6, profile_step_s=30, scenes=("front", "virga", "cirrus"))
    # -50 dBZ at 1 km, rising with range squared: 20 dB a decade.
    floor = -50 + 20 * np.log10(dataset["range"].values / 1000)
    above_floor = dataset["Zh"].values - floor
    assert np.nanmin(above_floor) > -1e-3
    assert np.nanmin(above_floor) < 0.5
    assert not np.isfinite(dataset["Zh"].sel(range=slice(0, 75)).values).any()


def test_rain_falls_faster_than_snow() -> None:
    summer = simulate_day(date(2000, 7, 20), hours=4, profile_step_s=30, scenes=("front",))
    strong = summer["v"].where(summer["Zh"] > 0)
    # At 0 to 15 dBZ the relations give snow 1.0 to 1.3 m s-1 and rain 3 to 4.5 m s-1, downwards.
    assert -1.6 < float(strong.sel(range=slice(5000, 7000)).mean()) < -0.8
    assert -5.0 < float(strong.sel(range=slice(500, 1200)).mean()) < -2.8


def test_melting_brightens_the_echo_without_a_bright_band() -> None:
    fronts = [
        simulate_day(date(2000, 7, 20), seed=s, hours=6, profile_step_s=60, scenes=("front",))
        for s in range(6)
    ]
    steps, peaks = [], []
    for front in fronts:
        deep = echo(front, 1600, 6000).all(axis=1)
        profile = front["Zh"].values[deep].mean(axis=0)
        fall = -front["v"].values[deep].mean(axis=0)
        # Snow and rain differ in fall speed: the melting layer lies where it changes fastest.
        melting = int(np.argmin(np.diff(fall[64:240]))) + 64
        rain, snow = (
            profile[melting - 24 : melting - 12].mean(),
            profile[melting + 12 : melting + 24].mean(),
        )
        steps.append(rain - snow)
        peaks.append(profile[melting - 12 : melting + 12].max() - rain)
    # Melting adds 4.5 dB, and growth on the way down some more; a bright band would stand above the
    # rain.
    assert 3.5 < np.mean(steps) < 7.5
    assert np.mean(peaks) < 0.8


def test_velocity_is_given_where_there_is_echo() -> None:
    dataset = simulate_day(DAY, hours=4, profile_step_s=60)
    np.testing.assert_array_equal(
        np.isfinite(dataset["v"].values), np.isfinite(dataset["Zh"].values)
    )
    assert float(np.abs(dataset["v"]).max()) < dataset["nyquist_velocity"].item()


def test_echo_near_the_ground_is_told_by_what_lies_above_in_part() -> None:
    days = [
        simulate_day(
            DAY, seed=seed, hours=6, profile_step_s=60, scenes=("front", "showers", "virga")
        )
        for seed in range(3)
    ]
    above = np.concatenate([echo(dataset, 1250, 2000).mean(axis=1) for dataset in days])
    below = np.concatenate([echo(dataset, 234, 1000).mean(axis=1) for dataset in days])
    # Nothing to learn would be 0, nothing left to learn 1.
    assert 0.4 < np.corrcoef(above, below)[0, 1] < 0.97


def test_mixed_days_hold_echo_and_clear_air_near_the_ground() -> None:
    days = [simulate_day(DAY + timedelta(days=i), profile_step_s=60) for i in range(4)]
    low = np.concatenate([echo(dataset, 234, 1250) for dataset in days])
    # 18 winter days of a measured W-band radar: 0.21 of the pixels, no echo in 0.61 of the
    # profiles. Means of four simulated days scatter by about 0.06 and 0.1.
    assert 0.05 < low.mean() < 0.40
    assert 0.25 < (~low.any(axis=1)).mean() < 0.90


def test_scenes_are_shown_in_equal_shares() -> None:
    dataset = simulate_day(
        DAY, hours=4, profile_step_s=60, scenes=("clear", "cirrus", "clear", "front")
    )
    high = echo(dataset, 4000, 11_000).any(axis=1).reshape(4, 60).any(axis=1)
    assert high.tolist() == [False, True, False, True]


def test_every_scene_is_on_offer() -> None:
    assert set(SCENE_NAMES) == {"front", "showers", "stratocumulus", "virga", "cirrus", "clear"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scenes": ("hail",)}, r"no scene is called \['hail'\].*front"),
        ({"scenes": ()}, "no scene"),
        ({"hours": 25.0}, "25.0 h"),
        ({"hours": 0.0}, "0.0 h"),
        ({"profile_step_s": -1.0}, "-1.0 s"),
        ({"hours": 0.001}, "no profile"),
        ({"seed": -1}, "found -1"),
    ],
    ids=str,
)
def test_unusable_settings_are_rejected(settings: dict[str, object], message: str) -> None:
    with pytest.raises(CurtainError, match=message):
        simulate_day(DAY, **settings)  # type: ignore[arg-type]
