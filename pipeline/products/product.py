"""Products: a day's curtain with its blind zone filled, as a CF netCDF file that explains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.core.files import write_atomically
from blindzone.core.granule import Granule
from blindzone.pipeline.curtains.cf import (
    METADATA,
    TIME_UNITS,
    InpaintingFlag,
    OutOfRangeFlag,
    check_cf,
    to_cf,
)
from blindzone.pipeline.curtains.curtain import (
    DIMS,
    SITE_COORDINATES,
    DetectionStatus,
    check_curtain,
)
from blindzone.pipeline.inpainting.predictive_distribution import MEDIAN_LEVEL

_METHOD = "https://doi.org/10.1175/AIES-D-23-0063.1"
_FILL_NAMES = (
    "hydrometeor_probability",
    "reflectivity_standard_deviation",
    "reflectivity_quantile",
    "reflectivity_quantile_given_echo",
)
_REALIZATION_NAME = "reflectivity_realization"
_ASSESSMENT_NAMES = ("out_of_range_flag", "out_of_range_score")
_CHUNK_PROFILES = 1024
"""Profiles a chunk: with 128 rows of four bytes, half a megabyte, which reads well by time and by
height."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a product comes from; all of it is written into the file.

    Attributes:
        source: Name of the source in the catalogue.
        unit: UTC day, or start of the granule.
        target: SHA-256 of all that the product is made from.
        title: What the source is, in a few words.
        instrument: The instrument.
        site: The site.
        licence: Terms of use of the source.
        references: What to cite for the source.
        simulated: Whether the source is simulated.
        source_files: Name and SHA-256 of each source file.
        source_file_uuids: `file_uuid` of each source file that has one (Cloudnet).
        checkpoint_sha256: SHA-256 of the network's checkpoint.
        passes: Number of stochastic forward passes; where it was chosen window by window, the
            mean.
        tolerance_db: Standard error of the interval bounds [dB] that it was chosen by; None if it
            was fixed.
        seed: Seed of the stochastic forward passes.
        software_version: Version of blindzone.
        configuration: What the run used; written as JSON, with text for dates and paths.
        created: When the product was made, with its time zone.
    """

    source: str
    unit: date
    target: str
    title: str
    instrument: str
    site: str
    licence: str
    references: str
    simulated: bool
    source_files: tuple[tuple[str, str], ...]
    source_file_uuids: tuple[str, ...]
    checkpoint_sha256: str
    passes: int
    seed: int
    software_version: str
    configuration: Mapping[str, Any]
    created: datetime
    tolerance_db: float | None = None

    def __post_init__(self) -> None:
        if self.created.tzinfo is None:
            raise ProductError(
                f"provenance: 'created' has no time zone ({self.created}); an aware UTC time is"
                " right"
            )


PRODUCT_VERSION = "1"
"""Version of what a product's numbers and layout follow from the same inputs; with another,
products are made anew."""


def product_name(source: str, unit: date) -> str:
    """Returns the file name of a source's UTC day, such as `palaiseau_basta_20210314_blindzone.nc`, or of a granule."""
    return f"{_product_id(source, unit)}.nc"


def _product_id(source: str, unit: date) -> str:
    return f"{source}_{Granule.of(unit).key}_blindzone"


