"""
Where Airflow 2 differs from 3, and one amazon provider from another. No other module asks for a version.

``airflow.providers.common.compat.sdk`` would do most of this, but the provider versions of Airflow 3.0.6 on MWAA do not
have it. The amazon provider's base classes are marked "for internal usage": a change in them is dealt with here.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow import __version__ as _airflow_version
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.sensors.base_aws import AwsBaseSensor
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_bda.service.safe_values import safe_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from airflow.sdk import BaseOperator, BaseOperatorLink, PokeReturnValue, conf
    from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
    from airflow.triggers.base import BaseEventTrigger
    from airflow.triggers.shared_stream import SharedStreamProducer
else:
    try:  # Airflow 3.1 and later
        from airflow.sdk import conf
    except ImportError:
        from airflow.configuration import conf
    try:  # Airflow 3.1 and later
        from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
    except ImportError:
        from airflow.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException
    try:  # Airflow 3.0 and later
        from airflow.sdk import BaseOperator, BaseOperatorLink, PokeReturnValue
    except ImportError:
        from airflow.models import BaseOperator
        from airflow.models.baseoperatorlink import BaseOperatorLink
        from airflow.sensors.base import PokeReturnValue
    try:  # Airflow 3.0 and later
        from airflow.triggers.base import BaseEventTrigger
    except ImportError:
        # So that what is derived from it can be imported, and say itself that it cannot be used.
        BaseEventTrigger = BaseTrigger
    try:  # Airflow 3.3 and later
        from airflow.triggers.shared_stream import SharedStreamProducer
    except ImportError:
        SharedStreamProducer = object

_AIRFLOW = tuple(int(part) for part in _airflow_version.split(".")[:2])

# Whether Airflow can start runs by events from outside, and lets such a trigger choose its triggerers (3.4 and later).
HAS_EVENT_TRIGGERS = BaseEventTrigger is not BaseTrigger
HAS_TRIGGER_QUEUES = HAS_EVENT_TRIGGERS and "queue" in signature(BaseEventTrigger.__init__).parameters

__all__ = [
    "HAS_EVENT_TRIGGERS",
    "HAS_TRIGGER_QUEUES",
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AwsBaseOperator",
    "AwsBaseSensor",
    "BaseEventTrigger",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseTrigger",
    "PokeReturnValue",
    "SharedStreamProducer",
    "asset_events_of",
    "aws_template_fields",
    "conf",
    "count",
    "facts_of_life",
    "first_poke_at",
    "hitl_operator",
    "is_asset_alias",
    "loop_position",
    "make_asset",
    "may_keep_task_state_on_clear",
    "pull_link",
    "push_link",
    "read_link",
    "runs_in_the_caller",
    "safe_event",
    "stats",
    "task_state_store",
]


@cache
def hitl_operator() -> Any | None:
    """Return Airflow's operator that asks a person (human in the loop); None before Airflow 3.1, which has none."""
    if _AIRFLOW < (3, 1):
        return None
    return import_module("airflow.providers.standard.operators.hitl").HITLOperator


def safe_event(payload: Mapping[str, Any]) -> TriggerEvent:
    """
    Return what a trigger fires: the only place where this package makes an event for Airflow.

    One payload that cannot be encoded as UTF-8 or stored as JSON would end the triggerer, and all that wait in it.
    """
    return TriggerEvent(safe_value(payload))


def task_state_store(context: Mapping[str, Any]) -> Any | None:
    """Return the task's own store, which outlives its tries; None before Airflow 3.3, which has none."""
    return context.get("task_state_store")


def may_keep_task_state_on_clear() -> bool:
    """Whether a user can choose, when he clears a task, if its state store is kept (Airflow 3.4 and later)."""
    return _AIRFLOW >= (3, 4)


def facts_of_life(context: Mapping[str, Any]) -> dict[str, str]:
    """
    Return what Airflow changes when a task is cleared, or its run is made anew, and leaves alone when it is retried.

    Never ``task.retries``: DAG files change it, and a worker may have read another version than the scheduler. What
    each fact covers, on which version, is in docs/decisions/0002-one-job-for-a-document.md.
    """
    ti, run = context["ti"], context.get("dag_run")
    started = getattr(run, "start_date", None)
    facts = {
        # A clear sets it to the tries that were used up plus the retries of that time.
        "max_tries": ti.max_tries,
        # A clear of a run that had finished starts it anew; so does deleting a run and creating it again.
        "run_started": started and started.isoformat(),
    }
    if _AIRFLOW < (3, 0):
        facts["run_key"] = getattr(run, "id", None)
    if _AIRFLOW >= (3, 2):
        # The trace that the task's spans belong to: made with the task instance, and made anew by a clear of this one
        # (not of another task of the run), running or not. It is there whether or not Airflow traces.
        facts["trace"] = (getattr(ti, "context_carrier", None) or {}).get("traceparent")
    return {name: str(fact) for name, fact in facts.items() if fact is not None}


def loop_position(ti: Any) -> tuple[str, int] | None:
    """Return the region and the iteration of a task in a Task Loop (Airflow 3.4); None outside of loops."""
    region = getattr(ti, "region_id", None)
    if region is None or not getattr(region, "int", 0):
        return None
    return str(region), int(ti.region_index)


