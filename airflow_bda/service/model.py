r"""
BDA's two APIs as the installed botocore models them, and what is wrong with a request by that model.

botocore itself checks required members and minima only; patterns, enums, maxima and unions go out unchecked. Nothing
here is specific to one operation, so the emulator refuses by the same rules that the hook checks with.

Patterns are matched with Python's ``re``. The model's patterns are Smithy's
(https://smithy.io/2.0/spec/constraint-traits.html#pattern-trait) and differ in one thing that BDA uses: Unicode
categories, ``\p{L}``. A library that reads them would have to be compiled into the Lambda zip, so a category is
replaced by those characters of the value that belong to it.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from airflow_bda.service.errors import BdaRequestError

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape, StructureShape

SERVICE = "bedrock-data-automation-runtime"
# Projects and blueprints.
CONTROL_SERVICE = "bedrock-data-automation"
INVOKE = "InvokeDataAutomationAsync"
INVOKE_SYNC = "InvokeDataAutomation"
GET_STATUS = "GetDataAutomationStatus"
UPGRADE = "Upgrade boto3 and botocore."

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 3

# An escaped character is read as one piece, so that "\\p{L}" (a backslash, then "p{L}") stays as it is.
_PIECE = re.compile(r"\\(?P<kind>[pP])\{(?P<category>[A-Za-z]+)\}|\\.|\[|\]|.", re.DOTALL)


# -- the model


def service_model(service: str = SERVICE) -> ServiceModel:
    """
    Return a service's model, without a client, credentials or a region; it is loaded once.

    :param service: ``SERVICE``, or ``CONTROL_SERVICE``.
    :raises BdaRequestError: when the installed botocore is older than the service.
    """
    return load_model(service)


@cache
def load_model(service: str) -> ServiceModel:
    """Load a service's model; see :func:`service_model`."""
    # botocore is imported late here and below: a DAG file that names an operator should not pay for it.
    from botocore.exceptions import UnknownServiceError
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    try:
        description = Loader().load_service_model(service, "service-2")
    except UnknownServiceError:
        raise BdaRequestError(
            f"botocore {botocore_version()} does not know the service {service}.", remedy=UPGRADE
        ) from None
    return ServiceModel(description, service)


def botocore_version() -> str:
    """Return the version of the installed botocore, whose model decides what is valid."""
    from botocore import __version__

    return str(__version__)


def input_shape(operation: str, service: str = SERVICE) -> StructureShape:
    """
    Return the shape of an operation's input.

    :param operation: as the API names it: ``InvokeDataAutomationAsync``.
    :raises LookupError: when the installed botocore does not know the operation.
    """
    model = service_model(service)
    if operation not in model.operation_names:
        raise LookupError(f"botocore {botocore_version()} has no operation {operation!r} of {service}. {UPGRADE}")
    return model.operation_model(operation).input_shape


# -- what is wrong with a request


class Rule(str, Enum):
    """Which of the model's rules a value breaks."""

    REQUIRED = "required"
    UNKNOWN = "unknown member"
    TYPE = "type"
    UNION = "union"
    PATTERN = "pattern"
    ENUM = "enum"
    LENGTH = "length"
    RANGE = "range"
    SERVICE = "a rule of the service that its model does not hold"
    TEMPLATE = "a template spoiled the value"


@dataclass(frozen=True)
class Problem:
    """
    One thing that is wrong with a request; its text is a sentence.

    :param path: the member, as in ``blueprints[2].blueprintArn`` or ``tags[0].key``.
    :param value: the value there; None where the member is missing.
    :param rule: the rule that it breaks.
    :param valid: what would be valid, as the end of a sentence.
    """

    path: str
    value: Any
    rule: Rule
    valid: str

    def __str__(self) -> str:
        if self.rule is Rule.REQUIRED:
            return f"{self.path} is missing: {self.valid}."
        return f"{self.path or 'the request'} is {shorten(self.value)}: {self.valid}."


def shorten(value: Any) -> str:
    """Return a value's repr, its middle left out where it is long."""
    return _SHORT.repr(value)


def validate(operation: str, params: Any) -> list[Problem]:
    """
    Return all that is wrong with *params* as the input of *operation*.

    :param operation: as the API names it: ``InvokeDataAutomationAsync``.
    :param params: the API's own members, as boto3 takes them or as they arrive in a request.
    :raises LookupError: when the installed botocore does not know the operation.
    """
    return list(find_problems(input_shape(operation), params, ""))


def find_problems(shape: Shape, value: Any, path: str) -> Iterator[Problem]:
    """
    Compare *value* with *shape*, and yield every problem found.

    :param path: where *value* is; empty at the top.
    """
    expected, python_types = _PYTHON_TYPES.get(shape.type_name, ("a value", (object,)))
    # To Python a bool is an int; to the service it is not.
    if not isinstance(value, python_types) or (isinstance(value, bool) and shape.type_name not in _TAKES_BOOL):
        yield Problem(path, value, Rule.TYPE, f"it must be {expected}, not {type(value).__name__}")
        return
    validator = _VALIDATORS.get(shape.type_name)
    if validator is not None:
        yield from validator(shape, value, path)


