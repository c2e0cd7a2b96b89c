"""Units of measurement as files spell them, and numbers in the units that we use.

The grammar is that of UDUNITS, which CF prescribes, and what the field writes in its place: words
(`meters above Mean Sea Level`), other signs (`m/s`, `m s^-1`, `m s**-1`, `m·s⁻¹`), logarithms
(`10*log10(mm6 m-3)`). Libraries of units read no more than a part of it: the vocabulary would be
ours in any case, and the grammar is a page.

Units may say more: from where a height counts, or which way a number is positive. That is their
sense. A file that states another sense than its layout has contradicts itself.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import numpy as np
import xarray as xr

from blindzone.core.errors import SourceFileError
from blindzone.pipeline.readers._numbers import DEFAULT_FILL, FILL_ATTRIBUTES, find_missing

METRES, METRES_PER_SECOND, DEGREES = "m", "m s-1", "degree"
DBZ, LINEAR = "dBZ", "mm6 m-3"
ABOVE_SEA, ABOVE_GROUND = "m above mean sea level", "m above ground"
UPWARD, DOWNWARD = "m s-1, positive upward", "m s-1, positive downward"
EASTWARD, NORTHWARD = "m s-1, positive eastward", "m s-1, positive northward"
"""Units that we use. The sense is that of a layout, which a file need not state."""
_ATTRIBUTES = ("units", "unit", "Units", "Unit", "UNITS")
"""Attributes that state a unit; the first is that of CF."""
_LIMITS = ("valid_min", "valid_max", "valid_range", "actual_range")
"""Attributes in the stored units, obeyed before numbers are converted."""


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A unit of measurement.

    Attributes:
        scale: How many base units it is: 1000 for km.
        powers: Powers of the base units, sorted: `(("m", 1), ("s", -1))`.
        zero: Where it starts, in base units: 273.15 for degree Celsius.
        sense: From where it counts, or which way it is positive; None if it does not say.
    """

    scale: Fraction = Fraction(1)
    powers: tuple[tuple[str, int], ...] = ()
    zero: float = 0.0
    sense: str | None = None

    def times(self, other: Unit, power: int = 1) -> Unit:
        """Returns this unit times a power of another."""
        powers = Counter(dict(self.powers))
        for base, own in other.powers:
            powers[base] += own * power
        kept = tuple(sorted((base, own) for base, own in powers.items() if own))
        return Unit(scale=self.scale * other.scale**power, powers=kept)

    def agrees_with(self, other: Unit) -> bool:
        """Returns whether both measure the same thing in the same sense, as far as they say."""
        senses = {self.sense, other.sense} - {None}
        return self.powers == other.powers and len(senses) < 2


def _make(scale: int | str | Fraction = 1, **powers: int) -> Unit:
    return Unit(scale=Fraction(scale), powers=tuple(sorted(powers.items())))


