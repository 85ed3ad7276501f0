"""Requests made from the two service models: valid ones, and for each bound one that breaks it and nothing else."""

from __future__ import annotations

import base64
import http.client
import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import create_parser
from hypothesis import strategies as st

from airflow_bda.service.model import find_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel, Shape

SERVICES = ("bedrock-data-automation", "bedrock-data-automation-runtime")
_SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=0"
)
# Values that are of no use as text that a pattern would take: each pattern refuses one of them at least.
_ODD_TEXTS = ("", "\n", "{}", "ä b", "-", "arn:aws:bedrock", "!" * 20, "!" * 40, "s3://", "x\x00y")


@cache
def model_of(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def operations() -> list[tuple[str, str]]:
    return [(service, name) for service in SERVICES for name in model_of(service).operation_names]


def operation(service: str, name: str) -> OperationModel:
    return model_of(service).operation_model(name)


# -- valid values


def values(  # noqa: PLR0911  one return for each kind of shape
    shape: Shape, known: dict[str, list[str]], *, everything: bool = False
) -> st.SearchStrategy[Any]:
    """
    Return valid values of a shape.

    :param known: values to take, by the name of the shape: ARNs of what is there.
    :param everything: whether each optional member is there.
    """
    if shape.name in known:
        return st.sampled_from(known[shape.name])
    if shape.type_name == "structure":
        return _structures(shape, known, everything=everything)
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "list":
        low = max(low or 0, int(everything))
        most = low + 2 if high is None else min(high, low + 2)
        return st.lists(values(shape.member, known, everything=everything), min_size=low, max_size=most)
    if shape.type_name == "map":
        keys, members = values(shape.key, known), values(shape.value, known)
        return st.dictionaries(keys, members, min_size=low or 1, max_size=(low or 1) + 2)
    if shape.type_name in {"integer", "long"}:
        return st.integers(low if low is not None else -(2**31), high if high is not None else 2**31)
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name == "blob":
        return st.binary(max_size=50).map(lambda data: base64.b64encode(data).decode())
    return _texts(shape)


def _structures(shape: Shape, known: dict[str, list[str]], *, everything: bool) -> st.SearchStrategy[Any]:
    members = {name: values(member, known, everything=everything) for name, member in shape.members.items()}
    if shape.metadata.get("union"):
        return st.one_of([st.fixed_dictionaries({name: member}) for name, member in members.items()])
    required = set(shape.metadata.get("required", ()))
    optional = {name: member for name, member in members.items() if name not in required}
    if everything:
        return st.fixed_dictionaries(members)
    return st.fixed_dictionaries({name: members[name] for name in required}, optional=optional)


def _compiled(pattern: str) -> re.Pattern[str]:
    # Categories of Unicode, which Python's own expressions do not know; their ASCII part will do here.
    ascii_parts = {"L": "a-zA-Z", "N": "0-9", "Z": " "}
    return re.compile(re.sub(r"\\p\{(\w)\}", lambda found: ascii_parts[found[1]], pattern), re.ASCII)


def _texts(shape: Shape) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 100)
    if pattern := shape.metadata.get("pattern"):
        matching = st.from_regex(_compiled(pattern), fullmatch=True)
        return matching.filter(lambda text: low <= len(text) <= high)
    alphabet = st.characters(exclude_categories=("Cs",))
    return st.text(alphabet, min_size=low, max_size=max(low, min(high, low + 50)))


# -- values that break one bound

_NOT_A_LIST = frozenset({"map", "string", "integer", "long", "float", "double", "boolean", "blob", "timestamp"})


