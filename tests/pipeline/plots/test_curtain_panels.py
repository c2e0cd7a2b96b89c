"""Pictures of curtains: fields with unit and range, gates at their heights, flags and data."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import matplotlib.image
import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blindzone.core.errors import BlindzoneError, CurtainError, ProductError
from blindzone.pipeline.curtains.curtain import DIMS, FIELDS, DetectionStatus, QualityFlag
from blindzone.pipeline.plots.curtain_panels import build_view
from blindzone.pipeline.plots.quicklooks import draw_curtain, plot_curtain
from blindzone.pipeline.readers import read_curtain

MIDNIGHT = np.datetime64("2021-03-14", "ns")
MakeCurtain = Callable[..., xr.Dataset]
PanelsOf = Callable[..., list[Axes]]


def make_full_curtain(profiles: int = 60, gates: int = 40) -> xr.Dataset:
    """Every field and status, 60 s and 100 m apart: echo below 2 km but in every tenth profile."""
    echo = np.zeros((profiles, gates), dtype=bool)
    echo[:, :20] = True
    echo[::10] = False
    status = np.where(echo, DetectionStatus.ECHO, DetectionStatus.NO_ECHO).astype(np.int8)
    values = {
        "reflectivity": np.where(echo, -10, np.nan),
        "doppler_velocity": np.where(echo, -1.5, np.nan),
        "attenuated_backscatter": np.where(echo, 3e-6, np.nan),
        "normalized_relative_backscatter": np.where(echo, 0.3, np.nan),
        "temperature": np.broadcast_to(
            283.15 - 0.65 * np.arange(gates), echo.shape
        ),  # 0 degC at 1.55 km
        "specific_humidity": np.full(echo.shape, 0.004),
        "eastward_wind": np.full(echo.shape, 12.0),
        "northward_wind": np.full(echo.shape, -7.0),
    }
    fields = {name: (DIMS, value.astype(np.float32)) for name, value in values.items()}
    statuses = {name: (DIMS, status.copy()) for name in ("detection_status", "backscatter_status")}
    return xr.Dataset(
        {**fields, **statuses},
        {
            "time": MIDNIGHT + (6 * 3600 + 60 * np.arange(profiles)).astype("timedelta64[s]"),
            "height": 50.0 + 100 * np.arange(gates),
            "latitude": 48.716,
            "longitude": 2.212,
            "altitude": 156.0,
        },
        {"instrument": "A radar and a lidar", "site": "A station"},
    )


def make_track(profiles: int = 30, gates: int = 40) -> xr.Dataset:
    """A spaceborne radar: profiles 0.7 s and 5 km apart, sloping gates, a growing blind zone."""
    shape = (profiles, gates)
    heights = -500.0 + 125 * np.arange(gates)
    status = np.full(shape, DetectionStatus.NO_ECHO, dtype=np.int8)
    status[:, 8:24] = DetectionStatus.ECHO
    status[:, :8] = DetectionStatus.NO_DATA
    flags = np.zeros(shape, dtype=np.uint8)
    flags[:, 4:8], flags[:, :4] = QualityFlag.SURFACE_CLUTTER, QualityFlag.BELOW_SURFACE
    across = {
        name: ("time", np.linspace(*ends, profiles))
        for name, ends in {
            "latitude": (-25, -30),
            "longitude": (151.6, 154.5),
            "blind_zone_top": (500, 1400),
        }.items()
    }
    return xr.Dataset(
        {
            "reflectivity": (
                DIMS,
                np.where(status == DetectionStatus.ECHO, 25, np.nan).astype(np.float32),
            ),
            "detection_status": (DIMS, status),
            "quality_flags": (DIMS, flags),
            "gate_height": (DIMS, heights + 20.0 * np.arange(profiles)[:, None]),
        },
        {
            "time": MIDNIGHT + (700 * np.arange(profiles)).astype("timedelta64[ms]"),
            "height": heights,
            **across,
            "altitude": 0.0,
            "along_track_distance": ("time", 5000.0 * np.arange(profiles)),
        },
    )


@pytest.fixture
def panels_of() -> PanelsOf:
    """Returns the panels of a curtain's picture, top first."""

    def draw(curtain: xr.Dataset, **options: object) -> list[Axes]:
        figure = plot_curtain(curtain, **options)  # type: ignore[arg-type]
        return [ax for ax in figure.axes if ax.get_title(loc="left")]

    return draw


