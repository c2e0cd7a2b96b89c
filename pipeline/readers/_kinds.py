"""What a file is that no reader takes, and the tool that makes of it one that is read.

Asked only after every reader has declined. The first kind of the table that recognises a file names
it: instruments before the containers and conventions that they use. A kind is known by its first
bytes, its attributes, or names of variables that no other has; never by the file's own name.

First bytes are those of the formats' own documents: GRIB and BUFR (WMO Manual on Codes, FM 92 and
FM 94), NEXRAD level II (ICD 2620010), DORADE, Universal Format, MDV, Sigmet (IRIS Programmer's
Manual), RPG file codes (RPG-FMCW and HATPRO software manuals).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

from blindzone.pipeline.readers._netcdf import Header

_CLOUDNETPY = (
    "no reader takes it as it is; CloudnetPy makes Cloudnet Level 1b of it, which is read:"
    " cloudnetpy.instruments."
)
_PYART = (
    "no reader takes scans; Py-ART and xradar read them; profiles of a beam that points to the"
    " zenith are right"
)
_CLOUDNET_TYPES = ("radar", "lidar", "categorize", "model")
_RADIOMETER = "it holds no profile of a radar or lidar; MWRpy and CloudnetPy process it"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Files of one kind that no reader takes.

    Attributes:
        title: What they are, in a few words, with their article.
        advice: What is right instead, and the tool that makes it.
        recognises: Whether a file with this head is one.
        is_family: Whether readers take some files of the family. A reader that the catalogue names
            then says itself what a file lacks.
    """

    title: str
    advice: str
    recognises: Callable[[Header], bool]
    is_family: bool = False


def find_kind(header: Header) -> Kind | None:
    """Returns what kind a file is that no reader takes, or None if that cannot be recognised."""
    if header.attributes.get("cloudnet_file_type") in _CLOUDNET_TYPES:
        return None  # of a kind that is read, whatever it lacks
    return next((kind for kind in _KINDS if kind.recognises(header)), None)


def _starts(*magics: bytes, at: int = 0) -> Callable[[Header], bool]:
    return lambda header: header.start[at:].startswith(magics)


def _opens(pattern: bytes) -> Callable[[Header], bool]:
    """Returns whether the first bytes begin with a pattern."""
    opening = re.compile(pattern)
    return lambda header: opening.match(header.start) is not None


def _holds(pattern: bytes) -> Callable[[Header], bool]:
    """Returns whether the first bytes hold a line that begins like this."""
    line = re.compile(rb"(?:^|[\r\n\x01,])" + pattern)
    return lambda header: line.search(header.start) is not None


def _has(*names: str) -> Callable[[Header], bool]:
    return lambda header: header.has(*names)


def _has_any(*names: str) -> Callable[[Header], bool]:
    return lambda header: not header.variables.isdisjoint(names)


def _says(pattern: str, *attributes: str) -> Callable[[Header], bool]:
    """Returns whether one of these global attributes holds a pattern, in any case."""
    text = re.compile(pattern, re.IGNORECASE)
    return lambda header: any(
        text.search(header.attributes.get(name, "")) is not None for name in attributes
    )


def _is(container: str) -> Callable[[Header], bool]:
    return lambda header: header.container == container


def _below(pattern: str) -> Callable[[Header], bool]:
    """Returns whether a variable's path begins like this."""
    path = re.compile(pattern)
    return lambda header: any(path.match(name) for name in header.variables)


def _all(*tests: Callable[[Header], bool]) -> Callable[[Header], bool]:
    return lambda header: all(test(header) for test in tests)


def _any(*tests: Callable[[Header], bool]) -> Callable[[Header], bool]:
    return lambda header: any(test(header) for test in tests)


def _has_code(*codes: int) -> Callable[[Header], bool]:
    """Returns whether a file begins with one of these numbers: four bytes, the least first."""
    return _starts(*(struct.pack("<i", code) for code in codes))


def _is_text(header: Header) -> bool:
    """Returns whether the first bytes are text: no control character but those of lines."""
    printable = header.start.translate(None, bytes(range(32, 256)) + b"\t\n\r\f\x01\x02\x03\x04")
    return bool(header.start) and not printable


