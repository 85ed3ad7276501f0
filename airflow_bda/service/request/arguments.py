"""From our arguments to the members of InvokeDataAutomationAsync, and from a member's path back to the argument."""

from __future__ import annotations

from collections.abc import Mapping
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
REQUIRED_ARGUMENTS = frozenset({"input_s3_uri", "output_s3_uri", "profile_arn"})


def to_members(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """
    Put each argument where the API wants it, the friendly shapes turned into the API's.

    What has no shape that is known here stays as it is, for the check to find.

    :param arguments: by the names of :func:`airflow_bda.service.request.request.build_request`; None leaves one out.
    """
    members: dict[str, Any] = {}
    for argument, path in MEMBER_OF_ARGUMENT.items():
        value = arguments.get(argument)
        if value is not None or argument in REQUIRED_ARGUMENTS:
            shape = _SHAPES.get(argument)
            _put(members, path, value if shape is None else shape(value))
    return members


def member(members: Mapping[str, Any], argument: str) -> Any:
    """Give what stands at an argument's place; None where nothing does."""
    value: Any = members
    for name in MEMBER_OF_ARGUMENT[argument].split("."):
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
    for argument, place in MEMBER_OF_ARGUMENT.items():
        if place.startswith(f"{path}."):
            return argument
    return path


def root(argument_path: str) -> str:
    """Give the argument alone: ``blueprints`` for ``blueprints[2].blueprintArn``."""
    return argument_path.partition("[")[0].partition(".")[0]


def _put(members: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    for parent in parents:
        members = members.setdefault(parent, {})
    members[name] = value


def _without_trailing_slashes(uri: Any) -> Any:
    """BDA appends ``/<job id>``: a prefix that ends in a slash would get keys with ``//``."""
    if not isinstance(uri, str):
        return uri
    stripped = uri.rstrip("/")
    return stripped if len(stripped) > len(SCHEME) else uri


def _timestamps(segment: Any) -> Any:
    if isinstance(segment, (tuple, list)) and len(segment) == len(("start", "end")):
        return dict(zip(("startTimeMillis", "endTimeMillis"), map(_milliseconds, segment), strict=True))
    return segment


def _milliseconds(value: Any) -> Any:
    return value // timedelta(milliseconds=1) if isinstance(value, timedelta) else value


def _blueprints(blueprints: Any) -> Any:
    if not isinstance(blueprints, (list, tuple)):
        return blueprints
    return [{"blueprintArn": item} if isinstance(item, str) else item for item in blueprints]


def _tags(tags: Any) -> Any:
    """Give a mapping's pairs as a list; two mappings that are equal make the same request."""
    if not isinstance(tags, Mapping):
        return tags
    return [{"key": key, "value": tags[key]} for key in sorted(tags, key=str)]


_SHAPES = {
    "output_s3_uri": _without_trailing_slashes,
    "video_segment": _timestamps,
    "blueprints": _blueprints,
    "tags": _tags,
}
