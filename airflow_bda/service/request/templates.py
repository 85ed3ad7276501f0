"""
What templates do to the values of arguments: recognize it, undo it where the meaning is certain, else explain it.

By default Airflow renders every template to text, so that None becomes ``None`` and a list its repr. With
``render_template_as_native_obj`` it turns whatever reads as a Python literal into that literal, so that the text
``2026`` becomes a number (https://airflow.apache.org/docs/apache-airflow/stable/core-concepts/operators.html).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

TEMPLATE_REMEDY = "Airflow renders only the arguments that the operator names in its template_fields"
_NATIVE = "set render_template_as_native_obj=True on the DAG"
NONE_AS_TEXT = (
    "A template rendered None to the text 'None': leave the argument out, give the template a value, or "
    f"{_NATIVE}, which keeps None"
)
_EMPTY = "A template that renders nothing gives an empty text: leave the argument out, or pass None"
_LIST_AS_TEXT = f"A template turned a list or a mapping into text: {_NATIVE}, or pass the value without a template"
_NUMBER = (
    "Native rendering turns a text that reads as a number or a boolean into one, and its spelling is lost: "
    "quote it in the template, \"'{{ ... }}'\", or pass a text"
)
_NONE = "None is what a template gives for a missing param, variable or XCom: check that it has a value"
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
    Return the text that *value* certainly stands for; anything else as it is.

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
