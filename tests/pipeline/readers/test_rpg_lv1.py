"""RPG LV1 files: written here to their layout, and changed byte by byte.

A measured file is read in `test_rpg`. Only files that hold together may reach rpgpy, which trusts
the header with the sizes of its arrays.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from field_cases import field_case

from blindzone.core.errors import BlindzoneError, SourceFileError
from blindzone.pipeline.curtains.curtain import DetectionStatus, check_curtain
from blindzone.pipeline.readers import read_curtain

pytest.importorskip("rpgpy")

HEIGHTS = np.array([100, 130, 160, 200, 240], np.float32)
SAMPLES = 4
START = 565437600
"""2018-12-02 10:00:00 in seconds since 2001-01-01."""
ECHO = 0.01
"""In mm6 m-3: -20 dBZ."""


def make_lv1(
    *,
    elevation: float = 90.0,
    gates: int = HEIGHTS.size,
    offsets: tuple[int, ...] = (0, 3),
    samples: int = SAMPLES,
    polarization: int = 0,
) -> bytes:
    """Returns an LV1 file of version 3.5: echo in all gates but the last, 3.5 s apart."""
    header = struct.pack("<IIii", START, START + 60, 1, 0) + b"program\0customer\0"
    header += struct.pack(
        "<5f b 3f 5i",
        94.0,
        0.6,
        0.5,
        1e5,
        0.5,
        polarization,
        3.5,
        50.9,
        6.4,
        100,
        gates,
        1,
        1,
        len(offsets),
    )
    header += HEIGHTS.tobytes() + struct.pack("<2f", 0, 0)
    header += struct.pack("<2i", 256, 256) + struct.pack(f"<{len(offsets)}i", *offsets)
    header += b"\0" * 32 + b"\0" * 15  # chirps: repetitions, integration, spacing, Nyquist; flags
    content = struct.pack("<ii", 889347, len(header)) + header + struct.pack("<i", samples)
    for number in range(SAMPLES):
        content += make_sample(number, elevation, polarization)
    return content


def make_sample(number: int, elevation: float, polarization: int = 0) -> bytes:
    seconds, milliseconds = divmod(3500 * number, 1000)
    surroundings = [0.0] * 10 + [elevation] + [0.0] * 6
    body = struct.pack("<Iib", START + seconds, milliseconds, 0)
    body += struct.pack("<17f", *surroundings)
    body += b"\0" * 4 * (3 + 1 + 2 + HEIGHTS.size * (1 + bool(polarization)))
    body += b"\1" * (HEIGHTS.size - 1) + b"\0"
    moments = (ECHO, -1.5, 0.2, 0, 0, *[0.0] * {0: 0, 1: 3, 2: 8}[polarization])
    body += struct.pack(f"<{len(moments)}f", *moments) * (HEIGHTS.size - 1)
    return struct.pack("<i", len(body)) + body


def write(content: bytes, folder: Path) -> Path:
    path = folder / "181202_100000_P01_ZEN.LV1"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("polarization", [0, 1, 2])
def test_moments_come_with_their_times_gates_site_and_frequency(
    polarization: int, tmp_path: Path
) -> None:
    curtain = read_curtain(write(make_lv1(polarization=polarization), tmp_path))
    check_curtain(curtain)
    assert curtain["reflectivity"].values[:, :-1] == pytest.approx(-20, abs=1e-4)
    assert (curtain["doppler_velocity"].values[:, :-1] == -1.5).all()
    assert (curtain["detection_status"].values[:, -1] == DetectionStatus.NO_ECHO).all()
    start = np.datetime64("2018-12-02T10:00:00", "ns")
    assert np.array_equal(
        curtain["time"].values, start + np.arange(SAMPLES) * np.timedelta64(3500, "ms")
    )
    assert np.array_equal(curtain["height"].values, HEIGHTS)
    assert curtain["latitude"].item() == pytest.approx(50.9)
    assert np.isnan(curtain["altitude"].item())
    assert curtain.attrs == {
        "instrument": "RPG-FMCW-94",
        "frequency_ghz": 94.0,
        "reader": "rpg_fmcw94",
    }


def test_scan_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(SourceFileError, match="zenith"):
        read_curtain(write(make_lv1(elevation=75), tmp_path))


def test_netcdf_that_rpgpy_makes_of_it_reads_the_same(tmp_path: Path) -> None:
    rpgpy = pytest.importorskip("rpgpy")
    path = write(make_lv1(), tmp_path)
    rpgpy.rpg2nc(str(path), str(tmp_path / "made.nc"))
    expected, made = read_curtain(path), read_curtain(tmp_path / "made.nc")
    assert made.drop_attrs().identical(expected.drop_attrs())
    assert made.attrs == {**expected.attrs, "instrument": "RPG-FMCW"}


def test_measured_scan_is_rejected_as_one() -> None:
    path = field_case("17") / "210913_001152_P01_PPI.LV1"
    with pytest.raises(SourceFileError, match=rf"^{path}: .*zenith"):
        read_curtain(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (make_lv1(samples=SAMPLES + 1), "cut short or damaged"),
        (make_lv1(samples=SAMPLES - 1), f"its {SAMPLES - 1} samples end at byte"),
        (make_lv1(samples=2**31 - 1), "cut short or damaged"),
        (make_lv1(samples=-1), "its -1 samples end"),
        (make_lv1(gates=2**31 - 1), "its header states"),
        (make_lv1(gates=-5), "its header states"),
        (make_lv1(gates=4), "right|does not hold|begin at"),
        (make_lv1(offsets=(3, 0)), r"its chirps begin at gates \[3, 0\] of 5"),
        (make_lv1(offsets=(0, 9)), r"its chirps begin at gates \[0, 9\] of 5"),
        (make_lv1() + b"\0", "samples end at byte"),
    ],
)
def test_file_that_does_not_hold_together_is_rejected(
    content: bytes, says: str, tmp_path: Path
) -> None:
    path = write(content, tmp_path)
    with pytest.raises(SourceFileError, match=rf"^{path}: cannot be read as RPG LV1.*({says})"):
        read_curtain(path)


def test_file_cut_short_anywhere_is_rejected(tmp_path: Path) -> None:
    content = make_lv1()
    for length in range(4, len(content), 7):
        with pytest.raises(SourceFileError, match="cut short"):
            read_curtain(write(content[:length], tmp_path))


def test_changed_bytes_give_a_rejection_or_a_sound_curtain(tmp_path: Path) -> None:
    right, rng = np.frombuffer(make_lv1(), np.uint8), np.random.default_rng(0)
    for _ in range(200):
        changed = right.copy()
        where = rng.integers(4, changed.size, rng.integers(1, 5))
        changed[where] = rng.integers(0, 256, where.size)
        try:
            check_curtain(read_curtain(write(changed.tobytes(), tmp_path)))
        except BlindzoneError as error:
            assert str(error).count("\n") == 0  # noqa: PT017


def test_without_the_optional_package_the_error_says_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rpgpy", None)
    with pytest.raises(SourceFileError, match=r"rpgpy reads.*pip install 'blindzone\[rpg\]'"):
        read_curtain(write(make_lv1(), tmp_path))