def build_product(
    curtain: xr.Dataset,
    fill: xr.Dataset,
    *,
    hidden_rows: int,
    blind_zone_top_m: float,
    floor_dbz: float,
    provenance: Provenance,
    untrusted_rows: int = 0,
    assessment: xr.Dataset | None = None,
) -> xr.Dataset:
    """Returns the product of one UTC day: the curtain with its blind zone filled, and how sure each pixel is.

    Args:
        curtain: Gridded canonical curtain `(time, height)`.
        fill: Predictive distribution of the lowest `hidden_rows` rows, as `summarize_distribution`
            returns it, with the curtain's `time`; with `reflectivity_realization` `(realization,
            time, height)` also what `couple_realizations` returns. Its values for a profile without
            any visible data are not used.
        hidden_rows: Number of rows in the blind zone.
        blind_zone_top_m: Height of its top above the ground [m].
        floor_dbz: Sensitivity floor [dBZ].
        provenance: Where all this comes from.
        untrusted_rows: Number of lowest rows on which the network was never trained, beside those
            that the curtain itself marks as untrusted.
        assessment: How far each profile lies outside what the network and its calibration saw, as
            `inpainting.applicability.Applicability.assess` returns it, with the curtain's `time`. Without
            it every profile is flagged as not assessed and has no score.

    Raises:
        ProductError: If curtain, fill and assessment do not fit each other.
        CurtainError: If the curtain is not canonical.
    """
    check_curtain(curtain)
    _check_fill(curtain, fill, hidden_rows)
    flag = _inpainting_flag(curtain["detection_status"].values, hidden_rows, untrusted_rows)
    filled = _is_filled(flag)
    observed = curtain["reflectivity"].values.astype(np.float32)
    fields = {name: _pad(fill[name].values, filled) for name in _fill_names(fill)}
    median = fields["reflectivity_quantile"][_median_index(fill)]
    blind = np.arange(observed.shape[1]) < hidden_rows
    reflectivity = np.where(blind, _echo_or_nan(median, floor_dbz), observed)
    variables: dict[str, Any] = {
        "reflectivity": (DIMS, reflectivity),
        "reflectivity_observed": (DIMS, observed),
        "inpainting_flag": (DIMS, flag),
        "blind_zone_top": ("time", np.full(flag.shape[0], blind_zone_top_m, dtype=np.float32)),
        "sensitivity_floor": ((), np.float32(floor_dbz)),
        "height_bounds": (("height", "bnds"), _row_bounds(curtain["height"].values)),
    }
    variables |= {name: (METADATA[name].dims, values) for name, values in fields.items()}
    variables |= _take_assessment(curtain, assessment)
    coordinates: dict[str, Any] = {name: (name, curtain[name].values) for name in DIMS}
    coordinates |= {"quantile": ("quantile", fill["quantile"].values)}
    if _REALIZATION_NAME in fields:
        coordinates["realization"] = np.arange(
            1, len(fields[_REALIZATION_NAME]) + 1, dtype=np.int32
        )
    coordinates |= {name: ((), curtain[name].values) for name in SITE_COORDINATES}
    product = xr.Dataset(variables, coordinates, _describe(provenance))
    return to_cf(product, simulated=provenance.simulated)


def _check_fill(curtain: xr.Dataset, fill: xr.Dataset, hidden_rows: int) -> None:
    rows = curtain.sizes["height"]
    if not 0 < hidden_rows < rows:
        raise ProductError(
            f"{hidden_rows} hidden rows of {rows}; at least one hidden and one visible row are"
            " right"
        )
    absent = [name for name in (*_FILL_NAMES, "quantile", "time") if name not in fill.variables]
    if absent:
        raise ProductError(
            f"the fill lacks {', '.join(absent)}; it has {sorted(map(str, fill.variables))}"
        )
    for name in _fill_names(fill):
        dims = METADATA[name].dims
        shape = (curtain.sizes["time"], hidden_rows)
        if fill[name].dims != dims or fill[name].shape[-2:] != shape:
            raise ProductError(
                f"the fill's '{name}' is {dict(fill[name].sizes)}; {dims} with {shape} profiles and"
                " rows is right"
            )
    if not np.array_equal(fill["time"].values, curtain["time"].values):
        raise ProductError(
            "the fill's times are not those of the curtain; each profile must be filled from itself"
        )


def _fill_names(dataset: xr.Dataset) -> tuple[str, ...]:
    """Returns what a fill or product has of the predictive distribution; fields are there on request alone."""
    return (*_FILL_NAMES, _REALIZATION_NAME) if _REALIZATION_NAME in dataset else _FILL_NAMES


def _take_assessment(curtain: xr.Dataset, assessment: xr.Dataset | None) -> dict[str, Any]:
    """Returns flag and score of each profile, `(time,)`."""
    count = curtain.sizes["time"]
    if assessment is None:
        flag, score = np.full(count, OutOfRangeFlag.NOT_ASSESSED), np.full(count, np.nan)
    else:
        wrong = [
            name
            for name in _ASSESSMENT_NAMES
            if name not in assessment or assessment[name].dims != ("time",)
        ]
        if wrong:
            raise ProductError(
                f"the assessment lacks {' and '.join(wrong)} of dimensions ('time',)"
            )
        if not np.array_equal(assessment["time"].values, curtain["time"].values):
            raise ProductError(
                "the assessment's times are not those of the curtain; each profile has its own"
            )
        flag, score = (assessment[name].values for name in _ASSESSMENT_NAMES)
    values = flag.astype(np.int16), score.astype(np.float32)
    return {
        name: ("time", of_profile)
        for name, of_profile in zip(_ASSESSMENT_NAMES, values, strict=True)
    }