_HERTZ, _PASCAL, _KELVIN = _make(s=-1), _make(kg=1, m=-1, s=-2), _make(K=1)
_DEGREE, _RADIAN = _make(degree=1), _make(Fraction(180 / math.pi), degree=1)
_BAR = _make(100_000, kg=1, m=-1, s=-2)
_SYMBOLS = {
    "m": _make(m=1),
    "s": _make(s=1),
    "g": _make("1/1000", kg=1),
    "K": _KELVIN,
    "Pa": _PASCAL,
    "bar": _BAR,
    "J": _make(kg=1, m=2, s=-2),
    "W": _make(kg=1, m=2, s=-3),
    "Hz": _HERTZ,
    "V": _make(V=1),
    "sr": _make(sr=1),
    "rad": _RADIAN,
}
"""Symbols that take prefixes."""
_WORDS = {
    **dict.fromkeys(("meter", "metre"), _SYMBOLS["m"]),
    **dict.fromkeys(("second", "sec"), _SYMBOLS["s"]),
    **dict.fromkeys(("gram", "gramme"), _SYMBOLS["g"]),
    "kelvin": _KELVIN,
    "pascal": _PASCAL,
    "bar": _BAR,
    "joule": _SYMBOLS["J"],
    "watt": _SYMBOLS["W"],
    "hertz": _HERTZ,
    "volt": _SYMBOLS["V"],
    "steradian": _SYMBOLS["sr"],
    "radian": _RADIAN,
}
"""Words that take prefixes as words."""
_OTHERS = {
    "m": _SYMBOLS["m"],
    "s": _SYMBOLS["s"],
    **dict.fromkeys(("h", "hr", "hour"), _make(3600, s=1)),
    **dict.fromkeys(("d", "day"), _make(86_400, s=1)),
    **dict.fromkeys(("min", "minute"), _make(60, s=1)),
    "week": _make(604_800, s=1),
    "msec": _make("1/1000", s=1),
    "usec": _make("1/1000000", s=1),
    "nsec": _make("1/1000000000", s=1),
    "km": _make(1000, m=1),
    **dict.fromkeys(("ft", "foot", "feet"), _make("0.3048", m=1)),
    "mile": _make("1609.344", m=1),
    "micron": _make("1/1000000", m=1),
    **dict.fromkeys(("gpm", "geopotential_meter"), replace(_make(m=1), sense="geopotential")),
    **dict.fromkeys(("kt", "knot"), _make(Fraction(1852, 3600), m=1, s=-1)),
    **dict.fromkeys(("mb", "mbar", "hpa"), _make(100, kg=1, m=-1, s=-2)),
    "pa": _PASCAL,
    "kpa": _make(1000, kg=1, m=-1, s=-2),
    "atm": _make(101_325, kg=1, m=-1, s=-2),
    **dict.fromkeys(("mmhg", "torr"), _make("133.322387415", kg=1, m=-1, s=-2)),
    "hz": _HERTZ,
    "khz": _make(10**3, s=-1),
    "mhz": _make(10**6, s=-1),
    "ghz": _make(10**9, s=-1),
    **dict.fromkeys(("degree", "deg", "°", "arc_degree"), _DEGREE),
    **dict.fromkeys(("degc", "celsius", "c"), replace(_KELVIN, zero=273.15)),
    **dict.fromkeys(("degf", "fahrenheit"), replace(_make("5/9", K=1), zero=273.15 - 160 / 9)),
    **dict.fromkeys(("count", "cts", "photon", "shot", "pulse", "sample"), _make()),
    **dict.fromkeys(("unitless", "dimensionless", "none", "fraction", "ratio"), _make()),
    **dict.fromkeys(("%", "percent", "pct"), _make("1/100")),
    **dict.fromkeys(("db", "decibel"), _make(dB=1)),
    **dict.fromkeys(("dbz", "dbze"), _make(dBZ=1)),
    "dbm": _make(dBm=1),
}
"""Units without prefixes, in small letters, which stand for any."""
_DBZ = _OTHERS["dbz"]
_MM6_PER_M3 = _make("1e-18", m=3)
_NO_LINEAR = (-120.0, -1.0)
"""Linear reflectivity [mm6 m-3] is below zero where noise was subtracted, by far less than 1; codes
for what is missing are below the least dBZ."""
_PREFIXES = (
    ("", "", Fraction(1)),
    ("p", "pico", Fraction(1, 10**12)),
    ("n", "nano", Fraction(1, 10**9)),
    ("u", "micro", Fraction(1, 10**6)),
    ("m", "milli", Fraction(1, 10**3)),
    ("c", "centi", Fraction(1, 10**2)),
    ("d", "deci", Fraction(1, 10)),
    ("h", "hecto", Fraction(10**2)),
    ("k", "kilo", Fraction(10**3)),
    ("M", "mega", Fraction(10**6)),
    ("G", "giga", Fraction(10**9)),
)
_EXACT = {
    prefix + symbol: replace(unit, scale=unit.scale * factor)
    for prefix, _, factor in _PREFIXES
    for symbol, unit in _SYMBOLS.items()
}
_ANY_CASE = _OTHERS | {
    prefix + word: replace(unit, scale=unit.scale * factor)
    for _, prefix, factor in _PREFIXES
    for word, unit in _WORDS.items()
}
_DIRECTIONS = {
    "n": (1, "north"),
    "north": (1, "north"),
    "s": (-1, "north"),
    "south": (-1, "north"),
    "e": (1, "east"),
    "east": (1, "east"),
    "w": (-1, "east"),
    "west": (-1, "east"),
}
"""Sign and sense of an angle; UDUNITS has degrees west as negative degrees east."""
_SENSES = {
    "sea": r"(above\s+)?(the\s+)?(mean\s+)?sea[\s_]*level|(above\s+)?a?m?\.?s\.?l|a\.m?\.?s\.l",
    "ground": r"above\s+(the\s+)?(ground|surface|instrument|radar|lidar|antenna|sensor|station)"
    r"(\s+level)?|a\.?g\.?l",
    "upward": r"positive[\s=:]*(is\s+)?(upwards?|up|away(\s.*)?)",
    "downward": r"positive[\s=:]*(is\s+)?(downwards?|down|towards?(\s.*)?)",
    "east": r"positive[\s=:]*(is\s+)?east(wards?)?",
    "north": r"positive[\s=:]*(is\s+)?north(wards?)?",
}
_TAIL = re.compile(
    r"[\s_,;(]+(" + "|".join(f"(?P<{name}>{form})" for name, form in _SENSES.items()) + r")\.?\)?$",
    re.IGNORECASE,
)
_REWRITTEN = tuple(
    (re.compile(form, re.IGNORECASE), written)
    for form, written in (
        (r"\\,|[$\\{}]", " "),
        (r"(degrees?|deg\.?|°)[\s_-]*(celsius|centigrade|c)\b", "degc"),
        (r"(degrees?|deg\.?|°)[\s_-]*(fahrenheit|f)\b", "degf"),
        (r"(degrees?|deg\.?|°)[\s_-]*(kelvin|k)\b", "K"),
        (r"geopotential[\s_]*(meter|metre)s?", "gpm"),
        (r"nautical[\s_]*miles?", "(1852 m)"),
        (r"d(b|ecibels?)[\s_]*\(?(z|re\b.*)e?\)?$", "dbz"),
        (r"d(b|ecibels?)\s*\(mm.*\)$", "dbz"),
        (r"\bms\^?-1\b", "m s-1"),  # never one over a millisecond
        (r"\bmu\s+(?=s(ec)?\b|m\b|j\b)", "u"),
        (r"\bsquared?\s+([a-z]+)", r"\1^2"),
        (r"\bcubic\s+([a-z]+)", r"\1^3"),
        (r"\bper\b", "/"),
        (r"\*\*", "^"),
        (r"\.$", ""),
        (r"^\s*/", "1/"),
    )
)
"""What writers put in place of UDUNITS' grammar."""
_ANGLE = re.compile(
    r"(degrees?|deg\.?|°)[\s_]*(?P<direction>north|south|east|west|[new]|(?<=[\s_°])s)",
    re.IGNORECASE,
)
_LOGARITHM = re.compile(r"10\s*\*?\s*log(_?10)?\s*\(?(?P<of>.*?)\)?", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?P<space>\s*)(?:(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,2})?)"
    r"|(?P<word>[^\W\d]+|[°%])|(?P<sign>[-+*./^()]))"
)
_SIGNS = str.maketrans(
    dict.fromkeys("⋅·∙•\u00d7", "*") | dict.fromkeys("\u2212\u2013", "-") | {"μ": "u"}
)
_LONGEST = 100
_LARGEST_POWER, _LARGEST_MAGNITUDE = 20, 60
"""A unit beyond is none, and takes time to multiply out."""


