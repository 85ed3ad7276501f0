"""Read what an account has of the projects and blueprints that files name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bda.service.aws_errors import CALL_FAILURES, Failure, call_error, classify, reading_answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIVE, DEVELOPMENT = "LIVE", "DEVELOPMENT"
COMPLETED, IN_PROGRESS, FAILED = "COMPLETED", "IN_PROGRESS", "FAILED"
# AWS's own, and those shared by others, are never changed.
_OWN = "ACCOUNT"
_PAGE = 100
_REMEDY = (
    "`airflow-bda policy project` prints the permissions. Nothing was undone; apply the same files again to continue."
)


@dataclass(frozen=True)
class Found:
    """
    A project or a blueprint as the account has it.

    :param stages: what GetDataAutomationProject or GetBlueprint answers, for each stage that there is.
    :param tags: None where nobody asked.
    :param latest: a blueprint's newest version, as GetBlueprint answers; None where it has none.
    """

    arn: str
    stages: Mapping[str, Mapping[str, Any]]
    tags: Mapping[str, str] | None = None
    latest: Mapping[str, Any] | None = None


@dataclass
class Account:
    """
    The projects and blueprints of one account in one region.

    :param client: a boto3 client of ``bedrock-data-automation``.
    """

    client: Any
    _listed: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def region(self) -> str:
        """The client's region."""
        return str(self.client.meta.region_name)

    @property
    def can_copy_stages(self) -> bool:
        """Whether the installed botocore has CopyBlueprintStage."""
        return "CopyBlueprintStage" in self.client.meta.service_model.operation_names

    def call(self, operation: str, **params: Any) -> Mapping[str, Any]:
        """
        Make a call.

        :param operation: the method's name, as boto3 has it.
        :raises botocore.exceptions.ClientError: and what else boto3 raises.
        """
        with reading_answers():
            answer: Mapping[str, Any] = getattr(self.client, operation)(**params)
            return answer

    def read(self, operation: str, **params: Any) -> Mapping[str, Any]:
        """
        Make a call whose failure ends everything.

        :raises BdaError: explained.
        """
        try:
            return self.call(operation, **params)
        except CALL_FAILURES as error:
            raise explained(error, operation) from error

    def forget_listings(self) -> None:
        """List anew from now on."""
        self._listed.clear()

    def arns_of(self, kind: str, name: str) -> dict[str, set[str]]:
        """
        Return the ARNs that have a name, each with its stages.

        :param kind: ``blueprint`` or ``project``.
        """
        found: dict[str, set[str]] = {}
        for summary in self._listing(kind):
            if summary.get(f"{kind}Name") == name:
                found.setdefault(summary[f"{kind}Arn"], set()).add(summary.get(f"{kind}Stage") or LIVE)
        return found

    def blueprint(self, arn: str, stages: set[str], *, with_tags: bool) -> Found:
        """Read a blueprint: its stages, its newest version, and its tags where they are asked for."""
        read = {
            stage: self.read("get_blueprint", blueprintArn=arn, blueprintStage=stage)["blueprint"]
            for stage in sorted(stages)
        }
        versions = [
            int(summary["blueprintVersion"])
            for summary in self._pages("list_blueprints", "blueprints", blueprintArn=arn)
            if str(summary.get("blueprintVersion") or "").isdigit()
        ]
        latest = None
        if versions:
            number = str(max(versions))
            latest = self.read("get_blueprint", blueprintArn=arn, blueprintVersion=number)["blueprint"]
            latest = {**latest, "blueprintVersion": number}
        return Found(arn, read, self.tags(arn) if with_tags else None, latest)

    def project(self, arn: str, stages: set[str], *, with_tags: bool) -> Found:
        """Read a project: its stages, and its tags where they are asked for."""
        read = {
            stage: self.read("get_data_automation_project", projectArn=arn, projectStage=stage)["project"]
            for stage in sorted(stages)
        }
        return Found(arn, read, self.tags(arn) if with_tags else None)

    def tags(self, arn: str) -> dict[str, str]:
        """Read the tags of a project or a blueprint."""
        answer = self.read("list_tags_for_resource", resourceARN=arn)
        return {tag["key"]: tag["value"] for tag in answer.get("tags") or ()}

    def _listing(self, kind: str) -> list[Mapping[str, Any]]:
        if kind not in self._listed:
            if kind == "blueprint":
                pages = self._pages("list_blueprints", "blueprints", resourceOwner=_OWN, blueprintStageFilter="ALL")
            else:
                pages = self._pages(
                    "list_data_automation_projects", "projects", resourceOwner=_OWN, projectStageFilter="ALL"
                )
            self._listed[kind] = list(pages)
        return self._listed[kind]

    def _pages(self, operation: str, member: str, **params: Any) -> Iterator[Mapping[str, Any]]:
        token: str | None = None
        while True:
            page = self.read(operation, maxResults=_PAGE, **params, **({"nextToken": token} if token else {}))
            yield from page.get(member) or ()
            following = page.get("nextToken")
            if not following or following == token:
                return
            token = following


def explained(error: BaseException, operation: str, about: str = "", remedy: str = _REMEDY) -> Exception:
    """
    Return the error of a refused call, explained.

    :param operation: as boto3 names it, ``create_blueprint``; IAM's name is made of it.
    :param about: what the call was about.
    """
    action = "".join(word.capitalize() for word in operation.split("_"))
    if classify(error) is Failure.PERMISSION:
        remedy = f"Allow bedrock:{action}. {remedy}"
    return call_error(error, operation=f"{action}{about and f' of {about}'}", remedy=remedy)
