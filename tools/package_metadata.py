"""
Add the package's links to its metadata: `[project.urls]`, and the README's own, which PyPI shows far from its files.

Hatchling runs this at each build. The repository's address stands in pyproject.toml, and nowhere else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

# [text](target), ![text](target), where the target is a file of the repository.
_RELATIVE_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^\]]*)\]\((?!https?:|#|mailto:)(?P<target>[^)\s]+)\)")


class RepositoryLinks(MetadataHookInterface):
    """Sets `readme` and `urls`, which `[project]` lists as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Point every link at the files of this release."""
        repository = self.config["repository"]
        release = f"v{metadata['version']}"
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute_links(readme, repository=repository, release=release),
        }
        metadata["urls"] = {
            "Documentation": f"{repository}/blob/{release}/docs/index.md",
            "Source": repository,
            "Changelog": f"{repository}/blob/{release}/CHANGELOG.md",
            "Issues": f"{repository}/issues",
        }


def absolute_links(text: str, *, repository: str, release: str) -> str:
    """
    Return a page with its relative links made absolute.

    :param text: Markdown, whose relative links start at the repository's root.
    :param repository: the repository's address, without a slash at its end.
    :param release: the tag that the links lead to.
    """

    def absolute(link: re.Match[str]) -> str:
        # A picture has to be the file itself; a page is shown by the code host.
        kind = "raw" if link["picture"] else "blob"
        target = link["target"].removeprefix("./")
        return f"{link['picture']}[{link['text']}]({repository}/{kind}/{release}/{target})"

    return _RELATIVE_LINK.sub(absolute, text)
