"""Check the places that jobs read and write: the input, the output, their buckets' policies, the key."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from airflow_bda.access.policies import BDA_PRINCIPAL
from airflow_bda.access.preflight.findings import fault, hint, ok
from airflow_bda.service.aws_errors import Refusal, answer_or_refusal
from airflow_bda.service.formats import MODALITIES_OF_EXTENSION, is_known_format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bda.access.preflight.findings import Check, Scene
    from airflow_bda.service.s3 import S3Uri

_PROBE = ".airflow-bda-probe"
_SOME_KEYS = 100
_NO_SUCH_BUCKET = "NoSuchBucket"
_ENABLED, _ENCRYPTS = "Enabled", "ENCRYPT_DECRYPT"


def check_input(scene: Scene) -> Iterator[Check]:
    """Look at the document, or at whether there is any."""
    uri = scene.subject.input
    if uri is None:
        return
    yield from _check_bucket(scene, "input", uri.bucket)
    if not uri.key or uri.key.endswith("/"):
        yield from _check_prefix(scene, uri)
        return
    # Where the output is known too, the request's check has said so.
    if not is_known_format(uri.key) and scene.subject.output is None:
        yield hint(
            "input",
            f"{uri} has no extension that BDA lists.",
            f"It lists {', '.join(sorted(MODALITIES_OF_EXTENSION))}.",
        )
    found = answer_or_refusal(lambda: scene.client("s3").head_object(Bucket=uri.bucket, Key=uri.key))
    if not isinstance(found, Refusal) and not found.get("ContentLength"):
        yield fault("input", f"{uri} is empty.", "Upload the document again: BDA needs a file with contents.")
    elif not isinstance(found, Refusal):
        yield ok("input", f"{uri} can be read, {found['ContentLength']:,} bytes")
    elif found.is_absence:
        yield fault("input", f"{uri} does not exist.", "Correct the URI (mind the extension) or upload the document.")
    elif found.is_denial:
        yield fault(
            "input",
            f"{uri} cannot be read, or does not exist.",
            "Allow s3:GetObject on it, kms:Decrypt on its bucket's key, and s3:ListBucket to tell the two apart.",
        )
    else:
        yield hint("input", f"{uri} could not be looked at: {found.text}")


def _check_prefix(scene: Scene, uri: S3Uri) -> Iterator[Check]:
    found = answer_or_refusal(
        lambda: scene.client("s3").list_objects_v2(Bucket=uri.bucket, Prefix=uri.key, MaxKeys=_SOME_KEYS)
    )
    if isinstance(found, Refusal):
        yield hint("input", f"{uri} could not be listed: {found.text}")
    elif not any(each.get("Size") for each in found.get("Contents", ())):
        # Consoles make an empty object for the folder itself.
        yield hint("input", f"there is nothing below {uri}, or only empty objects")
    else:
        yield ok("input", f"there are documents below {uri}")


def check_output(scene: Scene) -> Iterator[Check]:
    """Look at the output's bucket; write there only when asked to."""
    uri = scene.subject.output
    if uri is None:
        return
    yield from _check_bucket(scene, "output", uri.bucket)
    if scene.subject.write_probe:
        yield from _probe(scene, uri)
    else:
        yield hint(
            "write probe",
            f"writing below {uri} was not tried; what follows on permissions is what IAM says of it.",
            "With --write-probe (write_probe=True) an empty object is written there and deleted again.",
        )


def _check_bucket(scene: Scene, name: str, bucket: str) -> Iterator[Check]:
    s3 = scene.client("s3")
    found = answer_or_refusal(lambda: s3.head_bucket(Bucket=bucket))
    answer = {} if isinstance(found, Refusal) else found
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = answer.get("BucketRegion") or headers.get("x-amz-bucket-region")
    if region and region != scene.region:
        yield hint(
            f"{name} bucket",
            f"{bucket} is in {region}, and jobs run in {scene.region}.",
            f"Use a bucket in {scene.region}, or call BDA in {region} (--region {region}).",
        )
    if not isinstance(found, Refusal):
        own = answer_or_refusal(lambda: s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=scene.account))
        if isinstance(own, Refusal) and own.is_denial:
            yield hint(
                f"{name} bucket",
                f"{bucket} is of another account.",
                f"Its policy must let in the caller and BDA: airflow-bda policy {name}-bucket --principal ROLE prints "
                "it.",
            )
        else:
            yield ok(f"{name} bucket", f"{bucket} can be reached")
    elif found.is_absence:
        yield fault(f"{name} bucket", f"{bucket} does not exist.", "Correct the URI, or create the bucket.")
    elif found.is_denial:
        yield hint(
            f"{name} bucket", f"{bucket} is not yours to list.", f"Allow s3:ListBucket on {bucket}, or check it."
        )
    else:
        yield hint(f"{name} bucket", f"{bucket} could not be reached: {found.text}")


