"""
Check the arguments of operators and sensors before use, and read the settings that they default to.

The settings are the ``[bda]`` section of Airflow's configuration. Text stays text while templates render. The members
of a request are checked by :func:`airflow_bda.service.request.request.build_request`, an invocation's ARN by
:func:`airflow_bda.service.arns.check_invocation_arn`; here is what is left, the connection above all.
"""

from __future__ import annotations

import math
import os
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_bda._compat import BaseOperator, conf
from airflow_bda.service.arguments import MEMBER_OF_ARGUMENT, as_text, explain, holds_template, root, to_members
from airflow_bda.service.arns import Queue
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import Rule, shorten
from airflow_bda.service.request.rules import find_request_problems, sentence
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_bda.engine.waiting import WaitLimits

SECTION = "bda"
# Not known: how many status requests per second an account may make. The pace finds that out; this bounds what it takes
# of the triggerer. A call costs some 2 ms of processor time, so 100 a second are a quarter of a core, and ten
# connections, which botocore's pool has, carry no more at a tenth of a second each.
MAX_STATUS_REQUESTS_PER_SECOND = 100.0
# With a longer pause the end of the shortest jobs, of 5 seconds, would be noticed more than a tenth of that too late.
MIN_POLL_INTERVAL = 0.75
MAX_POLL_INTERVAL = 120.0
# One request in a quarter of an hour: with fewer, no job of a day is noticed in time, and the option is a mistake.
_LEAST_REQUESTS_PER_SECOND = 0.001
# Longer is a mistake too, and times beyond the year 9999 cannot be written.
_LONGEST = timedelta(days=36_500)
_NOT_BEGUN = "The wait was not begun."


def wait_limits() -> WaitLimits:
    """
    Read the limits from the ``[bda]`` section.

    :raises BdaRequestError: names the option that has no number that makes sense.
    """
    from airflow_bda.engine.waiting import WaitLimits

    # The fallbacks serve Airflow 2.11, which reads a provider's defaults late.
    rate = _option("max_status_requests_per_second", MAX_STATUS_REQUESTS_PER_SECOND, _LEAST_REQUESTS_PER_SECOND)
    shortest = _option("min_poll_interval", MIN_POLL_INTERVAL)
    longest = _option("max_poll_interval", MAX_POLL_INTERVAL)
    if longest < shortest:
        problem = f"max_poll_interval = {longest:g} is less than min_poll_interval = {shortest:g}."
        raise BdaRequestError("Airflow's configuration is not valid.", problems=[f"[{SECTION}] {problem}"])
    return WaitLimits(max_requests_per_second=rate, min_poll_interval=shortest, max_poll_interval=longest)


def job_events_queue() -> str | None:
    """
    Read the URL of the queue of job events from the ``[bda]`` section; None where there is none.

    :raises BdaRequestError: when it is neither a queue's URL nor its ARN.
    """
    text = (conf.get(SECTION, "job_events_queue", fallback=None) or "").strip()
    if not text:
        return None
    try:
        return Queue.parse(text).url
    except ValueError:
        raise BdaRequestError(
            "Airflow's configuration is not valid.",
            problems=[f"[{SECTION}] job_events_queue = {text} must be the URL or the ARN of a queue of SQS."],
        ) from None


def _option(name: str, default: float, least: float = 0.0) -> float:
    text = conf.get(SECTION, name, fallback=None)
    try:
        value = default if text in (None, "") else float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not (math.isfinite(value) and 0.0 < value >= least):
        wanted = f"at least {least:g}" if least else "more than 0"
        raise BdaRequestError(
            "Airflow's configuration is not valid.",
            problems=[f"[{SECTION}] {name} = {text} must be a number, {wanted}."],
        )
    return value


def in_seconds(poll_interval: float | timedelta | None) -> float | None:
    """
    Return a pause between polls in seconds; None stays None.

    :raises BdaRequestError: when it is not a number of seconds, or not more than zero.
    """
    return None if poll_interval is None else seconds_of("poll_interval", poll_interval)


