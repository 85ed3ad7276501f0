"""
Read projects and blueprints from JSON files, and check them: all problems at once, each with its file and its path.

A file holds ``{"project": {...}, "blueprints": [{...}, ...]}``, either of which may be missing. The members are those
of CreateDataAutomationProject and CreateBlueprint
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation_CreateDataAutomationProject.html), with
three differences: a ``schema`` may be an object or the name of a JSON file beside this one; a project may name a
blueprint by ``blueprintName`` where the service wants an ARN; stages and client tokens are not written in files.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import CONTROL_SERVICE, Problem, Rule, find_problems, input_shape, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CREATE_PROJECT, CREATE_BLUEPRINT = "CreateDataAutomationProject", "CreateBlueprint"
# A schema has 100,000 characters at most, and a project 43 blueprints.
MOST_BYTES = 10_000_000
# AWS's own blueprints: https://docs.aws.amazon.com/bedrock/latest/userguide/bda-blueprint-info.html
MANAGED_PREFIXES = ("bedrock-data-automation-public-", "bedrock-data-insights-public-")
_MEMBERS = ("project", "blueprints")
_NOT_IN_FILES = {
    "projectStage": "the stage is chosen when the files are applied, so that one file serves both",
    "blueprintStage": "the stage is chosen when the files are applied, so that one file serves both",
    "clientToken": "a token is made for each run",
}
# Stands for a blueprint's ARN while a request is checked.
_ANY_ARN = "arn:aws:bedrock:us-east-1:000000000000:blueprint/000000000000"


@dataclass(frozen=True)
class Wanted:
    """
    A project or a blueprint as a file has it.

    :param params: the members of the request that creates it, a blueprint's ``schema`` as text; a project's
        blueprints may have ``blueprintName`` instead of ``blueprintArn``.
    :param where: the file, and the member in it.
    """

    name: str
    params: Mapping[str, Any]
    where: str


@dataclass(frozen=True)
class Files:
    """What some files say together."""

    projects: tuple[Wanted, ...]
    blueprints: tuple[Wanted, ...]


def read_files(paths: Sequence[str | Path]) -> Files:
    """
    Read files, which may name each other's blueprints.

    :raises BdaRequestError: lists all that is wrong in any of them.
    """
    problems: list[str] = []
    projects: list[Wanted] = []
    blueprints: list[Wanted] = []
    for path in map(Path, paths):
        try:
            content = _load(path)
        except (OSError, ValueError, RecursionError) as error:
            problems.append(f"{path}: {_reason(error)}.")
            continue
        problems += _unknown_members(path, content)
        if "project" in content:
            projects += _read(content["project"], f"{path}: project", CREATE_PROJECT, problems, path)
        listed = content.get("blueprints", [])
        if not isinstance(listed, list):
            problems.append(f"{path}: blueprints is {shorten(listed)}: it must be a list.")
            continue
        for index, blueprint in enumerate(listed):
            blueprints += _read(blueprint, f"{path}: blueprints[{index}]", CREATE_BLUEPRINT, problems, path)
    problems += [*_repeated(projects), *_repeated(blueprints)]
    if not problems and not projects and not blueprints:
        problems.append(f"{', '.join(map(str, paths)) or 'no file'}: there is neither a project nor a blueprint.")
    if problems:
        raise BdaRequestError("The files cannot be applied.", problems=problems, remedy="Nothing was changed.")
    return Files(tuple(projects), tuple(blueprints))


def blueprint_items(params: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Walk the places where a project names blueprints: each one's path and what stands there."""
    custom = params.get("customOutputConfiguration")
    custom = custom if isinstance(custom, Mapping) else {}
    document = custom.get("document")
    document = document if isinstance(document, Mapping) else {}
    for path, items in (
        ("blueprints", custom.get("blueprints")),
        ("document.fallbackBlueprints", document.get("fallbackBlueprints")),
    ):
        for index, item in enumerate(items if isinstance(items, list) else ()):
            yield f"customOutputConfiguration.{path}[{index}]", item


