"""Every operation of the two service models, every member and every bound: generated from the models themselves."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from request_shapes import SERVICES, broken, operation, operations, problems_of_answer, send, values

from airflow_bda.emulator import EMULATOR
from airflow_bda.emulator.core.answering import model_of
from airflow_bda.emulator.server.views import operations as operations_answered

pytestmark = pytest.mark.skipif(
    "CreateDataAutomationLibrary" not in model_of("bedrock-data-automation").operation_names,
    reason="the models of this botocore are older than the operations that are called here",
)

CONTROL, RUNTIME = SERVICES
PLACE = "arn:aws:bedrock:us-east-1:123456789012"
PROFILE = f"{PLACE}:data-automation-profile/us.data-automation-v1"
SCHEMA = json.dumps(
    {"class": "form", "properties": {"name": {"type": "string", "inferenceType": "explicit", "instruction": "Name"}}}
)
# Longer by `make test-fuzz`; FUZZ_EXAMPLES=100000 for an hour.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3000"))


@pytest.fixture(scope="module")
def url(bda_emulator_server):
    return bda_emulator_server.endpoint_url


@pytest.fixture
def known(steered_emulator):
    """Return what is there, by the shapes that name it, beside things that are not there."""
    emulator = steered_emulator
    EMULATOR.faults.clear()
    document, truth = emulator.upload(b"hello", "a.pdf"), emulator.upload(b'{"name": "Ada"}', "truth.json")
    control = emulator.client(CONTROL)
    blueprint = control.create_blueprint(blueprintName="form", type="DOCUMENT", schema=SCHEMA)["blueprint"][
        "blueprintArn"
    ]
    project = control.create_data_automation_project(projectName="forms", standardOutputConfiguration={})["projectArn"]
    library = control.create_data_automation_library(libraryName="words")["libraryArn"]
    entity = {"vocabulary": {"entityId": "greetings", "language": "EN", "phrases": [{"text": "hello"}]}}
    ingestion = control.invoke_data_automation_library_ingestion_job(
        libraryArn=library,
        inputConfiguration={"inlinePayload": {"upsertEntitiesInfo": [entity]}},
        entityType="VOCABULARY",
        operationType="UPSERT",
        outputConfiguration={"s3Uri": "s3://bda-test/ingested"},
    )["jobArn"]
    optimization = control.invoke_blueprint_optimization_async(
        blueprint={"blueprintArn": blueprint},
        samples=[{"assetS3Object": {"s3Uri": document}, "groundTruthS3Object": {"s3Uri": truth}}],
        outputConfiguration={"s3Object": {"s3Uri": "s3://bda-test/optimized"}},
        dataAutomationProfileArn=PROFILE,
    )["invocationArn"]
    job = emulator.client(RUNTIME).invoke_data_automation_async(
        inputConfiguration={"s3Uri": document},
        outputConfiguration={"s3Uri": "s3://bda-test/out"},
        dataAutomationProfileArn=PROFILE,
    )["invocationArn"]
    missing = "0123456789ab"
    return {
        "BlueprintArn": [blueprint, f"{PLACE}:blueprint/{missing}", _managed("invoice"), _managed("no-such")],
        "DataAutomationProjectArn": [project, f"{PLACE}:data-automation-project/{missing}"],
        "DataAutomationArn": [project, f"{PLACE}:data-automation-project/{missing}"],
        "DataAutomationProfileArn": [PROFILE],
        "DataAutomationLibraryArn": [library, f"{PLACE}:data-automation-library/{missing}"],
        "DataAutomationLibraryIngestionJobArn": [ingestion],
        "BlueprintOptimizationInvocationArn": [optimization, f"{PLACE}:blueprint-optimization-invocation/{missing}"],
        "InvocationArn": [job],
        "TaggableResourceArn": [project, blueprint, library, job],
        "S3Uri": [document, truth, "s3://bda-test/out", "s3://no-such-bucket/a"],
        "BlueprintSchema": [SCHEMA, "{}", "[1]", "null", '{"class": 1, "properties": {"a": {"$ref": "#/a"}}}'],
        "EntityId": ["greetings", "no-such"],
    }


def _managed(name):
    return f"arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-{name}"


def known_to(service, known):
    """Leave out what the other API names by the same word."""
    wanted = service == RUNTIME
    arns = [arn for arn in known["TaggableResourceArn"] if (":data-automation-invocation/" in arn) is wanted]
    return known | {"TaggableResourceArn": arns}


def test_all_operations_are_answered():
    answered, all_of_them = operations_answered()

    assert answered == all_of_them == len(operations())


@pytest.mark.parametrize(("service", "name"), operations())
def test_each_bound_is_kept(known, url, service, name):
    """One request with every member, then one for each of its bounds with that bound broken: refused, and readable."""
    shape = operation(service, name).input_shape
    full = values(shape, known_to(service, known), everything=True)
    request = find(full, lambda _: True, settings=settings(database=None, phases=[Phase.generate], max_examples=5))
    wrong = []
    for where, changed in broken(shape, request):
        reply = send(url, service, name, changed)
        if reply.status != 400 or reply.code not in {"ValidationException", "SerializationException"}:
            wrong.append(f"{where}: {reply.status} {reply.code} {reply.message}")

    assert not wrong, "\n".join(wrong)


def check_one(data, known, url):
    """Send a random request; whatever is in it, the answer is one that the model describes."""
    service, name = data.draw(st.sampled_from(operations()))
    shape = operation(service, name).input_shape
    params = data.draw(values(shape, known_to(service, known)))
    if data.draw(st.booleans()):
        params = data.draw(st.sampled_from([changed for _, changed in broken(shape, params)] or [params]))
    reply = send(url, service, name, params)

    assert problems_of_answer(service, name, reply) == [], (name, params)


_SHARED = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=150, derandomize=True, **_SHARED)
@given(data=st.data())
def test_no_request_breaks_it(known, url, data):
    check_one(data, known, url)


@pytest.mark.fuzz
@pytest.mark.timeout(0)
@settings(max_examples=EXAMPLES, **_SHARED)
@given(data=st.data())
def test_no_request_breaks_it_for_long(known, url, data):
    check_one(data, known, url)
