"""
Which blueprint an ARN names.

- ``...:aws:blueprint/bedrock-data-automation-public-<name>`` is one of the blueprints that AWS manages. 32 names are
  known from public code, documentation and listings, see :data:`MANAGED`. A listing of March 2026 counts 41 and does
  not name them all, so any other name is accepted as well; a log line says that it is not a known one. Five come with
  a schema; its fields are of our own writing and not those of the service. A document never matches one without a
  schema.
- A file ``bedrock-data-automation-public-<name>.json`` in the blueprints folder supplies the schema of a managed
  blueprint, listed here or not.
- ``...:<account>:blueprint/<id>`` is the file in the blueprints folder whose name makes that id. A file name of 12 to
  36 letters, digits and hyphens is the id; another one is turned into an id, see :func:`blueprint_id`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.blueprint_schema import (
    Blueprint,
    BlueprintFileError,
    load_blueprint,
    parse_blueprint,
)
from airflow_bda.service.arns import BLUEPRINT, Arn
from airflow_bda.service.s3 import Modality

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_MANAGED_ACCOUNT = "aws"
MANAGED_PREFIX = "bedrock-data-automation-public-"
# As in the service's model, in lower case, as all known ones are.
_MANAGED_ID = re.compile(rf"{MANAGED_PREFIX}[a-z0-9-_]{{1,30}}")
_ID = re.compile(r"[a-zA-Z0-9-]{12,36}")
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9]+")
_MAX_ID, _DIGEST = 36, 8

# What AWS manages, by the last part of the id. The first block is named by ARN in public code or documentation. Of the
# second, public sources hold only the names that ListBlueprints returns; in all known cases the id is that name in
# lower case. `conversational-analytics` is in the documentation of audio blueprints.
_DOCUMENT_NAMES = (
    "Bank-Statement", "Birth-Certificate", "Form-1040", "Form-1040-Schedule-C", "Form-1098", "Form-1099-INT",
    "Form-1099-MISC", "Invoice", "Payslip", "Prescription-Label", "Property-Tax-Statement", "Receipt",
    "US-Bank-Check", "US-Driver-License", "US-Medical-Insurance-Card", "US-Passport", "W2-Form",
    "Workers-Compensation-Form",
    "Cable-Bill", "Canada-Driver-License", "Credit-Card-Statement", "Dental-Insurance-Card", "Electricity-Bill",
    "Form-940", "Form-941", "US-Vehicle-Title-Document", "Water-And-Sewer-Bill",
)  # fmt: skip
_MEDIA_NAMES = {
    "Advertisement": Modality.IMAGE,
    "General-Image": Modality.IMAGE,
    "Conversational-Analytics": Modality.AUDIO,
    "General-Audio": Modality.AUDIO,
    "Keynote-Highlight": Modality.VIDEO,
}


@dataclass(frozen=True)
class ManagedBlueprint:
    """
    A blueprint that AWS manages.

    :param name: as ListBlueprints returns it; of one that is not in :data:`MANAGED`, as its ARN ends.
    :param modality: the ``type`` of the blueprint.
    :param schema: the JSON of its schema; None where the emulator ships none.
    """

    name: str
    modality: Modality
    schema: str | None = None

    @property
    def is_public(self) -> bool:
        """Whether its name is known from a public source."""
        return self.resource_id in MANAGED

    @property
    def resource_id(self) -> str:
        """The last part of its ARN."""
        return MANAGED_PREFIX + self.name.lower()


def _managed() -> Iterator[ManagedBlueprint]:
    folder = resources.files("airflow_bda.emulator.documents.fields") / "managed"
    files = (each for each in folder.iterdir() if each.name.endswith(".json"))
    shipped = {each.name.removesuffix(".json"): each.read_text(encoding="utf-8") for each in files}
    for name, modality in (dict.fromkeys(_DOCUMENT_NAMES, Modality.DOCUMENT) | _MEDIA_NAMES).items():
        yield ManagedBlueprint(name, modality, shipped.get(name.lower()))


MANAGED: Mapping[str, ManagedBlueprint] = {each.resource_id: each for each in _managed()}


def managed_blueprint(arn: str) -> ManagedBlueprint | None:
    """
    Return the blueprint of AWS that an ARN names, in any partition and region; None for any other ARN.

    One whose name no public source has is taken for a blueprint of documents.
    """
    try:
        parsed = Arn.parse(arn)
    except ValueError:
        return None
    is_managed = parsed.resource_type == BLUEPRINT and parsed.account == _MANAGED_ACCOUNT
    if not is_managed or not _MANAGED_ID.fullmatch(parsed.resource_id):
        return None
    name = parsed.resource_id.removeprefix(MANAGED_PREFIX)
    return MANAGED.get(parsed.resource_id) or ManagedBlueprint(name, Modality.DOCUMENT)


def blueprint_id(stem: str) -> str:
    """
    Return the id for a blueprint file's name without its ``.json``.

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
    The blueprints of one emulator that can be asked for without creating them.

    :param schemas: what a document can be matched with, by the ids of their ARNs.
    """

    def __init__(self, schemas: Mapping[str, Blueprint]) -> None:
        self._schemas = schemas

    @classmethod
    def load(cls, folder: Path | None) -> Catalogue:
        """
        Read the managed blueprints and those of a folder.

        :raises BlueprintFileError: when a file is no blueprint, or two files give the same id.
        :raises NotADirectoryError: when there is no such folder.
        """
        shipped = {
            key: replace(parse_blueprint(each.schema, name=each.name), modality=each.modality)
            for key, each in MANAGED.items()
            if each.schema is not None
        }
        return cls(shipped | (_read_folder(folder) if folder is not None else {}))

    def knows(self, arn: str) -> bool:
        """Whether an ARN names a managed blueprint or one of the folder."""
        return managed_blueprint(arn) is not None or self.find(arn) is not None

    def find(self, arn: str) -> Blueprint | None:
        """Return the blueprint that an ARN names, in any partition and region; None where no schema is known."""
        try:
            parsed = Arn.parse(arn)
        except ValueError:
            return None
        is_managed = parsed.account == _MANAGED_ACCOUNT
        if parsed.resource_type != BLUEPRINT or is_managed != parsed.resource_id.startswith(MANAGED_PREFIX):
            return None
        blueprint = self._schemas.get(parsed.resource_id)
        return replace(blueprint, arn=arn) if blueprint else None

    def listing(self, *, region: str, account: str, partition: str = "aws") -> tuple[tuple[str, str], ...]:
        """List ARN and name of each blueprint, as they are in one region and account."""
        names = {key: each.name for key, each in MANAGED.items()} | {
            key: each.name for key, each in self._schemas.items()
        }
        owners = {key: _MANAGED_ACCOUNT if key.startswith(MANAGED_PREFIX) else account for key in names}
        return tuple((str(Arn(partition, region, owners[key], BLUEPRINT, key)), name) for key, name in names.items())


def _read_folder(folder: Path) -> dict[str, Blueprint]:
    if not folder.is_dir():
        raise NotADirectoryError(f"The blueprints folder {str(folder)!r} does not exist; create it or leave it out.")
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("*.json")):
        key = path.stem if path.stem.startswith(MANAGED_PREFIX) else blueprint_id(path.stem)
        if key in files:
            raise BlueprintFileError(
                f"The blueprint files {str(files[key])!r} and {str(path)!r} both make the id {key!r}; rename one."
            )
        files[key] = path
    names = {
        key: MANAGED[key].name if key in MANAGED else path.stem.removeprefix(MANAGED_PREFIX)
        for key, path in files.items()
    }
    return {key: load_blueprint(path, name=names[key]) for key, path in files.items()}
