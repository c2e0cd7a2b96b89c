"""Codes of a raw file by their meaning, as the file itself explains them.

ESA's EarthCARE products write `definition = "0 = good, 1 = bad"`; CF has `flag_values` and
`flag_meanings` (CF 1.11, section 3.5). What a code means is taken from there, so that a new version
of a product may number its codes anew.
"""

from __future__ import annotations

import re

import numpy as np
import xarray as xr

_ENTRY = re.compile(r"(?<![\w.-])(-?\d+)\s*[=:]\s*(.*?)\s*(?=[,;]?\s*(?<![\w.-])-?\d+\s*[=:]|$)")


def explain_codes(variable: xr.DataArray) -> dict[int, str]:
    """Returns what a variable's codes mean, in lower case; empty if it does not say."""
    meanings = str(variable.attrs.get("flag_meanings", "")).split()
    values = np.ravel(variable.attrs.get("flag_values", ()))
    if meanings and values.dtype.kind in "iuf" and values.size == len(meanings):
        pairs = zip(values.tolist(), meanings, strict=True)
        return {int(code): meaning.lower().replace("_", " ") for code, meaning in pairs}
    text = " ".join(str(variable.attrs.get("definition", "")).split())
    return {int(code): meaning.lower().strip(" ,;") for code, meaning in _ENTRY.findall(text)}


def find_meaning(variable: xr.DataArray, *words: str) -> np.ndarray:
    """Returns where a variable's code means something with one of some words, of its shape.

    A word that is denied, as in 'without clutter', does not count. Nowhere if the variable explains
    no such code.
    """
    codes = [
        code
        for code, meaning in explain_codes(variable).items()
        if any(_says(meaning, word) for word in words)
    ]
    return np.isin(variable.values, codes)


def _says(meaning: str, word: str) -> bool:
    denied = rf"\b(no|not|non|without|free of)\b[\w\s-]*?{re.escape(word)}"
    return word in meaning and re.search(denied, meaning) is None
