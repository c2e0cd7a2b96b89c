"""What columns hold: whether echo reaches the ground, where it ends, what kind of column it is.

Everything but the probability of echo at the ground is counted over ensemble members, each
completed by what the radar saw above the blind zone. Where it saw nothing, echo hidden in the zone
is calibrated (`shallow`). A column of one member is one of these, by
its echo above the sensitivity floor:

| class | in the four rows above the zone | in the zone, from the lowest trusted row up |
|---|---|---|
| clear | none, and none above | none |
| cloud_aloft | none, but above | none |
| virga | echo | none in the lowest trusted row |
| shallow | none | echo |
| precipitation_to_ground | echo | echo in the lowest trusted row |

Rows below the lowest trusted one count for nothing: no truth is known there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import xarray as xr

from blindzone.core.errors import ProductError
from blindzone.pipeline.curtains.echo import ROWS_ABOVE
from blindzone.pipeline.curtains.flags import InpaintingFlag
from blindzone.pipeline.derivation.rates import LEVELS
from blindzone.pipeline.derivation.shallow import find_shares
from blindzone.pipeline.products.layout import find_lowest_trusted_row, is_filled


class ColumnClass(IntEnum):
    """Kind of a column, by how far down its echo comes; published codes never change meaning."""

    UNKNOWN = -1
    """Data are missing where they decide."""
    CLEAR = 0
    """No echo."""
    CLOUD_ALOFT = 1
    """Echo, but neither in the blind zone nor in the rows right above it."""
    VIRGA = 2
    """Echo in the rows right above the blind zone that does not reach the lowest trusted row."""
    SHALLOW = 3
    """Echo in the blind zone, and none in the rows right above it."""
    PRECIPITATION_TO_GROUND = 4
    """Echo in the rows right above the blind zone, and in the lowest trusted row."""


CLASS_NAMES = {
    ColumnClass.CLEAR: "clear_column_probability",
    ColumnClass.CLOUD_ALOFT: "cloud_aloft_probability",
    ColumnClass.VIRGA: "virga_probability",
    ColumnClass.SHALLOW: "shallow_echo_probability",
    ColumnClass.PRECIPITATION_TO_GROUND: "precipitation_to_ground_probability",
}
"""The variable of each class."""
BASE_NAMES = ("echo_base_height", "cloud_base_height")
"""Heights of bases, of which there are quantiles."""
OF_HIDDEN_ECHO = (
    "clear_column_probability",
    "shallow_echo_probability",
    "echo_to_ground_probability",
    "filled_echo_depth",
)
"""Variables that depend on how often echo is hidden under a clear sky (`shallow`)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ColumnRows:
    """Rows of a product, as columns are judged by them.

    Attributes:
        lowest: The lowest row whose fill is trusted.
        edges_m: Edges of the rows [m] `(height + 1,)`.
        floor_dbz: Sensitivity floor [dBZ].
    """

    lowest: int
    edges_m: np.ndarray
    floor_dbz: float


def find_rows(product: xr.Dataset) -> ColumnRows:
    """Returns how the columns of a product `(time, height)` are judged.

    Raises:
        ProductError: If no row of it has trusted truth.
    """
    lowest = find_lowest_trusted_row(product["inpainting_flag"])
    if lowest is None:
        raise ProductError(
            "columns: no pixel of the product is observed, and none is filled where truth was"
            " trusted; a product with data is right"
        )
    bounds = product["height_bounds"].values
    return ColumnRows(
        lowest=lowest,
        edges_m=np.append(bounds[:, 0], bounds[-1, 1]),
        floor_dbz=float(product["sensitivity_floor"]),
    )


