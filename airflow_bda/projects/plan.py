"""
Compare what files say with what an account has: the steps that make the account follow the files, and nothing else.

The plan is what is shown, and what is carried out. What an account has beyond the files is left alone: a project and a
blueprint that no file names, tags that no file names, and settings that a project's file does not mention, which the
service fills in by itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow_bda.projects.account import DEVELOPMENT, FAILED, LIVE, Found
from airflow_bda.projects.files import MANAGED_PREFIXES, blueprint_items, same_json
from airflow_bda.service.arns import BLUEPRINT, Arn, partition_of
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import CONTROL_SERVICE, input_shape, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_bda.projects.account import Account
    from airflow_bda.projects.files import Files, Wanted

UPDATE_PROJECT = "UpdateDataAutomationProject"
# What a file of a project sets in part: the service fills in the rest.
_FILLED_IN = ("standardOutputConfiguration", "overrideConfiguration", "dataAutomationLibraryConfiguration")
_MOST_DETAILS = 20
_AWS = "aws"


class Action(str, Enum):
    """What a step does."""

    CREATE = "create"
    COPY = "copy"
    UPDATE = "update"
    VERSION = "create a version of"
    TAG = "tag"


@dataclass(frozen=True)
class Step:
    """
    One call that changes the account.

    :param wanted: the project or the blueprint, as its file has it.
    :param is_project: whether it is a project.
    :param arn: None where it is still to be made.
    :param details: what changes, a line each.
    """

    action: Action
    wanted: Wanted
    is_project: bool
    stage: str
    arn: str | None = None
    details: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """``project`` or ``blueprint``."""
        return "project" if self.is_project else "blueprint"

    def __str__(self) -> str:
        place = {
            Action.COPY: f" to {self.stage}",
            Action.VERSION: "",
            Action.TAG: "",
        }.get(self.action, f" in {self.stage}")
        is_promotion = self.action is Action.COPY and self.stage == LIVE
        return f"{'promote' if is_promotion else self.action.value} {self.kind} {self.wanted.name}{place}"


@dataclass(frozen=True)
class Applied:
    """
    What became of a plan.

    :param changes: the steps, a line each.
    """

    stage: str
    project_arns: Mapping[str, str]
    blueprint_arns: Mapping[str, str]
    blueprint_versions: Mapping[str, str]
    changes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; ``project_arn`` is there where the files have one project."""
        arns = list(self.project_arns.values())
        return {
            "project_arn": arns[0] if len(arns) == 1 else None,
            "project_stage": self.stage,
            "project_arns": dict(self.project_arns),
            "blueprint_arns": dict(self.blueprint_arns),
            "blueprint_versions": dict(self.blueprint_versions),
            "changes": list(self.changes),
        }


@dataclass(frozen=True)
class Plan:
    """
    What is to be done.

    :param arns: those that are known, by kind and name.
    :param versions: the newest version of each blueprint that has one.
    """

    stage: str
    steps: tuple[Step, ...]
    unchanged: tuple[str, ...]
    projects: tuple[Wanted, ...]
    arns: Mapping[tuple[str, str], str]
    versions: Mapping[str, str] = field(default_factory=dict)

    def outcome(self, arns: Mapping[tuple[str, str], str], versions: Mapping[str, str]) -> Applied:
        """Return what is there when the plan was carried out: the ARNs, and the newest versions by then."""
        by_kind: dict[str, dict[str, str]] = {"project": {}, "blueprint": {}}
        for (kind, name), arn in arns.items():
            by_kind[kind][name] = arn
        changes = tuple(map(str, self.steps))
        return Applied(self.stage, by_kind["project"], by_kind["blueprint"], dict(versions), changes)

    def to_dict(self) -> dict[str, Any]:
        """Return what is there before the plan is carried out, and its changes, as :meth:`Applied.to_dict` has them."""
        return self.outcome(self.arns, self.versions).to_dict()

    def lines(self) -> Iterator[str]:
        """Return the plan as text, a step and each of its details in a line."""
        for step in self.steps:
            yield str(step)
            yield from (f"    {detail}" for detail in step.details)
        for name in self.unchanged:
            yield f"{name} is as its file says"


