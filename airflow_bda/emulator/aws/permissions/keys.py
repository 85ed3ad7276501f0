"""The KMS keys that a call makes use of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.kms.models import kms_backends
from moto.s3.models import s3_backends

from airflow_bda.emulator.aws.permissions.evaluation import Question
from airflow_bda.emulator.aws.permissions.resource_policies import place_of_bucket

if TYPE_CHECKING:
    from airflow_bda.emulator.aws.permissions.callers import Place

_KMS_ALGORITHMS = frozenset({"aws:kms", "aws:kms:dsse"})
# AWS's own suffix of China's services.
_CHINA, _CHINESE_SUFFIX, _SUFFIX = "aws-cn", "amazonaws.com.cn", "amazonaws.com"


def key_question(action: str, key_arn: str, service: str, place: Place) -> Question:
    """Ask for the use of a key through a service."""
    suffix = _CHINESE_SUFFIX if place.partition == _CHINA else _SUFFIX
    return Question(action, key_arn, {"kms:ViaService": f"{service}.{place.region}.{suffix}"})


def resolve_key(key: str, place: Place) -> str:
    """Return the ARN of a key named by its ARN, its id or an alias; an alias that is not there stays as it is."""
    _, is_alias, name = key.rpartition("alias/")
    if is_alias:
        backend = kms_backends[place.account][place.region]
        key_id = backend.get_key_id_from_alias(f"alias/{name}")
        return _arn(key_id, place) if key_id else key
    return key if key.startswith("arn:") else _arn(key, place)


def key_of_bucket(bucket: str, place: Place) -> str | None:
    """Return the ARN of the customer's key that a bucket encrypts with; None where it has none."""
    owner = place_of_bucket(bucket, place)
    found = s3_backends[owner.account][owner.partition].buckets.get(bucket)
    rule: Any = (found.encryption or {}).get("Rule", {}) if found else {}
    default = (rule[0] if isinstance(rule, list) else rule).get("ApplyServerSideEncryptionByDefault", {})
    key = default.get("KMSMasterKeyID")
    return resolve_key(key, owner) if key and default.get("SSEAlgorithm") in _KMS_ALGORITHMS else None


def key_of_object(bucket: str, key: str, place: Place) -> str | None:
    """Return the ARN of the customer's key that an object is encrypted with: its own, else its bucket's."""
    owner = place_of_bucket(bucket, place)
    found = s3_backends[owner.account][owner.partition].buckets.get(bucket)
    stored = found.keys.get(key) if found else None
    kms_key = getattr(stored, "kms_key_id", None)
    return resolve_key(kms_key, owner) if kms_key else key_of_bucket(bucket, place)


def _arn(key_id: str, place: Place) -> str:
    return f"arn:{place.partition}:kms:{place.region}:{place.account}:key/{key_id}"
