"""How plain the documentation is: words a sentence, and how often that, what and which are said.

Run `python benchmarks/prose.py`: a line a page, the least plain first. Aimed at are 1.2 of these
words per hundred, over all pages, and about 15 words a sentence. Code, tables and addresses of
links count for nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("README.md", "CONTRIBUTING.md", "docs/*.md", "models/weights/*.md")
_NO_PROSE = re.compile(r"```[\s\S]*?```|^\|.*$|`[^`\n]*`|\]\([^)]*\)|^#.*$", re.MULTILINE)
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_END = re.compile(r"[.:?!](?:\s|$)")
_COUNTED = frozenset(("that", "what", "which"))


@dataclass(frozen=True)
class Prose:
    """Counts of one page, or of several."""

    words: int
    counted: int
    sentences: int

    def __add__(self, other: Prose) -> Prose:
        return Prose(
            self.words + other.words,
            self.counted + other.counted,
            self.sentences + other.sentences,
        )

    @property
    def share(self) -> float:
        """That, what and which, of a hundred words."""
        return 100 * self.counted / max(self.words, 1)

    @property
    def length(self) -> float:
        """Words a sentence."""
        return self.words / max(self.sentences, 1)


def measure(text: str) -> Prose:
    """Returns the counts of a page in Markdown."""
    prose = _NO_PROSE.sub(" ", text)
    words = [word.lower() for word in _WORD.findall(prose)]
    return Prose(len(words), sum(word in _COUNTED for word in words), len(_END.findall(prose)))


def main() -> None:
    """Prints the table."""
    pages = sorted(path for place in PLACES for path in ROOT.glob(place))
    found = {page: measure(page.read_text(encoding="utf-8")) for page in pages}
    total = sum(found.values(), start=Prose(0, 0, 0))
    print("| page | words | that, what, which of 100 | words a sentence |\n|---|---|---|---|")
    for page, prose in sorted(found.items(), key=lambda item: -item[1].share):
        name = page.relative_to(ROOT)
        print(f"| {name} | {prose.words} | {prose.share:.2f} | {prose.length:.1f} |")
    print(f"| all | {total.words} | {total.share:.2f} | {total.length:.1f} |")


if __name__ == "__main__":
    main()