_RADARS = (
    Kind(
        title="a METEK MIRA cloud radar file as the instrument writes it (mmclx, znc)",
        advice=f"{_CLOUDNETPY}mira2nc",
        recognises=_any(
            _says(r"\bMIRA", "title", "reference", "system"),
            _has("HSDco", "HSDcx"),
            _has("SNRg", "VELg"),
        ),
    ),
    Kind(
        title="a BASTA cloud radar file of level 1a",
        advice=f"{_CLOUDNETPY}basta2nc",
        recognises=_any(_says("BASTA L1", "title"), _has("raw_reflectivity", "raw_velocity")),
    ),
    Kind(
        title="a file of the Galileo cloud radar",
        advice=f"{_CLOUDNETPY}galileo2nc",
        recognises=_says("GALILEO", "radar", "source"),
    ),
    Kind(
        title="a file of the Copernicus cloud radar",
        advice=f"{_CLOUDNETPY}copernicus2nc",
        recognises=_any(_says(r"\bCOPERNICUS\b", "radar"), _has("ZED_HC", "VEL_HC")),
    ),
    Kind(
        title="an RPG-FMCW file of level 0 (LV0): Doppler spectra",
        advice="the level-1 file (LV1) of the same time is read; rpgpy.spectra2nc makes moments",
        recognises=_any(
            _has_code(789346, 889346, 1889346), _has("doppler_spectrum", "range_layers")
        ),
    ),
    Kind(
        title="an RPG-FMCW file of level 1 (LV1), version 1",
        advice="versions 2 to 4 are read; rpgpy.rpg2nc makes netCDF of it",
        recognises=_has_code(789345),
    ),
    Kind(
        title="an RPG-FMCW netCDF file of the radar's own program, one variable a chirp (LV1.NC)",
        advice="no reader takes it; the binary file (LV1) of the same hour is read",
        recognises=_has("C1ZE", "C1MeanVel"),
    ),
    Kind(
        title="an ARM MMCR cloud radar file (mmcrmom)",
        advice=f"{_CLOUDNETPY}mmcr2nc",
        recognises=_any(
            _says("mmcr", "datastream", "platform_id", "zeb_platform", "dod_version"),
            _has("Reflectivity", "MeanDopplerVelocity", "SignalToNoiseRatio"),
        ),
    ),
    Kind(
        title="a METEK MRR-2 file as the instrument writes it",
        advice="IMProToo makes of its raw spectra a file that is read; mrr2c makes netCDF of the"
        " others",
        recognises=_any(
            _holds(rb"MRR \d{12} "), _has_any("MRR_Spectra", "MRR_Capital_Z", "MRR rangegate")
        ),
    ),
)

_LIDARS = (
    Kind(
        title="a Lufft CHM15k or CHM8k ceilometer file as the instrument writes it, uncalibrated",
        advice=f"{_CLOUDNETPY}ceilo2nc with a calibration factor; files with 'beta_att'"
        " (netcdf_mode 1) are read as they are",
        recognises=_any(_has("beta_raw", "p_calc"), _all(_has("beta_raw"), _says("CHM", "title"))),
    ),
    Kind(
        title="a Vaisala LD40 or CT12K ceilometer file as the instrument writes it",
        advice=f"{_CLOUDNETPY}ceilo2nc (LD40)",
        recognises=_any(_holds(rb"\x02?X[0-9A-Z]TA"), _holds(rb"DATE +TIME( +\d+){9}")),
    ),
    Kind(
        title="a PollyXT Raman lidar file",
        advice=f"{_CLOUDNETPY}pollyxt2nc",
        recognises=_any(
            _says("polly", "source", "reference"), _has("attenuated_backscatter_1064nm")
        ),
    ),
    Kind(
        title="an E-PROFILE ceilometer file",
        advice="no reader takes it; CloudnetPy makes Cloudnet Level 1b of the instrument's own"
        " files: cloudnetpy.instruments.ceilo2nc",
        recognises=_has_any("attenuated_backscatter_0", "rcs_0", "rcs_910", "rcs_1064"),
    ),
    Kind(
        title="a Licel file of a Raman lidar",
        advice="no reader takes it; licel2scc (atmospheric-lidar) makes netCDF of it",
        recognises=_opens(rb" ?\w+\.\d{6}\s*\r?\n.*\d\d/\d\d/\d{4} \d\d:\d\d:\d\d \d\d/"),
    ),
    Kind(
        title="a file of a Doppler lidar",
        advice="no reader takes it; doppy processes it",
        recognises=_any(
            _says("doppler-lidar", "cloudnet_file_type"),
            _holds(rb"Filename:\t.*\.hpl"),
            _holds(rb"HeaderSize=|HeaderLength="),
        ),
    ),
)