def make_plan(files: Files, account: Account, *, stage: str = LIVE, with_versions: bool = True) -> Plan:
    """
    Read the account, and plan what makes it follow the files. Nothing is changed.

    :param stage: ``LIVE`` or ``DEVELOPMENT``: the stage of every project and blueprint in the files.
    :param with_versions: whether a blueprint's LIVE schema is kept as a version when it has changed.
    :raises BdaRequestError: lists all that stands in the way.
    """
    planner = _Planner(account, stage, with_versions=with_versions)
    for blueprint in files.blueprints:
        planner.add_blueprint(blueprint)
    for project in files.projects:
        planner.add_project(project)
    if planner.problems:
        raise BdaRequestError(
            "The files do not fit the account.", problems=planner.problems, remedy="Nothing was changed."
        )
    return Plan(stage, tuple(planner.steps), tuple(planner.unchanged), files.projects, planner.arns, planner.versions)


def steps_of_blueprint(
    wanted: Wanted, found: Found, *, stage: str, with_versions: bool, can_copy: bool
) -> Iterator[Step]:
    """Plan what makes a blueprint that is there follow its file."""

    def step(action: Action, *details: str) -> Step:
        return Step(action, wanted, is_project=False, stage=stage, arn=found.arn, details=details)

    schema = wanted.params["schema"]
    other = found.stages.get(DEVELOPMENT if stage == LIVE else LIVE)
    here = found.stages.get(stage)
    other_is_wanted = other is not None and same_json(other["schema"], schema)
    is_wanted = here is not None and same_json(here["schema"], schema)
    changes = _schema_changes(here and here["schema"], schema)
    encryption = _encryption_changes(wanted.params, here or other or {})
    if not is_wanted and other is not None and can_copy and (here is None or other_is_wanted):
        # AWS makes a stage from the other one; a stage that was tested is promoted as it is.
        yield step(Action.COPY, *(changes if here is not None else ("the stage is new",)))
        is_wanted = other_is_wanted
        changes = _schema_changes(other["schema"], schema)
    if not is_wanted or encryption:
        yield step(Action.UPDATE, *changes, *encryption)
    if with_versions and stage == LIVE and not (found.latest and same_json(found.latest["schema"], schema)):
        yield step(Action.VERSION)
    yield from _tag_steps(step, wanted, found)


def steps_of_project(
    wanted: Wanted,
    found: Found,
    *,
    stage: str,
    items: Sequence[Mapping[str, Any]],
    fallbacks: Sequence[Mapping[str, Any]],
) -> Iterator[Step]:
    """
    Plan what makes a project that is there follow its file.

    :param items: the blueprints that it is to name, by ARN where that is known, else by name.
    :param fallbacks: its fallback blueprints, likewise.
    """

    def step(action: Action, *details: str) -> Step:
        return Step(action, wanted, is_project=True, stage=stage, arn=found.arn, details=details)

    here = found.stages.get(stage)
    if here is None:
        yield step(Action.UPDATE, "the stage is new")
    else:
        custom = here.get("customOutputConfiguration") or {}
        changes = [
            *_description_change(wanted.params, here),
            *_filled_in_changes(wanted.params, here),
            *_item_changes("blueprint", custom.get("blueprints") or [], items),
            *_item_changes(
                "fallback blueprint", (custom.get("document") or {}).get("fallbackBlueprints") or [], fallbacks
            ),
            *_encryption_changes(wanted.params, here),
        ]
        if here.get("status") == FAILED:
            changes.append("its status is FAILED: the same is sent again")
        if changes:
            yield step(Action.UPDATE, *changes)
    yield from _tag_steps(step, wanted, found)