def broken(shape: Shape, value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Return, for each bound within a valid value, where it is and the value with that bound broken."""
    if shape.type_name == "structure":
        yield from _broken_structure(shape, value, path)
        return
    yield f"{path}: type", ["x"] if shape.type_name in _NOT_A_LIST else 7
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "list":
        yield from ((f"{path}: too few", value[: low - 1]) for _ in range(bool(low)))
        if high is not None and value:
            yield f"{path}: too many", (value * (high + 1))[: high + 1]
        if value:
            inner = broken(shape.member, value[0], f"{path}[0]")
            yield from ((where, [changed, *value[1:]]) for where, changed in inner)
    elif shape.type_name == "map":
        (key, member), *_ = value.items()
        yield f"{path}: too few", {}
        yield from ((where, {changed: member}) for where, changed in _broken_text(shape.key, f"{path}.key"))
        yield from ((where, {key: changed}) for where, changed in _broken_text(shape.value, f"{path}.value"))
    elif shape.type_name in {"integer", "long"}:
        yield from ((f"{path}: below", low - 1) for _ in range(low is not None))
        yield from ((f"{path}: above", high + 1) for _ in range(high is not None))
    elif shape.type_name == "string":
        yield from _broken_text(shape, path)


def _broken_structure(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if path:
        yield f"{path}: type", "x"
    if shape.metadata.get("union"):
        yield f"{path}: no member", {}
    for name in shape.metadata.get("required", ()):
        if not is_in_path(shape.members[name]):
            yield f"{path}.{name}: missing", {each: member for each, member in value.items() if each != name}
    for name, member in value.items():
        for where, changed in broken(shape.members[name], member, f"{path}.{name}"):
            # What is not text, or empty, cannot stand in a path.
            if not (is_in_path(shape.members[name]) and (not isinstance(changed, str) or not changed.strip("/\n"))):
                yield where, {**value, name: changed}


def _broken_text(shape: Shape, path: str) -> Iterator[tuple[str, str]]:
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max")
    if shape.enum:
        yield f"{path}: enum", "NO_SUCH_WORD"
        return
    if high is not None:
        yield f"{path}: too long", "a" * (high + 1)
    if low:
        yield f"{path}: too short", "a" * (low - 1)
    if pattern := shape.metadata.get("pattern"):
        for text in _ODD_TEXTS:
            if not _compiled(pattern).fullmatch(text) and low <= len(text) and text.isascii():
                yield f"{path}: pattern {text!r}", text


def is_in_path(shape: Shape) -> bool:
    return shape.serialization.get("location") in {"uri", "querystring"}


# -- the wire


@dataclass(frozen=True)
class Reply:
    """
    What came back.

    :param code: the error's code as botocore reads it; None for an answer.
    """

    status: int
    code: str | None
    message: str
    document: Any


def send(url: str, service: str, name: str, params: Any) -> Reply:
    """Send a request as it is, however wrong, and read the answer as botocore does."""
    model = operation(service, name)
    method, path, body, headers = _request(model, params)
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path, body, {"Authorization": _SIGNATURE, **headers})
        response = connection.getresponse()
        content, status, answered = response.read(), response.status, dict(response.getheaders())
    finally:
        connection.close()
    raw = {"status_code": status, "headers": {key.lower(): text for key, text in answered.items()}, "body": content}
    parsed = create_parser(model.metadata["protocol"]).parse(raw, model.output_shape)
    error = parsed.get("Error", {})
    document = json.loads(content) if content else {}
    return Reply(status, error.get("Code") if status >= 300 else None, error.get("Message", ""), document)


def _request(model: OperationModel, params: Any) -> tuple[str, str, bytes, dict[str, str]]:
    headers = {"Content-Type": "application/json"}
    if model.metadata["protocol"] == "json":
        target = f"{model.metadata['targetPrefix']}.{model.name}"
        return "POST", "/", json.dumps(params).encode(), headers | {"X-Amz-Target": target}
    members, path, query = model.input_shape.members, model.http["requestUri"], []
    body = {}
    for key, value in params.items():
        location = members[key].serialization.get("location") if key in members else None
        if location == "uri":
            path = path.replace(f"{{{key}}}", quote(value, safe=""))
        elif location == "querystring":
            query.append(f"{key}={quote(value, safe='')}")
        else:
            body[key] = value
    return model.http["method"], path + ("?" + "&".join(query) if query else ""), json.dumps(body).encode(), headers


def problems_of_answer(service: str, name: str, reply: Reply) -> list[str]:
    """Say what is wrong with an answer: a failure of the emulator's, an error that nobody declared, a wrong member."""
    model = operation(service, name)
    if reply.code is not None:
        declared = {shape.name for shape in model.error_shapes} | {"SerializationException"}
        is_fault = reply.status >= 500 or reply.code not in declared
        return [f"{reply.status} {reply.code}: {reply.message}"] if is_fault else []
    if model.output_shape is None:
        return []
    return [str(problem) for problem in find_problems(model.output_shape, reply.document, "")]
