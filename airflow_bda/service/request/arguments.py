"""From our arguments to the members of InvokeDataAutomationAsync, and from a member's path back to the argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from airflow_bda.service.request.templates import as_list, as_text
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
    """Return what stands at an argument's place; None where nothing does."""
    value = members
    for name in _PATHS[argument]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def argument_of(path: str) -> str:
    """
    Name a member as the user knows it: ``inputConfiguration.s3Uri`` is ``input_s3_uri``, details are kept.

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
    """Strip them, since BDA appends ``/<job id>`` and the keys would hold ``//``."""
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
        # Whether to send events is no text, and a number is no answer to it.
        "event_bridge_enabled": lambda value: value,
        "kms_encryption_context": _texts,
        "tags": _tags,
    }
)
