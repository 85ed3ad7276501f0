"""
Blueprint files: the JSON that ``CreateBlueprint`` takes as its schema.

A blueprint names a ``class`` and its ``properties``. A property is a string, a number or a boolean with an
``inferenceType`` and an ``instruction``; an object; a list; or a ``$ref`` to one of the ``definitions``. See
https://docs.aws.amazon.com/bedrock/latest/userguide/bda-blueprint-info.html.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from airflow_bda.service.s3 import Modality

STRING, NUMBER, BOOLEAN = "string", "number", "boolean"
_SCALARS = {"string": STRING, "number": NUMBER, "integer": NUMBER, "boolean": BOOLEAN}
_INFERENCE_TYPES = ("explicit", "inferred")
_REFERENCE = re.compile(r"#/(?:definitions|\$defs)/(?P<name>.+)")
MAX_SCHEMA_CHARACTERS = 100_000
_MAX_DEPTH = 8


class BlueprintFileError(ValueError):
    """A file is no blueprint; the text names the file and what is wrong in it."""


@dataclass(frozen=True)
class Field:
    """
    One value to find.

    :param type: ``string``, ``number`` or ``boolean``.
    :param inferred: whether the value may stand in the document without a label.
    :param parents: the names of the objects that hold it, the outermost first.
    """

    name: str
    type: str
    inferred: bool = False
    instruction: str = ""
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """An object with members."""

    name: str
    members: tuple[Node, ...]


@dataclass(frozen=True)
class Rows:
    """A list of objects: a table with one column for each of the fields."""

    name: str
    columns: tuple[Field, ...]
    instruction: str = ""


@dataclass(frozen=True)
class Series:
    """A list of plain values, which stand in one place, parted by commas or semicolons."""

    name: str
    item: Field


Node = Field | Group | Rows | Series


@dataclass(frozen=True)
class Blueprint:
    """
    What to look for in a class of documents.

    :param name: what ``matched_blueprint.name`` says.
    :param document_class: what ``document_class.type`` says.
    :param arn: the ARN that it was asked for by; empty in the catalogue.
    :param modality: what it is for; None where nothing says so, as for a file in the blueprints folder.
    :param version: the version that the request named; None where it named a stage.
    """

    name: str
    document_class: str
    members: tuple[Node, ...]
    description: str = ""
    arn: str = ""
    modality: Modality | None = None
    version: str | None = None

    def is_for(self, modality: Modality) -> bool:
        """Whether it may be applied to inputs of a modality."""
        return self.modality in (None, modality)

    @property
    def fields(self) -> tuple[Field, ...]:
        """All single fields, those in objects too, those in tables not."""
        return tuple(each for each in _walk(self.members) if isinstance(each, Field))

    @property
    def tables(self) -> tuple[Rows, ...]:
        """All lists of objects."""
        return tuple(each for each in _walk(self.members) if isinstance(each, Rows))


def _walk(members: tuple[Node, ...]) -> Iterator[Node]:
    for member in members:
        if isinstance(member, Group):
            yield from _walk(member.members)
        elif isinstance(member, Series):
            yield member.item
        else:
            yield member


def load_blueprint(path: Path, *, name: str | None = None) -> Blueprint:
    """
    Read a blueprint file: the schema itself, or what ``get-blueprint`` prints.

    :param name: the blueprint's name; its class when left out.
    :raises BlueprintFileError: when it is no blueprint.
    """
    try:
        return parse_blueprint(path.read_text(encoding="utf-8"), name=name)
    except (OSError, ValueError, RecursionError) as error:
        raise BlueprintFileError(f"The blueprint file {str(path)!r} is not valid: {error}") from error


def parse_blueprint(text: str, *, name: str | None = None) -> Blueprint:
    """
    Read a blueprint's schema.

    :raises ValueError: saying what is wrong in it.
    """
    if len(text) > MAX_SCHEMA_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters; a blueprint has up to {MAX_SCHEMA_CHARACTERS:,}")
    schema = _schema(json.loads(text))
    document_class = schema.get("class") or schema.get("documentClass")
    if not isinstance(document_class, str):
        raise ValueError("it has no 'class'; say in it what kind of document this is")  # noqa: TRY004 - one kind of error for all that is wrong in a file
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not properties:
        raise ValueError("it has no 'properties'; name the fields to find")
    reader = _Reader(schema.get("definitions") or schema.get("$defs") or {})
    return Blueprint(
        name=name or document_class,
        document_class=document_class,
        members=tuple(reader.node(key, value, ()) for key, value in properties.items()),
        description=str(schema.get("description", "")),
    )


def _schema(content: Any) -> Mapping[str, Any]:
    """Unwrap the answer of ``GetBlueprint``, which holds the schema as a text."""
    if isinstance(content, dict) and isinstance(content.get("blueprint"), dict):
        content = content["blueprint"]
    if isinstance(content, dict) and isinstance(content.get("schema"), str):
        content = json.loads(content["schema"])
    if not isinstance(content, dict):
        raise ValueError("it holds no JSON object")  # noqa: TRY004 - one kind of error for all that is wrong in a file
    return content


class _Reader:
    """Reads properties, following references."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def node(self, name: str, schema: Any, parents: tuple[str, ...]) -> Node:
        where = ".".join((*parents, name))
        if len(parents) > _MAX_DEPTH:
            raise ValueError(f"{where!r} is nested too deep; a definition may refer to itself")
        self._refuse_inference_type(schema, where)
        schema = self._resolve(schema, where)
        kind = schema.get("type", "object" if "properties" in schema else None)
        if kind == "object":
            properties = schema.get("properties")
            if not isinstance(properties, dict) or not properties:
                raise ValueError(f"{where!r} is an object without 'properties'")
            return Group(name, tuple(self.node(key, each, (*parents, name)) for key, each in properties.items()))
        if kind == "array":
            return self._list(name, schema, parents, where)
        return self._field(name, schema, parents, where)

    def _list(self, name: str, schema: Mapping[str, Any], parents: tuple[str, ...], where: str) -> Rows | Series:
        if "items" not in schema:
            raise ValueError(f"{where!r} is an array without 'items'")
        items = self._resolve(schema["items"], where)
        instruction = str(schema.get("instruction", ""))
        if "properties" not in items:
            item = self._field(name, {"instruction": instruction, **items}, parents, where)
            return Series(name, item)
        columns = (self.node(key, each, (*parents, name)) for key, each in items["properties"].items())
        return Rows(name, tuple(each for each in columns if isinstance(each, Field)), instruction)

    def _field(self, name: str, schema: Mapping[str, Any], parents: tuple[str, ...], where: str) -> Field:
        kind, inference = schema.get("type"), schema.get("inferenceType", "explicit")
        if kind not in _SCALARS:
            raise ValueError(f"{where!r} has the type {kind!r}; use one of {', '.join(_SCALARS)}, object, array")
        if inference not in _INFERENCE_TYPES:
            raise ValueError(f"{where!r} has the inferenceType {inference!r}; use {' or '.join(_INFERENCE_TYPES)}")
        return Field(name, _SCALARS[kind], inference == "inferred", str(schema.get("instruction", "")), parents)

    def _resolve(self, schema: Any, where: str) -> Mapping[str, Any]:
        for _ in range(_MAX_DEPTH):
            if not isinstance(schema, dict):
                break
            if "$ref" not in schema:
                return schema
            match = _REFERENCE.fullmatch(str(schema["$ref"]))
            if match is None or match["name"] not in self._definitions:
                raise ValueError(f"{where!r} refers to {schema['$ref']!r}, which is not among the 'definitions'")
            schema = self._definitions[match["name"]]
        raise ValueError(f"{where!r} is not described by a JSON object")

    @staticmethod
    def _refuse_inference_type(schema: Any, where: str) -> None:
        """Refuse what ``CreateBlueprint`` refuses as an invalid blueprint schema."""
        if (
            isinstance(schema, dict)
            and "inferenceType" in schema
            and ("$ref" in schema or schema.get("type") == "array")
        ):
            raise ValueError(f"{where!r} has an inferenceType, which only single fields have; remove it")
