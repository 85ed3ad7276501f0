"""
From our arguments to the members of InvokeDataAutomationAsync, and what templates do to the values on the way.

A value that a template changed is recognized; it is changed back where the meaning is certain, and else explained. By
default Airflow renders every template to text, so that None becomes ``None`` and a list its repr. With
``render_template_as_native_obj`` it turns what reads as a Python literal into that literal, so that the text ``2026``
becomes a number (https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/operators.html).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from airflow_bda.service.s3 import SCHEME

MEMBER_OF_ARGUMENT: Mapping[str, str] = MappingProxyType(
    {
        "input_s3_uri": "inputConfiguration.s3Uri",
        "video_segment": "inputConfiguration.assetProcessingConfiguration.video.segmentConfiguration.timestampSegment",
        "output_s3_uri": "outputConfiguration.s3Uri",
        "profile_arn": "dataAutomationProfileArn",
        "project_arn": "dataAutomationConfiguration.dataAutomationProjectArn",
        "project_stage": "dataAutomationConfiguration.stage",
        "blueprints": "blueprints",
        "event_bridge_enabled": "notificationConfiguration.eventBridgeConfiguration.eventBridgeEnabled",
        "kms_key_id": "encryptionConfiguration.kmsKeyId",
        "kms_encryption_context": "encryptionConfiguration.kmsEncryptionContext",
        "tags": "tags",
        "client_token": "clientToken",
    }
)
_PATHS = {argument: tuple(path.split(".")) for argument, path in MEMBER_OF_ARGUMENT.items()}


def to_members(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    Put each argument where the API wants it, and turn friendly shapes into the API's.

    A value of a shape that is not known stays as it is, for the check to find.

    :param arguments: by the names of :func:`airflow_bda.service.request.request.build_request`; None leaves one out.
    """
    members: dict[str, Any] = {}
    for argument, (*parents, name) in _PATHS.items():
        value = arguments.get(argument)
        if value is None:
            continue
        structure = members
        for parent in parents:
            structure = structure.setdefault(parent, {})
        structure[name] = _SHAPES.get(argument, as_text)(value)
    return members


def member(members: Any, argument: str) -> Any:
    """Return the value at an argument's place; None where there is none."""
    value = members
    for name in _PATHS[argument]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def argument_of(path: str) -> str:
    """
    Return a member's name as an argument: ``inputConfiguration.s3Uri`` is ``input_s3_uri``, details are kept.

    A path above the arguments' members (an older model lacks the whole structure) is the first argument below it.
    """
    for argument, place in MEMBER_OF_ARGUMENT.items():
        if path == place or path.startswith((f"{place}.", f"{place}[")):
            return argument + path[len(place) :]
    below = (argument for argument, place in MEMBER_OF_ARGUMENT.items() if place.startswith(f"{path}."))
    return next(below, path)


def root(argument_path: str) -> str:
    """Return the argument alone: ``blueprints`` for ``blueprints[2].blueprintArn``."""
    return argument_path.partition("[")[0].partition(".")[0]


# -- friendly shapes


def _without_trailing_slashes(uri: Any) -> Any:
    """Remove trailing slashes, since BDA appends ``/<job id>`` and the keys would contain ``//``."""
    text = as_text(uri)
    if not isinstance(text, str):
        return text
    stripped = text.rstrip("/")
    return stripped if len(stripped) > len(SCHEME) else text


