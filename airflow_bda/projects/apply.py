"""
Carry out a plan, step by step, and wait until the projects are ready.

Each step can be repeated: a run that was interrupted is continued by applying the same files again, since the next
plan starts from what the account has by then.
"""

from __future__ import annotations

import copy
import hashlib
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_bda.projects.account import COMPLETED, FAILED, explained
from airflow_bda.projects.files import blueprint_items, same_json
from airflow_bda.projects.plan import (
    Action,
    Applied,
    Step,
    resolve_item,
    split_items,
    steps_of_blueprint,
    steps_of_project,
    update_params,
)
from airflow_bda.service.aws_errors import CALL_FAILURES, error_code, is_absence, is_passing
from airflow_bda.service.errors import BdaError, BdaTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_bda.projects.account import Account
    from airflow_bda.projects.plan import Plan

DEFAULT_MAX_WAIT = timedelta(minutes=10)
_CONFLICT = "ConflictException"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


def carry_out(
    plan: Plan,
    account: Account,
    *,
    max_wait: timedelta = DEFAULT_MAX_WAIT,
    tell: Callable[[str], object] = lambda _line: None,
    clock: Clock | None = None,
) -> Applied:
    """
    Take the steps of a plan, and wait until every project of it is ``COMPLETED``, those that were left alone too.

    :param max_wait: for how long to wait, from now on.
    :param tell: is called with a line for each step.
    :raises BdaError: at the first step that fails; those before it stay.
    :raises BdaTimeoutError: when a project is still in progress at the end.
    """
    run = _Run(account, plan, clock or Clock(), max_wait, tell)
    for step in plan.steps:
        run.take(step)
    for project in plan.projects:
        run.wait_for(run.arns["project", project.name])
    return run.result()