_SPACE = (
    Kind(
        title="a CALIPSO lidar granule",
        advice="CloudSat 2B-GEOPROF of the same orbit holds the radar curtain and is read",
        recognises=_any(
            _has("Total_Attenuated_Backscatter_532"),
            _has("Lidar_Data_Altitudes"),
            _all(_is("hdf4"), _has("Profile_UTC_Time")),
        ),
    ),
    Kind(
        title="a CloudSat granule of another product",
        advice="2B-GEOPROF is read, which the CloudSat data processing centre provides",
        is_family=True,
        recognises=_any(
            _says(r"\b[12][ABC]-[A-Z]|\bECMWF-AUX|\bMODIS-AUX", "products"),
            _all(_is("hdf4"), _has("Profile_time", "Height")),
        ),
    ),
    Kind(
        title="a MODIS granule",
        advice="it holds no profile of a radar or lidar",
        recognises=_says(r"\bmod\d|MODIS", "products"),
    ),
    Kind(
        title="a TRMM granule",
        advice="no reader takes it; GPM 2A Ku files (V05 to V07) are read",
        recognises=_all(_is("hdf4"), _has_any("correctZFactor", "normalSample", "nearSurfRain")),
    ),
    Kind(
        title="a GPM file of another product",
        advice="2A Ku, 2A Ka and 2A DPR are read",
        is_family=True,
        recognises=_any(
            _says("AlgorithmID=", "FileHeader"), _below(r"(NS|MS|HS|FS|S1|S2|Grid|KuGMI|KuKaGMI)/")
        ),
    ),
    Kind(
        title="an EarthCARE file of another product",
        advice="CPR C-NOM (JAXA, level 1b), C-FMR and C-CD (ESA, level 2a) are read",
        is_family=True,
        recognises=_below(r"(ScienceData|HeaderData)/"),
    ),
)

_SOUNDERS_AND_PRODUCTS = (
    Kind(
        title="a file of an RPG HATPRO microwave radiometer",
        advice=_RADIOMETER,
        recognises=_any(
            _says("HATPRO", "radiometer_system", "source", "title"),
            _has_code(934501978, 934501000, 594811068, 594811000, 666666, 837854832, 780798065),
            _has_code(567845847, 567845848, 599658943, 599658944, 671112495, 671112496, 671112000),
            _has_code(459769847, 117343672, 117343673),
        ),
    ),
    Kind(
        title="a Radiometrics microwave radiometer file",
        advice=_RADIOMETER,
        recognises=_holds(rb"Record,Date/Time|RETRIEVAL COEFFICIENTS"),
    ),
    Kind(
        title="a blindzone product",
        advice="'blindzone plot' draws it, and 'blindzone inspect' says how it was made",
        recognises=_has("reflectivity", "reflectivity_observed", "inpainting_flag"),
    ),
    Kind(
        title="a Cloudnet file of another product",
        advice="Level 1b of radar and ceilometer, categorize and model files are read",
        is_family=True,
        recognises=lambda header: "cloudnet_file_type" in header.attributes,
    ),
    Kind(
        title="an ARM file of another datastream",
        advice="kazr (a1, b1), arsclkazr1kollias, ceil, mplpolfs and sondewnpn are read",
        is_family=True,
        recognises=_any(
            _all(_has("time_offset"), _has("base_time")),
            lambda header: bool({"datastream", "dod_version"} & header.attributes.keys()),
        ),
    ),
    Kind(
        title="a weather radar volume in ODIM form",
        advice=_PYART,
        recognises=_any(_says("ODIM_H5", "Conventions"), _below(r"dataset\d+/(data\d+/)?data$")),
    ),
    Kind(
        title="a weather radar volume of a GAMIC radar",
        advice=_PYART,
        recognises=_below(r"scan\d+/moment_\d+$"),
    ),
    Kind(
        title="a radar file in CfRadial form",
        advice=_PYART,
        is_family=True,
        recognises=_any(
            _says("CF.?Radial", "Conventions"),
            _has("sweep_number", "fixed_angle"),
            _below(r"sweep_\d+/"),
        ),
    ),
    Kind(
        title="WRF model output",
        advice="ERA5 on pressure levels and Cloudnet model files are read",
        recognises=_says("WRF", "TITLE"),
    ),
    Kind(
        title="a gridded model or reanalysis file without profiles of temperature, humidity and"
        " height",
        advice="ERA5 on pressure levels with geopotential, temperature and specific humidity is"
        " read",
        is_family=True,
        recognises=_any(_has("latitude", "longitude", "valid_time"), _has("t2m"), _has("tp")),
    ),
)