def same_json(text: str, other: str) -> bool:
    """Whether two schemas say the same, however each is laid out."""
    try:
        return bool(json.loads(text) == json.loads(other))
    except (ValueError, RecursionError):
        return text == other


# -- one file


def _load(path: Path) -> Mapping[str, Any]:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    content = json.loads(data, object_pairs_hook=_members)
    if not isinstance(content, Mapping):
        raise ValueError(f'it holds {shorten(content)}; it must hold an object with "project", "blueprints" or both')  # noqa: TRY004  told with all the others
    return content


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"an object has the member {', '.join(twice)} twice")
    return members


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not JSON: it is not text in UTF-8"
    if isinstance(error, OSError):
        return f"it cannot be read: {error.strerror or error}"
    return str(error)


def _unknown_members(path: Path, content: Mapping[str, Any]) -> Iterator[str]:
    for name in content:
        if name not in _MEMBERS:
            yield f"{path}: {name} is unknown: a file has the members {' and '.join(_MEMBERS)}."


def _repeated(wanted: Iterable[Wanted]) -> Iterator[str]:
    first: dict[str, Wanted] = {}
    for each in wanted:
        earlier = first.setdefault(each.name, each)
        if earlier is not each:
            yield f"{each.where}: the name {each.name!r} is also in {earlier.where}."


# -- one project, one blueprint


def _read(value: Any, where: str, operation: str, problems: list[str], path: Path) -> list[Wanted]:
    """Check one project or blueprint; what is wrong goes to *problems*."""
    params = value
    found: list[Problem] = []
    if isinstance(value, Mapping):
        params = copy.deepcopy(dict(value))
        found += [
            Problem(name, params.pop(name), Rule.SERVICE, reason)
            for name, reason in _NOT_IN_FILES.items()
            if name in params
        ]
        if operation == CREATE_BLUEPRINT:
            found += _put_schema_as_text(params, path.parent)
    checked = copy.deepcopy(params)
    if operation == CREATE_PROJECT and isinstance(value, Mapping):
        found += _replace_names(checked)
    found += find_problems(input_shape(operation, CONTROL_SERVICE), checked, "")
    if found:
        problems += [f"{where}{'.' if problem.path else ''}{_without_end(problem)}." for problem in found]
        return []
    return [Wanted(params["projectName" if operation == CREATE_PROJECT else "blueprintName"], params, where)]


def _without_end(problem: Problem) -> str:
    text = str(problem).removesuffix(".")
    return text if problem.path else text.replace("the request", "", 1)


def _put_schema_as_text(params: dict[str, Any], folder: Path) -> Iterator[Problem]:
    schema = params.get("schema")
    if isinstance(schema, str) and not schema.lstrip().startswith("{"):
        try:
            schema = params["schema"] = _load(folder / schema)
        except (OSError, ValueError, RecursionError) as error:
            valid = f"it must be an object, JSON text, or the name of a JSON file beside this one ({_reason(error)})"
            yield Problem("schema", schema, Rule.SERVICE, valid)
            return
    if isinstance(schema, Mapping):
        params["schema"] = json.dumps(schema, ensure_ascii=False)
    elif isinstance(schema, str):
        try:
            json.loads(schema, object_pairs_hook=_members)
        except (ValueError, RecursionError) as error:
            yield Problem("schema", schema, Rule.SERVICE, _reason(error))


def _replace_names(params: dict[str, Any]) -> Iterator[Problem]:
    """Put an ARN in the place of each blueprint's name, so that the service's model can be asked about the rest."""
    for path, item in blueprint_items(params):
        if not isinstance(item, dict) or "blueprintName" not in item:
            continue
        name = item.pop("blueprintName")
        if not isinstance(name, str):
            yield Problem(f"{path}.blueprintName", name, Rule.TYPE, f"it must be a string, not {type(name).__name__}")
        if "blueprintArn" in item:
            yield Problem(path, name, Rule.UNION, "it must have blueprintName or blueprintArn, not both")
        item["blueprintArn"] = _ANY_ARN
