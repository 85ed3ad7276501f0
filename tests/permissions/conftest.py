"""An account whose IAM is enforced: a role with a policy, and hooks that act in it."""

from __future__ import annotations

import functools
import json
from contextlib import suppress

import boto3
import pytest
from moto.kms.utils import generate_private_key

ACCOUNT = "123456789012"
PROJECT = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:data-automation-project/0123456789ab"
BLUEPRINT = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}


class Guarded:
    """
    The emulator with IAM enforced. The fixture's own key is the account's and may do all.

    :param emulator: the fixture ``bda_emulator``.
    """

    def __init__(self, emulator, monkeypatch) -> None:
        self.emulator = emulator
        self._monkeypatch = monkeypatch
        emulator.configure(enforce_iam=True, created_seconds=0, in_progress_seconds=0)
        self.s3, self.iam, self.kms = (emulator.client(service) for service in ("s3", "iam", "kms"))
        self.keys = {name: self.kms.create_key()["KeyMetadata"]["Arn"] for name in ("job", "input", "output")}
        for bucket, key in (("inputs", "input"), ("outputs", "output")):
            emulator.make_bucket(bucket)
            rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": self.keys[key]}
            self.s3.put_bucket_encryption(
                Bucket=bucket,
                ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]},
            )

    def upload(self, document: bytes) -> str:
        return self.emulator.upload(document, "docs/a.pdf", bucket="inputs")

    @property
    def workload(self) -> dict[str, object]:
        """What the flow of these tests touches, as plan_workload takes it."""
        return {
            "input_uri": "s3://inputs/docs/a.pdf",
            "output_uri": "s3://outputs/results",
            "project_arn": PROJECT,
            "blueprint_arns": [BLUEPRINT],
            "kms_key": self.keys["job"],
            "input_key": self.keys["input"],
            "output_key": self.keys["output"],
        }

    def administrator_of(self, account: str, *services: str):
        """Return clients of a role that may do all in another account."""
        role = f"arn:aws:iam::{account}:role/administrator"
        session = self.emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        connection = {
            "region_name": "us-east-1",
            "endpoint_url": self.emulator.endpoint_url,
            "aws_access_key_id": session["AccessKeyId"],
            "aws_secret_access_key": session["SecretAccessKey"],
            "aws_session_token": session["SessionToken"],
        }
        iam = boto3.client("iam", **connection)
        trust = {"Version": "2012-10-17", "Statement": []}
        self.emulator.configure(enforce_iam=False)
        iam.create_role(RoleName="administrator", AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(
            RoleName="administrator",
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [ALL]}),
        )
        self.emulator.configure(enforce_iam=True)
        return [boto3.client(service, **connection) for service in services]

    def hook(self, *policies: dict[str, object], role: str = "worker"):
        """Return a hook that acts in a role with these policies and no others."""
        from airflow_bda.hooks import BdaHook

        trust = {"Version": "2012-10-17", "Statement": []}
        with suppress(self.iam.exceptions.EntityAlreadyExistsException):
            self.iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        for number, policy in enumerate(policies):
            self.iam.put_role_policy(RoleName=role, PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
        session = self.emulator.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        connection = {
            "conn_type": "aws",
            "login": session["AccessKeyId"],
            "password": session["SecretAccessKey"],
            "extra": {
                "aws_session_token": session["SessionToken"],
                "endpoint_url": self.emulator.endpoint_url,
                "region_name": "us-east-1",
            },
        }
        self._monkeypatch.setenv(f"AIRFLOW_CONN_{role.upper()}", json.dumps(connection))
        return BdaHook(aws_conn_id=role)

    def request(self, hook):
        return hook.build_request(
            input_s3_uri="s3://inputs/docs/a.pdf",
            output_s3_uri="s3://outputs/results",
            project_arn=PROJECT,
            blueprints=[BLUEPRINT],
            kms_key_id=self.keys["job"],
        )

    def flow(self, hook):
        """Run one document: invoke, wait, read the results."""
        arn = hook.invoke(self.request(hook))
        return hook.get_results(hook.wait(arn))


@pytest.fixture(autouse=True, scope="session")
def _one_pair_for_all_keys():
    """For a symmetric key too, moto makes a pair of RSA's, which takes longer than most of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("moto.kms.models.generate_private_key", functools.cache(generate_private_key))
        yield


@pytest.fixture
def guarded(bda_emulator, monkeypatch, sample_pdf):
    """Return an account with IAM enforced, two encrypted buckets, a key for jobs and a document."""
    account = Guarded(bda_emulator, monkeypatch)
    account.upload(sample_pdf)
    return account