_CONTAINERS = (
    Kind(
        title="an empty file",
        advice="its transfer failed, or its writer has not begun; fetch it again",
        recognises=_all(_is("other"), lambda header: not header.start),
    ),
    Kind(
        title="a Git LFS or git-annex pointer in place of the file",
        advice="'git lfs pull' or 'git annex get' fetches the file itself",
        recognises=_any(
            _starts(b"version https://git-lfs.github.com"),
            _starts(b"/annex/objects/", b"../.git/annex", b".git/annex"),
        ),
    ),
    Kind(
        title="a page of HTML or XML, such as a server sends in place of a file",
        advice="open it in a browser: it says why the download failed, often a log-in",
        recognises=_all(
            _is("other"),
            _opens(rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|\?xml|error|!--)"),
        ),
    ),
    Kind(
        title="a GRIB file",
        advice="cfgrib or ecCodes (grib_to_netcdf) makes netCDF of it; ERA5 on pressure levels is"
        " then read",
        recognises=_starts(b"GRIB"),
    ),
    Kind(
        title="a BUFR file",
        advice="no reader takes soundings or ceilometers in BUFR; ecCodes and PyBufrKit decode it",
        recognises=_any(_starts(b"BUFR"), _holds(rb"BUFR[\x00-\x02]")),
    ),
    Kind(
        title="a weather radar volume (NEXRAD, Sigmet/IRIS, DORADE, Universal Format, MDV,"
        " Rainbow or CHILL)",
        advice=_PYART,
        recognises=_any(
            _starts(b"AR2V", b"ARCHIVE2.", b"SSWB", b"VOLD", b"COMM", b"UF", b"<volume", b"RSL"),
            _starts(b"\x00\x00\x03\xf8\x00\x007>", b"\x1b\x00", b"\x04\x00\xa8Z"),
            _starts(b"UF", at=2),
            _starts(b"UF", at=4),
            _starts(b"SDUS", b"\x01\r\r\n"),
        ),
    ),
    Kind(
        title="a zip or 7z archive",
        advice="unpack it first ('unzip', '7z x')",
        recognises=_starts(b"PK\x03\x04", b"PK\x05\x06", b"7z\xbc\xaf\x27\x1c"),
    ),
    Kind(
        title="a tar archive",
        advice="unpack it first ('tar xf')",
        recognises=_starts(b"ustar", at=257),
    ),
    Kind(
        title="a compressed file (Zstandard, lz4 or compress)",
        advice="unpack it first; gzip, bzip2 and xz are unpacked by themselves",
        recognises=_starts(b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"\x1f\x9d"),
    ),
    Kind(
        title="a file compressed twice",
        advice="unpack it once; gzip, bzip2 and xz are unpacked by themselves",
        recognises=_starts(b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"),
    ),
    Kind(
        title="a MATLAB file",
        advice="netCDF of its variables is right; an xarray.Dataset can be given to blindzone.fill",
        recognises=_starts(b"MATLAB "),
    ),
    Kind(
        title="a NumPy, pickle or Parquet file",
        advice="netCDF of its arrays is right; an xarray.Dataset can be given to blindzone.fill",
        recognises=_starts(b"\x93NUMPY", b"PAR1", b"\x80\x03", b"\x80\x04", b"\x80\x05"),
    ),
    Kind(
        title="a picture or a PDF",
        advice="the file that it was drawn from is right",
        recognises=_starts(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"%PDF", b"RIFF"),
    ),
    Kind(
        title="a file of zeros at its start",
        advice="its transfer or its disk failed; fetch it again",
        recognises=lambda header: len(header.start) > 8 and not any(header.start),
    ),
    Kind(
        title="a text file",
        advice="of texts only the messages of Vaisala CL31, CL51 and CT25K and Campbell CS135"
        " ceilometers are read",
        recognises=_all(_is("other"), _is_text),
    ),
)

_KINDS = (*_RADARS, *_LIDARS, *_SPACE, *_SOUNDERS_AND_PRODUCTS, *_CONTAINERS)
