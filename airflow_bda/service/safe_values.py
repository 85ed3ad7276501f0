"""
Make values from outside safe to log, to store and to send between Airflow's processes.

A message of a queue, an error text of the service or an answer of a function may hold anything that JSON can spell. A
lone surrogate (half of an emoji) cannot be encoded as UTF-8: one ends Airflow's triggerer, with every wait in it. NaN,
Infinity and the character NUL are refused by Postgres. A text of megabytes becomes a row of the metadata database.

So every payload of a trigger, every error and every log line of this package passes through here: where it enters
(:class:`~airflow_bda.service.statuses.JobState`, :class:`~airflow_bda.service.events.JobEvent`, the answers of clients)
and once more where it leaves (:func:`airflow_bda._compat.safe_event`, :class:`SafeLogger`).
"""

from __future__ import annotations

import logging
import math
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import date, time, timedelta
from enum import Enum
from typing import Any

# One text: ten times the longest message that AWS services are known to send.
LONGEST_TEXT = 8_000
# A whole payload or log line, all of its texts together. Airflow keeps payloads in its database.
MOST_CHARACTERS = 32_000
MOST_ITEMS = 1_000
DEEPEST_NESTING = 16
# What msgpack, in which Airflow's processes talk, and the databases hold.
_INTEGERS = range(-(2**63), 2**63)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Tab and the ends of lines are text; the others steer terminals, or are refused by Postgres.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LEFT_OUT = "... ({} characters left out)"
_TOO_DEEP = "... (nested too deep)"


def encodable(text: str) -> str:
    """Return a text that UTF-8 can encode: lone surrogates are replaced, pairs of them joined."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def safe_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """
    Return a text that can be logged and stored: encodable, without control characters, and not too long.

    :param longest: how many characters may stay; the end says how many were left out.
    """
    text = value if isinstance(value, str) else str(value)
    left_out = len(text) - longest
    if left_out > 0:
        text = text[:longest]
    text = _CONTROLS.sub(_REPLACEMENT, encodable(text))
    return f"{text}{_LEFT_OUT.format(left_out)}" if left_out > 0 else text


def safe_number(value: Any) -> int | float | None:
    """Return a number that JSON and databases can hold; None for NaN, an infinity, or a whole number over 64 bits."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int):
        return value if value in _INTEGERS else None
    return value if math.isfinite(value) else None


def safe_value(value: Any) -> Any:
    """
    Return plain data that JSON, msgpack and databases can hold, of bounded size.

    Mappings, lists, texts, numbers, booleans, None and times stay what they are; anything else becomes its text.
    """
    return _Copier().copy(value, DEEPEST_NESTING)


class _Copier:
    """Copies one value, within a limit for all of its characters and one for its items."""

    def __init__(self) -> None:
        self._characters = MOST_CHARACTERS
        self._items = MOST_ITEMS

    def copy(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, (bool, date, time, timedelta)):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, Enum):
            return safe_number(value)
        if isinstance(value, (Mapping, list, tuple, set, frozenset)):
            return self._copy_items(value, depth - 1) if depth else self._text(_TOO_DEEP)
        return self._text(value)

    def _copy_items(self, value: Any, depth: int) -> Any:
        copied: list[Any] = []
        keys: list[str] = []
        for item in value:
            if not self._items:
                break
            self._items -= 1
            if isinstance(value, Mapping):
                keys.append(self._text(item))
            copied.append(self.copy(value[item] if isinstance(value, Mapping) else item, depth))
        return dict(zip(keys, copied, strict=True)) if isinstance(value, Mapping) else copied

    def _text(self, value: object) -> str:
        text = safe_text(value, min(LONGEST_TEXT, self._characters))
        self._characters = max(0, self._characters - len(text))
        return text


def make_responses_encodable(client: Any) -> Any:
    """
    Have a client of boto3 or aiobotocore replace lone surrogates in all that it parses, before anybody reads it.

    So the errors that botocore makes of answers, as shown in tracebacks, are safe as well. Lengths stay: the body of
    a message or a list of keys must not be cut.

    :return: the client.
    """
    client.meta.events.register("after-call", make_encodable, unique_id="airflow-bda-encodable")
    return client


def make_encodable(parsed: Any, **_: Any) -> None:
    """Replace lone surrogates in an answer as botocore parsed it, in place; a handler of its event ``after-call``."""
    waiting = [parsed]
    while waiting:
        value = waiting.pop()
        pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        for key, item in pairs:
            if isinstance(item, str):
                value[key] = encodable(item)
            elif isinstance(item, (dict, list)):
                waiting.append(item)


class SafeLogger:
    """
    A logger whose lines are safe, whatever their arguments hold.

    :param logger: the standard library's or structlog's; what is not a level's method is passed on to it.
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)

    def debug(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log details for debugging."""
        self._log("debug", message, args, kwargs)

    def info(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log progress."""
        self._log("info", message, args, kwargs)

    def warning(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log a warning."""
        self._log("warning", message, args, kwargs)

    def error(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log an error."""
        self._log("error", message, args, kwargs)

    def exception(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log an error, with the traceback."""
        self._log("error", message, args, {"exc_info": True, **kwargs})

    def _log(self, level: str, message: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        line = safe_text(_formatted(str(message), args), MOST_CHARACTERS)
        shown = _traceback_of(kwargs["exc_info"]) if kwargs.get("exc_info") else ""
        if len(shown) > MOST_CHARACTERS or encodable(shown) is not shown:
            line = safe_text(f"{line}\n{shown}", MOST_CHARACTERS)
            kwargs = {name: value for name, value in kwargs.items() if name != "exc_info"}
        if isinstance(self._logger, logging.Logger):
            # The line is the caller's, not this module's.
            getattr(self._logger, level)(line, stacklevel=3, **kwargs)
        else:
            others = {name: value if name == "exc_info" else safe_value(value) for name, value in kwargs.items()}
            getattr(self._logger, level)(line, **others)


def _formatted(message: str, args: tuple[Any, ...]) -> str:
    if not args:
        return message
    try:
        # As the standard library does: one mapping is for ``%(name)s``.
        return message % (args[0] if len(args) == 1 and isinstance(args[0], Mapping) and args[0] else args)
    except (TypeError, ValueError, KeyError):
        return f"{message} {args!r}"


def _traceback_of(exc_info: Any) -> str:
    if isinstance(exc_info, BaseException):
        return "".join(traceback.format_exception(exc_info))
    kind, error, frames = exc_info if isinstance(exc_info, tuple) else sys.exc_info()
    return "".join(traceback.format_exception(kind, error, frames)) if error else ""


def safe_logger(name: str) -> SafeLogger:
    """Return the logger of a module; ``logging.getLogger`` is not to be used in what runs inside Airflow."""
    return SafeLogger(logging.getLogger(name))


class SafeLogging:
    """Make the log of a hook, operator, sensor or trigger safe; put it before Airflow's class among the bases."""

    @property
    def log(self) -> Any:
        """Airflow's log of this object."""
        return SafeLogger(super().log)  # type: ignore[misc]  # the next base has one
