"""
Docstrings as the manual shows them.

References into other projects' manuals become plain names, since nothing is fetched to look them up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_EXTERNAL = re.compile(r":external\+[\w.]+(?::\w+)+:`([^`<]+?)\s*(?:<[^`>]*>)?`", re.DOTALL)


def _without_external_references(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    lines[:] = _EXTERNAL.sub(r"``\1``", "\n".join(lines)).splitlines()


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of it."""
    app.connect("autodoc-process-docstring", _without_external_references)
    return {"parallel_read_safe": True}