def _median_index(fill: xr.Dataset) -> int:
    found = np.flatnonzero(np.isclose(fill["quantile"].values, MEDIAN_LEVEL))
    if found.size != 1:
        raise ProductError(
            f"the quantile {MEDIAN_LEVEL} is needed; found {fill['quantile'].values.tolist()}"
        )
    return int(found[0])


def _inpainting_flag(status: np.ndarray, hidden_rows: int, untrusted_rows: int) -> np.ndarray:
    """Returns the flag `(time, height)` from the detection status `(time, height)`."""
    no_data = status == DetectionStatus.NO_DATA
    flag = np.where(no_data, InpaintingFlag.NO_DATA, InpaintingFlag.OBSERVED).astype(np.int8)
    # Trust is lost below a height, so it is lost for the whole row, profiles without data included.
    untrusted = (status[:, :hidden_rows] == DetectionStatus.UNTRUSTED).any(axis=0)
    untrusted[:untrusted_rows] = True
    flag[:, :hidden_rows] = np.where(
        untrusted, InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH, InpaintingFlag.FILLED
    )
    flag[no_data[:, hidden_rows:].all(axis=1), :hidden_rows] = InpaintingFlag.NO_DATA
    return flag


def _is_filled(flag: np.ndarray) -> np.ndarray:
    return np.isin(flag, (InpaintingFlag.FILLED, InpaintingFlag.FILLED_BEYOND_TRUSTED_TRUTH))


def _echo_or_nan(median: np.ndarray, floor_dbz: float) -> np.ndarray:
    """Returns the median [dBZ] where it exceeds the floor, and NaN where no echo is more likely."""
    with np.errstate(invalid="ignore"):
        return np.where(median > np.float32(floor_dbz), median, np.float32(np.nan))


