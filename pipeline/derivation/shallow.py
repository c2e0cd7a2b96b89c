"""Hidden shallow echo, calibrated: what columns hold where the radar sees nothing above the zone.

Echo wholly inside the blind zone leaves no trace above it. There a network knows little more than
how often its training days had any, and members have that from the union of their pixels. So a
calibration keeps a curve of its own: a(x), by what the chance of a member's hidden echo is
multiplied in a profile without any echo above the zone,

    P(shallow) = a(x) P_members(shallow),     x = largest probability of echo among the hidden rows.

`shallow_fit` fits it. For sums, members lose their hidden echo with the probability 1 - a(x). Which
do is drawn once in `_NODES_S`, and in between from a field that is as smooth: echo is taken away
whole, and all that is left of a member goes on as it was. Elsewhere members stay as they are.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import Field
from scipy.special import ndtr

from blindzone.core.configuration import configuration, read_plain
from blindzone.core.errors import ProductError
from blindzone.pipeline.inpainting.calibration import CURVE_PROBABILITIES
from blindzone.pipeline.inpainting.member_dependence import TIMES_S
from blindzone.pipeline.products.layout import find_lowest_trusted_row, is_filled
from blindzone.pipeline.products.members import find_seconds, read_calibration_part
from blindzone.pipeline.verification.curtain_scores import Regime, find_regimes_above

HIDDEN_ECHO_KEY = "hidden_echo"
"""Key of a calibration's record for the curve of hidden shallow echo."""

_NODES_S = TIMES_S[-1]
"""Time [s] in which it is drawn anew which members keep hidden echo: the slowest of the members'
own, for days differ most in how much of it there is."""


@configuration(error=ProductError, what="hidden shallow echo")
class HiddenEcho:
    """How often hidden echo is kept under a clear sky, and what that stands on."""

    shares: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    """Shares a(x) of the members' chance, at `CURVE_PROBABILITIES`."""
    days: Annotated[int, Field(ge=1)]
    """Number of days that they were fitted to."""
    prior_days: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Number of days that the members' own chance counted for."""

    def __post_init__(self) -> None:
        if len(self.shares) != len(CURVE_PROBABILITIES):
            raise ValueError(
                f"{len(CURVE_PROBABILITIES)} shares are right; found {len(self.shares)}"
            )

    def find(self, largest: np.ndarray) -> np.ndarray:
        """Returns the shares for the largest probability of a profile, of the same shape."""
        return np.asarray(np.interp(largest, CURVE_PROBABILITIES, self.shares))

    def describe(self) -> str:
        """Returns what an attribute says of it."""
        return f"calibrated on {self.days} days where no echo is above the blind zone"


NOT_CALIBRATED = "not calibrated: as often as ensemble members have it"
"""What an attribute says where there is no `HiddenEcho`."""


def find_hidden_echo(product: xr.Dataset) -> HiddenEcho | None:
    """Returns the curve that a product states, None if its calibration has none.

    Raises:
        ProductError: If it states one that is not understood.
    """
    where, record = read_calibration_part(product, HIDDEN_ECHO_KEY)
    if record is None:
        return None
    return read_plain(HiddenEcho, record, where=where, error=ProductError)


def describe_hidden_echo(product: xr.Dataset) -> str:
    """Returns what the attributes of derived variables say of hidden shallow echo."""
    hidden = find_hidden_echo(product)
    return NOT_CALIBRATED if hidden is None else hidden.describe()


def find_shares(product: xr.Dataset) -> xr.DataArray | None:
    """Returns by what the chance of hidden echo is multiplied, float32 `(time,)`, lazily.

    It is 1 where there is echo above the zone, and where nothing is filled.

    Args:
        product: The product `(time, height)`, or a swath's.

    Returns:
        None if the product's calibration says nothing of it.

    Raises:
        ProductError: If it says what is not understood.
    """
    hidden = find_hidden_echo(product)
    if hidden is None:
        return None
    names = ("hydrometeor_probability", "reflectivity_observed", "inpainting_flag")
    fields = [product[name].reset_coords(drop=True) for name in names]
    shares: xr.DataArray = xr.apply_ufunc(
        _find_profile_shares,
        *fields,
        kwargs={
            "hidden": hidden,
            "lowest": find_lowest_trusted_row(product["inpainting_flag"]) or 0,
            "floor_dbz": float(product["sensitivity_floor"]),
        },
        input_core_dims=[["height"]] * len(fields),
        dask="parallelized",
        output_dtypes=[np.float32],
        dask_gufunc_kwargs={"allow_rechunk": True},
    )
    return shares


def _find_profile_shares(
    probability: np.ndarray,
    observed: np.ndarray,
    flag: np.ndarray,
    *,
    hidden: HiddenEcho,
    lowest: int,
    floor_dbz: float,
) -> np.ndarray:
    """Returns the shares of profiles `(..., height)`, float32 `(...)`."""
    height = flag.shape[-1]
    filled = is_filled(flag).reshape(-1, height)
    depth = np.where(filled.any(axis=1), height - np.argmax(filled[:, ::-1], axis=1), 0)
    regimes = find_regimes_above(observed.reshape(-1, height), depth, floor_dbz)
    is_clear = (regimes == Regime.CLEAR) & (depth > lowest) & (depth < height)
    trusted = filled & (np.arange(height) >= lowest)
    largest = np.where(trusted, probability.reshape(-1, height), 0.0).max(axis=1)
    shares = np.where(is_clear, hidden.find(largest), 1.0)
    return shares.reshape(flag.shape[:-1]).astype(np.float32)


def thin_row(product: xr.Dataset, row: xr.DataArray, *, seed: int = 0) -> xr.DataArray:
    """Returns members without the hidden echo that they have too often, lazily if they are lazy.

    Args:
        product: The product `(time, height)`, or a swath's.
        row: A row of its members [dBZ] `(realization, time)`, with `realization` and `time`.
        seed: Seed of the members.

    Raises:
        ProductError: If the product's calibration says what is not understood.
    """
    shares = find_shares(product)
    if shares is None:
        return row
    levels = draw_levels(find_seconds(product), row["realization"].values, seed)
    keeps = xr.DataArray(levels, dims=("realization", "time")) < shares
    return row.where(keeps | row.isnull(), np.float32(product["sensitivity_floor"]))


def draw_levels(seconds: np.ndarray, members: np.ndarray, seed: int) -> np.ndarray:
    """Returns a level in (0, 1) of each member and time, evenly distributed, float32.

    Between nodes at k `_NODES_S` the normal score is cos(w) n_k + sin(w) n_(k+1), w from 0 to a
    quarter turn, of variance 1 throughout. A node is that of its time and member alone, so days and
    chunks join, and more members change nothing.

    Args:
        seconds: Times, or distance over wind [s] `(time,)`.
        members: Numbers of the members `(realization,)`.
        seed: Seed of the members.

    Returns:
        `(realization, time)`.
    """
    nodes, at = np.unique(np.floor(seconds / _NODES_S).astype(np.int64), return_inverse=True)
    turn = (seconds / _NODES_S % 1) * np.pi / 2
    normal = np.empty((2, members.size, nodes.size))
    for place in np.ndindex(*normal.shape):
        after, member, node = place
        # Seeds are not negative, and times before 1970 are; the last number is for this use.
        key = [seed, int(members[member]), int(nodes[node] + after) % 2**32, 1]
        normal[place] = np.random.default_rng(key).standard_normal()
    first, second = normal[..., at]
    return np.asarray(ndtr(np.cos(turn) * first + np.sin(turn) * second), dtype=np.float32)