@lru_cache(maxsize=1024)
def parse_unit(text: str) -> Unit | None:
    """Returns the unit that a text spells, or None if it spells none that is known here."""
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS).strip()
    if text in ("", "-", "~"):
        return Unit()
    if len(text) > _LONGEST:
        return None
    text = text[1:-1] if text[0] == "[" and text[-1] == "]" else text
    sense, text = _split_sense(text)
    if angle := _ANGLE.fullmatch(text):
        sign, sense = _DIRECTIONS[angle["direction"].lower()]
        return replace(_DEGREE, scale=Fraction(sign), sense=sense)
    if logarithm := _LOGARITHM.fullmatch(text):
        return _DBZ if parse_unit(logarithm["of"]) == _MM6_PER_M3 else None
    for form, written in _REWRITTEN:
        text = form.sub(written, text)
    try:
        unit = _Grammar(text).parse()
    except (ValueError, ZeroDivisionError):
        return None
    return unit if sense is None else replace(unit, sense=sense)


def _split_sense(text: str) -> tuple[str | None, str]:
    match = _TAIL.search(text)
    if match is None:
        return None, text
    sense = next(name for name in _SENSES if match[name] is not None)
    return sense, text[: match.start()]


class _Grammar:
    """UDUNITS' products, quotients and powers of units, read from left to right."""

    def __init__(self, text: str) -> None:
        self.tokens = list(_split(text))
        self.at = 0

    def parse(self) -> Unit:
        unit = self._product()
        if self.at < len(self.tokens):
            raise ValueError
        return unit

    def _peek(self, ahead: int = 0) -> re.Match[str] | None:
        place = self.at + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def _take(self, sign: str) -> bool:
        token = self._peek()
        if token is not None and token["sign"] and token["sign"] in sign:
            self.at += 1
            return True
        return False

    def _product(self) -> Unit:
        unit = self._factor()
        while (token := self._peek()) is not None and token["sign"] != ")":
            power = -1 if self._take("/") else 1
            if power == 1:
                self._take("*.")
            unit = unit.times(self._factor(), power)
        return unit

    def _factor(self) -> Unit:
        token = self._peek()
        self.at += 1
        if token is None:
            raise ValueError
        if token["sign"] == "(":
            unit = self._product()
            if not self._take(")"):
                raise ValueError
        elif token["number"]:
            unit = Unit(scale=Fraction(token["number"]))
        else:
            unit = _find_word(token["word"] or "")
        power = self._power(of_number=bool(token["number"]))
        if abs(power) > _LARGEST_POWER or _magnitude(unit) * abs(power) > _LARGEST_MAGNITUDE:
            raise ValueError
        return unit if power == 1 else Unit().times(unit, power)

    def _power(self, *, of_number: bool) -> int:
        """Returns the power of what stands before: of a number only after its sign."""
        stated = self._take("^")
        if not stated and of_number:
            return 1
        enclosed = stated and self._take("(")
        here, after = self._peek(), self._peek(1)
        signed = here is not None and here["sign"] in ("-", "+") and after is not None
        digits = after if signed else here
        if digits is None or not (digits["number"] or "").isdigit():
            if stated or signed:
                raise ValueError
            return 1
        if digits["space"] and not stated:  # a factor, unless it is signed: 'km 10000'
            return 1
        self.at += 1 + signed
        if enclosed and not self._take(")"):
            raise ValueError
        return int(digits["number"]) * (-1 if signed and here and here["sign"] == "-" else 1)


