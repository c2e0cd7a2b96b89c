"""Published power laws between equivalent reflectivity and precipitation rate.

    Ze = a R^b,    Ze [mm6 m-3], R the rate of liquid water, also of melted snow [mm h-1]

A law is here only if its numbers were read in a source at hand: in the paper, its abstract, or a
publication that prints them (`PowerLaw.read_in`). Where a band and phase has several, all count
alike. A paper that prints a range of its coefficients adds that range to the spread.

Left out, since their numbers could not be read: Matrosov (2007) at W band, Liu (2008), Kulie and
Bennartz (2009), Hiley et al. (2011), Falconi et al. (2018), Heymsfield et al. (2018), Surussavadee
and Staelin (2007), van Zanten et al. (2005) and Lhermitte (1990).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

import numpy as np

BANDS_GHZ = {
    "X": (8.0, 12.0),
    "Ku": (12.0, 18.0),
    "K": (18.0, 27.0),
    "Ka": (27.0, 40.0),
    "W": (75.0, 110.0),
}
"""Frequency bands [GHz] (IEEE Std 521-2019)."""

_NORMAL_95 = 1.6448536269514722
"""Standard normal quantile of 95 %: a printed range is taken for one of 5 to 95 %."""
_NODES = ((-(3**0.5), 1 / 6), (0.0, 2 / 3), (3**0.5, 1 / 6))
"""Nodes and weights of Gauss-Hermite quadrature of a standard normal variable, exact to the fifth
moment (Abramowitz and Stegun 1964, table 25.10)."""


class Phase(StrEnum):
    """What falls."""

    SNOW = "snow"
    RAIN = "rain"


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """Ze = a R^b.

    Attributes:
        name: Authors and year, and which of their laws.
        phase: What falls.
        bands: Bands it is used for.
        prefactor: a [mm6 m-3 (mm h-1)^-b].
        exponent: b.
        prefactor_range: Range that the paper prints, if any.
        exponent_range: The same of the exponent.
        paper: Where it was published.
        doi: Its DOI.
        where: Equation, table or section.
        read_in: What the numbers were read in.
        validity: What it holds for, as published.
        strongest_dbz: Reflectivity up to which it holds [dBZ], if one is published.
    """

    name: str
    phase: Phase
    bands: tuple[str, ...]
    prefactor: float
    exponent: float
    paper: str
    doi: str
    where: str
    read_in: str
    validity: str
    prefactor_range: tuple[float, float] | None = None
    exponent_range: tuple[float, float] | None = None
    strongest_dbz: float | None = None

    def find_rate(self, reflectivity_dbz: np.ndarray) -> np.ndarray:
        """Returns rates [mm h-1] of reflectivities [dBZ]; any shape."""
        log_z = np.asarray(reflectivity_dbz) * (np.log(10) / 10)
        return np.asarray(np.exp((log_z - np.log(self.prefactor)) / self.exponent))

    def find_reflectivity(self, rate: np.ndarray) -> np.ndarray:
        """Returns reflectivities [dBZ] of rates [mm h-1]; any shape."""
        log_z = np.log10(self.prefactor) + self.exponent * np.log10(np.asarray(rate))
        return np.asarray(10 * log_z)

    def spread(self) -> Iterator[tuple[PowerLaw, float]]:
        """Yields laws within the printed range, with weights that sum to 1.

        The logarithm of a and b are taken for independent and normal, each side of the law with a
        width of its own, and are represented by three values each.
        """
        logs = differences = None
        if self.prefactor_range is not None:
            logs = np.log(np.asarray(self.prefactor_range) / self.prefactor)
        if self.exponent_range is not None:
            differences = np.asarray(self.exponent_range) - self.exponent
        pairs = product(_spread_offsets(logs), _spread_offsets(differences))
        for (log, weight_a), (more, weight_b) in pairs:
            a, b = self.prefactor * float(np.exp(log)), self.exponent + more
            yield replace(self, prefactor=a, exponent=b), weight_a * weight_b


def _spread_offsets(ends: np.ndarray | None) -> list[tuple[float, float]]:
    """Returns offsets of a variable from its middle, and their weights.

    Args:
        ends: Offsets of its 5 and 95 % quantiles `(2,)`; None if it has no spread.
    """
    if ends is None:
        return [(0.0, 1.0)]
    low, high = np.abs(ends) / _NORMAL_95
    return [(float(node * (high if node > 0 else low)), weight) for node, weight in _NODES]


def _invert(factor: float, power: float, ice_factor: float) -> tuple[float, float]:
    """Returns a and b of a law R = factor (ice_factor Ze)^power."""
    exponent = 1 / power
    return factor**-exponent / ice_factor, exponent


_SASSEN_A, _SASSEN_B = _invert(0.067, 0.804, 5.3)
_MATROSOV_2009 = (
    (67, 1.28),
    (114, 1.39),
    (136, 1.30),
    (28, 1.44),
    (36, 1.56),
    (48, 1.45),
)

LAWS = (
    PowerLaw(
        name="Souverijns 2017",
        phase=Phase.SNOW,
        bands=("K",),
        prefactor=18,
        exponent=1.10,
        prefactor_range=(11, 43),
        exponent_range=(0.97, 1.17),
        paper="Souverijns et al. 2017, Atmos. Res. 196, 211-223",
        doi="",
        where="abstract",
        read_in="the paper's abstract",
        validity="snowfall at Princess Elisabeth, Antarctica, Micro Rain Radar at 24 GHz",
    ),
    PowerLaw(
        name="Matrosov 2007",
        phase=Phase.SNOW,
        bands=("Ka",),
        prefactor=56,
        exponent=1.20,
        paper="Matrosov 2007, J. Atmos. Sci. 64, 1727-1736",
        doi="10.1175/JAS3904.1",
        where="relation at Ka band",
        read_in=(
            "RaProM, published processing of radars at K band, which names the paper; its abstract"
            " has the bands, Ka and W, of which this is for the one nearer to K"
        ),
        validity="dry snowfall, mostly of unrimed snowflakes",
    ),
    PowerLaw(
        name="Sassen 1987",
        phase=Phase.SNOW,
        bands=("W",),
        prefactor=_SASSEN_A,
        exponent=_SASSEN_B,
        paper="Sassen 1987, J. Climate Appl. Meteor. 26(8), 1050",
        doi="10.1175/1520-0450(1987)026<1050:ICCFRR>2.0.CO;2",
        where="abstract: R = 0.067 Zi^0.804 with Zi = 5.3 Ze",
        read_in="the paper's abstract",
        validity=(
            "ice crystals, up to Zi of about 10 dBZ; particularly for radars of short wavelength."
            " Snowflakes above it have other laws"
        ),
        strongest_dbz=10 - 10 * float(np.log10(5.3)),
    ),
    PowerLaw(
        name="Grazioli 2017",
        phase=Phase.SNOW,
        bands=("X",),
        prefactor=76,
        exponent=0.91,
        prefactor_range=(69, 83),
        exponent_range=(0.78, 1.09),
        paper="Grazioli et al. 2017, The Cryosphere 11, 1797",
        doi="10.5194/tc-11-1797-2017",
        where="relation at X band, to which the radar at K band was converted",
        read_in="published processing of the station's radar; snowreach, which has the ranges too",
        validity="snowfall at Dumont d'Urville, Antarctica",
    ),
    *(
        PowerLaw(
            name=f"Matrosov 2009, {number}",
            phase=Phase.SNOW,
            bands=("X",),
            prefactor=a,
            exponent=b,
            paper="Matrosov et al. 2009, J. Atmos. Oceanic Technol. 26, 2324-2339",
            doi="10.1175/2009JTECHA1238.1",
            where="laws for dry aggregate snowflakes, of several size distributions",
            read_in="literature notes of the SAIL campaign; the abstract has the same range",
            validity="dry snowfall of aggregates, 20 to 30 dBZ",
        )
        for number, (a, b) in enumerate(_MATROSOV_2009, 1)
    ),
    PowerLaw(
        name="Comstock 2004",
        phase=Phase.RAIN,
        bands=("Ka", "W"),
        prefactor=25,
        exponent=1.3,
        paper="Comstock et al. 2004, Q. J. R. Meteorol. Soc.",
        doi="10.1256/qj.03.187",
        where="relation for drizzle at cloud base",
        read_in="published code for a BASTA radar at 95 GHz that has it, with the DOI",
        validity=(
            "drizzle, drops far smaller than the wavelength. Larger drops scatter less than that"
            " at W band, and their rain comes out too weak"
        ),
    ),
    PowerLaw(
        name="Marshall and Palmer 1948",
        phase=Phase.RAIN,
        bands=("X", "Ku", "K"),
        prefactor=200,
        exponent=1.6,
        paper="Marshall and Palmer 1948, J. Meteor. 5, 165-166",
        doi="",
        where="relation Z = 200 R^1.6",
        read_in="AMS Glossary of Meteorology, Marshall-Palmer relation",
        validity="rain, drops far smaller than the wavelength",
    ),
    PowerLaw(
        name="Aniol 1980",
        phase=Phase.RAIN,
        bands=("X", "Ku", "K"),
        prefactor=256,
        exponent=1.42,
        paper="Aniol et al. 1980",
        doi="",
        where="relation of the German weather service",
        read_in="wradlib, wradlib.zr.z_to_r",
        validity="rain in Germany, drops far smaller than the wavelength",
    ),
    PowerLaw(
        name="WSR-88D",
        phase=Phase.RAIN,
        bands=("X", "Ku", "K"),
        prefactor=300,
        exponent=1.4,
        paper="default of the WSR-88D radars of the United States",
        doi="",
        where="relation Z = 300 R^1.4",
        read_in="GPM ground validation, z_r_rainrate.pro",
        validity="convective rain, drops far smaller than the wavelength",
    ),
)
"""All laws."""


def find_band(frequency_ghz: float) -> str | None:
    """Returns the name of a frequency's band, None outside of `BANDS_GHZ`."""
    for band, (low, high) in BANDS_GHZ.items():
        if low <= frequency_ghz < high:
            return band
    return None