def _pad(values: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """Returns values of the hidden rows `(..., time, hidden row)` on all rows, NaN where not filled."""
    out = np.full((*values.shape[:-2], *filled.shape), np.nan, dtype=np.float32)
    out[..., : values.shape[-1]] = values
    return np.where(filled, out, np.float32(np.nan))


def _row_bounds(centres: np.ndarray) -> np.ndarray:
    """Returns the lower and upper edge [m] of each row `(height, 2)`: half way to its neighbours."""
    if centres.size < 2:
        raise ProductError("one row has no depth; a product needs at least two")
    between = (centres[1:] + centres[:-1]) / 2
    edges = np.concatenate(
        [[2 * centres[0] - between[0]], between, [2 * centres[-1] - between[-1]]]
    )
    return np.stack([edges[:-1], edges[1:]], axis=1)


def _describe(provenance: Provenance) -> dict[str, Any]:
    """Returns the global attributes that follow from the provenance."""
    p = provenance
    created = p.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    kind = "simulated reflectivity" if p.simulated else "reflectivity"
    chosen = (
        ""
        if p.tolerance_db is None
        else f" on average, chosen for interval bounds to {p.tolerance_db:g} dB"
    )
    network = f"UNet3+ with Monte Carlo dropout, {p.passes} realizations{chosen}"
    who: dict[str, str] = {}
    for role in ("creator", "publisher"):
        who |= {
            f"{role}_name": "blindzone",
            f"{role}_type": "group",
            f"{role}_institution": "blindzone",
        }
        who |= {f"{role}_url": "not applicable", f"{role}_email": "not applicable"}
    return {
        "title": f"{p.title}: {kind} with its blind zone filled",
        "summary": (
            f"One UTC day of {kind} profiles from {p.site} on rows above the ground. The blind zone"
            f" near the ground was hidden and filled by a neural network ({network}). Above it the"
            " source's values stand unaltered. In it, each pixel has a probability of echo, and"
            " the median, spread and quantiles of a predictive distribution; inpainting_flag says"
            " which is which."
        ),
        "source": (
            f"{'simulated radar data: ' if p.simulated else ''}{p.instrument}; blind zone:"
            f" {network}"
        ),
        "comment": (
            "Filled values are estimates: use them with their quantiles, and mind inpainting_flag."
        ),
        "history": (
            f"{created} blindzone {p.software_version}: blind zone filled ({network}, seed"
            f" {p.seed})"
        ),
        "references": "; ".join(
            filter(None, (p.references, f"method after King et al. (2024), {_METHOD}"))
        ),
        "metadata_link": _METHOD,
        "license": p.licence or "not stated",
        "acknowledgement": p.references or "not stated",
        "id": _product_id(p.source, p.unit),
        "naming_authority": "blindzone",
        "institution": "blindzone",
        "project": "blindzone",
        "program": "blindzone",
        "contributor_name": p.source,
        "contributor_role": "source of the profiles",
        **who,
        "keywords": (
            "radar, reflectivity, blind zone, inpainting, clouds, precipitation, uncertainty"
        ),
        "keywords_vocabulary": "none: free keywords",
        "instrument": p.instrument,
        "instrument_vocabulary": "none: free text",
        "platform": p.site,
        "platform_vocabulary": "none: free text",
        "site": p.site,
        "processing_level": "Level 2: gridded, blind zone filled",
        "product_version": PRODUCT_VERSION,
        **{
            f"date_{what}": created
            for what in ("created", "modified", "issued", "metadata_modified")
        },
        "source_files": (
            "; ".join(f"{name} sha256:{sha256}" for name, sha256 in p.source_files) or "not stated"
        ),
        "source_file_uuids": "; ".join(p.source_file_uuids) or "not stated",
        "checkpoint_sha256": p.checkpoint_sha256,
        "target_sha256": p.target,
        "realizations": np.int32(p.passes),
        **({} if p.tolerance_db is None else {"realizations_tolerance_db": p.tolerance_db}),
        "seed": np.int64(p.seed),
        "software_version": p.software_version,
        "configuration": json.dumps(dict(p.configuration), sort_keys=True, default=str),
    }


def check_product(product: xr.Dataset) -> None:
    """Checks that a product says one thing throughout.

    Raises:
        ProductError: If a flag is unknown, an observed pixel is altered, a filled one lacks a
            number or has one that contradicts the others, or a number stands where nothing was
            filled; or if flag and score of a profile contradict each other.
    """
    _check_assessment(product)
    flag = product["inpainting_flag"].values
    filled = _is_filled(flag)
    quantiles, given_echo = (
        product[f"reflectivity_quantile{of}"].values for of in ("", "_given_echo")
    )
    floor = product["sensitivity_floor"].values
    best = _echo_or_nan(quantiles[_median_index(product)], float(floor))
    reflectivity, observed = product["reflectivity"].values, product["reflectivity_observed"].values
    no_data = flag == InpaintingFlag.NO_DATA
    with np.errstate(invalid="ignore"):
        rules = {
            "have an unknown inpainting_flag": ~np.isin(
                flag, [code.value for code in InpaintingFlag]
            ),
            "are flagged as observed and altered": (
                (flag == InpaintingFlag.OBSERVED) & ~_same(reflectivity, observed)
            ),
            "are flagged as no data and have a reflectivity": no_data & np.isfinite(reflectivity),
            "are filled with another value than the median": filled & ~_same(reflectivity, best),
            "have quantiles that cross": (np.diff(quantiles, axis=0) < 0).any(axis=0),
            "have a quantile below the sensitivity floor": (quantiles < floor).any(axis=0),
            "have quantiles given echo that cross": (np.diff(given_echo, axis=0) < 0).any(axis=0),
            "have a quantile given echo at or below the sensitivity floor": (
                (given_echo <= floor).any(axis=0)
            ),
        }
    for name in _fill_names(product):
        finite = np.isfinite(product[name].values)
        present = finite.all(axis=0) if finite.ndim == 3 else finite
        anywhere = finite.any(axis=0) if finite.ndim == 3 else finite
        rules[f"are filled and lack '{name}'"] = filled & ~present
        rules[f"are not filled and have '{name}'"] = ~filled & anywhere
    if _REALIZATION_NAME in product:
        rules |= _realization_rules(product)
    for rule, broken in rules.items():
        if broken.any():
            profile, row = np.argwhere(broken)[0]
            raise ProductError(
                f"{int(broken.sum())} pixels {rule} (first: profile {profile}, row {row})"
            )


def _realization_rules(product: xr.Dataset) -> dict[str, np.ndarray]:
    """Returns where fields contradict the distribution that they are drawn from, `(time, height)` a rule."""
    fields, floor = product[_REALIZATION_NAME].values, product["sensitivity_floor"].values
    probability = product["hydrometeor_probability"].values
    with np.errstate(invalid="ignore"):
        return {
            "have a realization below the sensitivity floor": (fields < floor).any(axis=0),
            "have echo in more or fewer realizations than is probable": (
                np.abs((fields > floor).mean(axis=0) - probability) > 1 / len(fields)
            ),
        }


def _check_assessment(product: xr.Dataset) -> None:
    """Checks that flag and score of each profile say one thing."""
    flag, score = (product[name].values for name in _ASSESSMENT_NAMES)
    empty = (product["inpainting_flag"].values == InpaintingFlag.NO_DATA).all(axis=1)
    skipped = flag == OutOfRangeFlag.NOT_ASSESSED
    scored = (
        flag
        & (
            OutOfRangeFlag.NOT_ASSESSED
            | OutOfRangeFlag.NO_VISIBLE_DATA
            | OutOfRangeFlag.GRID_DIFFERS
        )
        == 0
    )
    with np.errstate(invalid="ignore"):
        rules = {
            "have an unknown out_of_range_flag": (flag & ~sum(OutOfRangeFlag)) != 0,
            "are flagged as not assessed and as something else": (
                (flag & OutOfRangeFlag.NOT_ASSESSED != 0) & ~skipped
            ),
            "have something, or nothing visible against their flag": (
                ~skipped & (empty != (flag & OutOfRangeFlag.NO_VISIBLE_DATA != 0))
            ),
            "have, or lack, an out_of_range_score against their flag": np.isfinite(score) != scored,
            "have a negative out_of_range_score": score < 0,
            "have an out_of_range_score that their flag denies": (
                scored & ((score > 1) != (flag & OutOfRangeFlag.PROFILE_UNLIKE_TRAINING != 0))
            ),
        }
    for rule, broken in rules.items():
        if broken.any():
            raise ProductError(
                f"{int(broken.sum())} profiles {rule} (first: profile {np.flatnonzero(broken)[0]})"
            )


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))