def find_bar(panel: Axes) -> Axes:
    """Returns the colour bar of a panel."""
    bars = [ax for ax in panel.get_figure().axes if ax.get_label() == "<colorbar>"]  # type: ignore[union-attr]
    panels = [ax for ax in panel.get_figure().axes if ax.get_title(loc="left")]  # type: ignore[union-attr]
    return bars[panels.index(panel)]


def image_of(panel: Axes, layer: int = 0) -> np.ndarray:
    """Returns the colours of a panel `(row, column, RGBA)`, 0 to 255, the lowest row first."""
    return np.asarray(panel.images[layer].get_array())


def test_every_field_and_status_has_a_panel_with_its_unit(panels_of: PanelsOf) -> None:
    panels = panels_of(make_full_curtain())
    assert [panel.get_title(loc="left")[:3] for panel in panels] == [
        f"({letter})" for letter in "abcdefghij"
    ]
    labels = [find_bar(panel).get_ylabel() for panel in panels[: len(FIELDS)]]
    assert [label.partition("(")[2].rstrip(")") for label in labels] == [
        "dBZ",
        "m s$^{-1}$",
        "sr$^{-1}$ m$^{-1}$",
        "MHz km$^2$ µJ$^{-1}$",
        "K",
        "g kg$^{-1}$",
        "m s$^{-1}$",
        "m s$^{-1}$",
    ]
    humidity = find_bar(panels[FIELDS.index("specific_humidity")])
    assert humidity.get_ylim()[1] >= 4  # 0.004 kg kg-1 are 4 g kg-1


def test_picture_of_a_curtain_grows_with_its_panels(tmp_path: Path, curtain: xr.Dataset) -> None:
    draw_curtain(curtain, tmp_path / "radar.png")
    draw_curtain(make_full_curtain()[["temperature"]], tmp_path / "state.webp")
    # 1.6 inches and 2.7 a panel, 120 dots an inch: three panels, and one.
    assert matplotlib.image.imread(tmp_path / "radar.png").shape[:2] == (1164, 1920)
    assert matplotlib.image.imread(tmp_path / "state.webp").shape[:2] == (516, 1920)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["radar.png", "state.webp"]


def test_title_says_what_where_and_when(panels_of: PanelsOf) -> None:
    panel, *_ = panels_of(make_full_curtain())
    figure = panel.get_figure()
    assert isinstance(figure, Figure)
    assert figure.get_suptitle() == "A radar and a lidar\nA station, 48.72° N 2.21° E, 2021-03-14"


def test_title_tells_two_days_and_both_ends_of_a_track(panels_of: PanelsOf) -> None:
    track = make_track()
    panel, *_ = panels_of(track.assign_coords(time=track["time"] - np.timedelta64(10, "s")))
    figure = panel.get_figure()
    assert isinstance(figure, Figure)
    assert (
        figure.get_suptitle()
        == "Curtain\n25.00° S 151.60° E to 30.00° S 154.50° E, 2021-03-13 to 2021-03-14"
    )


def test_no_echo_is_white_and_no_data_lets_the_grey_through(panels_of: PanelsOf) -> None:
    curtain = make_full_curtain()
    curtain["detection_status"][0] = DetectionStatus.NO_DATA
    curtain["temperature"][0] = np.nan
    panels = panels_of(curtain)
    image = image_of(panels[0])
    columns = image.shape[1] // 60
    assert (image[:, :columns, 3] == 0).all()  # profile 0: no data
    assert (image[:, 10 * columns + 1 : 11 * columns - 1] == 255).all()  # profile 10: no echo
    assert (image[:10, 5 * columns, :3] != 255).any(axis=-1).all()
    velocity, temperature = image_of(panels[1]), image_of(panels[4])
    assert np.array_equal(velocity[..., 3], image[..., 3])
    assert np.array_equal(temperature[..., 3] == 0, image[..., 3] == 0)


def test_gap_of_a_curtain_is_left_blank(panels_of: PanelsOf) -> None:
    curtain = make_full_curtain().isel(time=np.r_[0:20, 40:60])
    for panel in panels_of(curtain):
        see_through = (image_of(panel)[..., 3] == 0).all(axis=0)
        # Twenty of sixty minutes are lost; a quarter of a profile at each end bridges jitter.
        assert see_through.mean() == pytest.approx(19.5 / 60, abs=0.01)