@dataclass(frozen=True, kw_only=True)
class LawChoice:
    """The laws of a band and phase.

    Attributes:
        phase: What falls.
        band: The band, None where it is not known.
        laws: The laws as published; empty where there is none.
        why_none: Why there is none.
    """

    phase: Phase
    band: str | None
    laws: tuple[PowerLaw, ...]
    why_none: str = ""

    def spread(self) -> tuple[tuple[PowerLaw, ...], np.ndarray]:
        """Returns laws within all printed ranges, and their weights `(law,)`, which sum to 1."""
        pairs = [pair for law in self.laws for pair in law.spread()]
        weights = np.asarray([weight for _, weight in pairs]) / len(self.laws)
        return tuple(law for law, _ in pairs), weights

    def describe(self) -> str:
        """Returns the laws in words, or why there is none."""
        return "; ".join(map(_describe, self.laws)) or self.why_none


def choose_laws(frequency_ghz: float | None, phase: Phase) -> LawChoice:
    """Returns the laws for a radar's frequency and what falls.

    Args:
        frequency_ghz: Frequency [GHz], None if it is not known.
        phase: What falls.
    """
    if frequency_ghz is None:
        why = "the radar's frequency is not known"
        return LawChoice(phase=phase, band=None, laws=(), why_none=why)
    band = find_band(frequency_ghz)
    laws = tuple(law for law in LAWS if law.phase is phase and band in law.bands)
    where = f"{band} band" if band else f"{frequency_ghz:g} GHz, in none of {', '.join(BANDS_GHZ)}"
    why = "" if laws else f"no published relation for {phase} at {where} could be confirmed"
    return LawChoice(phase=phase, band=band, laws=laws, why_none=why)


def _describe(law: PowerLaw) -> str:
    """Returns a law in words."""
    doi = f", doi:{law.doi}" if law.doi else ""
    formula = f"Ze = {law.prefactor:.4g} R^{law.exponent:.4g}"
    return f"{formula} ({law.paper}{doi}; {law.where}; valid for {law.validity})"
