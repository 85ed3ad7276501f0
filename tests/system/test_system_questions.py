"""
The questions that only the service can answer. Each test notes what it saw, and fails only when nothing could be seen.

What is asked here is documented nowhere: no code of the package may depend on an answer until the report tells it.
"""

from __future__ import annotations

import time
import uuid
from datetime import datetime, timezone

import pytest
from answers import keep_tokens, kept_tokens
from botocore.exceptions import ClientError
from real_account import delete_under

from airflow_bda.service.s3 import S3Uri

SECONDS_TO_LOOK = 20
MANAGED_BLUEPRINT = "arn:{partition}:bedrock:{region}:aws:blueprint/bedrock-data-automation-public-invoice"


def refusal(error):
    return {"code": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]}


def attempt(account, request):
    """Invoke, and give the ARN or the refusal."""
    try:
        return {"invocation_arn": account.invoke(request)}
    except ClientError as error:
        return refusal(error)


@pytest.fixture(scope="module")
def first(account, document, answers):
    """Start a job with a token of its own, and look at its status at once and often."""
    token = f"bda-{uuid.uuid4().hex}"
    request = account.request(document, clientToken=token)
    began = time.monotonic()
    arn = account.invoke(request)
    seen = []
    while time.monotonic() < began + SECONDS_TO_LOOK:
        at = round(time.monotonic() - began, 3)
        try:
            status = account.bda.get_data_automation_status(invocationArn=arn)["status"]
        except ClientError as error:
            status = refusal(error)["code"]
        if not seen or seen[-1]["status"] != status:
            seen.append({"seconds": at, "status": status})
        if status in {"Success", "ClientError", "ServiceError"}:
            break
        time.sleep(0.1)
    account.wait(arn)
    answers.add(
        "What is the status just after an invoke?",
        " → ".join(f"`{one['status']}` after {one['seconds']} s" for one in seen),
        statuses=seen,
    )
    return request, arn


def test_the_status_just_after_an_invoke(first):
    _, arn = first

    assert arn


def test_the_same_token_with_the_same_request(first, account, answers):
    request, arn = first

    given = attempt(account, request)

    same = given.get("invocation_arn") == arn
    answers.add(
        "What does the same token give with the same request, once the job has ended?",
        "The same invocation." if same else "Something else.",
        same_invocation=same,
        given=given,
    )
    assert given


def test_the_same_token_with_another_request(first, account, answers):
    request, arn = first
    other = {**request, "outputConfiguration": {"s3Uri": account.uri("other")}}

    given = attempt(account, other)

    answers.add(
        "What does the same token give with another request?",
        _in_words(given, arn),
        same_invocation=given.get("invocation_arn") == arn,
        given=given,
    )
    assert given


def _in_words(given, arn):
    if "code" in given:
        return f"`{given['code']}`: {given['message']}"
    return (
        "The first invocation; the other request is not looked at." if given["invocation_arn"] == arn else "A new job."
    )


def test_project_and_blueprints_in_one_request(account, document, answers):
    partition = account.session.get_partition_for_region(account.region)
    blueprint = MANAGED_BLUEPRINT.format(partition=partition, region=account.region)

    given = attempt(account, account.request(document, blueprints=[{"blueprintArn": blueprint}]))

    end = account.wait(given["invocation_arn"]) if "invocation_arn" in given else {}
    answers.add(
        "What do project and blueprints give in one request?",
        f"`{given['code']}`: {given['message']}" if "code" in given else f"A job, which ended in `{end['status']}`.",
        given=given,
        end={name: end.get(name) for name in ("status", "errorType", "errorMessage")},
    )
    assert given


def test_a_file_that_is_broken(account, sample_pdf, answers):
    broken = account.upload("in/broken.pdf", sample_pdf[:300])

    given = attempt(account, account.request(broken))

    end = account.wait(given["invocation_arn"]) if "invocation_arn" in given else {}
    answers.add(
        "What does a broken file give?",
        f"`{given['code']}`: {given['message']}"
        if "code" in given
        else f"A job, which ended in `{end['status']}`: `{end.get('errorType')}`, {end.get('errorMessage')!r}.",
        given=given,
        end={name: end.get(name) for name in ("status", "errorType", "errorMessage")},
    )
    assert given


def test_how_long_a_token_is_remembered(account, sample_pdf, answers):
    """Ask again with the tokens of earlier runs, then leave one for the next: the same request each time."""
    folder = S3Uri(account.place.folder.bucket, "/".join(filter(None, (account.place.folder.key, "bda-token-memory"))))
    account.on_leaving(delete_under, account.client("s3"), folder)
    document = account.put(S3Uri(folder.bucket, f"{folder.key}/in.pdf"), sample_pdf)
    request = account.request(document, outputConfiguration={"s3Uri": f"{folder}/out"})
    earlier = kept_tokens()
    asked = [ask_again(account, token) for token in earlier if token["request"] == request and token["remembered"]]

    answers.add(
        "How long is a token remembered?",
        "; ".join(f"{one['hours']} hours: {'yes' if one['remembered'] else 'no'}" for one in asked)
        or "No earlier run left a token; the next run asks about this one's.",
        tokens=[{name: one[name] for name in ("hours", "remembered")} for one in asked],
    )
    token = f"bda-{uuid.uuid4().hex}"
    new = {
        "token": token,
        "request": request,
        "invocation_arn": account.invoke({**request, "clientToken": token}),
        "sent": datetime.now(timezone.utc).isoformat(),
        "remembered": True,
    }
    keep_tokens(list({token["token"]: token for token in (*earlier, *asked, new)}.values()))
    assert new["invocation_arn"]


def ask_again(account, token):
    given = attempt(account, {**token["request"], "clientToken": token["token"]})
    age = datetime.now(timezone.utc) - datetime.fromisoformat(token["sent"])
    remembered = given.get("invocation_arn") == token["invocation_arn"]
    return {**token, "remembered": remembered, "hours": round(age.total_seconds() / 3600, 2), "answer": given}
