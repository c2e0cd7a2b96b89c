"""Fills the near-surface blind zone of radar profiles and says, per pixel, how sure it is.

::

    import blindzone

    product = blindzone.fill("20210314_radar.nc")
    blindzone.plot(product).savefig("filled.png")
    blindzone.write(product, "filled.nc")

`fill` takes files or an `xarray.Dataset` and needs no catalogue, archive or workspace. Importing
the package loads nothing else; TensorFlow is loaded when a network runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from blindzone.core.forward_passes import Passes
    from blindzone.core.progress import OnProgress
    from blindzone.pipeline.curtains.quality import QualityRules

__all__ = [
    "__version__",
    "derive",
    "fill",
    "members",
    "open_curtain",
    "open_products",
    "plot",
    "readers",
    "report",
    "write",
]

__version__: str


def fill(
    data: str | Path | xr.Dataset | Sequence[str | Path],
    *,
    checkpoint: str | Path | None = None,
    passes: Passes = 50,
    seed: int = 0,
    members: int | None = None,
    blind_zone_top: float = 1250.0,
    reflectivity: str | None = None,
    height: str | None = None,
    reader: str = "auto",
    frequency_ghz: float | None = None,
    quality: QualityRules | Mapping[str, Any] | None = None,
    on_progress: OnProgress | None = None,
) -> xr.Dataset:
    """Returns radar profiles with their blind zone filled, and how sure each pixel is.

    The echo below `blind_zone_top` is hidden from the network. What it predicts there is calibrated
    on days that it was not trained on; see `out_of_range_flag` for where that holds. Where it holds
    for no profile at all, a warning says so.

    Args:
        data: A radar file, several files of one radar, or a Dataset: Cloudnet Level 1b opened by
            xarray, or any with time, `height` or `range` [m], and a reflectivity [dBZ].
        checkpoint: Trained network; by default that of the package which fits the curtain's band,
            platform and grid.
        passes: Number of stochastic forward passes, at least 2, or an `AdaptiveSampling`; or
            "single", one pass without dropout, at a fraction of the cost.
        seed: Seed of the passes; the same seed gives the same product.
        members: Number of ensemble members to be added, at least 2; none by default.
        blind_zone_top: Height of the blind zone's top above the ground [m].
        reflectivity: Name of the Dataset's reflectivity, if it cannot be found by its CF standard
            name or units.
        height: Name of the Dataset's height above the radar [m or km], if it is another than
            `range` or `height`.
        reader: Name of the reader of files; by default found by their content.
        frequency_ghz: Radar frequency [GHz], if the data do not state it.
        quality: Quality rules as in a catalogue entry; for example
            `{"clutter": [{"below_m": 400, "weaker_than_dbz": -45}]}`.
        on_progress: Called with the share that is done and a note.

    Returns:
        The product `(time, height)` in memory: `reflectivity` [dBZ] (the median in the blind zone),
        `reflectivity_observed` [dBZ], `reflectivity_quantile` `(quantile, time, height)` [dBZ],
        `hydrometeor_probability` [1], `inpainting_flag`, `out_of_range_flag` `(time,)` and more,
        with CF metadata. Of a swath all this has a leading dimension `ray`.

    Raises:
        BlindzoneError: If data or checkpoint cannot be used; the message says what is missing, what
            was found and how to pass it.

    Example:
        >>> import blindzone
        >>> product = blindzone.fill("20210314_radar.nc", passes=4)
        >>> product.reflectivity_quantile.dims
        ('quantile', 'time', 'height')
        >>> bool(product.hydrometeor_probability.sel(height=slice(0, 1250)).notnull().all())
        True
    """
    from blindzone.core.progress import ignore_progress
    from blindzone.flows.running.fill_data import fill_data, make_plan
    from blindzone.pipeline.inpainting.range_summary import summarize_range

    plan = make_plan(
        passes=passes,
        seed=seed,
        members=members,
        blind_zone_top_m=blind_zone_top,
        checkpoint=checkpoint,
        reader=reader,
        reflectivity=reflectivity,
        height=height,
        frequency_ghz=frequency_ghz,
        quality=quality,
    )
    product = fill_data(data, plan, on_progress=on_progress or ignore_progress)
    found = summarize_range(product["out_of_range_flag"].values)
    if found.is_all_outside:
        warnings.warn(str(found), stacklevel=2)
    return product


def members(product: xr.Dataset | str | Path, count: int, seed: int = 0) -> xr.DataArray:
    """Returns ensemble members of a product, lazily: fields that may each be what was hidden.

    Over all members each pixel follows the product's distribution. In time and height a member is
    as coherent as measured echo is. For the uncertainty of a sum, a mean or a maximum, compute it
    of each member and take the spread of the results.

    Args:
        product: What `fill` or `open_products` returned, or a part of it in time; or a file.
        count: Number of members, at least 1.
        seed: Seed of the members. Member n of a seed is the same whatever the count.

    Returns:
        max(reflectivity, floor) [dBZ] of filled pixels `(realization, time, height)`, NaN
        elsewhere, as dask arrays; of a swath with a leading dimension `ray`.

    Raises:
        BlindzoneError: If count or seed is no whole number or too small, or the product lacks its
            distribution.

    Example:
        >>> import blindzone
        >>> product = blindzone.open_products("20210314_blindzone.nc")
        >>> hourly = blindzone.members(product, 20).resample(time="1h").mean()
        >>> spread = hourly.std("realization")
    """
    from blindzone.pipeline.products.members import draw_members
    from blindzone.pipeline.products.opening import open_products as open_all

    opened = open_all(product) if isinstance(product, str | Path) else product
    return draw_members(opened, count, seed)


def derive(
    product: xr.Dataset | str | Path,
    *,
    members: int = 20,
    seed: int = 0,
    temperature: xr.DataArray | None = None,
) -> xr.Dataset:
    """Returns what a product implies: does echo reach the ground, and how much rain and snow?

    All is counted over ensemble members of the product, each completed by what the radar saw.

    Args:
        product: What `fill` or `open_products` returned, or a part of it in time; or a file.
        members: Number of ensemble members, at least 2.
        seed: Seed of the members.
        temperature: Air temperature near the ground [K] `(time,)`, which decides between rain and
            snow. Without it rates are of rain if it rains, and of snow if it snows.

    Returns:
        Dataset `(time,)`, of a swath `(ray, time)`, with CF metadata: the likeliest class of each
        column (`column_class`), the probability of each class, `echo_to_ground_probability`,
        `echo_base_height` and `cloud_base_height` [m] `(quantile, time)`, `filled_echo_depth` [m];
        `rainfall_rate` and `snowfall_rate` [mm h-1] with quantiles, their sums of hours, days and
        events [mm]. `write` writes it.

    Raises:
        BlindzoneError: If the product lacks its distribution, or the number of members makes no
            sense.

    Example:
        >>> import blindzone
        >>> columns = blindzone.derive("20210314_blindzone.nc")
        >>> columns.echo_to_ground_probability.dims
        ('time',)
    """
    from blindzone.pipeline.derivation.derived_product import derive_product
    from blindzone.pipeline.products.opening import open_products as open_all

    opened = open_all(product) if isinstance(product, str | Path) else product
    return derive_product(opened, members=members, seed=seed, temperature_k=temperature)


def open_curtain(path: str | Path, *, reader: str = "auto") -> xr.Dataset:
    """Returns the curtain of a radar, lidar or state file on its native gates.

    Args:
        path: The file.
        reader: Name of a reader, as `readers` lists them; by default found by the file's content.

    Returns:
        Dataset `(time, height)`, heights in metres above the ground; of a swath `(ray, time,
        height)`.

    Raises:
        BlindzoneError: If the file is of no kind that is known, or holds what cannot be right.

    Example:
        >>> import blindzone
        >>> curtain = blindzone.open_curtain("20210314_radar.nc")
        >>> curtain.reflectivity.dims
        ('time', 'height')
    """
    from blindzone.pipeline.readers import read_curtain

    return read_curtain(Path(path), reader)


def open_products(paths: str | Path | Iterable[str | Path]) -> xr.Dataset:
    """Returns products as one Dataset over time, lazily.

    Args:
        paths: A product, a folder of them, a pattern such as `products/*.nc`, or several paths, in
            any order.

    Returns:
        Dataset of dask arrays, joined along `time` in its order; what has no time stays as it is.

    Raises:
        BlindzoneError: If there is no product, one is none, or they are of different sites, grids
            or quantiles.

    Example:
        >>> import blindzone
        >>> products = blindzone.open_products("*_blindzone.nc")
        >>> products.hydrometeor_probability.mean("time").dims
        ('height',)
    """
    from blindzone.pipeline.products.opening import open_products as open_all

    return open_all(paths)


def plot(
    product: xr.Dataset,
    ax: Axes | None = None,
    *,
    time: Any = None,
    height: Any = None,
    variables: str | Sequence[str] | None = None,
    ray: int | None = None,
) -> Figure:
    """Returns the picture of a product.

    Args:
        product: What `fill` or `open_products` returned.
        ax: Axes to draw a single variable into; by default a new figure with a panel a variable.
        time: First and last time, or a slice of times; all by default.
        height: Lowest and highest height above the ground [m], or the highest alone.
        variables: Names of variables over time and height; by default what was observed, hidden
            and filled, the width of the interval, and the probability of echo.
        ray: Number of the ray of a swath, counted from 0; the one nearest to nadir by default.

    Returns:
        A figure of matplotlib, without pyplot; `savefig` writes any format that matplotlib knows.

    Raises:
        BlindzoneError: If there is no such variable, or nothing at these times or heights.

    Example:
        >>> import blindzone
        >>> product = blindzone.open_products("20210314_blindzone.nc")
        >>> blindzone.plot(product, height=2000).savefig("filled.pdf")
    """
    from blindzone.pipeline.plots.quicklooks import plot_product

    return plot_product(product, ax=ax, time=time, height=height, variables=variables, ray=ray)


def report(
    products: xr.Dataset | str | Path | Iterable[str | Path],
    path: str | Path,
    *,
    ray: int | None = None,
) -> Path:
    """Writes a page on which people explore products in a browser, and returns its path.

    It is one file that needs no network. More than 31 products become a page a month, in a folder
    next to `path`, and `path` leads to them.

    Args:
        products: What `fill` or `open_products` returned, or paths as `open_products` takes them.
            What `derive` made of a file is shown if it is next to it.
        path: The page, whose name ends in `.html`; one that is there is replaced.
        ray: Number of the ray of a swath, counted from 0; the one nearest to nadir by default.

    Raises:
        BlindzoneError: If one is no product, two differ in grid, network, calibration or version,
            or the page cannot be written.

    Example:
        >>> import blindzone
        >>> blindzone.report("20210314_blindzone.nc", "day.html").name
        'day.html'
    """
    from blindzone.flows.reports.product_page import write_report

    return write_report(products, Path(path), ray=ray)[0]


def write(product: xr.Dataset, path: str | Path) -> Path:
    """Writes a product as CF netCDF-4, whole or not at all, and returns its path.

    Args:
        product: What `fill` or `derive` returned, or a part of it in time.
        path: The file, whose name ends in `.nc`; one that is there is replaced.

    Raises:
        BlindzoneError: If the product contradicts itself, or the file cannot be written.

    Example:
        >>> import blindzone
        >>> product = blindzone.open_products("20210314_blindzone.nc")
        >>> blindzone.write(product.isel(time=slice(100)), "morning.nc").name
        'morning.nc'
    """
    from blindzone.pipeline.derivation.derived_product import is_derived_product, write_derived
    from blindzone.pipeline.products.opening import write_product

    return (write_derived if is_derived_product(product) else write_product)(product, Path(path))


def readers() -> dict[str, str]:
    """Returns what files can be read: the name of each reader and what its files are.

    Example:
        >>> import blindzone
        >>> blindzone.readers()["cloudnet_radar"]
        'a Cloudnet Level 1b radar file'
    """
    from blindzone.pipeline.readers import find_readers

    return {name: reader.title for name, reader in find_readers().items()}


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("blindzone")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