def _timestamps(segment: Any) -> Any:
    ends = as_list(segment)
    if not isinstance(ends, list) or len(ends) != len(("start", "end")):
        return segment
    start, end = (value // timedelta(milliseconds=1) if isinstance(value, timedelta) else value for value in ends)
    return {"startTimeMillis": start, "endTimeMillis": end}


def _blueprints(blueprints: Any) -> Any:
    """Turn ARNs into the API's mappings; a version that was written as a number is taken as text."""
    listed = as_list(blueprints)
    if not isinstance(listed, list):
        return blueprints
    shaped: list[Any] = []
    for item in listed:
        if isinstance(item, Mapping):
            shaped.append({name: as_text(value) for name, value in item.items()})
        else:
            shaped.append({"blueprintArn": item} if isinstance(item, str) else item)
    return shaped


def _texts(mapping: Any) -> Any:
    return {key: as_text(value) for key, value in mapping.items()} if isinstance(mapping, Mapping) else mapping


def _tags(tags: Any) -> Any:
    """Return a mapping's pairs as a list in the order of their keys, so that equal mappings make equal requests."""
    if isinstance(tags, Mapping):
        return [{"key": key, "value": as_text(tags[key])} for key in sorted(tags, key=str)]
    listed = as_list(tags)
    return [_texts(item) for item in listed] if isinstance(listed, list) else tags


_SHAPES: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "output_s3_uri": _without_trailing_slashes,
        "video_segment": _timestamps,
        "blueprints": _blueprints,
        # Whether to send events is a boolean; a number is not converted.
        "event_bridge_enabled": lambda value: value,
        "kms_encryption_context": _texts,
        "tags": _tags,
    }
)


TEMPLATE_REMEDY = "Airflow renders only the arguments that the operator names in its template_fields"
_NATIVE = "set render_template_as_native_obj=True on the DAG"
NONE_AS_TEXT = (
    "A template rendered None to the text 'None': leave the argument out, make the template render a value, or "
    f"{_NATIVE}, which keeps None"
)
_EMPTY = "A template that renders nothing returns an empty text: leave the argument out, or pass None"
_LIST_AS_TEXT = f"A template turned a list or a mapping into text: {_NATIVE}, or pass the value without a template"
_NUMBER = (
    "Native rendering turns a text that reads as a number or a boolean into one, and its spelling is lost: "
    "quote it in the template, \"'{{ ... }}'\", or pass a text"
)
_NONE = "A template renders None for a missing param, variable or XCom: check that it has a value"
_MANY = "For one task an item, as with the output of a mapped task, pass it with .expand(...)"
_NOT_RESOLVED = "It is the output of another task, which Airflow resolves in templated arguments only"


def holds_template(text: str) -> bool:
    """Return whether *text* holds a Jinja template that has not been rendered."""
    return "{{" in text or "{%" in text


def is_none_text(value: Any) -> bool:
    """Return whether *value* is what a template makes of None."""
    return isinstance(value, str) and value.strip() == "None"


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a value, at any depth, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts_in(key)
            yield from texts_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts_in(item)


def as_text(value: Any) -> Any:
    """
    Return the text that *value* was made from, where that is certain; anything else as it is.

    A whole number converts back exactly. A number with a point does not: 1.1 may have been written ``1.10``. An object
    storage path is its URI, without the connection that it names: BDA reads with the permissions of the caller.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    as_uri = getattr(value, "as_uri", None)
    if callable(as_uri) and isinstance(getattr(value, "protocol", None), str):
        scheme, separator, rest = str(as_uri()).partition("://")
        authority, slash, key = rest.partition("/")
        # Airflow 2 leaves the connection in: s3://conn_id@bucket/key.
        return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{key}"
    return value


def as_list(value: Any) -> Any:
    """Return a sequence, such as the output of a mapped task, as a list; anything else as it is."""
    is_sequence = isinstance(value, Sequence) and not isinstance(value, (str, bytes, bytearray))
    return list(value) if is_sequence else value


def explain(value: Any, wanted: str = "text") -> str:
    """
    Say what a template, or a reference to another task, probably did to a value, and the way out.

    :param wanted: ``text``, or what else the argument takes.
    :return: a sentence without its full stop; empty where nothing is known.
    """
    if isinstance(value, str):
        return _explain_text(value)
    # By name: this module works without Airflow.
    if any(base.__name__ == "XComArg" for base in type(value).__mro__):
        return _NOT_RESOLVED
    if wanted != "text":
        return _NONE if value is None else ""
    if value is None:
        return _NONE
    if isinstance(value, (bool, float)):
        return _NUMBER
    return _MANY if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)) else ""


def _explain_text(value: str) -> str:
    if holds_template(value):
        return f"It is an unrendered template. {TEMPLATE_REMEDY}"
    if is_none_text(value):
        return NONE_AS_TEXT
    if not value.strip():
        return _EMPTY
    return _LIST_AS_TEXT if value.strip().startswith(("[", "{", "(")) else ""
