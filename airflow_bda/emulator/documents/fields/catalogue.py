"""
Which blueprint an ARN names.

- ``...:aws:blueprint/bedrock-data-automation-public-<name>`` is one of the managed ones that come with the emulator.
  Their fields are of our own writing and not those of the service.
- ``...:<account>:blueprint/<id>`` is the file in the blueprints folder whose name gives that id. A file name of 12 to
  36 letters, digits and hyphens is the id; another one is turned into an id, see :func:`blueprint_id`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.blueprints import (
    Blueprint,
    BlueprintFileError,
    load_blueprint,
    parse_blueprint,
)
from airflow_bda.service.arns import BLUEPRINT, Arn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_MANAGED_ACCOUNT = "aws"
_MANAGED_PREFIX = "bedrock-data-automation-public-"
_ID = re.compile(r"[a-zA-Z0-9-]{12,36}")
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9]+")
_MAX_ID, _DIGEST = 36, 8


def blueprint_id(stem: str) -> str:
    """
    Give the id for a blueprint file's name without its ``.json``.

    A name that is a valid id stays as it is. Else what ids cannot hold becomes a hyphen, ``blueprint-`` is put before
    a short name (``receipt.json``: ``blueprint-receipt``), and a long one is cut and ends in a digest of the whole.
    """
    if _ID.fullmatch(stem):
        return stem
    slug = _NOT_IN_IDS.sub("-", stem).strip("-")
    if _ID.fullmatch(slug):
        return slug
    digest = hashlib.sha256(stem.encode()).hexdigest()[:_DIGEST]
    if len(slug) > _MAX_ID:
        return f"{slug[: _MAX_ID - _DIGEST - 1]}-{digest}"
    return f"blueprint-{slug}" if len(slug) > 1 else f"blueprint-{digest}"


class Catalogue:
    """
    The blueprints of one emulator.

    :param managed: by the last part of their ARN, the common prefix left out.
    :param owned: by their ids.
    """

    def __init__(self, managed: Mapping[str, Blueprint], owned: Mapping[str, Blueprint]) -> None:
        self._managed = managed
        self._owned = owned

    @classmethod
    def load(cls, folder: Path | None) -> Catalogue:
        """
        Read the managed blueprints and those of a folder.

        :raises BlueprintFileError: when a file is no blueprint, or two files give the same id.
        :raises NotADirectoryError: when there is no such folder.
        """
        return cls(_read_managed(), _read_folder(folder) if folder is not None else {})

    def find(self, arn: str) -> Blueprint | None:
        """Give the blueprint that an ARN names, in any partition and region; None when there is none."""
        try:
            parsed = Arn.parse(arn)
        except ValueError:
            return None
        if parsed.resource_type != BLUEPRINT:
            return None
        if parsed.account == _MANAGED_ACCOUNT:
            known, key = self._managed, parsed.resource_id.removeprefix(_MANAGED_PREFIX)
        else:
            known, key = self._owned, parsed.resource_id
        blueprint = known.get(key)
        return replace(blueprint, arn=arn) if blueprint else None

    def find_all(self, arns: Iterable[str]) -> tuple[Blueprint, ...]:
        """Give the blueprints that these ARNs name, leaving out what is not known."""
        return tuple(blueprint for arn in arns if (blueprint := self.find(arn)) is not None)

    def listing(self, *, region: str, account: str, partition: str = "aws") -> tuple[tuple[str, str], ...]:
        """List ARN and name of each blueprint, as they are in one region and account."""
        managed = ((_MANAGED_ACCOUNT, _MANAGED_PREFIX + key, each.name) for key, each in self._managed.items())
        owned = ((account, key, each.name) for key, each in self._owned.items())
        return tuple(
            (str(Arn(partition, region, owner, BLUEPRINT, key)), name) for owner, key, name in (*managed, *owned)
        )


def _read_managed() -> dict[str, Blueprint]:
    folder = resources.files("airflow_bda.emulator.documents.fields") / "managed"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".json")), key=lambda each: each.name)
    return {each.name.removesuffix(".json"): parse_blueprint(each.read_text(encoding="utf-8")) for each in files}


def _read_folder(folder: Path) -> dict[str, Blueprint]:
    if not folder.is_dir():
        raise NotADirectoryError(f"The blueprints folder {str(folder)!r} does not exist; create it or leave it out.")
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("*.json")):
        key = blueprint_id(path.stem)
        if key in files:
            raise BlueprintFileError(
                f"The blueprint files {str(files[key])!r} and {str(path)!r} both give the id {key!r}; rename one."
            )
        files[key] = path
    return {key: load_blueprint(path, name=path.stem) for key, path in files.items()}
