"""
Where the service's behaviour is not publicly known, and what the emulator does instead.

Each constant is a choice, not a fact: do not write code that depends on one. What is documented or was seen on the real
service stands where it is used, with its source.

Choices that are no values:

- A client token is looked up before S3 is looked at: an invocation is returned even if its input was deleted since.
- Project and blueprints in one request: the request's blueprints win.
- Blueprints without a project: standard output is written all the same. On the real service it may be missing.
- A job that fails writes nothing, and its status has no ``outputConfiguration``.
- ``jobDurationInSeconds`` counts from the submission, in whole seconds, rounded up.
- An output URI without a prefix (``s3://bucket``, ``s3://bucket/``) gets no slash before the invocation's id.
- ``InvokeDataAutomation`` with ``outputConfiguration`` writes the files of an asynchronous job under an id of their
  own, and answers with the URI of their ``job_metadata.json``.
"""

from __future__ import annotations

# The same client token with other parameters. The runtime declares no conflict error, so it can hardly be anything
# but a ValidationException; its text is ours.
TOKEN_MISMATCH_MESSAGE = (
    "The clientToken was used before with different parameters. Use a new clientToken for a different request."  # noqa: S105
)

# A region that AWS's profile table does not list (the table grows): any profile of the caller's account in that region.
UNLISTED_REGIONS_TAKE_ANY_PROFILE = True

# A project that is not there. InvokeDataAutomationAsync declares no ResourceNotFoundException.
UNKNOWN_PROJECT_MESSAGE = "The provided DataAutomationProject ARN is invalid."

# A project of the caller's own that was never made here is taken for one, with all the custom blueprints of the
# emulator's folder, unless the setting unknown_projects refuses it. Of AWS's managed projects it has these two.
PUBLIC_PROJECTS = frozenset({"public-default", "public-rag-default"})

# A blueprint that is not there. See UNKNOWN_PROJECT_MESSAGE.
UNKNOWN_BLUEPRINT_MESSAGE = "The provided Blueprint ARN is invalid."

# More open jobs than the quota allows; the error is inferred, its text is ours.
TOO_MANY_OPEN_JOBS_MESSAGE = "The number of open data automation jobs has reached the quota of {limit}."

THROTTLED_MESSAGE = "Rate exceeded"
INTERNAL_ERROR_MESSAGE = "The service encountered an internal error. Try again."
# The HTTP code of ServiceUnavailableException is not documented.
SERVICE_UNAVAILABLE_HTTP_STATUS = 503
EXPIRED_CREDENTIALS_MESSAGE = "The security token included in the request is expired"

# An ARN that is well formed and unknown, another account's and another region's included.
UNKNOWN_INVOCATION_MESSAGE = "The invocation {arn} was not found."
# How long the service keeps ended jobs is not known. The emulator keeps a number of them, a setting.
FORGOTTEN_JOBS_MESSAGE = (
    "The emulator has forgotten {count} ended jobs here; the setting kept_jobs says how many it keeps."
)

# No errorType of a failed job was ever published. The processing names what is wrong with an input; these are the rest.
INPUT_GONE_ERROR_TYPE = "InputNotFound"
OUTPUT_NOT_WRITABLE_ERROR_TYPE = "OutputNotWritable"
INTERNAL_ERROR_TYPE = "InternalError"
FAULT_ERROR_TYPE = "FaultInjected"

# InvokeDataAutomation with an input that cannot be worked with: it has no job whose status could say so.
SYNC_INPUT_ERROR_CODE = "ValidationException"

# With IAM enforced: one deployment was refused until its policy allowed the invoke on data-automation-invocation/* too.
INVOKE_CHECKS_THE_INVOCATION = True
# What such a job is called while its id is not known; policies have a wildcard there.
INVOCATION_BEFORE_IT_IS = "00000000-0000-0000-0000-000000000000"

# With IAM enforced, for a bucket of another account: its policy must allow the caller, in whose name BDA works, and
# BDA's service principal too, for the account in aws:SourceAccount. Which of the two the service looks at is not known;
# what has both works either way. Within one account the principal is not checked.
OTHER_ACCOUNTS_BUCKETS_NAME_BDA = True

# Permissions are asked about before the request is looked at any further, S3's and KMS's with them; once, at the
# invoke, and not again when the job reads and writes.

# An event's word for the status. Only SUCCESS was ever seen; consumers should go by the detail-type.
EVENT_STATUSES = {
    "Created": "CREATED",
    "Success": "SUCCESS",
    "ClientError": "CLIENT_ERROR",
    "ServiceError": "SERVICE_ERROR",
}
# No event of a created or failed job was published either: here they name the place where the output would be.

# The control plane's texts are ours; its codes are the model's.
NOT_FOUND_MESSAGE = "{arn} was not found."
NAME_TAKEN_MESSAGE = "The name {name!r} is taken."
INVALID_BLUEPRINT_MESSAGE = "Request has invalid blueprint schema"

# An invoke on a project that is IN_PROGRESS, or that lacks the stage. The runtime has no error of its own for it.
PROJECT_NOT_READY_MESSAGE = "The provided DataAutomationProject is not COMPLETED in the stage {stage}."

# A region that AWS does not have has no endpoint either: a real client finds no address. The emulator is reached all
# the same, and says what AWS's signature check says of a wrong region.
UNKNOWN_REGION_CODE = "InvalidSignatureException"
UNKNOWN_REGION_MESSAGE = "Credential should be scoped to a valid region, not '{region}'."

# Limits whose refusal was not seen: the error is the model's, the text is ours.
TOO_MANY_MESSAGE = "The number of {what} has reached the quota of {limit}."
TOO_MANY_FIELDS_MESSAGE = "The blueprint has {count} {what}; the most is {limit}."
TOO_MANY_BLUEPRINTS_MESSAGE = "The project names {count} blueprints of the type {kind}; the most is {limit}."

# AWS's managed blueprints, and those of the emulator's folder, can be used and read, and not changed.
MANAGED_BLUEPRINT_MESSAGE = "The blueprint {arn} is managed and cannot be changed or deleted."
# A stage copied onto itself.
SAME_STAGE_MESSAGE = "The source stage and the target stage are both {stage}."
# A project that names a library that is not there.
UNKNOWN_LIBRARY_MESSAGE = "The provided DataAutomationLibrary ARN is invalid."

# The synchronous call's refusals; their texts were seen on the service, of a project's when it is made or changed.
SYNC_NEEDS_PROJECT_OR_BLUEPRINTS_MESSAGE = (
    "At least one of project or inline blueprints must be provided in the request"
)
SYNC_PROJECT_TYPE_MESSAGE = "Sync API only supports SYNC project type"
SYNC_TEXT_FORMATS_MESSAGE = (
    "Sync project standard output configuration cannot have more than 1 document text format types"
)

# Optimization, ingestion and recommendation: the texts and the words of their errors.
NO_SAMPLES_MESSAGE = "At least one sample must be provided in the request"
OPTIMIZATION_ERROR_TYPE = "InvalidSample"
INGESTION_ERROR_TYPE = "InvalidPayload"
ONE_SOURCE_MESSAGE = "inputConfiguration needs exactly one of s3Object and inlinePayload"
WRONG_PAYLOAD_MESSAGE = (
    "The inlinePayload does not fit the operation {operation}: UPSERT takes upsertEntitiesInfo, DELETE takes "
    "deleteEntitiesInfo"
)
RECOMMENDATION_MEMBERS_MESSAGE = (
    "The request needs inputDataConfiguration.s3Uri and dataAutomationProfileArn, both texts"
)