def find_echo(
    members: np.ndarray, observed: np.ndarray, flag: np.ndarray, rows: ColumnRows
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns echo of completed members, the hidden rows of each profile, and which are known.

    Args:
        members: max(reflectivity, floor) [dBZ] of filled pixels `(realization, time, height)`.
        observed: Observed reflectivity [dBZ] `(time, height)`.
        flag: `inpainting_flag` `(time, height)`.
        rows: How columns are judged.

    Returns:
        Echo, bool `(realization, time, height)`; the number of rows up to the highest filled one
        `(time,)`; whether the four rows above and all below have data, bool `(time,)`.
    """
    floor = np.float32(rows.floor_dbz)
    filled = is_filled(flag)
    echo = np.where(filled, members > floor, (observed > floor) & ~filled)
    echo[..., : rows.lowest] = False
    height = flag.shape[1]
    depth = np.where(filled.any(axis=1), height - np.argmax(filled[:, ::-1], axis=1), rows.lowest)
    row = np.arange(height)
    needed = (row >= rows.lowest) & (row < depth[:, None] + ROWS_ABOVE)
    known = ~((flag == InpaintingFlag.NO_DATA) & needed).any(axis=1)
    return echo, depth, known


def classify_columns(echo: np.ndarray, depth: np.ndarray, lowest: int) -> np.ndarray:
    """Returns the `ColumnClass` of each column, int8 `(realization, time)`.

    Args:
        echo: Where there is echo, bool `(realization, time, height)`.
        depth: Hidden rows of each profile `(time,)`.
        lowest: The lowest trusted row.
    """
    row = np.arange(echo.shape[-1])
    above = (row >= depth[:, None]) & (row < depth[:, None] + ROWS_ABOVE)
    touching = (echo & above).any(axis=-1)
    hidden = (echo & (row < depth[:, None])).any(axis=-1)
    ground = echo[..., lowest]
    found = np.select(
        [touching & ground, touching, hidden, echo.any(axis=-1)],
        [
            ColumnClass.PRECIPITATION_TO_GROUND,
            ColumnClass.VIRGA,
            ColumnClass.SHALLOW,
            ColumnClass.CLOUD_ALOFT,
        ],
        ColumnClass.CLEAR,
    )
    return found.astype(np.int8)


def find_bases(echo: np.ndarray, edges_m: np.ndarray) -> np.ndarray:
    """Returns the lower edge of the lowest echo [m], float32 `(realization, time)`; NaN if none."""
    base = edges_m[np.argmax(echo, axis=-1)].astype(np.float32)
    return np.where(echo.any(axis=-1), base, np.float32(np.nan))


def find_cloud_bases(echo: np.ndarray, edges_m: np.ndarray, lowest: int) -> np.ndarray:
    """Returns the base of the lowest cloud [m], float32 `(realization, time)`; NaN if none.

    Cloud is echo that does not go on down to the lowest trusted row. A layer that does is
    precipitation or fog: where in it the cloud ends, a radar alone does not show.
    """
    cloud = echo.copy()
    cloud[..., lowest:] &= ~np.logical_and.accumulate(echo[..., lowest:], axis=-1)
    return find_bases(cloud, edges_m)


def describe_columns(
    members: np.ndarray, observed: np.ndarray, flag: np.ndarray, *, rows: ColumnRows
) -> np.ndarray:
    """Returns all that is derived of columns, in the order of `QUANTITIES`.

    Args:
        members: As `find_echo` takes them.
        observed: The same.
        flag: The same.
        rows: How columns are judged.

    Returns:
        float32 `(time, quantity)`, NaN where a column is not known.
    """
    echo, depth, known = find_echo(members, observed, flag, rows)
    classes = classify_columns(echo, depth, rows.lowest)
    bases = find_bases(echo, rows.edges_m)
    cloud_bases = find_cloud_bases(echo, rows.edges_m, rows.lowest)
    filled = is_filled(flag)
    depth_m = (echo & filled) @ np.diff(rows.edges_m)
    parts = [
        *((classes == kind).mean(axis=0) for kind in CLASS_NAMES),
        *_find_quantiles(bases),
        *_find_quantiles(cloud_bases),
        depth_m.mean(axis=0),
    ]
    out = np.stack(parts, axis=-1).astype(np.float32)
    out[~known] = np.nan
    return out


def _find_quantiles(bases: np.ndarray) -> np.ndarray:
    """Returns quantiles over members with echo `(level, time)`; NaN where hardly any has echo."""
    order = np.sort(bases, axis=0)  # NaN last
    count = np.isfinite(bases).sum(axis=0)
    out = np.full((LEVELS.size, bases.shape[1]), np.nan)
    for number, level in enumerate(LEVELS):
        # The lower of two neighbours: heights are those of rows, and nothing is between them.
        at = np.maximum(np.ceil(level * count).astype(int) - 1, 0)
        out[number] = np.take_along_axis(order, at[None], axis=0)[0]
    return out


QUANTITIES = (
    *CLASS_NAMES.values(),
    *(f"{name} {level}" for name in BASE_NAMES for level in LEVELS),
    "filled_echo_depth",
)
"""Names of what `describe_columns` returns, in order."""


def derive_columns(product: xr.Dataset, members: xr.DataArray) -> xr.Dataset:
    """Returns what is derived of the columns of a product, lazy if its members are.

    Args:
        product: The product `(time, height)`, or a swath's.
        members: Its ensemble members `(realization, time, height)`, as `draw_members` returns them.

    Returns:
        Float32 `(time,)`, NaN where a column is not known: a probability for each `ColumnClass`,
        which add up to 1 (`CLASS_NAMES`); `echo_to_ground_probability`, the product's own of echo
        in the lowest trusted row; `echo_base_height` [m] `(quantile, time)` of the lowest echo,
        given that there is any, censored at the lowest trusted row; `cloud_base_height` [m], the
        same of the lowest echo that does not go on down to that row; `filled_echo_depth` [m], the
        expected depth of echo that is filled, not observed.
        `column_class` int8, the likeliest, -1 where not known. `lowest_trusted_height` [m].

    Raises:
        ProductError: If no row of the product has trusted truth.
    """
    rows = find_rows(product)
    fields = product[["reflectivity_observed", "inpainting_flag"]].reset_coords(drop=True)
    found = xr.apply_ufunc(
        _describe_profiles,
        members.chunk(realization=-1, height=-1) if members.chunks else members,
        fields["reflectivity_observed"],
        fields["inpainting_flag"],
        kwargs={"rows": rows},
        input_core_dims=[["realization", "height"], ["height"], ["height"]],
        output_core_dims=[["quantity"]],
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"output_sizes": {"quantity": len(QUANTITIES)}, "allow_rechunk": True},
        join="override",
    )
    out = {
        name: found.isel(quantity=QUANTITIES.index(name))
        for name in (*CLASS_NAMES.values(), "filled_echo_depth")
    }
    for number, name in enumerate(BASE_NAMES):
        first = len(CLASS_NAMES) + number * LEVELS.size
        bases = found.isel(quantity=slice(first, first + LEVELS.size))
        bases = bases.rename(quantity="quantile").assign_coords(quantile=LEVELS)
        out[name] = bases.transpose("quantile", ...)
    known = out[CLASS_NAMES[ColumnClass.CLEAR]].notnull()
    out["echo_to_ground_probability"] = _find_to_ground(product, rows).where(known)
    out |= _calibrate_hidden(out, find_shares(product))
    out["column_class"] = find_likeliest({name: out[name] for name in CLASS_NAMES.values()})
    out["lowest_trusted_height"] = xr.DataArray(np.float32(rows.edges_m[rows.lowest]))
    return xr.Dataset(out)


def _calibrate_hidden(
    found: Mapping[str, xr.DataArray], shares: xr.DataArray | None
) -> dict[str, xr.DataArray]:
    """Returns what a calibration of hidden shallow echo changes (`shallow`), nothing without one.

    Where it applies, no echo is above the zone: a column is clear or shallow. How echo is given
    that there is any stays, so its base does.
    """
    if shares is None:
        return {}
    shallow, clear = CLASS_NAMES[ColumnClass.SHALLOW], CLASS_NAMES[ColumnClass.CLEAR]
    scaled = {name: found[name] * shares for name in OF_HIDDEN_ECHO if name != clear}
    return scaled | {clear: found[clear] + found[shallow] * (1 - shares)}


def _find_to_ground(product: xr.Dataset, rows: ColumnRows) -> xr.DataArray:
    """Returns the probability of echo in the lowest trusted row `(time,)`.

    It is the product's own, which no number of members makes coarser.
    """
    names = ["hydrometeor_probability", "reflectivity_observed", "inpainting_flag"]
    row = product[names].isel(height=rows.lowest).reset_coords(drop=True)
    seen = (row["reflectivity_observed"] > np.float32(rows.floor_dbz)).astype(np.float32)
    is_seen = row["inpainting_flag"] == InpaintingFlag.OBSERVED
    return row["hydrometeor_probability"].where(~is_seen, seen)


def find_likeliest(probabilities: Mapping[str, xr.DataArray]) -> xr.DataArray:
    """Returns the likeliest `ColumnClass` of each profile, int8 `(time,)`, -1 if not known."""
    every = xr.concat([probabilities[name] for name in CLASS_NAMES.values()], "class")
    likeliest = every.fillna(-1.0).argmax("class").astype(np.int8)
    return likeliest.where(every.notnull().all("class"), np.int8(ColumnClass.UNKNOWN))


def _describe_profiles(
    members: np.ndarray, observed: np.ndarray, flag: np.ndarray, *, rows: ColumnRows
) -> np.ndarray:
    """Returns `describe_columns` of profiles of any leading dimensions, `(..., quantity)`."""
    profiles, height = observed.shape[:-1], observed.shape[-1]
    found = describe_columns(
        np.moveaxis(members.reshape(-1, *members.shape[-2:]), 1, 0),
        observed.reshape(-1, height),
        flag.reshape(-1, height),
        rows=rows,
    )
    return found.reshape(*profiles, len(QUANTITIES))