def seconds_of(name: str, value: Any, *, may_be_zero: bool = False) -> float:
    """
    Return a duration in seconds.

    :param name: the argument's name, for the error.
    :param value: a number of seconds, or a timedelta.
    :raises BdaRequestError: when it is neither, or makes no sense.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds < 0 or (seconds == 0 and not may_be_zero):
        wanted = "0 or more" if may_be_zero else "more than 0"
        problem = f"{name}={value!r}: pass seconds as a number, or a timedelta, of {wanted}."
    elif seconds > _LONGEST.total_seconds():
        problem = f"{name}={value!r}: the longest is {_LONGEST.days} days."
    else:
        return float(seconds)
    raise BdaRequestError(_NOT_BEGUN, problems=[problem])


def deadline_after(name: str, value: Any, *, may_be_zero: bool = False) -> datetime:
    """
    Return the time, with a zone, at which a duration from now has passed.

    :raises BdaRequestError: as :func:`seconds_of`.
    """
    return datetime.now(timezone.utc) + timedelta(seconds=seconds_of(name, value, may_be_zero=may_be_zero))


_SYNCHRONOUS = "RequestResponse"


class TaskArguments(BaseOperator):
    """Base class of operators and sensors whose arguments are checked by :meth:`check_arguments`."""

    # The checks of the arguments that only this class has, or that mean something else to it. Each returns the value in
    # the form that it is used in, or raises a ValueError that says what the value must be.
    argument_checks: ClassVar[Mapping[str, Callable[[Any], Any]]] = MappingProxyType({})

    def render_template(self, content: Any, context: Context, *args: Any, **kwargs: Any) -> Any:
        """
        Render a value; a text that native rendering would turn into a number or a boolean stays text.

        ``1.10`` is not ``1.1`` in a tag, and no argument takes such a value where it could not be read from text.
        """
        rendered = super().render_template(content, context, *args, **kwargs)
        if not isinstance(content, str) or not isinstance(rendered, (bool, int, float)):
            return rendered
        dag = self.get_dag()
        if dag is None or not holds_template(content):
            return content
        template = dag.get_template_env(force_sandboxed=True).from_string(content)
        # Shared, as in Airflow's own rendering: a copy would evaluate every lazy value of the context.
        names: Any = ChainMap(context, template.globals)  # type: ignore[arg-type]  # a context is a typed dictionary
        return "".join(template.root_render_func(template.new_context(names, shared=True)))

    def check_arguments(self, *, with_request: bool = False) -> None:
        """
        Check the arguments that are not members of a request, and put each into the form that it is used in.

        :param with_request: whether to check the request's members too, for a task that builds no request.
        :raises BdaRequestError: lists all that is wrong, each with the argument's name.
        """
        problems = []
        for name, check in {**_CHECKS, **self.argument_checks}.items():
            # Airflow's sensors have a max_wait of their own, for the pauses between pokes.
            if hasattr(self, name) and not (name == "max_wait" and hasattr(self, "poke_interval")):
                value = getattr(self, name)
                try:
                    checked = check(value)
                except ValueError as error:
                    problems.append(f"{name} is {shorten(value)}: {error}.")
                else:
                    setattr(self, name, checked)
        if with_request:
            problems += self._problems_of_request()
        if problems:
            count = f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}"
            raise BdaRequestError(f"The task has invalid arguments: {count}.", problems=problems)

    def _problems_of_request(self) -> list[str]:
        values = {name: getattr(self, name, None) for name in MEMBER_OF_ARGUMENT}
        given = {name: value for name, value in values.items() if value is not None and value not in ((), [])}
        return [
            sentence(problem)
            for problem in find_request_problems(to_members(given))
            # Problems that depend on other arguments, or on sending a request, are left out here.
            if root(problem.path) in given and problem.rule not in {Rule.SERVICE, Rule.REQUIRED}
        ]


def blueprint_arns(blueprints: Any) -> tuple[str, ...]:
    """Return the ARNs of blueprints that were checked, however each is written."""
    members = to_members({"blueprints": blueprints or None})
    return tuple(blueprint["blueprintArn"] for blueprint in members.get("blueprints", ()))


def required_text(value: Any) -> str:
    """Check a text."""
    text = as_text(value)
    explained = explain(text)
    if explained:
        raise ValueError(f"it must be a text. {explained}")
    if not isinstance(text, str):
        raise ValueError(f"it must be a text, not {type(value).__name__}")  # noqa: TRY004  told with all the others
    return text


def optional_text(value: Any) -> str | None:
    """Check a text that may be None."""
    return None if value is None else required_text(value)


def s3_uri(value: Any, *, of_object: bool = False) -> str:
    """
    Check an S3 URI.

    :param of_object: whether it must name an object; else a bucket or a prefix will do.
    """
    text = required_text(value)
    try:
        place = S3Uri.parse(text)
    except ValueError:
        place = None
    if place is None or (of_object and not place.key):
        raise ValueError("it is not an S3 URI; expected s3://bucket/key")
    return text


def list_of(value: Any, check: Callable[[Any], Any]) -> list[Any]:
    """
    Check each item of a list, or of the output of a mapped task, and return them as a list.

    Airflow fetches the output of a mapped task one XCom at a time, and again each time that it is gone through.
    """
    is_list = isinstance(value, Iterable) and not isinstance(value, (str, bytes, bytearray, Mapping))
    if not is_list or explain(value, "list"):
        raise ValueError(with_cause("it must be a list", value, "list"))
    position, item, checked = 0, None, []
    try:
        for position, item in enumerate(value):  # noqa: B007  the error names the item that it stopped at
            checked.append(check(item))
    except ValueError as error:
        raise ValueError(f"item {position} is {shorten(item)}: {error}") from None
    return checked


def one_of(*words: str) -> Callable[[Any], str]:
    """Return the check of an argument that takes one of a few words."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError(with_cause(f"it must be one of {', '.join(words)}", value, "word"))
        return value

    return check