@dataclass(frozen=True)
class Clock:
    """Where time comes from."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


class _Run:
    """What the steps of one run share."""

    def __init__(
        self, account: Account, plan: Plan, clock: Clock, max_wait: timedelta, tell: Callable[[str], object]
    ) -> None:
        self._account, self._plan, self._stage = account, plan, plan.stage
        self._clock, self._deadline = clock, clock.now() + max_wait.total_seconds()
        self._tell = tell
        self.arns = dict(plan.arns)
        self._versions = dict(plan.versions)
        self._has_version: set[str] = set()
        self._works: dict[Action, Callable[[Step], object]] = {
            Action.CREATE: self._create,
            Action.COPY: self._copy,
            Action.UPDATE: self._update,
            Action.VERSION: self._add_version,
            Action.TAG: self._tag,
        }

    def take(self, step: Step) -> None:
        """Take a step."""
        self._tell(str(step))
        self._works[step.action](step)

    def result(self) -> Applied:
        """Return what is there now."""
        return self._plan.outcome(self.arns, self._versions)

    # -- steps

    def _create(self, step: Step) -> None:
        operation = "create_data_automation_project" if step.is_project else "create_blueprint"
        params = self._resolved(step) | {f"{step.kind}Stage": step.stage, "clientToken": str(uuid.uuid4())}
        try:
            answer = self._account.call(operation, **params)
        except CALL_FAILURES as error:
            if error_code(error) != _CONFLICT:
                raise explained(error, operation, self._about(step)) from error
            self._adopt(step, error)
            return
        made = answer if step.is_project else answer["blueprint"]
        self.arns[step.kind, step.wanted.name] = made[f"{step.kind}Arn"]

    def _adopt(self, step: Step, error: BaseException) -> None:
        """Go on with what has the name by now: another run made it, or an answer to this one was lost."""
        self._account.forget_listings()
        name = step.wanted.name
        found = self._account.arns_of(step.kind, name)
        if len(found) != 1:
            raise explained(error, f"create_{step.kind}", self._about(step)) from error
        ((arn, stages),) = found.items()
        self.arns[step.kind, name] = arn
        self._tell(f"{step.kind} {name} is there by now: {arn}")
        with_tags = "tags" in step.wanted.params
        if step.is_project:
            self._settle(arn)
            there = self._account.project(arn, stages, with_tags=with_tags)
            items, fallbacks = split_items(step.wanted, self._item)
            more = steps_of_project(step.wanted, there, stage=step.stage, items=items, fallbacks=fallbacks)
        else:
            there = self._account.blueprint(arn, stages, with_tags=with_tags)
            if there.latest:
                self._versions[name] = str(there.latest["blueprintVersion"])
                if same_json(there.latest["schema"], step.wanted.params["schema"]):
                    self._has_version.add(name)
            # The version is a step of the plan, behind this one.
            can_copy = self._account.can_copy_stages
            more = steps_of_blueprint(step.wanted, there, stage=step.stage, with_versions=False, can_copy=can_copy)
        for each in more:
            self.take(each)

    def _copy(self, step: Step) -> None:
        source = "DEVELOPMENT" if step.stage == "LIVE" else "LIVE"
        self._do(step, "copy_blueprint_stage", blueprintArn=step.arn, sourceStage=source, targetStage=step.stage)

    def _update(self, step: Step) -> None:
        wanted = step.wanted.params
        if not step.is_project:
            members = {name: wanted[name] for name in ("schema", "encryptionConfiguration") if name in wanted}
            self._do(step, "update_blueprint", blueprintArn=step.arn, blueprintStage=step.stage, **members)
            return
        params = update_params(self._resolved(step), str(step.arn)) | {"projectStage": step.stage}
        self._settle(str(step.arn))
        pauses = self._pauses()
        while not self._update_project(step, params, may_wait=lambda: next(pauses)):
            pass

    def _update_project(self, step: Step, params: Mapping[str, Any], *, may_wait: Callable[[], bool]) -> bool:
        """Update a project; False where another run was changing it, and this one may try again."""
        try:
            self._account.call("update_data_automation_project", **params)
        except CALL_FAILURES as error:
            if error_code(error) != _CONFLICT or not may_wait():
                raise explained(error, "update_data_automation_project", self._about(step)) from error
            return False
        return True

    def _add_version(self, step: Step) -> None:
        name = step.wanted.name
        if name in self._has_version:
            return
        arn, schema = self.arns["blueprint", name], step.wanted.params["schema"]
        # Two runs at once, and a call whose answer was lost, make one version. The number before it is part of the
        # token: a schema that comes back later is a new version.
        token = hashlib.sha256(f"{arn} {self._versions.get(name)} {schema}".encode()).hexdigest()
        made = self._do(step, "create_blueprint_version", blueprintArn=arn, clientToken=token)["blueprint"]
        version = self._versions[name] = str(made.get("blueprintVersion") or "")
        if not same_json(made["schema"], schema):
            raise BdaError(
                f"Version {version} of the blueprint {name!r} has another schema than its file: another run may have "
                "changed the blueprint meanwhile.",
                remedy="Apply the files again, one run at a time.",
            )

    def _tag(self, step: Step) -> None:
        self._do(step, "tag_resource", resourceARN=step.arn, tags=step.wanted.params["tags"])

    # -- what they share

    def _do(self, step: Step, operation: str, **params: Any) -> Mapping[str, Any]:
        try:
            return self._account.call(operation, **params)
        except CALL_FAILURES as error:
            raise explained(error, operation, self._about(step)) from error

    def _about(self, step: Step) -> str:
        return f"the {step.kind} {step.wanted.name!r} ({step.wanted.where})"

    def _item(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return resolve_item(item, self.arns, region=self._account.region, stage=self._stage)

    def _resolved(self, step: Step) -> dict[str, Any]:
        """Return the members of the file, with ARNs in the place of blueprints' names."""
        params: dict[str, Any] = copy.deepcopy(dict(step.wanted.params))
        for _, item in blueprint_items(params):
            resolved = self._item(item)
            item.clear()
            item.update(resolved)
        return params

    def wait_for(self, arn: str) -> None:
        """
        Wait until a project is ``COMPLETED``.

        :raises BdaError: when it failed, or is in progress at the deadline.
        """
        status = self._settle(arn)
        pauses = self._pauses()
        while status is None and next(pauses):  # the service may lag behind its own answer
            status = self._settle(arn)
        if status != COMPLETED:
            raise BdaError(
                f"The project is {status or 'not there'} in {self._stage}: {arn}.",
                remedy="Look at it in the AWS console, and apply the files again.",
            )

    def _settle(self, arn: str) -> str | None:
        """
        Wait until a project is no longer in progress, and return its status; None where it has no such stage.

        :raises BdaTimeoutError: when it is in progress at the deadline.
        """
        status, pauses = "", self._pauses()
        while True:
            try:
                answer = self._account.call("get_data_automation_project", projectArn=arn, projectStage=self._stage)
                status = str(answer["project"].get("status") or COMPLETED)
            except CALL_FAILURES as error:
                if is_absence(error):
                    return None
                if not is_passing(error):
                    raise explained(error, "get_data_automation_project", arn) from error
            if status in {COMPLETED, FAILED}:
                return status
            if not next(pauses):
                raise BdaTimeoutError(
                    f"The project is still {status or 'out of reach'} in {self._stage}: {arn}.",
                    remedy="Its changes continue by themselves. Apply the files again to wait for longer.",
                )

    def _pauses(self) -> Iterator[bool]:
        """Sleep for growing pauses; False where the next one would end after the deadline."""
        pause = _FIRST_PAUSE
        while self._clock.now() + pause <= self._deadline:
            self._clock.sleep(pause)
            yield True
            pause = min(2 * pause, _LONGEST_PAUSE)
        while True:
            yield False