def test_uneven_gates_stand_at_their_heights(panels_of: PanelsOf) -> None:
    # Gates of 100 m, and from 1 km on of 300 m; echo at 1.6 km alone, whose gate reaches from 1.45
    # to 1.75 km.
    curtain = make_full_curtain()[["reflectivity", "detection_status"]].isel(height=slice(0, 20))
    heights = np.append(50 + 100.0 * np.arange(10), 1300 + 300.0 * np.arange(10))
    echo = np.broadcast_to(heights == 1600, curtain["reflectivity"].shape)
    curtain = curtain.assign_coords(height=heights)
    curtain["reflectivity"][:] = np.where(echo, 0, np.nan)
    curtain["detection_status"][:] = np.where(echo, DetectionStatus.ECHO, DetectionStatus.NO_ECHO)
    panel = panels_of(curtain, height=3000)[0]
    coloured = np.flatnonzero((image_of(panel)[:, 100, :3] != 255).any(axis=-1))
    rows = image_of(panel).shape[0]
    assert (coloured[0] * 3000 / rows, (coloured[-1] + 1) * 3000 / rows) == pytest.approx(
        (1450, 1750), abs=31
    )


def test_sloping_gates_are_shown_where_they_lie() -> None:
    track = make_track()
    view = build_view(track, (None, 4000.0))
    away = np.asarray(np.abs(view.pick(track["gate_height"].values) - view.rows_m))
    # The dots show a gate whose middle is within half a gate, 62.5 m, of theirs.
    assert away[~view.missing].max() <= 62.5 + 1e-9
    assert view.heights_m == (-200.0, 4000.0)  # a twentieth of the top below the surface
    assert not view.missing[:, (view.rows_m > 100) & (view.rows_m < 3900)].any()


@given(
    gates=st.lists(st.floats(0, 20_000, width=32), min_size=2, max_size=30, unique=True).map(
        sorted
    ),
    top=st.floats(100, 20_000),
)
def test_each_dot_shows_the_nearest_gate(gates: list[float], top: float) -> None:
    heights = np.array(gates)
    assume(top > heights[0])
    kelvin = np.full((1, heights.size), 280.0)
    state = xr.Dataset({"temperature": (DIMS, kelvin)}, {"time": [MIDNIGHT], "height": heights})
    view = build_view(state, (None, top))
    shown = heights[view.gate[0]]
    nearest = np.abs(heights[:, None] - view.rows_m).min(axis=0)
    inside = view.gate[0] >= 0
    assert np.asarray(np.abs(shown - view.rows_m))[inside] == pytest.approx(
        nearest[inside], abs=1e-6
    )
    assert inside[(view.rows_m > heights[0]) & (view.rows_m < heights[-1])].all()


def test_top_lies_above_the_highest_echo_and_single_pixels_are_noise() -> None:
    curtain = make_full_curtain(profiles=100, gates=400)[["reflectivity", "detection_status"]]
    # Echo up to 1.95 km: a quarter of a kilometre more at least, in steps of a half.
    assert build_view(curtain, None).heights_m == (0.0, 2500.0)
    curtain["reflectivity"][33, 300] = -50
    assert build_view(curtain, None).heights_m == (0.0, 2500.0)
    curtain["reflectivity"][33:38, 300] = -50  # 30.05 km
    assert build_view(curtain, None).heights_m == (0.0, 30_500.0)
    assert build_view(curtain, (None, 1234.0)).heights_m == (0.0, 1234.0)


def test_top_without_any_echo_is_that_of_the_gates() -> None:
    curtain = make_full_curtain()[["reflectivity", "detection_status"]]
    curtain["reflectivity"][:] = np.nan
    assert build_view(curtain, None).heights_m == (0.0, 3950.0)
    state = make_full_curtain(gates=800)[["temperature"]]
    assert build_view(state, None).heights_m == (0.0, 20_000.0)  # not 80 km


def test_reflectivity_has_the_range_of_its_kind_of_radar(panels_of: PanelsOf) -> None:
    rain = make_full_curtain()[["reflectivity", "detection_status"]]  # -10 dBZ
    cloud = rain.assign(reflectivity=rain["reflectivity"] - 10)
    assert find_bar(panels_of(cloud)[0]).get_ylim() == (-50, 25)
    assert find_bar(panels_of(rain)[0]).get_ylim() == (-15, 50)


