"""The pages of the manual and the code blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("dags/*.md"))
    if "_build" not in path.parts
)


@dataclass(frozen=True)
class Block:
    """
    A code block.

    :param kind: what stands behind its fence: a language, and how it is run where that is not plain.
    :param line: the page's line that its first line of code is on, from 1.
    :param file: what the reader is told to save it as.
    """

    page: Path
    kind: str
    line: int
    code: str
    file: str | None = None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line} ({self.kind})"


def blocks(page: Path) -> list[Block]:
    """List a page's blocks in their order; directives are Sphinx's to check, and warn when it builds the manual."""
    found, text = [], ""
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type in {"fence", "code_block"} and not token.info.startswith("{"):
            told = re.search(r"[Ss]ave this as `([^`]+)`", text)
            kind = " ".join(token.info.split())
            found.append(Block(page, kind, token.map[0] + 2, token.content, told and told[1]))
        text = token.content or text
    return found
