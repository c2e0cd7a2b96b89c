"""Ceilometer files as the instruments write them: the curtain that is read, and rejected files.

Measured are the CL61 file of the field cases alone; the others are written here to their layouts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from field_cases import field_case
from raw_files import BadFile, check_rejected, with_units, with_value, write_raw

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus, QualityFlag, check_curtain
from blindzone.pipeline.curtains.findings import PROFILES_DROPPED, read_counts
from blindzone.pipeline.readers import read_curtain, recognise
from blindzone.pipeline.readers.ceilometer_raw import read_ceilometer_raw

PROFILES, GATES, SPACING = 20, 100, 10
CLOUD = (slice(None), slice(30, 34))
CLOUD_BETA = 1e-4
EDGES = np.arange(GATES, dtype=np.float64) * SPACING
MIDDLES = EDGES + SPACING / 2
ECHO, NO_DATA = DetectionStatus.ECHO, DetectionStatus.NO_DATA
START = np.datetime64("2021-08-29T10:43:20", "ns")
TIMES = START + 5 * np.arange(PROFILES) * np.timedelta64(1, "s")


def make_backscatter() -> np.ndarray:
    """Attenuated backscatter [sr-1 m-1]: a cloud of 1e-4 at gates 30 to 33, noise elsewhere."""
    noise = np.random.default_rng(0).normal(0, 1e-13, (PROFILES, GATES)) * MIDDLES**2
    noise[CLOUD] = CLOUD_BETA
    return noise.astype(np.float32)


def make_cl61(dim: str = "time", units: str = "1/(m∙sr)") -> xr.Dataset:
    """A CL61 file, tilted by 12 degrees; range counts from the lower edge of a gate."""
    seconds = (TIMES - np.datetime64("1970-01-01", "ns")) / np.timedelta64(1, "s")
    return xr.Dataset(
        {
            "beta_att": ((dim, "range"), make_backscatter(), {"units": units}),
            "cloud_base_heights": ((dim, "layer"), np.zeros((PROFILES, 5))),
            "time": (dim, seconds, {"units": "seconds since 1970-01-01 00:00:00.000"}),
            "range": ("range", EDGES, {"units": "m"}),
            "latitude": (dim, np.full(PROFILES, 60.2), {"units": "degrees_north"}),
            "longitude": (dim, np.full(PROFILES, 24.9), {"units": "degrees_east"}),
            "elevation": (dim, np.full(PROFILES, 30.0), {"units": "m"}),
            "tilt_angle": (dim, np.full(PROFILES, 12.0), {"units": "°"}),
        },
        attrs={"title": ", , A"},
    )


def make_chm15k(name: str = "beta_att", **others: float) -> xr.Dataset:
    """A CHM15k file, vertical; range counts from the upper edge of a gate."""
    seconds = (TIMES - np.datetime64("1904-01-01", "ns")) / np.timedelta64(1, "s")
    factor, units = (1.0, "1/m 1/sr") if name == "beta_att" else (3e-12, "")
    return xr.Dataset(
        {
            name: (("time", "range"), (make_backscatter() / factor), {"units": units}),
            "time": ("time", seconds, {"units": "seconds since 1904-01-01 00:00:00.000 00:00"}),
            "range": ("range", EDGES + SPACING, {"units": "m"}),
            "range_gate": ((), float(SPACING)),
            "zenith": ((), 0.0, {"units": "degree"}),
            "laser_pulses": ("time", np.full(PROFILES, 90_000, np.int32)),
            "p_calc": ("time", np.full(PROFILES, 1, np.int16)),
            "latitude": ((), 44.3, {"units": "degrees_north"}),
            "longitude": ((), 26.0, {"units": "degrees_east"}),
            "altitude": ((), 77.0, {"units": "m"}),
            **{key: ((), value) for key, value in others.items()},
        },
        attrs={"title": "CHM15k Nimbus", "location": "Magurele"},
    )


def make_messages(*, status: str = "000000000080", broken: int = -1) -> bytes:
    """CL31 messages 5 s apart; one may have a wrong sum."""
    utils = pytest.importorskip("ceilopyter.utils")
    out = b"-Ceilometer Logfile \r\n-File created: 29/08/2021 10:43:20\r\n"
    counts = np.round(make_backscatter() / 1e-8).astype(np.int64)
    for number, (time, profile) in enumerate(zip(TIMES, counts, strict=True)):
        digits = "".join(f"{value & 0xFFFFF:05X}" for value in profile.tolist())
        text = (
            f"CL020111\x02\r\n00 ///// ///// ///// {status}\r\n"
            f"00100 {SPACING:02d} {GATES:04d} 100 +30 099 00 0010 L0016HN15 139\r\n{digits}\r\n\x03"
        ).encode()
        checksum = f"{utils.crc16(text) ^ (number == broken):04x}".encode()
        stamp = str(np.datetime_as_string(time, "s")).replace("T", " ")
        out += f"-{stamp}\r\n".encode() + b"\x01" + text + checksum + b"\x04\r\n"
    return out


def check_cloud(curtain: xr.Dataset, heights: np.ndarray) -> None:
    check_curtain(curtain)
    status = curtain["backscatter_status"].values
    assert (status[CLOUD] == ECHO).all()
    assert (status == ECHO).mean() == pytest.approx(0.04, abs=0.002)  # 4 of 100 gates
    assert curtain["attenuated_backscatter"].values[CLOUD] == pytest.approx(CLOUD_BETA, rel=1e-3)
    assert np.array_equal(curtain["time"].values, TIMES)
    assert curtain["height"].values == pytest.approx(heights)


@pytest.mark.parametrize("dim", ["time", "profile"])
@pytest.mark.parametrize("units", ["1/(m∙sr)", "1/(m*sr)", "m^-1.sr^-1"])
def test_cl61_file_is_read_at_the_middles_of_its_gates(
    dim: str, units: str, tmp_path: Path
) -> None:
    path = write_raw(make_cl61(dim, units), tmp_path / "live_20210829_104420.nc")
    assert recognise(path).name == "ceilometer_raw"
    curtain = read_curtain(path)
    check_cloud(curtain, MIDDLES * np.cos(np.radians(12)))
    assert [curtain[name].item() for name in ("latitude", "longitude", "altitude")] == [
        60.2,
        24.9,
        30.0,
    ]
    assert curtain.attrs == {"instrument": "Vaisala CL61", "reader": "ceilometer_raw"}


def test_preset_position_is_no_position(tmp_path: Path) -> None:
    raw = make_cl61()
    for name in ("latitude", "longitude", "elevation"):
        raw[name] = raw[name] * 0
    curtain = read_ceilometer_raw(write_raw(raw, tmp_path / "live.nc"))
    assert all(np.isnan(curtain[name].item()) for name in ("latitude", "longitude", "altitude"))


@pytest.mark.parametrize(
    "raw", [make_chm15k(), make_chm15k("beta_raw", c_cal=3e-12)], ids=["beta_att", "c_cal"]
)
def test_calibrated_chm15k_file_is_read_at_the_middles_of_its_gates(
    raw: xr.Dataset, tmp_path: Path
) -> None:
    path = write_raw(raw, tmp_path / "20210829_CHM15k.nc", "NETCDF3_CLASSIC")
    curtain = read_curtain(path)
    check_cloud(curtain, MIDDLES)
    assert curtain["altitude"].item() == 77
    assert curtain.attrs == {
        "instrument": "Lufft CHM15k Nimbus",
        "site": "Magurele",
        "reader": "ceilometer_raw",
    }


def test_uncalibrated_chm15k_file_is_rejected_as_such(tmp_path: Path) -> None:
    path = write_raw(make_chm15k("beta_raw"), tmp_path / "20210829_CHM15k.nc")
    for reader in ("auto", "ceilometer_raw", "ceilometer"):
        with pytest.raises(SourceFileError, match=rf"^{path}: .*CHM15k.*uncalibrated.*ceilo2nc"):
            read_curtain(path, reader)


def test_messages_are_read_and_the_damaged_one_left_out(tmp_path: Path) -> None:
    path = tmp_path / "cl31_20210829.dat"
    path.write_bytes(make_messages())
    curtain = read_curtain(path)
    check_cloud(curtain, MIDDLES)
    assert curtain.attrs == {"instrument": "Vaisala CL31 or CL51", "reader": "ceilometer_raw"}
    path.write_bytes(make_messages(broken=3))
    curtain = read_curtain(path)
    assert np.array_equal(curtain["time"].values, np.delete(TIMES, 3))
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == {"damaged": 1}


def test_profiles_during_an_alarm_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "cl31_20210829.dat"
    transmitter_failed = "400000000080"
    content = make_messages().split(b"-2021")
    failed = make_messages(status=transmitter_failed).split(b"-2021")
    path.write_bytes(b"-2021".join([*content[:5], failed[5], *content[6:]]))
    curtain = read_curtain(path)
    flags = curtain["quality_flags"].values
    assert np.array_equal(np.flatnonzero((flags & QualityFlag.REJECTED).any(axis=1)), [4])
    assert (curtain["backscatter_status"].values[4] == NO_DATA).all()


def test_file_of_failures_alone_is_rejected_as_such(tmp_path: Path) -> None:
    path = tmp_path / "cl31_20210829.dat"
    path.write_bytes(make_messages(status="400000000080"))
    with pytest.raises(SourceFileError, match=rf"^{path}: .*failure in all of its 20 profiles"):
        read_curtain(path)


def test_log_without_a_whole_message_is_rejected(tmp_path: Path) -> None:
    pytest.importorskip("ceilopyter")
    path = tmp_path / "c4122300.DAT"
    for content in (
        b"-Ceilometer Logfile \r\n-File created: 23/12/2024 00:00:00\r\n",
        make_messages()[:400],
    ):
        path.write_bytes(content)
        with pytest.raises(SourceFileError, match=rf"^{path}: none of its messages of Vaisala"):
            read_curtain(path)


def test_without_the_optional_package_messages_are_named_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cl31_20210829.dat"
    path.write_bytes(make_messages())
    monkeypatch.setitem(sys.modules, "ceilopyter", None)
    with pytest.raises(SourceFileError, match=r"pip install 'blindzone\[ceilometer\]'"):
        read_curtain(path)


BAD_FILES = (
    BadFile(
        "counts", lambda: with_units(make_cl61(), "beta_att", "counts"), "'beta_att' has units"
    ),
    BadFile("volts", lambda: with_units(make_cl61(), "range", "V"), "'range' has units 'V'"),
    BadFile("one gate", lambda: make_cl61().isel(range=[0]), "'range' has 1 gates"),
    BadFile(
        "no time",
        lambda: with_value(make_cl61(), "time", slice(None), np.nan),
        "'time' holds [0-9]+ missing values",
    ),
    BadFile(
        "no calibration constant",
        lambda: make_chm15k("beta_raw", c_cal=1.0),
        r"'beta_raw' holds counts, and c_cal is \[1.0\]",
    ),
)


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_file_that_contradicts_its_layout_is_rejected(bad: BadFile, tmp_path: Path) -> None:
    path = write_raw(bad.make(), tmp_path / "file.nc")
    check_rejected(read_ceilometer_raw, path, bad.says, bad.error)


def test_measured_cl61_file_is_read() -> None:
    curtain = read_curtain(field_case("17") / "cl61_live_20210829_104420.nc")
    assert curtain.attrs["instrument"] == "Vaisala CL61"
    assert dict(curtain.sizes) == {"time": 12, "height": 3276}
    # 4.8-m gates from 0 m; early firmware states no tilt, and no position.
    assert curtain["height"].values[[0, 1, -1]] == pytest.approx([2.4, 7.2, 15_722.4], abs=0.01)
    assert np.isnan(curtain["latitude"].item())
    assert curtain["time"].values[0] == np.datetime64("2021-08-29T10:43:20.859", "ns")
    # The strongest value of the file is that of a cloud, and is read as it is.
    assert np.nanmax(curtain["attenuated_backscatter"].values) == pytest.approx(5.183e-4, rel=1e-3)


def test_profile_without_a_time_is_left_out_and_counted(tmp_path: Path) -> None:
    raw = with_value(make_cl61(), "time", 0, np.nan)
    curtain = read_ceilometer_raw(write_raw(raw, tmp_path / "live_20210829_104420.nc"))
    assert read_counts(curtain.attrs, PROFILES_DROPPED) == {"without a credible time": 1}
    assert curtain.sizes["time"] == PROFILES - 1
