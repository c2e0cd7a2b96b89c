"""Templates of pages: what comes from outside is escaped, what is missing is an error."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from jinja2 import UndefinedError

from blindzone.flows.reports.templating import render


def test_values_are_escaped_and_the_version_is_there() -> None:
    page = render(
        "product_index.html", title="<b>a</b>", style="", policy="default-src 'none'", rows=[]
    )
    assert "<title>&lt;b&gt;a&lt;/b&gt;</title>" in page
    assert version("blindzone") in page


def test_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="style"):
        render("product_index.html", title="a", policy="", rows=[])
