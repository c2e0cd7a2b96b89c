"""A browser without a window, for pages that draw themselves; tests skip where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
]


@contextmanager
def open_browser() -> Iterator[Any]:
    """Yields Chromium; skips the test if it, or what drives it, is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("Chromium is not installed: 'apt-get install chromium'")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=_OPTIONS)
        yield browser
        browser.close()


def open_page(browser: Any, path: Path, troubles: list[str], **options: Any) -> Any:
    """Returns a page that is ready; whatever its console reports, or it asks for, is a trouble."""
    page = browser.new_page(**options)
    page.on("console", lambda message: troubles.append(message.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "request",
        lambda request: None if request.url == path.as_uri() else troubles.append(request.url),
    )
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
    return page


def read(page: Any, name: str) -> str:
    """Returns a value of the page's readout."""
    return str(page.locator(f"#readout dd[data-name='{name}']").inner_text())