class _Planner:
    """Collects steps and problems, blueprints first."""

    def __init__(self, account: Account, stage: str, *, with_versions: bool) -> None:
        self._account, self._stage, self._with_versions = account, stage, with_versions
        self.steps: list[Step] = []
        self.unchanged: list[str] = []
        self.problems: list[str] = []
        self.arns: dict[tuple[str, str], str] = {}
        self.versions: dict[str, str] = {}
        self._new: set[str] = set()

    def add_blueprint(self, wanted: Wanted) -> None:
        """Plan a blueprint."""
        arn, stages = self._find("blueprint", wanted)
        if arn is None:
            self._new.add(wanted.name)
            self.steps.append(Step(Action.CREATE, wanted, is_project=False, stage=self._stage))
            if self._with_versions and self._stage == LIVE:
                self.steps.append(Step(Action.VERSION, wanted, is_project=False, stage=self._stage))
            return
        found = self._account.blueprint(arn, stages, with_tags="tags" in wanted.params)
        if found.latest:
            self.versions[wanted.name] = str(found.latest["blueprintVersion"])
        if not self._keeps("type", wanted, next(iter(found.stages.values()), {})):
            return
        self._add(
            wanted,
            "blueprint",
            steps_of_blueprint(
                wanted,
                found,
                stage=self._stage,
                with_versions=self._with_versions,
                can_copy=self._account.can_copy_stages,
            ),
        )

    def add_project(self, wanted: Wanted) -> None:
        """Plan a project."""
        for path, item in blueprint_items(wanted.params):
            self._look_up(f"{wanted.where}.{path}", item)
        items, fallbacks = split_items(wanted, self._resolve)
        arn, stages = self._find("project", wanted)
        if arn is None:
            names = [_item_text(item) for item in items]
            details = (f"with the blueprints {', '.join(names)}",) if names else ()
            self.steps.append(Step(Action.CREATE, wanted, is_project=True, stage=self._stage, details=details))
            return
        found = self._account.project(arn, stages, with_tags="tags" in wanted.params)
        if self._keeps("projectType", wanted, next(iter(found.stages.values()), {})):
            steps = steps_of_project(wanted, found, stage=self._stage, items=items, fallbacks=fallbacks)
            self._add(wanted, "project", steps)

    def _add(self, wanted: Wanted, kind: str, steps: Iterator[Step]) -> None:
        listed = list(steps)
        self.steps += listed
        if not listed:
            self.unchanged.append(f"{kind} {wanted.name} in {self._stage}")

    def _find(self, kind: str, wanted: Wanted) -> tuple[str | None, set[str]]:
        found = self._account.arns_of(kind, wanted.name)
        if len(found) > 1:
            self.problems.append(
                f"{wanted.where}: {len(found)} {kind}s of the account have the name {wanted.name!r}: "
                f"{', '.join(sorted(found))}."
            )
        for arn, stages in found.items():
            self.arns[kind, wanted.name] = arn
            return arn, stages
        return None, set()

    def _keeps(self, member: str, wanted: Wanted, there: Mapping[str, Any]) -> bool:
        """Whether a member that cannot be changed stays as it is."""
        now, then = there.get(member), wanted.params.get(member)
        if now is None or then is None or now == then:
            return True
        self.problems.append(
            f"{wanted.where}.{member} is {then!r}: the account's {wanted.name} is {now}, and that cannot be changed. "
            "Give it another name."
        )
        return False

    def _resolve(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return resolve_item(item, self.arns, region=self._account.region, stage=self._stage)

    def _look_up(self, where: str, item: Mapping[str, Any]) -> None:
        """Look for a blueprint that a project names, in the files and then in the account."""
        resolved = self._resolve(item)
        name, arn = resolved.get("blueprintName"), resolved.get("blueprintArn")
        if name is not None and name not in self._new:
            found = self._account.arns_of("blueprint", name)
            if len(found) == 1:
                self.arns["blueprint", name] = next(iter(found))
                return
            count = f"{len(found)} blueprints have" if found else "no blueprint has"
            self.problems.append(f"{where}.blueprintName is {name!r}: {count} this name in the files and the account.")
        if arn is not None and Arn.parse(arn).region != self._account.region:
            self.problems.append(
                f"{where}.blueprintArn is {arn!r}: it is of another region than the client, {self._account.region}."
            )


def split_items(
    wanted: Wanted, resolve: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return a project's blueprints and its fallback blueprints, each as *resolve* returns it."""
    items: list[dict[str, Any]] = []
    fallbacks: list[dict[str, Any]] = []
    for path, item in blueprint_items(wanted.params):
        (fallbacks if ".document." in path else items).append(resolve(item))
    return items, fallbacks


def resolve_item(
    item: Mapping[str, Any], arns: Mapping[tuple[str, str], str], *, region: str, stage: str
) -> dict[str, Any]:
    """
    Return a project's blueprint as the service takes it; one whose ARN is not known keeps its name.

    :param stage: the stage of a blueprint of the account that the file names without a version and a stage.
    """
    resolved = dict(item)
    name = resolved.pop("blueprintName", None)
    if name is not None:
        if name.startswith(MANAGED_PREFIXES):
            resolved["blueprintArn"] = str(Arn(partition_of(region), region, _AWS, BLUEPRINT, name))
        elif ("blueprint", name) in arns:
            resolved["blueprintArn"] = arns["blueprint", name]
        else:
            resolved["blueprintName"] = name
    arn = resolved.get("blueprintArn")
    is_own = arn is None or Arn.parse(arn).account != _AWS
    if is_own and not resolved.keys() & {"blueprintVersion", "blueprintStage"}:
        resolved["blueprintStage"] = stage
    return resolved


def update_params(params: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """Return the members of UpdateDataAutomationProject, which are fewer than those of the file."""
    members = input_shape(UPDATE_PROJECT, CONTROL_SERVICE).members
    return {"projectArn": arn, **{name: value for name, value in params.items() if name in members}}


# -- what differs


def _schema_changes(now: Any, then: str) -> list[str]:
    if now is None or same_json(now, then):
        return []
    try:
        changes = list(_differences(json.loads(now), json.loads(then), "schema"))
    except (ValueError, RecursionError):
        changes = ["schema: it is not the same text"]
    return _cut(changes)


def _cut(changes: list[str]) -> list[str]:
    more = len(changes) - _MOST_DETAILS
    return [*changes[:_MOST_DETAILS], f"and {more} more"] if more > 0 else changes


def _differences(now: Any, then: Any, path: str) -> Iterator[str]:
    """Walk two JSON values, and yield a line for each member that was added, changed or removed."""
    if isinstance(now, Mapping) and isinstance(then, Mapping):
        for name in [*then, *(name for name in now if name not in then)]:
            below = f"{path}.{name}"
            if name not in now:
                yield f"+ {below}: {shorten(then[name])}"
            elif name not in then:
                yield f"- {below}: {shorten(now[name])}"
            else:
                yield from _differences(now[name], then[name], below)
    elif now != then:
        yield f"~ {path}: {shorten(now)} becomes {shorten(then)}"


def _filled_in_changes(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    changes: list[str] = []
    for member in _FILLED_IN:
        if member in wanted:
            changes += _set_differently(there.get(member), wanted[member], member)
    return _cut(changes)


def _set_differently(now: Any, then: Any, path: str) -> Iterator[str]:
    """Yield what the file sets and the account has not, or has otherwise; what the file leaves out is not looked at."""
    if isinstance(then, Mapping):
        now = now if isinstance(now, Mapping) else {}
        for name, value in then.items():
            yield from _set_differently(now.get(name), value, f"{path}.{name}")
    elif _in_any_order(now) != _in_any_order(then):
        yield f"~ {path}: {'not set' if now is None else shorten(now)} becomes {shorten(then)}"


def _in_any_order(value: Any) -> Any:
    """Return a value in which the order of a list counts for nothing: they are sets of words, or of ARNs."""
    return sorted(json.dumps(item, sort_keys=True) for item in value) if isinstance(value, list) else value


def _description_change(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[str]:
    now, then = there.get("projectDescription") or "", wanted.get("projectDescription")
    if then is not None and now != then:
        yield f"~ projectDescription: {shorten(now)} becomes {shorten(then)}"


def _item_changes(what: str, now: Sequence[Mapping[str, Any]], then: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    named_now, named_then = ({_item_key(item) for item in items} for items in (now, then))
    for item in then:
        if _item_key(item) not in named_now:
            yield f"+ {what} {_item_text(item)}"
    for item in now:
        if _item_key(item) not in named_then:
            yield f"- {what} {_item_text(item)}: the project no longer uses it; the blueprint itself stays"


def _item_key(item: Mapping[str, Any]) -> tuple[Any, ...]:
    version = item.get("blueprintVersion")
    # A version is what it is in any stage.
    stage = None if version else item.get("blueprintStage") or LIVE
    return item.get("blueprintArn") or item.get("blueprintName"), version, stage


def _item_text(item: Mapping[str, Any]) -> str:
    name, version, stage = _item_key(item)
    return f"{name} ({f'version {version}' if version else stage})"


def _encryption_changes(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    encryption = wanted.get("encryptionConfiguration")
    if not encryption:
        return []
    changes = []
    key, now = encryption["kmsKeyId"], there.get("kmsKeyId") or ""
    is_alias = key.startswith("alias/") or ":alias/" in key
    # The service may answer with a key's ARN; which key an alias is, only KMS tells.
    if not (now and is_alias) and now != key and not now.endswith(f":key/{key}"):
        changes.append(f"~ kmsKeyId: {now or 'not set'} becomes {key}")
    context = encryption.get("kmsEncryptionContext")
    if context is not None and context != (there.get("kmsEncryptionContext") or {}):
        changes.append("~ kmsEncryptionContext")
    return changes


def _tag_steps(step: Any, wanted: Wanted, found: Found) -> Iterator[Step]:
    tags = {tag["key"]: tag["value"] for tag in wanted.params.get("tags") or ()}
    changes = [f"~ {key}: {value!r}" for key, value in tags.items() if (found.tags or {}).get(key) != value]
    if changes:
        yield step(Action.TAG, *changes)
