"""Wait in the triggerer, where thousands of waits share one client; and defer a task until its job has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from airflow_bda._compat import BaseTrigger, safe_event
from airflow_bda.hooks.bda import BdaHook
from airflow_bda.service.arns import region_of
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.safe_values import SafeLogging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow.triggers.base import TriggerEvent

STILL_RUNNING = "BDA cannot cancel a job: invocation %s keeps running and is billed, though its task was ended."


class ConnectedTrigger(SafeLogging, BaseTrigger):
    """
    Base class of triggers that call BDA: the connection's four arguments, and the form in which Airflow stores them.

    The arguments are a stored format: Airflow keeps them, in clear, while the task is deferred. They hold no secrets.
    """

    def __init__(
        self,
        *,
        aws_conn_id: str | None,
        region_name: str | None,
        verify: bool | str | None,
        botocore_config: dict[str, Any] | None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in Airflow
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def stored_with(self, **arguments: Any) -> tuple[str, dict[str, Any]]:
        """Return the class, and *arguments* with the connection's; what was not set is left out."""
        arguments |= {"region_name": self.region_name, "verify": self.verify, "botocore_config": self.botocore_config}
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            # None means "no connection" here, not "not set".
            "aws_conn_id": self.aws_conn_id,
            **{name: value for name, value in arguments.items() if value is not None},
        }

    def hook_in(self, region_name: str | None) -> BdaHook:
        """Return a hook with the connection parameters of the task that deferred."""
        return BdaHook(
            aws_conn_id=self.aws_conn_id, region_name=region_name, verify=self.verify, config=self.botocore_config
        )


class BdaStatusTrigger(ConnectedTrigger):
    """
    Wait for one data automation job, and fire once with how it ended.

    The arguments are a stored format: Airflow keeps them, in clear, while the task is deferred. They hold no secrets.

    :param invocation_arn: the job.
    :param deadline: when to give up, as an ISO 8601 time with a zone. It is absolute, so that a triggerer that starts
        again does not start the wait again.
    :param poll_interval: seconds between polls; None lets the pauses grow with the job's age.
    :param aws_conn_id: the Airflow connection; as for every operator of the amazon provider.
    :param region_name: the region; None takes the one in *invocation_arn*.
    :param verify: whether, or with which bundle, TLS certificates are verified.
    :param botocore_config: botocore's configuration, as a dictionary. Not the place for a proxy's password.
    """

    def __init__(  # noqa: PLR0913  the connection's four belong to every AWS trigger
        self,
        *,
        invocation_arn: str,
        deadline: str,
        poll_interval: float | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            aws_conn_id=aws_conn_id, region_name=region_name, verify=verify, botocore_config=botocore_config
        )
        self.invocation_arn = invocation_arn
        self.deadline = deadline
        self.poll_interval = poll_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments to make it from again; what was not set is left out."""
        return self.stored_with(
            invocation_arn=self.invocation_arn, deadline=self.deadline, poll_interval=self.poll_interval
        )

    def hook(self) -> BdaHook:
        """Return a hook in the region of the job, unless another one was asked for."""
        return self.hook_in(self.region_name or region_of(self.invocation_arn))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then yield the one event that every mode's end is read from."""
        outcome = await self.hook().outcome_async(
            self.invocation_arn,
            deadline=datetime.fromisoformat(self.deadline),
            poll_interval=self.poll_interval,
            # A task defers only after it has submitted the job, or looked at it. This trigger may have been started
            # again since, by a triggerer that has not seen the connection work.
            has_worked=True,
        )
        yield safe_event(outcome.to_event())

    async def on_kill(self) -> None:
        """Log that the job keeps running: Airflow 3.3 calls this when a user ends the deferred task."""
        self.log.warning(STILL_RUNNING, self.invocation_arn)


def belongs_to_an_earlier_try(context: Mapping[str, Any], deferred_in_try: int | None) -> bool:
    """
    Return whether a task is resumed with the event of an earlier try.

    Airflow 3.0 does not forget, when a task that was deferred fails, how it was to be resumed: all further tries are
    resumed with the first one's event, and would end as it did.

    :param deferred_in_try: which try deferred; None where an older release of this package stored none.
    """
    return deferred_in_try is not None and deferred_in_try != context["ti"].try_number