def test_velocity_and_winds_are_centred_at_zero(panels_of: PanelsOf) -> None:
    panels = panels_of(make_full_curtain())
    for name, most in (("doppler_velocity", 1.5), ("eastward_wind", 12), ("northward_wind", 7)):
        low, high = find_bar(panels[FIELDS.index(name)]).get_ylim()
        assert low == -high
        assert most <= high <= 2 * most


def test_backscatter_has_a_logarithmic_range_that_holds_it(panels_of: PanelsOf) -> None:
    curtain = make_full_curtain()
    panels = panels_of(curtain)
    bars = [find_bar(panels[FIELDS.index(name)]) for name in FIELDS[2:4]]
    assert [bar.get_yscale() for bar in bars] == ["log", "log"]
    assert bars[0].get_ylim() == pytest.approx((1e-7, 1e-4))
    assert bars[1].get_ylim() == pytest.approx((0.1, 1))
    clear = curtain.assign(attenuated_backscatter=curtain["attenuated_backscatter"] / 100)
    assert find_bar(panels_of(clear)[2]).get_ylim() == pytest.approx((1e-8, 1e-4))


def test_backscatter_that_is_not_positive_is_weak_and_not_missing(
    panels_of: PanelsOf,
) -> None:
    curtain = make_full_curtain()
    curtain["attenuated_backscatter"][1, :5] = [-1e-7, 0, -1e-9, 1e-30, 1e-12]
    image = image_of(panels_of(curtain)[2])
    column = image.shape[1] * 3 // 120  # the middle of profile 1
    lowest = np.round(255 * np.array(matplotlib.colormaps["viridis"](0)))
    assert (image[: image.shape[0] * 500 // 2500, column] == lowest).all()


def test_freezing_level_is_drawn_where_there_is_one(panels_of: PanelsOf) -> None:
    (panel,) = panels_of(make_full_curtain(profiles=1)[["temperature"]], height=4000)
    (lines,) = panel.collections
    # 283.15 K at 50 m, 0.65 K less a gate: 273.15 K lies between the 15th and 16th gate above, at
    # about 1.6 km.
    assert np.asarray(lines.get_paths()[0].vertices)[:, 1] == pytest.approx(1.6, abs=0.06)
    assert panel.get_title(loc="left") == "(a) Temperature; line: 0 °C"
    warm = panels_of(make_full_curtain()[["temperature"]] + 50)[0]
    assert not warm.collections
    assert warm.get_title(loc="left") == "(a) Temperature"


def test_each_status_and_flag_present_is_in_the_legend_and_no_other(panels_of: PanelsOf) -> None:
    curtain = make_full_curtain()[["reflectivity", "detection_status"]]
    curtain["detection_status"][1, 25:] = DetectionStatus.NO_DATA
    curtain["detection_status"][2, 21:30] = DetectionStatus.CLUTTER_REMOVED
    curtain["quality_flags"] = (DIMS, np.zeros(curtain["reflectivity"].shape, dtype=np.uint8))
    curtain["quality_flags"][:, :4] = QualityFlag.REJECTED | QualityFlag.SURFACE_CLUTTER
    status = panels_of(curtain, height=4000)[-1]
    legend = status.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "no data",
        "no echo",
        "echo",
        "removed as clutter",
        "surface clutter",
        "rejected by the file",
    ]
    stripes = image_of(status, layer=1)
    striped = np.asarray((stripes[..., 3] > 0).any(axis=1))
    assert striped[: striped.size // 10].all()  # 400 of 4000 m
    assert not striped[striped.size // 10 + 1 :].any()
    # Two flags: two colours of stripes.
    assert len(np.unique(stripes[stripes[..., 3] > 0], axis=0)) == 2


@pytest.mark.parametrize("flag", list(QualityFlag))
def test_each_flag_has_stripes_of_its_own(flag: QualityFlag, panels_of: PanelsOf) -> None:
    state = make_full_curtain()[["temperature"]]  # no status: the flags have a panel all the same
    flags = np.full(state["temperature"].shape, flag, dtype=np.uint8)
    *_, panel = panels_of(state.assign(quality_flags=(DIMS, flags)))
    legend = panel.get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 1
    assert 0.2 < (image_of(panel, layer=1)[..., 3] > 0).mean() < 0.3  # 3 of 12 dots


def test_velocity_alone_is_grey_where_it_is_unknown(panels_of: PanelsOf) -> None:
    (panel,) = panels_of(make_full_curtain()[["doppler_velocity"]])
    image = image_of(panel)
    assert (image[:, : image.shape[1] // 60, 3] == 0).all()


@pytest.mark.filterwarnings("error")
def test_curtain_without_any_value_is_drawn(panels_of: PanelsOf) -> None:
    empty = make_full_curtain() * np.float32(np.nan)
    for name in ("detection_status", "backscatter_status"):
        empty[name] = (
            DIMS,
            np.full(empty["reflectivity"].shape, DetectionStatus.NO_ECHO, dtype=np.int8),
        )
    panels = panels_of(empty)
    assert (image_of(panels[0]) == 255).all()  # white
    assert (image_of(panels[4])[..., 3] == 0).all()  # no temperature: grey


def test_lidar_status_has_its_own_panel_and_words(panels_of: PanelsOf) -> None:
    lidar = make_full_curtain()[["attenuated_backscatter", "backscatter_status"]]
    panels = panels_of(lidar)
    assert len(panels) == 2
    legend = panels[-1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "nothing above noise",
        "return above noise",
    ]


def test_blind_zone_is_a_line_with_the_gaps_of_the_profiles(panels_of: PanelsOf) -> None:
    whole = make_track()
    track = whole.isel(time=np.r_[0:10, 20:30])
    for panel in panels_of(track):
        (line,) = panel.lines
        tops_km = np.asarray(line.get_ydata(), dtype=float)
        assert np.nanmin(tops_km) == pytest.approx(0.5)
        assert np.nanmax(tops_km) == pytest.approx(1.4)
        assert np.isnan(tops_km).mean() == pytest.approx(9.5 / 30, abs=0.01)
    assert "line: top of the blind zone" in panels_of(track)[0].get_title(loc="right")
    assert not panels_of(make_full_curtain())[0].lines


def test_track_has_distances_beside_its_times(panels_of: PanelsOf) -> None:
    first, *_, last = panels_of(make_track())
    (upper,) = first.child_axes
    labels = [float(label.get_text()) for label in upper.get_xticklabels()]
    # 5 km a profile of 0.7 s: kilometre x lies at 0.14 x seconds.
    assert upper.get_xticks() * 3600 == pytest.approx([0.14 * label for label in labels])
    assert labels[0] == 0
    assert max(labels) <= 145
    assert upper.get_xlabel() == "Distance along the track (km)"
    assert [label.get_text() for label in last.get_xticklabels()][:2] == ["00:00:00", "00:00:02"]


@pytest.mark.parametrize("distances", [[0.0, np.nan, 5000.0], [0.0, 5000.0, 5000.0]])
def test_distances_that_do_not_increase_are_left_out(
    distances: list[float], panels_of: PanelsOf
) -> None:
    track = make_track(profiles=3).assign_coords(along_track_distance=("time", distances))
    assert not panels_of(track)[0].child_axes


@pytest.mark.parametrize(
    ("count", "step_s", "labels"),
    [
        (1441, 60, ["00:00", "02:00", "04:00"]),
        (30, 3600, ["2021-03-14", "03:00", "06:00"]),
        (60, 60, ["00:00", "00:05", "00:10"]),
        (1, 60, ["00:00:00"]),
    ],
)
def test_times_are_labelled_in_steps_that_fit(
    count: int, step_s: int, labels: list[str], panels_of: PanelsOf
) -> None:
    times = MIDNIGHT + (step_s * np.arange(count)).astype("timedelta64[s]")
    panel = panels_of(make_full_curtain(profiles=count).assign_coords(time=times)[["temperature"]])[
        -1
    ]
    found = [label.get_text().rpartition("\n")[2] for label in panel.get_xticklabels()]
    assert found[: len(labels)] == labels
    assert len(found) <= 13


def make_swath() -> xr.Dataset:
    """Five rays, whose echo is stronger from ray to ray."""
    track = make_track()
    rays = [track.assign(reflectivity=track["reflectivity"] + 2 * number) for number in range(5)]
    return xr.concat(
        rays, dim="ray", data_vars="all", coords="different", compat="equals", join="exact"
    )


@pytest.mark.parametrize(("ray", "shown"), [(None, 2), (0, 0), (4, 4)])
def test_one_ray_of_a_swath_is_drawn(ray: int | None, shown: int, panels_of: PanelsOf) -> None:
    panels = panels_of(make_swath(), ray=ray)
    alone = panels_of(make_swath().isel(ray=shown))
    assert np.array_equal(image_of(panels[0]), image_of(alone[0]))
    figure = panels[0].get_figure()
    assert isinstance(figure, Figure)
    assert figure.get_suptitle().startswith(f"Curtain, ray {shown} of 0 to 4\n")


def test_archived_curtain_gives_the_picture_of_what_was_put_in(
    curtain: xr.Dataset, tmp_path: Path, panels_of: PanelsOf
) -> None:
    curtain.to_zarr(tmp_path / "day.zarr", consolidated=False, zarr_format=3)
    archived = xr.open_zarr(tmp_path / "day.zarr", consolidated=False, chunks={})
    before, after = panels_of(curtain), panels_of(archived)
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(image_of(one), image_of(other))
        assert one.get_title(loc="left") == other.get_title(loc="left")
    assert archived["reflectivity"].chunks is not None  # what was given is not changed


def test_threads_draw_the_same_curtain_as_one(make_curtain: MakeCurtain, tmp_path: Path) -> None:
    curtain = make_curtain(profiles=20)[["reflectivity", "detection_status"]]
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda path: draw_curtain(curtain, path), paths))
    assert len({path.read_bytes() for path in paths}) == 1


REJECTED: list[
    tuple[str, Callable[[], xr.Dataset], dict[str, object], type[BlindzoneError], str]
] = [
    (
        "picture.gif",
        make_full_curtain,
        {},
        ProductError,
        r"'\.gif'; \.png, .*\.pdf, \.svg or \.svgz is right",
    ),
    (
        "picture.png",
        make_full_curtain,
        {"height": 0.0},
        ProductError,
        "height 0.0: a top above 0 m",
    ),
    ("picture.png", make_full_curtain, {"height": np.nan}, ProductError, "height nan: a top above"),
    (
        "picture.png",
        make_full_curtain,
        {"ray": 0},
        CurtainError,
        "ray 0 is asked for, and .* no dimension 'ray'",
    ),
    (
        "picture.png",
        make_swath,
        {"ray": 5},
        CurtainError,
        "the swath has no ray 5; 0 to 4 are right",
    ),
    ("picture.png", make_swath, {"ray": -1}, CurtainError, "the swath has no ray -1"),
    (
        "picture.png",
        lambda: make_full_curtain().drop_vars("detection_status"),
        {},
        CurtainError,
        "'detection_status'",
    ),
]


@pytest.mark.parametrize(("name", "make", "options", "kind", "reason"), REJECTED)
def test_what_cannot_be_drawn_is_rejected_and_leaves_nothing(
    name: str,
    make: Callable[[], xr.Dataset],
    options: dict[str, object],
    kind: type[BlindzoneError],
    reason: str,
    tmp_path: Path,
) -> None:
    with pytest.raises(kind, match=reason):
        draw_curtain(make(), tmp_path / name, **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


MEASURED = (
    "arm_ceilometer/sgpceilC1.b1.20190103.000011.nc",
    "arm_kazr/sgpkazrgeC1.a1.20190529.000002.cdf",
    "cabauw_categorize/20250211_cabauw_categorize_part.nc",
    "gpm_dpr/2A-CS-151E24S154E30S.GPM.Ku.V7-20170308.20141206-S095002-E095137.004383.V05A.HDF5",
    "minimpl_lille/MPL_5030_201606010000.nc",
    "mrr_pro/20230322_013000.nc",
    "rpg94_juelich/181202_150002_P09_ZEN_compact.nc",
    "state_profiles/20190517_mace-head_ecmwf.nc",
    "state_profiles/sgpsondewnpnC1.b1.20190101.053200.cdf",
)


@pytest.mark.parametrize("file", MEASURED)
def test_measured_curtain_is_drawn_with_all_it_has(
    file: str, measured_directory: Path, panels_of: PanelsOf
) -> None:
    curtain = read_curtain(measured_directory / file)
    panels = panels_of(curtain)
    assert len(panels) == sum(
        name in curtain for name in (*FIELDS, "detection_status", "backscatter_status")
    )
    for panel in panels:
        assert np.unique(image_of(panel).view(np.uint32)).size > 1, panel.get_title(loc="left")
