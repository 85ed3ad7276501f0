"""
The request that is answered at once, ``InvokeDataAutomation``: the same arguments and checks as a job's.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_data-automation-runtime_InvokeDataAutomation.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bda.service.arguments import to_members
from airflow_bda.service.errors import BdaRequestError
from airflow_bda.service.model import INVOKE_SYNC, UPGRADE, botocore_version
from airflow_bda.service.request.request import refuse
from airflow_bda.service.request.rules import find_request_problems, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# https://docs.aws.amazon.com/bedrock/latest/userguide/bda-limits.html
MOST_BYTES = 50 * 1024 * 1024


@dataclass(frozen=True, repr=False)
class SyncRequest:
    """
    A request that has been checked; :func:`build_sync_request` makes it.

    :param members: the API's own, without the document's bytes. The profile may be missing: :meth:`with_profile`.
    :param document: the document, where it is not on S3.
    """

    members: Mapping[str, Any]
    document: bytes | None = None

    def to_api(self) -> dict[str, Any]:
        """Return the keyword arguments of ``client.invoke_data_automation``."""
        source = {"bytes": self.document} if self.document is not None else self.members["inputConfiguration"]
        return {**self.members, "inputConfiguration": source}

    def with_profile(self, profile_arn: str) -> SyncRequest:
        """Return the same request with a profile that was derived."""
        return SyncRequest({**self.members, "dataAutomationProfileArn": profile_arn}, self.document)

    @property
    def input_s3_uri(self) -> str | None:
        """The document; None where its bytes are sent."""
        uri: str | None = self.members.get("inputConfiguration", {}).get("s3Uri")
        return uri

    @property
    def output_s3_uri(self) -> str | None:
        """The prefix that the service writes under; None where it answers with the result."""
        uri: str | None = self.members.get("outputConfiguration", {}).get("s3Uri")
        return uri

    def __repr__(self) -> str:
        # Neither the document nor the encryption context comes into a log.
        return f"SyncRequest({self.input_s3_uri or 'bytes'} -> {self.output_s3_uri or 'the answer'})"


def build_sync_request(  # noqa: PLR0913  one argument for each member of the API
    *,
    input_s3_uri: str | None = None,
    input_bytes: bytes | None = None,
    output_s3_uri: str | None = None,
    profile_arn: str | None = None,
    project_arn: str | None = None,
    project_stage: str | None = None,
    blueprints: Sequence[str | Mapping[str, str]] | None = None,
    kms_key_id: str | None = None,
    kms_encryption_context: Mapping[str, str] | None = None,
    region: str | None = None,
    problems: Iterable[str] = (),
) -> SyncRequest:
    """
    Build the request for one document that is processed while the caller waits, and check it.

    The arguments that :func:`airflow_bda.service.request.request.build_request` has too mean the same.

    :param input_s3_uri: the document on S3; this or *input_bytes*.
    :param input_bytes: the document itself, 50 MB at most.
    :param output_s3_uri: where the service writes the results; None has them in the answer.
    :param project_arn: a project of the type ``SYNC``. A project or blueprints must be given.
    :raises BdaRequestError: lists all that is wrong, or says that the installed botocore does not know the call.
    """
    given = {
        "input_s3_uri": input_s3_uri,
        "output_s3_uri": output_s3_uri,
        "profile_arn": profile_arn,
        "project_arn": project_arn,
        "project_stage": project_stage,
        "blueprints": blueprints,
        "kms_key_id": kms_key_id,
        "kms_encryption_context": kms_encryption_context,
    }
    # What the model wants to be there; the bytes themselves are never part of a message.
    members = {"inputConfiguration": {}, **to_members(given)}
    try:
        found = find_request_problems(members, region, operation=INVOKE_SYNC)
    except LookupError:
        raise BdaRequestError(
            f"The installed botocore {botocore_version()} does not know {INVOKE_SYNC}.",
            remedy=f"{UPGRADE} botocore 1.42.61 is known to have it. Or start a job: BdaInvokeOperator.",
            input_s3_uri=input_s3_uri if isinstance(input_s3_uri, str) else None,
        ) from None
    refuse(members, [*problems, *map(sentence, found), *_own_problems(given, input_bytes)])
    return SyncRequest(members, None if input_bytes is None else bytes(input_bytes))


def _own_problems(given: Mapping[str, Any], document: Any) -> Iterator[str]:
    if (given["input_s3_uri"] is None) == (document is None):
        yield "input_s3_uri, input_bytes: exactly one of them must be given."
    if document is not None and not isinstance(document, (bytes, bytearray)):
        yield f"input_bytes must be bytes, not {type(document).__name__}."
    elif document is not None and not 0 < len(document) <= MOST_BYTES:
        size = len(document)
        yield f"input_bytes has {size} bytes; the call takes 1 byte to 50 MB. Start a job for a larger document."
    if not given["project_arn"] and not given["blueprints"]:
        yield "project_arn, blueprints: the call needs a project of the type SYNC, or blueprints."
