"""The registry of readers: recognised files, rejected ones, and readers of other packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline import readers
from blindzone.pipeline.readers import (
    ENTRY_POINT_GROUP,
    Header,
    Reader,
    find_reader_names,
    find_readers,
    read_curtain,
    recognise,
)
from blindzone.pipeline.readers._netcdf import read_header

SUFFIXES = (".nc", ".cdf", ".hdf5", ".lv1")

READER_OF = {
    "arm_ceilometer/": "ceilometer",
    "arm_kazr/": "arm_kazr",
    "bucharest_rpg94_lv1/": "rpg_fmcw94",
    "cabauw_categorize/": "cloudnet_categorize",
    "cloudsat_scenes/": "cloudsat_scenes",
    "gpm_dpr/": "gpm_dpr",
    "granada_rpg94/": "cloudnet_radar",
    "impacts_hiwrap/": "hiwrap",
    "minimpl_lille/": "mpl",
    "mrr_pro/": "mrr",
    "norunda_ceilometer/": "ceilometer",
    "palaiseau_basta/": "cloudnet_radar",
    "palaiseau_surface/disdrometer/": "cloudnet_disdrometer",
    "palaiseau_surface/weather-station/": "cloudnet_weather_station",
    "rpg94_juelich/": "rpg_fmcw94",
    "rpg94_ny_alesund/": "rpg_fmcw94",
    "schneefernerhaus_mira/": "cloudnet_radar",
    "state_profiles/20190517_mace-head_ecmwf.nc": "cloudnet_model",
    "state_profiles/20210104_ny-alesund_icon-iglo-12-23.nc": "cloudnet_model",
    "state_profiles/anxsondewnpnM1": "arm_sonde",
    "state_profiles/sgpsondewnpnC1": "arm_sonde",
    "state_profiles/theta_temp_rh_sh_uvw_sst_along_trajectory": "era5",
}
"""Whose the measured files are, by how their paths in the data directory begin."""

NOT_YET_READ: tuple[str, ...] = ()
"""Measured files that no reader takes yet, by how their paths begin."""

PLUGIN = """
from blindzone.pipeline.readers import Header, Reader, read_curtain


def recognises(header: Header) -> bool:
    return header.has("station_rain_rate")


