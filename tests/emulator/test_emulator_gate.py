"""Who may reach the server: by the headers that programs and browsers send, for each way to listen."""

from __future__ import annotations

import pytest
import requests

from airflow_bda.emulator import EmulatorServer
from airflow_bda.emulator.server.dispatch import Gate

ALL_ADDRESSES = "0.0.0.0"  # noqa: S104  what a container listens on; nothing is bound here
SIGNED = "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def request(host="127.0.0.1:4566", method="GET", path="/", query="", **headers):
    names = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return {"HTTP_HOST": host, "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, **names}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:4566", "127.9.9.9", "[::1]:4566", "a.localhost"]
)
def test_loopback_names_are_taken(host):
    assert Gate("127.0.0.1").refusal(request(host)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "localhost.evil.test",
        "evil-localhost",
        "127.0.0.1.evil.test",
        "192.168.1.5",
        "emulator:4566",
        "",
        "[",
        "127.0.0.1@evil.test",
        "evil.test#127.0.0.1",
        "2130706433",
        "localhost, evil.test",
        "host.docker.internal",
    ],
)
@pytest.mark.parametrize("path", ["/", "/bucket/key", "/_bda/jobs", "/moto-api/data.json", "/2015-03-31/functions"])
def test_other_names_are_refused_on_every_path(host, path):
    assert "Host" in Gate("127.0.0.1").refusal(request(host, path=path, authorization=SIGNED.format("s3")))


@pytest.mark.parametrize("host", ["localhost", "emulator:4566", "bucket.emulator:4566", "10.0.0.7:4566", "[fd00::7]"])
def test_who_listens_for_others_is_called_by_addresses_and_the_names_allowed(host):
    assert Gate(ALL_ADDRESSES, ["emulator"]).refusal(request(host)) is None


@pytest.mark.parametrize("host", ["evil.test", "emulator.evil.test", "notemulator", "service"])
def test_who_listens_for_others_refuses_names_that_nobody_allowed(host):
    assert Gate(ALL_ADDRESSES, ["emulator"]).refusal(request(host)) is not None


def test_a_name_that_it_listens_on_is_its_own():
    assert Gate("bda.internal").refusal(request("bda.internal:4566")) is None


@pytest.mark.parametrize(
    ("headers", "is_taken"),
    [
        ({"origin": "http://localhost:8080"}, True),
        ({"origin": "http://emulator:4566"}, True),
        ({"origin": "https://evil.test"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://[broken"}, False),
        ({"origin": "http://10.0.0.9"}, False),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}, False),
        ({"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors"}, False),
        ({"sec_fetch_site": "none", "sec_fetch_mode": "navigate"}, True),
        ({"referer": "https://evil.test/page"}, False),
        ({"referer": "http://localhost:4566/_bda/"}, True),
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_pages_of_other_sites_are_refused(method, headers, is_taken):
    """Navigation too: a link or a form of another site must not read objects or change things."""
    refusal = Gate(ALL_ADDRESSES, ["emulator"]).refusal(request("emulator:4566", method, "/bucket/key", **headers))

    assert (refusal is None) is is_taken


def test_a_link_to_the_jobs_may_be_followed_and_nothing_sent_there():
    followed = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    gate = Gate("127.0.0.1")

    assert gate.refusal(request(path="/_bda/jobs", **followed)) is None
    assert gate.refusal(request(path="/_bda/reset", method="POST", **followed)) is not None
    assert gate.refusal(request(path="/_bdax", **followed)) is not None


@pytest.mark.parametrize("query", ["Action=CreateUser&UserName=x", "a=b&action=DeleteQueue", "Action"])
def test_a_get_that_changes_something_needs_a_signature_in_its_header(query):
    """A browser sends none of the telling headers to an address of a home network; nor can it send a signature."""
    gate = Gate(ALL_ADDRESSES)

    assert gate.refusal(request("192.168.1.5:4566", query=query)) is not None
    assert gate.refusal(request("192.168.1.5:4566", query=query, authorization=SIGNED.format("iam"))) is None
    assert gate.refusal(request("192.168.1.5:4566", "POST", query=query)) is None


def test_motos_own_endpoints_are_closed_unless_asked_for():
    path = "/moto-api/data.json"

    assert Gate("127.0.0.1").refusal(request(path=path)) is not None
    assert Gate("127.0.0.1", has_moto_api=True).refusal(request(path=path)) is None


def test_a_client_that_sends_its_whole_address_as_its_host_is_served(bda_emulator):
    """AWS's guidance for multimodal data does, with the paths of the control plane."""
    headers = {"Host": bda_emulator.endpoint_url, "Authorization": SIGNED.format("bedrock")}
    answer = requests.post(f"{bda_emulator.endpoint_url}/data-automation-projects/", headers=headers, timeout=10)

    assert answer.json() == {"projects": []}


def test_a_page_that_is_stored_as_an_object_runs_nothing(bda_emulator):
    bda_emulator.upload(b"<script>1</script>", "page.html")
    place = {"Bucket": "bda-test", "Key": "page.html"}
    url = bda_emulator.client("s3").generate_presigned_url("get_object", Params=place)
    answer = requests.get(url, timeout=10)

    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_moto_api_can_be_asked_for():
    with EmulatorServer(moto_api=True) as server:
        assert requests.get(f"{server.endpoint_url}/moto-api/data.json", timeout=10).ok


@pytest.mark.parametrize("service", ["sts", "s3", "bedrock-data-automation", "bedrock-data-automation-runtime", "sqs"])
def test_a_region_that_aws_does_not_have_is_refused_in_words(bda_emulator, service):
    calls = {
        "sts": lambda client: client.get_caller_identity(),
        "s3": lambda client: client.list_buckets(),
        "sqs": lambda client: client.list_queues(),
        "bedrock-data-automation": lambda client: client.list_blueprints(),
        "bedrock-data-automation-runtime": lambda client: client.get_data_automation_status(
            invocationArn="arn:aws:bedrock:mars-1:123456789012:data-automation-invocation/a"
        ),
    }
    client = bda_emulator.client(service, region_name="mars-1")

    with pytest.raises(client.exceptions.ClientError) as refused:
        calls[service](client)

    error = refused.value.response
    assert error["Error"]["Code"] == "InvalidSignatureException"
    assert "valid region, not 'mars-1'" in error["Error"]["Message"]


def test_deep_and_endless_faults_are_refused(bda_emulator):
    url = f"{bda_emulator.endpoint_url}/_bda/faults"
    for body in (
        b"[" * 200_000,
        b'{"faults": [{"kind": "throttling", "times": 1e400}]}',
        b'{"faults": [{"kind": "x\\ud800"}]}',
    ):
        answer = requests.put(url, data=body, headers={"Content-Type": "application/json"}, timeout=10)
        assert answer.status_code == 400
        assert answer.json()["error"]


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("iam", lambda client: client.get_context_keys_for_custom_policy(PolicyInputList=["{}"])),
        ("events", lambda client: client.list_partner_event_sources(NamePrefix="a")),
    ],
    ids=["query", "json"],
)
def test_an_operation_that_moto_lacks_is_an_error_and_no_traceback(bda_emulator, service, call, capfd):
    client = bda_emulator.client(service)

    with pytest.raises(client.exceptions.ClientError) as refused:
        call(client)

    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    assert refused.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert "Traceback" not in capfd.readouterr().err