def check_storable(botocore_config: Mapping[str, Any] | None) -> None:
    """
    Refuse a botocore configuration that holds a secret: Airflow stores a trigger's arguments in clear.

    Any user information in a proxy's URL is refused, in every form that botocore takes: ``user:password@proxy:3128``
    and ``http://TOKEN@proxy`` hold a secret as well.

    :raises BdaRequestError: names the proxy, never its URL.
    """
    if botocore_config is None:
        return
    if not isinstance(botocore_config, Mapping):
        raise _not_storable(f"botocore_config: pass a dictionary, not {type(botocore_config).__name__}.")
    proxies = botocore_config.get("proxies")
    if proxies is not None and not isinstance(proxies, Mapping):
        raise _not_storable(f"botocore_config: proxies is a dictionary of URLs, not {type(proxies).__name__}.")
    for scheme, proxy in (proxies or {}).items():
        # botocore adds a scheme where there is none, so that parsing what is written here would miss some. No URL of a
        # proxy has an @ but behind user information.
        if "@" in unquote(str(proxy)):
            raise BdaRequestError(
                "Airflow stores a trigger's arguments in clear, and these would hold a secret.",
                problems=[f"botocore_config: the {scheme} proxy's URL holds a user name, a password or a token."],
                remedy="Put it in the Airflow connection's extra, under config_kwargs.",
            )


def _not_storable(problem: str) -> BdaRequestError:
    return BdaRequestError("Airflow could not store the arguments of a trigger.", problems=[problem])


# How long before Airflow's time-out the trigger ends the wait: time for its event, and for the task to run again.
_SHARE_BEFORE_TIMEOUT = 0.1
_LONGEST_BEFORE_TIMEOUT = timedelta(seconds=30)
# To check whether Airflow can store a trigger, one is made before the job is known.
_NO_INVOCATION = "arn:aws:bedrock:us-east-1:000000000000:data-automation-invocation/none"


def check_deferral(task: Any, *, poll_interval: float | None) -> None:
    """
    Refuse arguments that Airflow could not store while *task* is deferred. Call it before a job is submitted.

    :raises BdaRequestError: names each argument that cannot be stored, or that holds a secret.
    """
    _, arguments = _trigger(task, _NO_INVOCATION, datetime.now(timezone.utc), poll_interval).serialize()
    problems = [
        # Not the value itself, which may hold a password.
        f"{name}: a task that defers needs plain data here (text, numbers, lists, dictionaries), not {type(value)}."
        for name, value in arguments.items()
        if not _is_plain(value)
    ]
    if problems:
        raise BdaRequestError("The task cannot be deferred; nothing was submitted.", problems=problems)
    check_storable(task.botocore_config)


def defer_until_ended(
    task: Any,
    context: Mapping[str, Any],
    *,
    invocation_arn: str,
    deadline: datetime,
    poll_interval: float | None,
) -> NoReturn:
    """
    Defer an operator or a sensor until a job has ended. It is resumed in its ``execute_complete``.

    :param task: has the four connection parameters of the amazon provider's operators.
    :param deadline: when to give up, timezone-aware.
    :param poll_interval: seconds between polls; None lets the pauses grow with the job's age.
    """
    deadline = _within_execution_timeout(task, context, deadline)
    task.defer(
        trigger=_trigger(task, invocation_arn, deadline, poll_interval),
        method_name="execute_complete",
        kwargs={"deferred_in_try": context["ti"].try_number},
        # Airflow 3 does not hold a deferred task to its execution_timeout.
        timeout=task.execution_timeout,
    )
    raise AssertionError  # defer always raises


def _within_execution_timeout(task: Any, context: Mapping[str, Any], deadline: datetime) -> datetime:
    """
    Move a deadline up to the task's ``execution_timeout``.

    Airflow's own time-out of a deferred task names no job. So the trigger ends the wait a little before: Airflow 2
    counts the time until the task runs again as well, and would fail it before it can say anything.
    """
    allowed: timedelta | None = task.execution_timeout
    if allowed is None:
        return deadline
    started = getattr(context["ti"], "start_date", None) or datetime.now(timezone.utc)
    return min(deadline, started + allowed - min(allowed * _SHARE_BEFORE_TIMEOUT, _LONGEST_BEFORE_TIMEOUT))


def _trigger(task: Any, invocation_arn: str, deadline: datetime, poll_interval: float | None) -> BdaStatusTrigger:
    return BdaStatusTrigger(
        invocation_arn=invocation_arn,
        deadline=deadline.isoformat(),
        poll_interval=poll_interval,
        aws_conn_id=task.aws_conn_id,
        region_name=task.region_name,
        verify=task.verify,
        botocore_config=task.botocore_config,
    )


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