def number(value: Any, wanted: str, *, fits: Callable[[float], bool]) -> Any:
    """
    Check a number; a boolean is not one.

    :param wanted: what it must be, for the error.
    :param fits: whether a number is such a one. NaN, which compares to nothing, should not be.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not fits(value):
        raise ValueError(with_cause(f"it must be {wanted}", value, "number"))
    return value


def _path_as_text(value: Any) -> Any:
    # The rest is for the check of the request.
    return as_text(value)


def _segment(value: Any) -> Any:
    """Return a video segment; templates render its milliseconds as text, which is converted."""
    if not isinstance(value, Mapping):
        return value
    return {
        name: int(item) if isinstance(item, str) and item.isascii() and item.isdigit() else item
        for name, item in value.items()
    }


def _verify(value: Any) -> bool | str | None:
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if value is None or isinstance(value, bool):
        return value
    if value in ("True", "False"):  # as a template renders them; a certificate bundle has another name
        return bool(value == "True")
    if isinstance(value, (int, float)):
        raise ValueError("it must be True, False or the path of a certificate bundle")  # noqa: TRY004  as above
    return required_text(value)


def _botocore_config(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return dict(value)
    # botocore's Config keeps what it was made from; a task that is deferred needs it as plain data.
    options = getattr(value, "_user_provided_options", None)
    if not isinstance(options, Mapping):
        raise ValueError(with_cause("it must be a dictionary of botocore's options", value, "mapping"))  # noqa: TRY004
    return dict(options)


def flag(value: Any) -> bool:
    """Check a boolean; a text or a number is not one."""
    if not isinstance(value, bool):
        raise ValueError(with_cause("it must be True or False", value, "flag"))  # noqa: TRY004  as above
    return value


def _poll_interval(value: Any) -> float | None:
    return None if value is None else _seconds(value)


def _max_wait(value: Any) -> timedelta:
    return timedelta(seconds=_seconds(value))


def _seconds(value: Any) -> float:
    try:
        return seconds_of("it", value)
    except BdaRequestError:
        wanted = "it must be seconds, as a number or a timedelta, of more than 0 and less than a hundred years"
        raise ValueError(with_cause(wanted, value, "number")) from None


def with_cause(wanted: str, value: Any, kind: str) -> str:
    """Return what a value must be, and what a template probably did to it where that is known."""
    explained = explain(value, kind)
    return f"{wanted}. {explained}" if explained else wanted


def _unused_payload(value: Any) -> None:
    if value is not None:
        raise ValueError("it is of no use here, since the event is made from the other arguments. Leave it out")


def _invocation_type(value: Any) -> None:
    if value not in (None, _SYNCHRONOUS):
        raise ValueError(f"the function's answer is needed, so it is always {_SYNCHRONOUS}. Leave it out")


_CHECKS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "aws_conn_id": optional_text,
        "region_name": optional_text,
        "verify": _verify,
        "botocore_config": _botocore_config,
        "input_s3_uri": _path_as_text,
        "output_s3_uri": _path_as_text,
        "video_segment": _segment,
        "reattach": flag,
        "wait_for_completion": flag,
        "deferrable": flag,
        "write_probe": flag,
        "poll_interval": _poll_interval,
        "max_wait": _max_wait,
        "timeout": _seconds,
        "function_name": required_text,
        "qualifier": optional_text,
        "invocation_type": _invocation_type,
        "payload": _unused_payload,
    }
)