def _split(text: str) -> Iterator[re.Match[str]]:
    place, text = 0, text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError
        yield match
        place = match.end()


def _magnitude(unit: Unit) -> float:
    """Returns how many digits the scale has, or infinity where it is zero."""
    if not unit.scale:
        raise ZeroDivisionError
    size = abs(unit.scale)
    return abs(math.log10(size.numerator) - math.log10(size.denominator))


def _find_word(word: str) -> Unit:
    small = word.lower()
    singular = small.removesuffix("s") if len(word) > 2 else small
    unit = _EXACT.get(word) or _ANY_CASE.get(small) or _ANY_CASE.get(singular)
    if unit is None:
        raise ValueError
    return unit


def find_unit_text(variable: xr.DataArray) -> str | None:
    """Returns what a variable of any shape states as its unit; None if it states none."""
    for key in _ATTRIBUTES:
        stated = variable.attrs.get(key)
        if isinstance(stated, bytes):
            stated = stated.decode("utf-8", "replace")
        if isinstance(stated, int | float | np.number):
            stated = f"{stated:g}"
        if stated is not None and not isinstance(stated, str):
            return repr(stated)
        if stated is not None and stated.strip("\0 "):
            return stated.strip("\0 ")
    return None


def to_units(raw: xr.Dataset, wanted: Mapping[str, str], path: Path) -> xr.Dataset:
    """Returns a file's content with named variables, of any shape, in the units that we use.

    What is in these units already is not touched; what is missing stays missing. Linear
    reflectivity becomes dBZ, and none of it (zero or, after subtraction of noise, less) missing.

    Args:
        raw: The content.
        wanted: Units by the names of variables, of which the file may lack any.
        path: The file, for messages.

    Raises:
        SourceFileError: If a variable states no units, others than these and what converts to
            them, or another sense.
    """
    present = {name: unit for name, unit in wanted.items() if name in raw.variables}
    found = {name: _convert(raw[name], unit, path) for name, unit in present.items()}
    changed = {name: variable for name, variable in found.items() if variable is not None}
    return raw.assign(changed) if changed else raw


