"""The page of products: one file that a browser opens without a network, to walk through days."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import xarray as xr
from markupsafe import Markup

from blindzone.core.errors import ProductError
from blindzone.core.fence import refusing_as
from blindzone.core.files import write_atomically
from blindzone.flows.reports.templating import render
from blindzone.pipeline.derivation.derived_product import (
    DERIVED_FROM,
    name_derived,
    open_derived,
)
from blindzone.pipeline.plots.page_data import describe_codes, describe_product
from blindzone.pipeline.plots.time_axis import describe_days
from blindzone.pipeline.products.opening import open_alike
from blindzone.pipeline.products.swath import pick_ray

PAGE_SUFFIX = ".html"
MOST_PRODUCTS = 31
"""Products of one page: a month of days, some 50 MB. More are paged by months."""

_SCRIPTS = (
    "uPlot.iife.min.js",
    "unpack.js",
    "field.js",
    "state.js",
    "charts.js",
    "texts.js",
    "drawing.js",
    "controls.js",
    "page.js",
)
_STYLES = ("uPlot.min.css", "page.css")
_IN_SCRIPT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
"""What could end a script's element, as escapes of JSON."""

_IN_MEMORY = (
    "This product was in memory. What is derived is shown of files, if it lies next to them."
)
_HALF_DAY = np.timedelta64(12, "h")
_Found = tuple[Path | None, xr.Dataset]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A page of several: its file, and what is on it."""

    path: Path
    products: Sequence[_Found]

    @property
    def label(self) -> str:
        """The days on it."""
        first, last = (describe_days(self.products[at][1]["time"].values) for at in (0, -1))
        return first if first == last else f"{first[:10]} to {last[-10:]}"


def write_report(
    products: xr.Dataset | str | Path | Iterable[str | Path],
    path: Path,
    *,
    ray: int | None = None,
    on_reject: Callable[[ProductError], None] | None = None,
) -> list[Path]:
    """Writes the page of products, and returns the paths of what was written, the page first.

    More products than a page holds become a page a month, in a folder next to `path`; `path` then
    leads to them.

    Args:
        products: A product in memory; or paths as `open_products` takes them, each with its derived
            product next to it if there is one.
        path: The page, whose name ends in `.html`; one that is there is replaced.
        ray: Number of the ray of a swath, counted from 0; the one nearest to nadir by default.
        on_reject: Called with the reason if a product cannot be shown; the page is made of the
            others. By default it is raised.

    Raises:
        ProductError: If the name does not end in `.html`, there is no product, one is none, two are
            not alike, none can be shown, or the page cannot be written.
    """
    check_page(path)
    found = _open(products)
    is_paged = len(found) > MOST_PRODUCTS
    folder, index = path.with_name(f"{path.stem}_pages"), f"../{quote(path.name)}"
    parts = list(_split(found, folder)) if is_paged else [_Part(path=path, products=found)]
    written = []
    for part in parts:
        days = list(_describe_each(part.products, ray, on_reject))
        if days:
            written.append(part)
            _write(part.path, _render_page(days, index=index if is_paged else ""))
    if not written:
        raise ProductError("no product can be shown; whole products of blindzone are right")
    paths = [part.path for part in written]
    return [_write(path, _render_index(written)), *paths] if is_paged else paths


def check_page(path: Path) -> None:
    """Checks that a name is that of a page.

    Raises:
        ProductError: If it is not.
    """
    if path.suffix != PAGE_SUFFIX:
        raise ProductError(f"{path}: no page; a name that ends in {PAGE_SUFFIX} is right")


def _open(products: xr.Dataset | str | Path | Iterable[str | Path]) -> Sequence[_Found]:
    opened = [(None, products)] if isinstance(products, xr.Dataset) else open_alike(products)
    return [(path, day) for path, product in opened for day in _split_days(product)]


def _split_days(product: xr.Dataset) -> list[xr.Dataset]:
    """Returns the UTC days of a product of several, as those of a month joined."""
    times = product["time"].values
    if times[-1] - times[0] < 3 * _HALF_DAY:
        return [product]
    starts = np.flatnonzero(np.diff(times.astype("datetime64[D]")) > np.timedelta64(0)) + 1
    ends = [*starts.tolist(), times.size]
    return [
        product.isel(time=slice(start, end))
        for start, end in zip([0, *starts.tolist()], ends, strict=True)
    ]


def _split(found: Sequence[_Found], folder: Path) -> Iterator[_Part]:
    """Yields the pages of products in order of time: a month each, or a part of one."""
    for month, of_month in groupby(found, lambda item: str(item[1]["time"].values[0])[:7]):
        left = list(of_month)
        for number, start in enumerate(range(0, len(left), MOST_PRODUCTS)):
            name = f"{month}{f'_{number + 1}' if number else ''}{PAGE_SUFFIX}"
            yield _Part(path=folder / name, products=left[start : start + MOST_PRODUCTS])


def _render_page(days: Sequence[dict[str, Any]], *, index: str) -> str:
    labels = [f"{day['when']} {day['clock']}".strip() for day in days]
    common = {"codes": describe_codes(), "labels": labels}
    style = _read(*_STYLES)
    script = f'(() => {{\n"use strict";\n{_read(*_SCRIPTS)}\n}})();'
    return render(
        "product.html",
        title=days[0]["title"],
        style=Markup(style),
        script=Markup(script),
        policy=_make_policy(style, script),
        common=_to_json(common),
        days=[_to_json(day) for day in days],
        labels=labels,
        index=index,
    )


def _describe_each(
    products: Sequence[_Found],
    ray: int | None,
    on_reject: Callable[[ProductError], None] | None,
) -> Iterator[dict[str, Any]]:
    """Yields what a page shows of products; tells of those that it cannot show."""
    for path, product in products:
        where = "the product" if path is None else str(path)
        try:
            with refusing_as(ProductError, f"{where}: cannot be read"):
                yield _describe(path, product, ray)
        except ProductError as error:
            named = error if path is None or str(path) in str(error) else _name(path, error)
            if on_reject is None:
                raise named from None
            on_reject(named)


def _name(path: Path, error: ProductError) -> ProductError:
    return ProductError(f"{path}: {error}")


def _describe(path: Path | None, product: xr.Dataset, ray: int | None) -> dict[str, Any]:
    """Returns what a page shows of a product and of what is derived of it."""
    one, which = pick_ray(product, ray)
    derived, lacking = _find_derived(path, product)
    if derived is not None:
        derived = pick_ray(derived, ray)[0].sel(time=product["time"].values)
    start = product["time"].values[0].astype("datetime64[s]")
    is_granule = product["time"].values[-1] - product["time"].values[0] < _HALF_DAY
    return {
        **describe_product(one, derived, which=which),
        "file": "" if path is None else path.name,
        "clock": f"{start}"[11:] if is_granule else "",
        "lacks_derived": lacking,
    }


def _find_derived(path: Path | None, product: xr.Dataset) -> tuple[xr.Dataset | None, str]:
    """Returns the derived product next to a product, or why there is none."""
    if path is None:
        return None, _IN_MEMORY
    file = path.with_name(name_derived(path.name))
    if not file.is_file():
        return None, f"Nothing is derived of this product. 'blindzone derive {path.name}' does it."
    try:
        derived = open_derived(file)
    except ProductError as error:
        return None, str(error)
    if derived.attrs[DERIVED_FROM] != product.attrs.get("target_sha256"):
        return None, (
            f"{file.name} is derived of another version of this product, and is not shown."
            f" 'blindzone derive {path.name}' makes it anew."
        )
    return derived, ""


def _render_index(parts: Sequence[_Part]) -> str:
    first = parts[0].products[0][1]
    style = _read("page.css")
    rows = [
        (
            f"./{quote(part.path.parent.name)}/{quote(part.path.name)}",
            part.label,
            len(part.products),
        )
        for part in parts
    ]
    return render(
        "product_index.html",
        title=str(first.attrs.get("title", "Products")),
        style=Markup(style),
        policy=_make_policy(style, ""),
        rows=rows,
    )


def _make_policy(style: str, script: str) -> str:
    """Returns the content security policy: these two texts and nothing else, from nowhere."""
    scripts = f"'{_hash(script)}'" if script else "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src '{_hash(style)}'; base-uri 'none';"
        " form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _read(*names: str) -> str:
    folder = files("blindzone.flows.reports") / "assets"
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


def _to_json(content: Any) -> Markup:
    """Returns JSON that can stand in an element of a page."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_IN_SCRIPT))


def _write(path: Path, text: str) -> Path:
    with write_atomically(path, error=ProductError, what="the page") as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path