def encode_product(product: xr.Dataset) -> bytes:
    """Returns a product as the content of a netCDF-4 file.

    In memory: HDF5 that meets a full disk leaves a file that it cannot close, and the process
    crashes on it later. A day takes a few megabytes.

    Raises:
        ProductError: If the product contradicts itself or the metadata table.
    """
    check_cf(product)
    check_product(product)
    product = product.copy()
    product["height_bounds"].encoding["coordinates"] = (
        None  # CF bounds have no attributes of their own
    )
    return bytes(
        product.to_netcdf(engine="h5netcdf", format="NETCDF4", encoding=_encoding(product))
    )


def write_product(product: xr.Dataset, path: Path) -> None:
    """Writes a product as netCDF-4, whole or not at all.

    Args:
        product: What `build_product` returned.
        path: The file; one that is there is replaced.

    Raises:
        ProductError: If the product contradicts itself or the metadata table, or cannot be written.
    """
    content = encode_product(product)
    with write_atomically(path, error=ProductError) as temporary:
        temporary.write_bytes(content)


def _encoding(product: xr.Dataset) -> dict[str, dict[str, Any]]:
    encoding: dict[str, dict[str, Any]] = {}
    for name, variable in product.variables.items():
        gridded = variable.dims[-2:] == DIMS
        missing = variable.dtype.kind == "f" and (gridded or name == "out_of_range_score")
        entry: dict[str, Any] = {"_FillValue": np.float32(np.nan) if missing else None}
        if gridded:
            chunks = (min(_CHUNK_PROFILES, variable.shape[-2]), variable.shape[-1])
            entry |= {
                "zlib": True,
                "complevel": 4,
                "shuffle": True,
                "fletcher32": True,
                "chunksizes": (1,) * (variable.ndim - 2) + chunks,
            }
        encoding[str(name)] = entry
    encoding["time"] |= {"units": TIME_UNITS, "calendar": "standard", "dtype": "float64"}
    return encoding
