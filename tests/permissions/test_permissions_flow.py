"""The printed policy, and IAM that holds the caller to it: all of it is needed, and nothing more."""

from __future__ import annotations

import copy

import pytest
from conftest import ACCOUNT, BLUEPRINT

from airflow_bda.access.permissions import Extras
from airflow_bda.access.policies import PolicyOptions, caller_policy
from airflow_bda.access.workload import plan_workload
from airflow_bda.service.errors import BdaPermissionError
from airflow_bda.service.model import INVOKE_SYNC, service_model

# What no part of the flow needs, but the diagnosis of a failed one does; see test_without_listing below.
DIAGNOSTIC = "TellMissingFromForbidden"
SIMULATE = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Action": "iam:SimulatePrincipalPolicy",
        "Resource": "arn:aws:iam::123456789012:role/worker",
    },
}


def removals(policy):
    """Return each way to take one thing from a policy: its name, what an error should name, and what is left."""
    for index, statement in enumerate(policy["Statement"]):
        if statement["Sid"] == DIAGNOSTIC:
            continue
        rest = policy["Statement"][:index] + policy["Statement"][index + 1 :]
        yield statement["Sid"], listed(statement["Action"]), policy | {"Statement": rest}
        for element in ("Action", "Resource"):
            for number, value in enumerate(listed(statement[element])):
                if len(listed(statement[element])) == 1:
                    continue
                fewer = copy.deepcopy(policy)
                fewer["Statement"][index][element].remove(value)
                yield f"{statement['Sid']} {element} {number}", [value], fewer


def listed(value):
    return value if isinstance(value, list) else [value]


def some_policy():
    """Return the policy of the tests' workload, with keys of any id: removals are named before an account is there."""
    return caller_policy(
        plan_workload(
            input_uri="s3://inputs/docs/a.pdf",
            output_uri="s3://outputs/results",
            project_arn="arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab",
            blueprint_arns=["arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"],
            kms_key="job",
            input_key="input",
            output_key="output",
        )
    )


REMOVALS = [name for name, _, _ in removals(some_policy())]
STATEMENTS = [name for name in REMOVALS if " " not in name]


def test_the_printed_policy_lets_the_whole_flow_through(guarded):
    policy = caller_policy(plan_workload(**guarded.workload))

    assert guarded.flow(guarded.hook(policy)).segment_count == 1


def test_without_a_policy_nothing_goes(guarded):
    """Enforcement bites, whatever the other tests show."""
    with pytest.raises(BdaPermissionError):
        guarded.flow(guarded.hook())


@pytest.mark.parametrize("removed", REMOVALS)
def test_whatever_is_taken_away_is_missed_by_name(guarded, removed):
    """The flow fails without it, and the error says what to allow: IAM can be asked."""
    policy = caller_policy(plan_workload(**guarded.workload))
    values, fewer = next((values, fewer) for name, values, fewer in removals(policy) if name == removed)

    with pytest.raises(BdaPermissionError) as refused:
        guarded.flow(guarded.hook(fewer, SIMULATE))

    assert any(value in str(refused.value) for value in values)


@pytest.mark.parametrize("sid", STATEMENTS)
def test_it_is_named_where_iam_may_not_be_asked(guarded, sid):
    """Then by what S3 lets see, and by elimination."""
    policy = caller_policy(plan_workload(**guarded.workload))
    values, fewer = next((values, fewer) for name, values, fewer in removals(policy) if name == sid)

    with pytest.raises(BdaPermissionError) as refused:
        guarded.flow(guarded.hook(fewer))

    assert any(value in str(refused.value) for value in values)


@pytest.mark.skipif(
    INVOKE_SYNC not in service_model().operation_names,
    reason="the installed botocore does not know InvokeDataAutomation",
)
def test_processing_at_once_needs_its_own_permission(guarded):
    """Each resource of it is needed; the permission of jobs is not enough."""
    workload = plan_workload(**guarded.workload | {"project_arn": None, "region": "us-east-1", "account": ACCOUNT})
    policy = caller_policy(workload, PolicyOptions(extras=Extras(is_sync=True)))
    document = {name: guarded.workload[name] for name in ("input_uri", "output_uri")}

    def process(role, policy):
        return guarded.hook(policy, role=role).invoke_sync(
            input_s3_uri=document["input_uri"], output_s3_uri=document["output_uri"], blueprints=[BLUEPRINT]
        )

    assert process("all", policy).output_metadata_uri
    (statement,) = [each for each in policy["Statement"] if each["Sid"] == "InvokeBdaAtOnce"]
    for number, resource in enumerate(statement["Resource"]):
        fewer = copy.deepcopy(policy)
        next(each for each in fewer["Statement"] if each["Sid"] == "InvokeBdaAtOnce")["Resource"].remove(resource)
        with pytest.raises(BdaPermissionError):
            process(f"fewer{number}", fewer)


def test_without_listing_a_missing_document_looks_forbidden(guarded):
    """What the statement for listing is good for: S3 tells an absence only to those who may list."""
    policy = caller_policy(plan_workload(**guarded.workload))
    rest = [statement for statement in policy["Statement"] if statement["Sid"] != DIAGNOSTIC]
    guarded.s3.delete_object(Bucket="inputs", Key="docs/a.pdf")

    for number, (statements, said) in enumerate(((policy["Statement"], "does not exist"), (rest, "s3:ListBucket"))):
        hook = guarded.hook(policy | {"Statement": statements}, role=f"worker{number}")
        with pytest.raises(BdaPermissionError, match=said):
            guarded.flow(hook)
