"""
Check that the manual's search finds what readers type, each time that the manual is built.

Sphinx searches for the stems of words. It finds no number in a text, and finds one that is an entry of the index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

log = logging.getLogger(__name__)

# What somebody types, and the page that must be among what is found.
SEARCHES = {
    "alert": "how-to/be-told-of-failures",
    "csv": "how-to/results-as-tables",
    "parquet": "how-to/results-as-tables",
    "10000": "how-to/many-documents",
    "cost": "how-to/estimate-cost",
    "human review": "how-to/review-unsure-values",
    "upgrade": "about/upgrading",
    "blueprint version": "how-to/blueprints",
    "terraform": "how-to/projects-from-files",
    "git": "how-to/projects-from-files",
}


def _warn_of_what_is_not_found(app: Sphinx, error: Exception | None) -> None:
    index = getattr(app.builder, "indexer", None)
    if error is not None or index is None:
        return
    for query, page in SEARCHES.items():
        entries = {entry[1] for entry in app.env.get_domain("index").entries.get(page, ())}  # type: ignore[attr-defined]
        for word in query.split():
            stem = index.lang.stem(word.lower())
            # A word that stands in titles alone is kept apart from the others.
            found = index._mapping.get(stem, set()) | index._title_mapping.get(stem, set())  # noqa: SLF001  no other way
            if page not in found and word not in entries:
                log.warning("the manual's search does not find %s for %r: it lacks %r", page, query, word)


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of it."""
    app.connect("build-finished", _warn_of_what_is_not_found)
    return {"parallel_read_safe": True}
