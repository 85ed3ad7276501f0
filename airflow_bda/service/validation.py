"""
What is wrong with a request, by botocore's own service model: every problem, not the first.

botocore itself checks required members and minima only; patterns, enums, maxima and unions go out as they are.
Nothing here is particular to one operation, so that the emulator refuses with the same rules that the hook checks by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from reprlib import Repr
from typing import TYPE_CHECKING, Any

from airflow_bda.service.model import UPGRADE, botocore_version, input_shape
from airflow_bda.service.patterns import matches

if TYPE_CHECKING:
    from botocore.model import Shape

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 120
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 3


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
    SERVICE = "the service's own, which the model does not hold"


@dataclass(frozen=True)
class Problem:
    """
    One thing that is wrong with a request; its text is a sentence.

    :param path: the member, as in ``blueprints[2].blueprintArn`` or ``tags[0].key``.
    :param value: what stands there; None where the member is missing.
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
    """Give a value's repr, its middle left out where it is long."""
    return _SHORT.repr(value)


def validate(operation: str, params: Any) -> list[Problem]:
    """
    Give all that is wrong with *params* as the input of *operation*.

    :param operation: as the API names it: ``InvokeDataAutomationAsync``.
    :param params: the API's own members, as boto3 takes them or as the wire brings them.
    :raises LookupError: when the installed botocore does not know the operation.
    """
    return list(find_problems(input_shape(operation), params, ""))


def find_problems(shape: Shape, value: Any, path: str) -> Iterator[Problem]:
    """
    Walk *value* along *shape*.

    :param path: where *value* stands; empty at the top.
    """
    expected, python_types = _PYTHON_TYPES.get(shape.type_name, ("a value", (object,)))
    # To Python a bool is an int; to the service it is not.
    if not isinstance(value, python_types) or (isinstance(value, bool) and shape.type_name not in _TAKES_BOOL):
        yield Problem(path, value, Rule.TYPE, f"it must be {expected}, not {type(value).__name__}")
        return
    walk = _WALKS.get(shape.type_name)
    if walk is not None:
        yield from walk(shape, value, path)


def _walk_structure(shape: Shape, value: Mapping[Any, Any], path: str) -> Iterator[Problem]:
    for name in shape.metadata.get("required", ()):
        if name not in value:
            yield Problem(_member(path, name), None, Rule.REQUIRED, "it is required")
    for name, member in value.items():
        if name in shape.members:
            yield from find_problems(shape.members[name], member, _member(path, name))
        else:
            yield Problem(_member(path, name), member, Rule.UNKNOWN, _unknown(shape, name))
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
    too_long_or_short = list(_check_size(shape, value, path, "characters"))
    yield from too_long_or_short
    pattern = shape.metadata.get("pattern")
    # A pattern is not tried on a value of any length: matching may take time that grows faster than it.
    if pattern and not too_long_or_short and not matches(pattern, value):
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


def _member(path: str, name: Any) -> str:
    return f"{path}.{name}" if path else str(name)


def _unknown(shape: Shape, name: Any) -> str:
    return (
        f"botocore {botocore_version()} knows no member {name} of {shape.name} (it knows {', '.join(shape.members)}). "
        f"{UPGRADE.removesuffix('.')} if the service has it by now"
    )


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
_WALKS: dict[str, Callable[[Any, Any, str], Iterator[Problem]]] = {
    "structure": _walk_structure,
    "map": _walk_map,
    "list": _walk_list,
    "string": _walk_string,
    "integer": _walk_number,
    "long": _walk_number,
    "float": _walk_number,
    "double": _walk_number,
}
