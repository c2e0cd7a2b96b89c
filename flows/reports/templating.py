"""Pages from the package's templates: everything that comes from outside is escaped."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """Returns a page; what is no `Markup` is escaped: titles and reasons come from outside."""
    environment = Environment(
        loader=PackageLoader("blindzone.flows.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(version=version("blindzone"), **values)