def _walk_structure(shape: Shape, value: Mapping[Any, Any], path: str) -> Iterator[Problem]:
    prefix = f"{path}." if path else ""
    for name in shape.metadata.get("required", ()):
        if name not in value:
            yield Problem(f"{prefix}{name}", None, Rule.REQUIRED, "it is required")
    for name, member in value.items():
        if name in shape.members:
            yield from find_problems(shape.members[name], member, f"{prefix}{name}")
            continue
        unknown = (
            f"botocore {botocore_version()} knows no member {name} of {shape.name} (it knows "
            f"{', '.join(shape.members)}). {UPGRADE.removesuffix('.')} if the service has it by now"
        )
        yield Problem(f"{prefix}{name}", member, Rule.UNKNOWN, unknown)
    if shape.metadata.get("union") and len(value) != 1:
        yield Problem(path, value, Rule.UNION, f"exactly one of {', '.join(shape.members)} must be given")


def _walk_list(shape: Shape, value: Sequence[Any], path: str) -> Iterator[Problem]:
    yield from _check_size(shape, value, path, "items")
    for index, member in enumerate(value):
        yield from find_problems(shape.member, member, f"{path}[{index}]")


def _walk_map(shape: Shape, value: Mapping[Any, Any], path: str) -> Iterator[Problem]:
    yield from _check_size(shape, value, path, "entries")
    for key, member in value.items():
        entry = f"{path}[{shorten(key)}]"
        yield from find_problems(shape.key, key, f"{entry} (the key)")
        yield from find_problems(shape.value, member, entry)


def _walk_string(shape: Shape, value: str, path: str) -> Iterator[Problem]:
    if shape.enum and value not in shape.enum:
        yield Problem(path, value, Rule.ENUM, f"it must be one of {', '.join(shape.enum)}")
    wrong_size = list(_check_size(shape, value, path, "characters"))
    yield from wrong_size
    pattern = shape.metadata.get("pattern")
    # A pattern is not tried on a value of any length: matching may take time that grows faster than the value.
    if pattern and not wrong_size and not matches(pattern, value):
        yield Problem(path, value, Rule.PATTERN, f"it must match {pattern}")


def _walk_number(shape: Shape, value: float, path: str) -> Iterator[Problem]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and value < low) or (high is not None and value > high):
        yield Problem(path, value, Rule.RANGE, f"it must be {_bounds(low, high)}")


def _check_size(shape: Shape, value: Any, path: str, unit: str) -> Iterator[Problem]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    size = len(value)
    if (low is not None and size < low) or (high is not None and size > high):
        yield Problem(path, value, Rule.LENGTH, f"it has {size} {unit} and must have {_bounds(low, high)}")


def _bounds(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"at least {low}" if high is None else f"at most {high}"
    return f"{low} to {high}"


# A blob is bytes to boto3 and base64 text on the wire; a timestamp is what botocore's parser of times takes.
_PYTHON_TYPES: dict[str, tuple[str, tuple[type, ...]]] = {
    "structure": ("a mapping", (Mapping,)),
    "map": ("a mapping", (Mapping,)),
    "list": ("a list", (list, tuple)),
    "string": ("a string", (str,)),
    "boolean": ("True or False", (bool,)),
    "integer": ("a whole number", (int,)),
    "long": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
    "double": ("a number", (int, float)),
    "blob": ("bytes", (bytes, bytearray, str)),
}
_TAKES_BOOL = frozenset({"boolean", "timestamp"})
_VALIDATORS: dict[str, Callable[[Any, Any, str], Iterator[Problem]]] = {
    "structure": _walk_structure,
    "map": _walk_map,
    "list": _walk_list,
    "string": _walk_string,
    "integer": _walk_number,
    "long": _walk_number,
    "float": _walk_number,
    "double": _walk_number,
}


# -- patterns


def matches(pattern: str, value: str) -> bool:
    """
    Return whether the whole of *value* matches *pattern*.

    A pattern that Python cannot read matches everything: the service checks again.

    :param pattern: as the service model has it; the service anchors it at both ends.
    """
    pieces = _split_pattern(pattern)
    try:
        if isinstance(pieces, re.Pattern):
            return pieces.fullmatch(value) is not None
        spelled_out = "".join(piece if isinstance(piece, str) else piece.characters_of(value) for piece in pieces)
        return re.compile(spelled_out, re.ASCII).fullmatch(value) is not None
    except re.error:
        return True


@dataclass(frozen=True)
class _Category:
    """
    A Unicode category in a pattern.

    :param name: as ``unicodedata`` has it, or its first letter.
    :param inverted: whether what is *not* in it is meant.
    :param in_class: whether it is between square brackets.
    """

    name: str
    inverted: bool
    in_class: bool

    def characters_of(self, value: str) -> str:
        """Return a class of the characters of *value* that match, or the part of one."""
        characters = {
            character
            for character in value
            if unicodedata.category(character).startswith(self.name) is not self.inverted
        }
        # An empty class is a syntax error to Python: a character that the value does not hold takes its place.
        absent = next(character for point in range(sys.maxunicode, 0, -1) if (character := chr(point)) not in value)
        body = re.escape("".join(sorted(characters))) or absent
        return body if self.in_class else f"[{body}]"


@cache
def _split_pattern(pattern: str) -> re.Pattern[str] | tuple[str | _Category, ...]:
    """Compile a pattern, or split it at its Unicode categories; there are few patterns, and many values."""
    pieces: list[str | _Category] = [""]
    in_class = False
    for match in _PIECE.finditer(pattern):
        text = match.group()
        if match["kind"]:
            pieces += [_Category(match["category"], inverted=match["kind"] == "P", in_class=in_class), ""]
            continue
        if text in {"[", "]"}:
            in_class = text == "["
        pieces[-1] = f"{pieces[-1]}{text}"
    if len(pieces) > 1:
        return tuple(pieces)
    try:
        # ASCII, because \w, \d and \s mean only that to the service.
        return re.compile(pattern, re.ASCII)
    except re.error:
        return tuple(pieces)
