"""
The directive ``{generated} NAME``: a part of a page that is made from the program when the manual is built.

What it can make is in ``program_facts.py``, each function of which gives Markdown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import program_facts
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class Generated(SphinxDirective):
    """Put in what the function of that name gives."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the Markdown in the place of the directive, headings included."""
        name = self.arguments[0].replace("-", "_")
        try:
            make = program_facts.FACTS[name]
        except KeyError:
            raise self.error(f"nothing is generated under {name!r}; known: {', '.join(program_facts.FACTS)}") from None
        container = nodes.container()
        lines = StringList(make().splitlines(), source=f"<generated {name}>")
        self.state.nested_parse(lines, 0, container, match_titles=True)
        return container.children


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of it."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True}
