"""Buckets and keys of another account: the printed policies let the whole flow through, and each part is needed."""

from __future__ import annotations

import copy
import json

import pytest

from airflow_bda.access.policies import (
    PolicyOptions,
    caller_policy,
    input_bucket_policy,
    key_policy,
    output_bucket_policy,
)
from airflow_bda.access.workload import plan_workload
from airflow_bda.service.errors import BdaPermissionError

OTHER_ACCOUNT = "210987654321"
PROJECT = "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab"
BLUEPRINT = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"
OPTIONS = PolicyOptions(principal="arn:aws:iam::123456789012:role/worker")
# What no job needs: the key's administration, and what tells a missing document from a forbidden one.
BESIDE_THE_FLOW = {"AdministerTheKey", "CallerList"}


class Neighbours:
    """Two buckets and three keys of another account, and the policies that are printed for them."""

    def __init__(self, guarded, document: bytes) -> None:
        self._guarded = guarded
        self.s3, self._kms = guarded.administrator_of(OTHER_ACCOUNT, "s3", "kms")
        self.keys = {name: self._kms.create_key()["KeyMetadata"]["Arn"] for name in ("job", "input", "output")}
        for name in ("input", "output"):
            self.s3.create_bucket(Bucket=f"their-{name}s")
            rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.keys[name]}
            self.s3.put_bucket_encryption(
                Bucket=f"their-{name}s",
                ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
            )
        self.s3.put_object(Bucket="their-inputs", Key="docs/a.pdf", Body=document)
        self.workload = plan_workload(
            input_uri="s3://their-inputs/docs/a.pdf",
            output_uri="s3://their-outputs/results",
            project_arn=PROJECT,
            blueprint_arns=[BLUEPRINT],
            kms_key=self.keys["job"],
            input_key=self.keys["input"],
            output_key=self.keys["output"],
        )

    def put(self, policies) -> None:
        """Put policies on the buckets and the keys, by the names of POLICIES."""
        for name, policy in policies.items():
            kind, _, key = name.partition(" ")
            if kind == "kms":
                self._kms.put_key_policy(KeyId=self.keys[key], PolicyName="default", Policy=json.dumps(policy))
            elif policy["Statement"]:
                self.s3.put_bucket_policy(Bucket=f"their-{kind.partition('-')[0]}s", Policy=json.dumps(policy))

    def flow(self, *more) -> object:
        """Run one document in a role that has the printed policy."""
        hook = self._guarded.hook(caller_policy(self.workload), *more)
        request = hook.build_request(
            input_s3_uri=str(self.workload.input_uri),
            output_s3_uri=str(self.workload.output_uri),
            project_arn=PROJECT,
            blueprints=[BLUEPRINT],
            kms_key_id=self.keys["job"],
        )
        return hook.get_results(hook.wait(hook.invoke(request)))


def printed(keys):
    """Return the policies as the command prints them, one call for each."""
    places = {"input_uri": "s3://their-inputs/docs/a.pdf", "output_uri": "s3://their-outputs/results"}
    place = {**places, "region": "us-east-1", "account": "123456789012"}
    return {
        "input-bucket": input_bucket_policy(plan_workload(**place), OPTIONS),
        "output-bucket": output_bucket_policy(plan_workload(**place), OPTIONS),
        "kms job": key_policy(plan_workload(**place, kms_key=keys["job"]), OPTIONS),
        "kms input": key_policy(plan_workload(**place, input_key=keys["input"]), OPTIONS),
        "kms output": key_policy(plan_workload(**place, output_key=keys["output"]), OPTIONS),
    }


def removals(policies):
    """Return each way to take a statement, or one of its actions, from one policy."""
    for name, policy in policies.items():
        for index, statement in enumerate(policy["Statement"]):
            if statement["Sid"] in BESIDE_THE_FLOW:
                continue
            fewer = copy.deepcopy(policies)
            del fewer[name]["Statement"][index]
            yield f"{name}: {statement['Sid']}", _listed(statement["Action"]), fewer


def _listed(value):
    return value if isinstance(value, list) else [value]


ANY_KEYS = {name: f"arn:aws:kms:us-east-1:{OTHER_ACCOUNT}:key/{name}" for name in ("job", "input", "output")}
REMOVALS = [name for name, _, _ in removals(printed(ANY_KEYS))]
SIMULATE = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"},
}


@pytest.fixture
def neighbours(guarded, sample_pdf):
    """Return the other account's things, without any policies yet."""
    return Neighbours(guarded, sample_pdf)


def test_the_printed_policies_let_the_whole_flow_through(neighbours):
    neighbours.put(printed(neighbours.keys))

    assert neighbours.flow().segment_count == 1


def test_every_kind_of_statement_is_taken_away_once():
    assert REMOVALS == [
        "input-bucket: BdaObjects",
        "input-bucket: BdaList",
        "input-bucket: CallerObjects",
        "output-bucket: BdaObjects",
        "output-bucket: BdaList",
        "output-bucket: CallerObjects",
        "kms job: UseTheKeyForBda",
        "kms input: UseTheKeyForBda",
        "kms output: UseTheKeyForBda",
    ]


@pytest.mark.parametrize("removed", REMOVALS)
def test_whatever_is_taken_away_is_missed_by_name(neighbours, removed):
    """Whether IAM may be asked or not: it does not see the policies of buckets and keys."""
    actions, fewer = next(
        (actions, fewer) for name, actions, fewer in removals(printed(neighbours.keys)) if name == removed
    )
    neighbours.put(fewer)

    for more in ((), (SIMULATE,)):
        with pytest.raises(BdaPermissionError) as refused:
            neighbours.flow(*more)

        said = str(refused.value)
        assert any(action in said for action in actions)
        assert f"airflow-bda policy {removed.partition(':')[0].partition(' ')[0]}" in said


def test_reading_the_results_is_allowed_too(neighbours):
    """Jobs run without it; what they found could not be read."""
    policies = printed(neighbours.keys)
    policies["output-bucket"]["Statement"][2]["Action"] = "s3:PutObject"
    neighbours.put(policies)

    with pytest.raises(BdaPermissionError, match="s3:GetObject"):
        neighbours.flow()


def test_the_key_stays_its_own_accounts():
    """A policy that gave it to the caller's account would lock its owner out."""
    policy = printed(ANY_KEYS)["kms job"]
    kept, used = policy["Statement"]

    assert kept["Principal"] == {"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}
    assert used["Principal"] == {"AWS": OPTIONS.principal}