def _probe(scene: Scene, uri: S3Uri) -> Iterator[Check]:
    folder = f"{uri.key.rstrip('/')}/" if uri.key else ""
    key = f"{folder}{_PROBE}-{uuid.uuid4()}"
    written = answer_or_refusal(lambda: scene.client("s3").put_object(Bucket=uri.bucket, Key=key, Body=b""))
    if isinstance(written, Refusal):
        yield fault(
            "write probe",
            f"nothing can be written below {uri}: {written.text}",
            f"Allow s3:PutObject on {uri}/*, and kms:GenerateDataKey on the bucket's key.",
        )
        return
    # In a bucket with versions, deleting without one would leave the object, and a marker beside it.
    version = {"VersionId": written["VersionId"]} if "VersionId" in written else {}
    deleted = answer_or_refusal(lambda: scene.client("s3").delete_object(Bucket=uri.bucket, Key=key, **version))
    if isinstance(deleted, Refusal):
        yield hint(
            "write probe",
            f"s3://{uri.bucket}/{key} was written and cannot be deleted.",
            "Delete it by hand; allow s3:DeleteObject (in a bucket with versions s3:DeleteObjectVersion).",
        )
    else:
        yield ok("write probe", f"an object was written below {uri} and deleted again")


def check_bucket_policies(scene: Scene) -> Iterator[Check]:
    """See whether the buckets name BDA's service principal, which one account does without."""
    wanted = {"input": scene.subject.input, "output": scene.subject.output}
    for name, uri in wanted.items():
        if uri is None:
            continue
        found = answer_or_refusal(lambda uri=uri: scene.client("s3").get_bucket_policy(Bucket=uri.bucket))  # type: ignore[misc]
        if isinstance(found, Refusal) and found.code == _NO_SUCH_BUCKET:
            continue
        if isinstance(found, Refusal) and not found.is_absence:
            yield hint(f"{name} bucket policy", f"that of {uri.bucket} could not be read.")
        elif isinstance(found, Refusal) or not _names_bda(found["Policy"]):
            yield hint(
                f"{name} bucket policy",
                f"that of {uri.bucket} does not name {BDA_PRINCIPAL}; within one account jobs run without.",
                f"For a bucket of another account: airflow-bda policy {name}-bucket prints it.",
            )
        else:
            yield ok(f"{name} bucket policy", f"that of {uri.bucket} names {BDA_PRINCIPAL}")


def _names_bda(text: str) -> bool:
    statements: Any = json.loads(text).get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        named = [services] if isinstance(services, str) else services
        if statement.get("Effect") == "Allow" and BDA_PRINCIPAL in named:
            return True
    return False


def check_key(scene: Scene) -> Iterator[Check]:
    """Look at the key that jobs are encrypted with."""
    key = scene.subject.kms_key
    if not key:
        return
    found = answer_or_refusal(lambda: scene.client("kms").describe_key(KeyId=key))
    if isinstance(found, Refusal) and found.is_absence:
        yield fault("KMS key", f"{key} does not exist.", "Correct its ARN, id or alias, or create it.")
        return
    if isinstance(found, Refusal):
        # A policy with kms:ViaService lets nobody look directly.
        yield hint(
            "KMS key", f"{key} could not be looked at: {found.text}", "Allow kms:DescribeKey to have it checked."
        )
        return
    facts = found["KeyMetadata"]
    if facts.get("KeyState") != _ENABLED:
        yield fault("KMS key", f"{key} is {facts.get('KeyState')}.", "Enable it, or choose another key.")
    elif facts.get("KeyUsage", _ENCRYPTS) != _ENCRYPTS:
        yield fault("KMS key", f"{key} is for {facts['KeyUsage']}.", "Choose a key that encrypts and decrypts.")
    else:
        yield ok("KMS key", f"{key} is enabled")