def to_stated_units(raw: xr.Dataset, wanted: Mapping[str, str], path: Path) -> xr.Dataset:
    """Returns what `to_units` does, of variables that need not state that they are in our units."""
    stated = {
        name: unit
        for name, unit in wanted.items()
        if name in raw.variables and find_unit_text(raw[name]) is not None
    }
    return to_units(raw, stated, path)


def is_in(variable: xr.DataArray, wanted: str) -> bool:
    """Returns whether a variable of any shape states units that convert to the wanted ones."""
    return _match(find_unit_text(variable), wanted) is not None


def find_factor(variable: xr.DataArray, wanted: str) -> float | None:
    """Returns the factor from a variable's units to the wanted units; None if there is none."""
    match = _match(find_unit_text(variable), wanted)
    return None if match is None or match[2] else float(match[0].scale / match[1].scale)


def _match(text: str | None, wanted: str) -> tuple[Unit, Unit, bool] | None:
    """Returns the unit of a text, the wanted one, and whether a logarithm lies between them.

    None if the one does not convert to the other.
    """
    ours = parse_unit(wanted)
    theirs = parse_unit(text) if text is not None else None
    if ours is None:
        raise ValueError(f"{wanted!r} is no unit")
    if theirs is None:
        return None
    from_linear = ours == _DBZ and theirs == _MM6_PER_M3
    return (theirs, ours, from_linear) if from_linear or theirs.agrees_with(ours) else None


def _convert(variable: xr.DataArray, wanted: str, path: Path) -> xr.Variable | None:
    """Returns a variable in other units; None if it is in these."""
    found = _match(find_unit_text(variable), wanted)
    if found is None:
        _refuse(variable, wanted, path)
    theirs, ours, from_linear = found
    factor = float(theirs.scale / ours.scale)
    shift = (theirs.zero - ours.zero) / float(ours.scale)
    if not from_linear and (factor, shift) == (1.0, 0.0):
        return None
    fill = find_missing(variable)[1]
    if from_linear:
        _check_linear(variable, fill, path)
    # Axes and numbers of profiles gain digits, fields stay as small as they are.
    dtype = np.result_type(variable.dtype, np.float64 if variable.ndim < 2 else np.float32)

    def convert(values: np.ndarray) -> np.ndarray:
        if from_linear:
            with np.errstate(invalid="ignore", divide="ignore"):
                decibels = 10 * np.log10(values)
            return np.asarray(np.where(values <= 0, dtype.type(DEFAULT_FILL), decibels))
        return np.asarray(values * dtype.type(factor) + dtype.type(shift))

    values = np.where(fill, dtype.type(DEFAULT_FILL), convert(variable.values.astype(dtype)))
    attrs = {
        key: value
        for key, value in variable.attrs.items()
        if key not in (*FILL_ATTRIBUTES, *_LIMITS, *_ATTRIBUTES)
    }
    return xr.Variable(variable.dims, values, attrs | {"units": wanted, "_FillValue": DEFAULT_FILL})


def _check_linear(variable: xr.DataArray, fill: np.ndarray, path: Path) -> None:
    """Checks that linear reflectivity is not dBZ by another name, much of which is below zero."""
    lowest, highest = _NO_LINEAR
    with np.errstate(invalid="ignore"):
        wrong = (variable.values > lowest) & (variable.values < highest) & ~fill
    found = np.unique(variable.values[wrong])
    if found.size > 1:  # one value alone stands for what is missing
        raise SourceFileError(
            f"{path}: '{variable.name}' has units {find_unit_text(variable)!r} and holds"
            f" {int(wrong.sum())} values from {found[0]:g} to {found[-1]:g}; linear reflectivity is"
            " positive, and dBZ would look like this"
        )


def _refuse(variable: xr.DataArray, wanted: str, path: Path) -> NoReturn:
    text = find_unit_text(variable)
    found = repr(text or "none at all")
    theirs, ours = parse_unit(text or "x"), parse_unit(wanted)
    is_other_sense = theirs is not None and ours is not None and theirs.powers == ours.powers
    right = wanted if is_other_sense else _split_sense(wanted)[1]
    raise SourceFileError(
        f"{path}: '{variable.name}' has units {found}; {right!r} is right, or what converts to it"
    )