READER = Reader(
    name="{name}", title="a file of our own station", read=read_curtain, recognises=recognises
)
NO_READER = "a text"
"""


def write_file(path: Path, *names: str) -> Path:
    """Writes a netCDF file with three values of each of these variables."""
    dataset = xr.Dataset({name: ("time", np.arange(3.0)) for name in ("time", *names)})
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def list_measured(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.suffix.lower() in SUFFIXES)


def named(path: Path, directory: Path) -> str:
    return path.relative_to(directory).as_posix()


def claim(path: Path) -> list[str]:
    """Returns the names of the readers that take a file for their own."""
    header = read_header(path)
    return [reader.name for reader in find_readers().values() if reader.recognises(header)]


@pytest.mark.parametrize("beginning", READER_OF)
def test_measured_file_is_claimed_by_its_reader_alone(
    beginning: str, measured_directory: Path
) -> None:
    paths = [
        path
        for path in list_measured(measured_directory)
        if named(path, measured_directory).startswith(beginning)
    ]
    assert paths
    assert {path.name: claim(path) for path in paths} == {
        path.name: [READER_OF[beginning]] for path in paths
    }


def test_table_knows_every_measured_file(measured_directory: Path) -> None:
    names = [named(path, measured_directory) for path in list_measured(measured_directory)]
    assert [name for name in names if not name.startswith((*READER_OF, *NOT_YET_READ))] == []


def test_measured_file_is_recognised_under_any_name(
    measured_directory: Path, tmp_path: Path
) -> None:
    source = list_measured(measured_directory / "rpg94_juelich")[0]
    path = tmp_path / "anything"
    path.symlink_to(source)
    assert recognise(path).name == "rpg_fmcw94"
    assert read_curtain(path).identical(read_curtain(source, "rpg_fmcw94"))


def test_names_and_titles_say_one_thing_each() -> None:
    known = find_readers()
    assert "auto" not in known  # the catalogue's word for no reader in particular
    assert [reader.name for reader in known.values()] == list(known) == [*find_reader_names()]
    titles = [reader.title for reader in known.values()]
    assert len(set(titles)) == len(titles)
    # A message goes on: 'may be a METEK MRR file or an RPG-FMCW-94 file'.
    assert [title for title in titles if not title.startswith(("a ", "an "))] == []


def test_registry_cannot_be_changed_by_who_asks() -> None:
    with pytest.raises(TypeError):
        find_readers()["mine"] = find_readers()["mrr"]  # type: ignore[index]


def test_file_without_any_known_variable_is_claimed_by_nobody() -> None:
    for header in (Header(container="netcdf3"), Header(container="hdf5")):
        assert [
            reader.name for reader in find_readers().values() if reader.recognises(header)
        ] == []


def test_unknown_file_is_rejected_with_what_it_has_and_what_is_known(tmp_path: Path) -> None:
    path = write_file(tmp_path / "buoy.nc", "wave_height", "wave_period")
    with pytest.raises(SourceFileError) as refusal:
        recognise(path)
    message = str(refusal.value)
    assert message.startswith(
        f"{path}: of no kind that is known here (has ['time', 'wave_height', 'wave_period'])"
    )
    for reader in find_readers().values():
        assert f"{reader.title} ({reader.name})" in message
    with pytest.raises(SourceFileError, match="of no kind that is known here"):
        read_curtain(path)


def test_file_that_is_cut_short_in_its_head_is_rejected_before_any_reader_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.nc"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setattr(readers, "find_readers", pytest.fail)
    with pytest.raises(SourceFileError, match="cut short"):
        recognise(path)


def test_file_of_no_known_format_is_rejected_with_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "file.nc"
    path.write_bytes(b"\xff\xfe\x00\x01\x02")
    with pytest.raises(SourceFileError, match=r"not a netCDF file \(first bytes b'\\xff"):
        recognise(path)


def test_ambiguous_file_is_rejected_with_both_kinds_and_the_way_out(tmp_path: Path) -> None:
    # The variables of an RPG-FMCW-94 file and of an MRR-Pro file in one.
    path = write_file(tmp_path / "both.nc", "sampleTms", "range", "Ze", "Zea", "VEL")
    with pytest.raises(SourceFileError) as refusal:
        recognise(path)
    assert (
        str(refusal.value)
        == f"{path}: may be an RPG-FMCW-94 file or a METEK MRR file; name the reader in the"
        " catalogue: 'reader: rpg_fmcw94'"
    )
    # The way out works: the named reader reads it, and now speaks of what it needs.
    with pytest.raises(SourceFileError, match="'Ze' has dimensions"):
        read_curtain(path, "rpg_fmcw94")


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs packages of one module, each with one of these values as entry point."""

    def install(*values: str, reader_name: str = "station", code: str = PLUGIN) -> None:
        monkeypatch.undo()
        folder = tmp_path / f"site-packages-{uuid4().hex}"
        folder.mkdir()
        module = (  # a module of its own: an imported one is not loaded again
            f"station_{uuid4().hex}"
        )
        (folder / f"{module}.py").write_text(code.format(name=reader_name))
        for number, value in enumerate(values):
            about = folder / f"station_{number}-1.0.dist-info"
            about.mkdir()
            (about / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: station-{number}\nVersion: 1.0\n"
            )
            point = value.format(module=module)
            (about / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\nstation = {point}\n")
        monkeypatch.syspath_prepend(str(folder))
        find_readers.cache_clear()

    yield install
    monkeypatch.undo()
    find_readers.cache_clear()


def test_reader_of_another_package_is_found_after_ours(install: Install, tmp_path: Path) -> None:
    own = list(find_readers())
    install("{module}:READER")
    assert list(find_readers()) == [*own, "station"]
    assert recognise(write_file(tmp_path / "own.nc", "station_rain_rate")).name == "station"
    with pytest.raises(SourceFileError, match=r"known: .*; a file of our own station \(station\)"):
        recognise(write_file(tmp_path / "other.nc", "wave_height"))


def test_reader_of_another_package_that_claims_too_much_is_named_in_the_rejection(
    install: Install, tmp_path: Path
) -> None:
    install("{module}:READER", code=PLUGIN.replace("station_rain_rate", "Ze"))
    path = write_file(tmp_path / "rpg.nc", "sampleTms", "range", "Ze")
    with pytest.raises(
        SourceFileError, match="may be an RPG-FMCW-94 file or a file of our own station"
    ):
        recognise(path)


BROKEN = [
    ("{module}_absent:READER", r"cannot be loaded: No module named '.*_absent'"),
    ("{module}:ABSENT", r"cannot be loaded: .*has no attribute 'ABSENT'"),
    ("{module}:NO_READER", "it is a str; a blindzone Reader is right"),
    ("{module}:Reader", "it is a type; a blindzone Reader is right"),
]


@pytest.mark.parametrize(("value", "reason"), BROKEN, ids=["module", "attribute", "text", "class"])
def test_broken_entry_point_is_rejected_by_its_name(
    value: str, reason: str, install: Install
) -> None:
    install(value)
    for _ in range(2):  # a rejection is not cached
        with pytest.raises(
            SourceFileError, match=rf"^entry point 'station' = 'station_.*' of station-0: {reason}"
        ):
            find_readers()


@pytest.mark.parametrize("name", ["mrr", "cloudnet_radar"])
def test_reader_with_a_name_of_ours_is_rejected(name: str, install: Install) -> None:
    install("{module}:READER", reader_name=name)
    with pytest.raises(
        SourceFileError, match=rf"a reader is named '{name}' already; another name is right"
    ):
        find_readers()


def test_two_packages_with_one_name_are_rejected(install: Install) -> None:
    install("{module}:READER", "{module}:READER")
    with pytest.raises(SourceFileError, match=r"a reader is named 'station' already"):
        find_readers()


def test_registry_is_whole_again_without_the_other_package(install: Install) -> None:
    own = dict(find_readers())
    install("{module}:READER")
    assert "station" in find_readers()
    install()
    assert dict(find_readers()) == own


def test_reader_keeps_what_it_is_given() -> None:
    reader = Reader(name="x", title="a file", read=read_curtain, recognises=lambda header: True)
    with pytest.raises(AttributeError):
        reader.name = "y"  # type: ignore[misc]
