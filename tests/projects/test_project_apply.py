"""Files become projects and blueprints in the emulator: the plan, its steps, and what a second run does."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from project_repository import MANAGED, STANDARD, blueprint, project, schema

from airflow_bda.hooks import BdaHook
from airflow_bda.projects.account import Account
from airflow_bda.projects.apply import carry_out
from airflow_bda.service.errors import BdaError, BdaRequestError, BdaTimeoutError
from airflow_bda.service.model import CONTROL_SERVICE, input_shape, service_model


def test_what_is_missing_is_made(repository):
    path = repository.write(project=project("order", MANAGED), blueprints=[blueprint()])

    applied = repository.apply(path)

    assert applied.changes == (
        "create blueprint order in LIVE",
        "create a version of blueprint order",
        "create project orders in LIVE",
    )
    arn = applied.blueprint_arns["order"]
    named = repository.stage_of(applied.project_arns["orders"])["customOutputConfiguration"]["blueprints"]
    assert named == [
        {"blueprintArn": arn, "blueprintStage": "LIVE"},
        {"blueprintArn": f"arn:aws:bedrock:us-east-1:aws:blueprint/{MANAGED}"},
    ]
    assert repository.schema_of(arn, blueprintVersion="1") == schema(number="The order's number")
    assert applied.to_dict()["project_arn"] == applied.project_arns["orders"]
    assert applied.to_dict()["blueprint_versions"] == {"order": "1"}


def test_a_second_run_writes_nothing(repository):
    path = repository.write(
        project=project("order", tags=[{"key": "team", "value": "billing"}], projectDescription="orders"),
        blueprints=[blueprint(tags=[{"key": "team", "value": "billing"}])],
    )
    first = repository.apply(path)
    writes = repository.writes

    again = repository.apply(path)

    assert repository.writes == writes
    assert again.changes == ()
    assert again.to_dict() == first.to_dict() | {"changes": []}


def test_the_same_schema_in_another_layout_is_no_change(repository):
    path = repository.write(blueprints=[blueprint()])
    repository.apply(path)

    text = json.dumps(schema(number="The order's number"), indent=4, sort_keys=True)

    assert repository.plan(repository.write(blueprints=[blueprint(schema=text)])).steps == ()


def test_a_changed_schema_is_updated_and_gets_one_version(repository):
    repository.apply(repository.write(blueprints=[blueprint()]))
    path = repository.write(blueprints=[blueprint(schema=schema(number="The number", total="The sum"))])

    plan = repository.plan(path)
    applied = repository.apply(path)

    assert list(plan.lines()) == [
        "update blueprint order in LIVE",
        "    ~ schema.properties.number.instruction: \"The order's number\" becomes 'The number'",
        "    + schema.properties.total: {'inferenceType': 'explicit', 'instruction': 'The sum', 'type': 'string'}",
        "create a version of blueprint order",
    ]
    assert tuple(map(str, plan.steps)) == applied.changes
    assert applied.blueprint_versions == {"order": "2"}
    assert repository.apply(path).changes == ()


def test_without_versions_there_are_none(repository):
    path = repository.write(blueprints=[blueprint()])

    assert repository.apply(path, with_versions=False).blueprint_versions == {}
    assert repository.apply(path, with_versions=False).changes == ()


def test_a_schema_that_comes_back_is_a_new_version(repository):
    for text in ("one", "two", "one"):
        applied = repository.apply(repository.write(blueprints=[blueprint(schema=schema(number=text))]))

    assert applied.blueprint_versions == {"order": "3"}
    assert repository.schema_of(applied.blueprint_arns["order"], blueprintVersion="3") == schema(number="one")


@pytest.mark.skipif(
    "CopyBlueprintStage" not in service_model(CONTROL_SERVICE).operation_names,
    reason="this botocore has no CopyBlueprintStage; the next test is for it",
)
def test_development_is_tried_and_then_promoted(repository):
    repository.apply(repository.write(project=project("order"), blueprints=[blueprint()]))
    path = repository.write(project=project("order"), blueprints=[blueprint(schema=schema(number="better"))])

    tried = repository.apply(path, stage="DEVELOPMENT")

    assert tried.changes[0] == "copy blueprint order to DEVELOPMENT"  # a stage is begun from the other one
    arn = tried.blueprint_arns["order"]
    assert repository.schema_of(arn) == schema(number="The order's number")
    assert repository.schema_of(arn, blueprintStage="DEVELOPMENT") == schema(number="better")
    in_development = repository.stage_of(tried.project_arns["orders"], "DEVELOPMENT")
    assert in_development["customOutputConfiguration"]["blueprints"][0]["blueprintStage"] == "DEVELOPMENT"

    promoted = repository.apply(path)

    assert promoted.changes == ("promote blueprint order to LIVE", "create a version of blueprint order")
    assert repository.schema_of(arn) == repository.schema_of(arn, blueprintVersion="2") == schema(number="better")
    assert repository.calls["UpdateBlueprint"] == 1
    assert repository.calls["CopyBlueprintStage"] == 2  # DEVELOPMENT was begun from LIVE


def test_without_copy_blueprint_stage_the_stage_is_updated(repository, monkeypatch):
    """An older botocore does not have the call."""
    monkeypatch.setattr("airflow_bda.projects.account.Account.can_copy_stages", False)
    path = repository.write(blueprints=[blueprint()])
    repository.apply(path, stage="DEVELOPMENT")

    applied = repository.apply(path)

    assert applied.changes == ("update blueprint order in LIVE", "create a version of blueprint order")
    assert repository.schema_of(applied.blueprint_arns["order"]) == schema(number="The order's number")


def test_a_project_is_changed_by_what_its_file_says_and_no_more(repository):
    """The service fills in what a file leaves out."""
    applied = repository.apply(repository.write(project=project()))
    arn = applied.project_arns["orders"]
    filled_in = STANDARD | {"image": {"generativeField": {"state": "DISABLED"}}}
    repository.client.update_data_automation_project(projectArn=arn, standardOutputConfiguration=filled_in)

    assert repository.plan(repository.write(project=project())).steps == ()
    changed = {"document": {"splitter": {"state": "ENABLED"}}}
    (step,) = repository.plan(repository.write(project=project(overrideConfiguration=changed))).steps
    assert step.details == ("~ overrideConfiguration.document.splitter.state: not set becomes 'ENABLED'",)


def test_a_blueprint_that_a_project_no_longer_names_is_told_of_and_kept(repository):
    both = [blueprint(), blueprint("bill")]
    repository.apply(repository.write(project=project("order", "bill"), blueprints=both))
    path = repository.write(project=project("order"), blueprints=both)

    (step,) = repository.plan(path).steps
    applied = repository.apply(path)

    bill = applied.blueprint_arns["bill"]
    assert step.details == (f"- blueprint {bill} (LIVE): the project no longer uses it; the blueprint itself stays",)
    assert repository.schema_of(bill)
    assert not [name for name in repository.calls if name.startswith("Delete")]


def test_a_blueprint_of_the_account_can_be_named(repository):
    arn = repository.apply(repository.write(blueprints=[blueprint()])).blueprint_arns["order"]

    applied = repository.apply(repository.write(project=project("order")))

    custom = repository.stage_of(applied.project_arns["orders"])["customOutputConfiguration"]
    assert custom["blueprints"] == [{"blueprintArn": arn, "blueprintStage": "LIVE"}]


CUSTOM = input_shape("CreateDataAutomationProject", CONTROL_SERVICE).members["customOutputConfiguration"]


@pytest.mark.skipif("document" not in CUSTOM.members, reason="this botocore has no fallback blueprints")
def test_a_version_can_be_pinned_and_a_fallback_be_named(repository):
    repository.apply(repository.write(blueprints=[blueprint(), blueprint("other")]))
    pinned = project()
    pinned["customOutputConfiguration"] = {
        "blueprints": [{"blueprintName": "order", "blueprintVersion": "1"}],
        "document": {"fallbackBlueprints": [{"blueprintName": "other"}]},
    }

    applied = repository.apply(repository.write(project=pinned))

    arns = applied.blueprint_arns
    custom = repository.stage_of(applied.project_arns["orders"])["customOutputConfiguration"]
    assert custom == {
        "blueprints": [{"blueprintArn": arns["order"], "blueprintVersion": "1"}],
        "document": {"fallbackBlueprints": [{"blueprintArn": arns["other"], "blueprintStage": "LIVE"}]},
    }
    assert repository.plan(repository.write(project=pinned)).steps == ()


def test_all_that_does_not_fit_the_account_is_named_before_anything_is_changed(repository):
    repository.apply(repository.write(project=project(), blueprints=[blueprint()]))
    writes = repository.writes
    elsewhere = {"blueprintArn": "arn:aws:bedrock:eu-west-1:123456789012:blueprint/0123456789ab"}
    wrong = project("absent")
    wrong["customOutputConfiguration"]["blueprints"].append(elsewhere)
    path = repository.write(project=wrong, blueprints=[blueprint(type="IMAGE"), blueprint("new")])

    with pytest.raises(BdaRequestError) as refused:
        repository.apply(path)

    type_, absent, region = refused.value.problems
    assert "blueprints[0].type is 'IMAGE': the account's order is DOCUMENT, and that cannot be changed" in type_
    assert "blueprints[0].blueprintName is 'absent': no blueprint has this name" in absent
    assert "it is of another region than the client, us-east-1" in region
    assert repository.writes == writes


def test_tags_are_set_and_none_is_removed(repository):
    arn = repository.apply(repository.write(blueprints=[blueprint()])).blueprint_arns["order"]
    repository.client.tag_resource(resourceARN=arn, tags=[{"key": "owner", "value": "ops"}])

    applied = repository.apply(repository.write(blueprints=[blueprint(tags=[{"key": "team", "value": "billing"}])]))

    assert applied.changes == ("tag blueprint order",)
    tags = repository.client.list_tags_for_resource(resourceARN=arn)["tags"]
    assert {tag["key"]: tag["value"] for tag in tags} == {"owner": "ops", "team": "billing"}


@pytest.mark.parametrize("key", ["alias/bda", "1234abcd-12ab-34cd-56ef-1234567890ab"])
def test_a_key_is_set_once_however_it_is_named(repository, key):
    encrypted = {"encryptionConfiguration": {"kmsKeyId": key, "kmsEncryptionContext": {"team": "billing"}}}
    path = repository.write(project=project(**encrypted), blueprints=[blueprint(**encrypted)])
    repository.apply(path)

    assert repository.plan(path).steps == ()


# -- waiting


def test_it_waits_until_the_project_is_completed(repository):
    repository.emulator.configure(project_seconds=0.7)

    applied = repository.apply(repository.write(project=project()))

    assert repository.stage_of(applied.project_arns["orders"])["status"] == "COMPLETED"


def test_the_wait_is_bounded_and_can_be_gone_on_with(repository):
    repository.emulator.configure(project_seconds=3600)
    path = repository.write(project=project())

    with pytest.raises(BdaTimeoutError, match="still IN_PROGRESS in LIVE"):
        repository.apply(path, max_wait=timedelta(seconds=0.6))

    assert repository.plan(path).steps == ()
    with pytest.raises(BdaTimeoutError):
        repository.apply(path, max_wait=timedelta(seconds=0.6))


# -- failures


def test_a_run_that_failed_in_the_middle_is_gone_on_with(repository):
    """The second blueprint is refused; the first one and its version are not made again."""
    wrong = blueprint("bill", schema={"class": "bill", "properties": {}})
    del wrong["schema"]["properties"]
    path = repository.write(project=project("order", "bill"), blueprints=[blueprint(), wrong])

    with pytest.raises(BdaError) as failed:
        repository.apply(path)

    assert "CreateBlueprint of the blueprint 'bill'" in str(failed.value)
    assert "apply the same files again to continue" in str(failed.value)
    fixed = repository.apply(
        repository.write(project=project("order", "bill"), blueprints=[blueprint(), blueprint("bill")])
    )
    assert fixed.changes == (
        "create blueprint bill in LIVE",
        "create a version of blueprint bill",
        "create project orders in LIVE",
    )


class LosesAnswers:
    """A client whose first call of each kind is carried out, and its answer lost."""

    def __init__(self, client, *names):
        self._client, self._names = client, set(names)
        self.meta = client.meta

    def __getattr__(self, name):
        method = getattr(self._client, name)
        if name not in self._names:
            return method
        self._names.remove(name)

        def call(**params):
            method(**params)
            raise ConnectionResetError("the answer was lost")

        return call


@pytest.mark.parametrize(
    "lost",
    ["create_blueprint", "create_blueprint_version", "create_data_automation_project"],
)
def test_what_a_lost_answer_was_about_is_there_once(repository, lost):
    path = repository.write(project=project("order"), blueprints=[blueprint()])
    with pytest.raises(BdaError):
        repository.apply(path, client=LosesAnswers(repository.client, lost))

    applied = repository.apply(path)

    assert len(repository.client.list_data_automation_projects()["projects"]) == 1
    assert len(repository.client.list_blueprints()["blueprints"]) == 1
    assert applied.blueprint_versions == {"order": "1"}
    assert repository.apply(path).changes == ()


def test_a_name_that_was_taken_meanwhile_is_gone_on_with(repository):
    """Two runs plan the same, and one of them comes second."""
    path = repository.write(project=project("order"), blueprints=[blueprint()])
    plan = repository.plan(path)
    first = repository.apply(path)
    writes = repository.writes

    second = carry_out(plan, Account(repository.client))

    assert second.project_arns == first.project_arns
    assert second.blueprint_versions == {"order": "1"}
    # Both have tried to make a project and a blueprint, and that was all of the second.
    assert repository.writes == writes + 2
    assert repository.plan(path).steps == ()


def test_runs_at_once_make_one_of_each(repository):
    path = repository.write(project=project("order", "bill"), blueprints=[blueprint(), blueprint("bill")])
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: repository.apply(path), range(4)))

    assert len({json.dumps(result.to_dict() | {"changes": []}) for result in results}) == 1
    assert len(repository.client.list_data_automation_projects()["projects"]) == 1
    assert len(repository.client.list_blueprints()["blueprints"]) == 2


def test_an_update_waits_for_the_one_before(repository):
    """A project in progress, and a conflict: another run is changing it."""
    repository.apply(repository.write(project=project()))
    repository.emulator.configure(project_seconds=0.7)
    repository.apply(repository.write(project=project(projectDescription="one")))
    client, conflicts = repository.client, [1, 1]

    class Conflicting(LosesAnswers):
        def __getattr__(self, name):
            if name == "update_data_automation_project" and conflicts:
                conflicts.pop()
                answer = {"Error": {"Code": "ConflictException", "Message": "in use"}}

                def refuse(**params):
                    raise ClientError(answer, "UpdateDataAutomationProject")

                return refuse
            return super().__getattr__(name)

    path = repository.write(project=project(projectDescription="two"))
    applied = repository.apply(path, client=Conflicting(client))

    assert conflicts == []
    assert repository.stage_of(applied.project_arns["orders"])["projectDescription"] == "two"


def test_a_job_uses_what_was_applied(repository, sample_pdf):
    """From files to a value: the blueprint extracts what its schema asks for."""
    path = repository.write(
        project=project("order"), blueprints=[blueprint(schema=schema(invoice_number="The invoice number"))]
    )
    applied = repository.apply(path)
    hook = BdaHook()
    request = hook.build_request(
        input_s3_uri=repository.emulator.upload(sample_pdf, "a.pdf"),
        output_s3_uri=repository.emulator.make_bucket() + "/out",
        project_arn=applied.project_arns["orders"],
    )

    result = hook.get_results(hook.wait(hook.invoke(request), poll_interval=0.05))

    assert [field.value for field in result.segments[0].custom.fields()] == ["A-17"]