def runs_in_the_caller(ti: Any) -> bool:
    """
    Whether a task runs within ``airflow dags test`` or ``airflow tasks test``, in a run that was not scheduled.

    Two such runs of one date have the same facts of life: the same start, and, before Airflow 3.4, no trace.
    """
    if _AIRFLOW < (3, 0):
        # What an executor starts has a job of Airflow's own.
        return getattr(ti, "job_id", "unknown") is None
    from airflow.sdk.execution_time import task_runner

    # By its name: its class is in the supervisor, which a task's process need not import.
    return type(getattr(task_runner, "SUPERVISOR_COMMS", None)).__name__ == "InProcessSupervisorComms"


def count(metric: str, tags: Mapping[str, str]) -> None:
    """Count an event in Airflow's own metrics."""
    stats().incr(metric, tags=dict(tags))


@cache
def stats() -> Any:
    """Return Airflow's own metrics: what has ``incr``, ``gauge`` and ``timing``."""
    try:  # Airflow 3.2 and later
        module = import_module("airflow.sdk.observability.stats")
    except ImportError:
        module = import_module("airflow.stats")
    # Airflow 3.3 has functions in the module, those before it an object.
    return module if hasattr(module, "incr") else module.Stats


def asset_events_of(task: Any, context: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Return the assets that a task has as outlets, aliases too, each with the event that Airflow will make of it."""
    events = context.get("outlet_events")
    return [] if events is None else [(asset, events[asset]) for asset in task.outlets or () if _is_asset(asset)]


def is_asset_alias(asset: Any) -> bool:
    """Whether an outlet is a name for assets that are known when the task has run only."""
    return type(asset).__name__ in {"AssetAlias", "DatasetAlias"}


def make_asset(uri: str) -> Any:
    """Return the asset (in Airflow 2, the dataset) of a URI."""
    try:  # Airflow 3
        from airflow.sdk import Asset
    except ImportError:
        from airflow.datasets import Dataset as Asset  # type: ignore[no-redef]  # Airflow 2 only
    return Asset(uri)


def _is_asset(outlet: Any) -> bool:
    # Not by isinstance: the classes have other names, and stand elsewhere, in Airflow 2.
    return is_asset_alias(outlet) or any(kind.__name__ in {"Asset", "Dataset"} for kind in type(outlet).__mro__)


def push_link(ti: Any, key: str, value: str) -> None:
    """
    Push the XCom of an extra link: past the XCom backend where there is one, as Airflow 3 does at a task's end.

    Its web server reads links from the database, and uses no backend.
    """
    past_backend = _xcoms_past_the_backend()
    if past_backend is None:
        ti.xcom_push(key=key, value=value)
        return
    place = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
    past_backend._set_xcom_in_db(key=key, value=value, **place)  # noqa: SLF001  Airflow has no public way


def pull_link(ti: Any, task_id: str, key: str, map_index: int) -> Any | None:
    """Return the XCom that :func:`push_link` pushed for another task of the same run."""
    past_backend = _xcoms_past_the_backend()
    if past_backend is None:
        return ti.xcom_pull(task_ids=task_id, key=key, map_indexes=map_index)
    return past_backend.get_one(key=key, dag_id=ti.dag_id, task_id=task_id, run_id=ti.run_id, map_index=map_index)


def read_link(key: str, ti_key: Any) -> Any | None:
    """
    Return the XCom that :func:`push_link` pushed: in Airflow 3 to one of its tasks, in Airflow 2 to its web server too.

    :param ti_key: whatever names the task instance: its key, or itself.
    """
    past_backend = _xcoms_past_the_backend()
    if past_backend is not None:
        return past_backend.get_value(key=key, ti_key=ti_key)
    try:  # Airflow 3
        from airflow.sdk.execution_time.xcom import XCom
    except ImportError:
        from airflow.models import XCom
    return XCom.get_value(key=key, ti_key=ti_key)


def _xcoms_past_the_backend() -> Any | None:
    """Return Airflow 3's own XComs where a backend replaces them; else None."""
    try:
        from airflow.sdk.bases.xcom import BaseXCom
        from airflow.sdk.execution_time.xcom import XCom
    except ImportError:
        return None
    return None if XCom is BaseXCom else BaseXCom


def allow_in_xcoms(*classes: str) -> None:
    """
    Let tasks of this process read XComs of *classes*, whatever ``[core] allowed_deserialization_classes`` says.

    :param classes: by their whole names. Each has a ``deserialize``, which makes nothing but plain data.
    """
    try:  # Airflow 3.2 and later
        serde = import_module("airflow.sdk.serde")
    except ImportError:
        serde = import_module("airflow.serialization.serde")
    # The public allow_class is in Airflow 3.3 and later only, and imports the class at once.
    allowed: set[str] = getattr(serde, "_extra_allowed", set())
    allowed.update(classes)


def first_poke_at(context: Mapping[str, Any]) -> datetime | None:
    """Return the time at which a sensor that is rescheduled between its pokes began; None for its first poke."""
    ti = context["ti"]
    if hasattr(ti, "get_first_reschedule_date"):  # Airflow 3
        began: datetime | None = ti.get_first_reschedule_date(context)
        return began
    from airflow.sensors.base import _orig_start_date

    return _orig_start_date(  # type: ignore[no-any-return]  # Airflow 2 only: not in the Airflow that mypy sees
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=ti.map_index,
        try_number=(ti.max_tries or 0) - (ti.task.retries or 0) + 1,
    )
