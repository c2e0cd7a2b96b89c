"""Makes the site of the documentation: `make docs`.

Pages are the Markdown files here. Pages that live elsewhere in the repository, and the commands'
own help, are copied to `_pages/` first, with their links.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version as find_version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent
COPIES = HERE / "_pages"
ELSEWHERE = {
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    **{
        str(card.relative_to(ROOT)): f"card_{card.stem}"
        for card in sorted((ROOT / "models" / "weights").glob("*.md"))
    },
}
"""Pages that live elsewhere in the repository, and their names here."""
_LINK = re.compile(r"\]\(([^)#\s:]+)(#[^)\s]*)?\)")

project = "blindzone"
author = "the authors of blindzone"
release = version = find_version("blindzone")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["conf.py"]
default_role = "code"
html_theme = "furo"
html_title = "blindzone"
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 4
# Notebooks are shown with the outputs they are stored with: `make tutorials` executes them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
copybutton_exclude = ".linenos, .gp, .go"
suppress_warnings = ["myst.header"]


def setup(app: Sphinx) -> None:
    """Copies pages before any is read, and follows links out of this folder."""
    COPIES.mkdir(exist_ok=True)
    for place, name in ELSEWHERE.items():
        source = ROOT / place
        _write(COPIES / f"{name}.md", _relink(source.read_text(encoding="utf-8"), source.parent))
    _write(COPIES / "commands.md", _describe_commands())
    app.connect("source-read", _relink_page)


def _relink_page(app: Sphinx, name: str, source: list[str]) -> None:
    if not name.startswith(("_pages/", "tutorials/")):
        source[0] = _relink(source[0], HERE)


def _relink(text: str, folder: Path) -> str:
    """Returns a page with links to other pages of the repository leading to their copies."""

    def follow(match: re.Match[str]) -> str:
        target = (folder / match[1]).resolve()
        if not target.is_relative_to(ROOT):
            return match[0]
        place, anchor = str(target.relative_to(ROOT)), match[2] or ""
        if place in ELSEWHERE:
            return f"](/_pages/{ELSEWHERE[place]}.md{anchor})"
        if target == ROOT / "README.md":
            return f"](/index.md{anchor})"
        return (
            f"](/{target.relative_to(HERE)}{anchor})" if target.is_relative_to(HERE) else match[0]
        )

    return _LINK.sub(follow, text)


def _describe_commands() -> str:
    """Returns the help of all commands, as Markdown."""
    command_line = "blindzone.flows.commands.cli"
    described = subprocess.run(
        [sys.executable, "-m", "typer", command_line, "utils", "docs", "--name", "blindzone"],
        capture_output=True,
        check=True,
        text=True,
    )
    return described.stdout.replace("# `blindzone`", "# Commands", 1)


def _write(path: Path, text: str) -> None:
    """Writes a page, unless it is so already: what is unchanged is not built again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
