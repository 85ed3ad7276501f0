"""What a preflight is about, and what its checks look through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from airflow_bda.service.arns import partition_of
from airflow_bda.service.aws_errors import Failure, classify, error_code
from airflow_bda.service.s3 import S3Uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_bda.hooks.bda import BdaHook

NOT_FOUND = 404


@dataclass(frozen=True)
class Subject:
    """
    The jobs that a setup is for.

    :param input_uri: a document, or all below a prefix that ends in a slash; None leaves it out, as it does below.
    :param stage: ``LIVE`` or ``DEVELOPMENT``.
    :param write_probe: whether an object may be written below the output's prefix, and deleted again.
    """

    input_uri: str | None = None
    output_uri: str | None = None
    project_arn: str | None = None
    stage: str | None = None
    blueprint_arns: tuple[str, ...] = ()
    profile_arn: str | None = None
    kms_key: str | None = None
    input_key: str | None = None
    output_key: str | None = None
    write_probe: bool = False

    def __post_init__(self) -> None:
        for uri in filter(None, (self.input_uri, self.output_uri)):
            S3Uri.parse(uri)

    @property
    def input(self) -> S3Uri | None:
        """Where the input is."""
        return S3Uri.parse(self.input_uri) if self.input_uri else None

    @property
    def output(self) -> S3Uri | None:
        """Where results go."""
        return S3Uri.parse(self.output_uri) if self.output_uri else None


@dataclass(frozen=True)
class Scene:
    """
    What the checks look through, once the caller is known.

    :param caller_arn: as STS gives it.
    """

    hook: BdaHook
    subject: Subject
    region: str
    account: str
    caller_arn: str

    @property
    def partition(self) -> str:
        """The partition of the region."""
        return partition_of(self.region)

    def client(self, service: str) -> Any:
        """Give a boto3 client, on the connection that jobs will use."""
        return self.hook.client_of(service)


@dataclass(frozen=True)
class Refusal:
    """
    A look that failed.

    :param code: AWS's own word for it; empty where there was no answer.
    :param http_status: 0 where there was no answer.
    """

    kind: Failure
    code: str
    http_status: int
    text: str

    @property
    def is_absence(self) -> bool:
        """Whether what was looked for is not there."""
        # KMS answers 400, and has a code of its own.
        return self.http_status == NOT_FOUND or self.kind is Failure.NOT_FOUND or self.code == _NOT_FOUND_OF_KMS

    @property
    def is_denial(self) -> bool:
        """Whether the caller may not look."""
        return self.kind is Failure.PERMISSION or self.http_status == _FORBIDDEN


_FORBIDDEN = 403
_NOT_FOUND_OF_KMS = "NotFoundException"


def look(call: Callable[[], Any]) -> Any:
    """Make a call; give its answer, or the refusal."""
    try:
        return call()
    except ClientError as error:
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(error_code(error))
        return Refusal(classify(error), code, status, f"{code}: {error.response['Error'].get('Message', '')}")
    except ResponseParserError as error:
        # Its text quotes the whole answer, which may be a web page.
        return Refusal(classify(error), "", 0, "the answer is none of AWS's")
    except (BotoCoreError, OSError) as error:
        return Refusal(classify(error), "", 0, f"{type(error).__name__}: {error}")
