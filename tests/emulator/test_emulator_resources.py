"""The control plane beyond projects: managed blueprints, copies, filters, tags, libraries, optimization."""

from __future__ import annotations

import json
import time

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from airflow_bda.emulator.control_plane.control_api import bedrockdataautomation_backends
from airflow_bda.emulator.core.answering import model_of

pytestmark = pytest.mark.skipif(
    "CreateDataAutomationLibrary" not in model_of("bedrock-data-automation").operation_names,
    reason="the models of this botocore are older than the operations that are called here",
)

PLACE = "arn:aws:bedrock:us-east-1"
PROFILE = f"{PLACE}:123456789012:data-automation-profile/us.data-automation-v1"
MANAGED = f"{PLACE}:aws:blueprint/bedrock-data-automation-public-invoice"
UNLISTED = f"{PLACE}:aws:blueprint/bedrock-data-automation-public-us-death-certificate"
WITHOUT_SCHEMA = f"{PLACE}:aws:blueprint/bedrock-data-automation-public-w2-form"
KEY = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-000000000000"


def schema(count=1, *, listed=0):
    leaf = {"type": "string", "inferenceType": "explicit", "instruction": "The invoice number"}
    rows = {f"column_{number}": leaf for number in range(listed)}
    properties = {"invoice_number" if not number else f"field_{number}": leaf for number in range(count)}
    if listed:
        properties["rows"] = {"type": "array", "instruction": "Rows", "items": {"type": "object", "properties": rows}}
    return json.dumps({"class": "invoice", "description": "An invoice", "type": "object", "properties": properties})


@pytest.fixture
def control(bda_emulator):
    bda_emulator.configure(created_seconds=0, in_progress_seconds=0)
    return bda_emulator.client("bedrock-data-automation")


def blueprint(control, name="form", **more):
    made = control.create_blueprint(blueprintName=name, type="DOCUMENT", schema=schema(), **more)
    return made["blueprint"]["blueprintArn"]


def project(control, name="forms", **more):
    return control.create_data_automation_project(projectName=name, standardOutputConfiguration={}, **more)[
        "projectArn"
    ]


def naming(*arns):
    return {"customOutputConfiguration": {"blueprints": [{"blueprintArn": arn} for arn in arns]}}


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    response = refused.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def wait_for(ask, *, give_up=30):
    end = time.monotonic() + give_up
    while not (answer := ask()):
        assert time.monotonic() < end
        time.sleep(0.02)
    return answer


def test_what_is_deleted_leaves_no_client_token(control):
    token = "a" * 40
    first = blueprint(control, clientToken=token)
    assert blueprint(control, clientToken=token) == first
    control.create_blueprint_version(blueprintArn=first, clientToken=token)
    control.delete_blueprint(blueprintArn=first)

    assert bedrockdataautomation_backends["123456789012"]["us-east-1"].resources._arn_of_token == {}
    assert blueprint(control, clientToken=token) != first


@pytest.mark.parametrize("arn", [MANAGED, WITHOUT_SCHEMA, UNLISTED])
def test_managed_blueprints_are_read_and_never_changed(control, arn):
    read = control.get_blueprint(blueprintArn=arn)["blueprint"]
    assert (read["blueprintArn"], read["type"]) == (arn, "DOCUMENT")
    assert json.loads(read["schema"])["class"]
    listed = [each["blueprintArn"] for each in control.list_blueprints(resourceOwner="SERVICE")["blueprints"]]
    assert (arn in listed) == (arn != UNLISTED)
    for call, more in (
        (control.update_blueprint, {"schema": schema()}),
        (control.delete_blueprint, {}),
        (control.create_blueprint_version, {}),
        (control.copy_blueprint_stage, {"sourceStage": "LIVE", "targetStage": "DEVELOPMENT"}),
    ):
        assert refusal(call, blueprintArn=arn, **more) == ("AccessDeniedException", 403)


def test_managed_blueprints_have_the_arns_of_their_region(bda_emulator):
    gov = bda_emulator.client("bedrock-data-automation", region_name="us-gov-west-1")
    arns = [each["blueprintArn"] for each in gov.list_blueprints(resourceOwner="SERVICE")["blueprints"]]

    assert all(arn.startswith("arn:aws-us-gov:bedrock:us-gov-west-1:aws:") for arn in arns)
    assert gov.get_blueprint(blueprintArn=arns[0])["blueprint"]["blueprintArn"] == arns[0]
    assert refusal(gov.get_blueprint, blueprintArn=MANAGED) == ("ResourceNotFoundException", 404)


def test_a_stage_is_copied(control):
    arn = blueprint(control, blueprintStage="DEVELOPMENT")
    assert refusal(control.get_blueprint, blueprintArn=arn, blueprintStage="LIVE")[1] == 404

    control.copy_blueprint_stage(blueprintArn=arn, sourceStage="DEVELOPMENT", targetStage="LIVE")

    assert control.get_blueprint(blueprintArn=arn, blueprintStage="LIVE")["blueprint"]["schema"] == schema()
    again = {"blueprintArn": arn, "sourceStage": "LIVE", "targetStage": "LIVE"}
    assert refusal(control.copy_blueprint_stage, **again) == ("ValidationException", 400)


def test_a_deleted_version_keeps_its_number(control):
    arn = blueprint(control)
    control.create_blueprint_version(blueprintArn=arn)
    control.create_blueprint_version(blueprintArn=arn)
    control.delete_blueprint(blueprintArn=arn, blueprintVersion="1")

    assert control.create_blueprint_version(blueprintArn=arn)["blueprint"]["blueprintVersion"] == "3"
    listed = control.list_blueprints(blueprintArn=arn)["blueprints"]
    assert [each.get("blueprintVersion") for each in listed] == [None, "2", "3"]


def test_the_key_of_a_blueprint_is_kept(control):
    encryption = {"kmsKeyId": KEY, "kmsEncryptionContext": {"team": "a"}}
    arn = blueprint(control, encryptionConfiguration=encryption)

    read = control.get_blueprint(blueprintArn=arn)["blueprint"]
    assert {name: read[name] for name in encryption} == encryption


@pytest.mark.parametrize(
    ("text", "told"),
    [(schema(101), "101 leaf fields"), (schema(1, listed=31), "31 list leaf fields")],
    ids=["fields", "fields of lists"],
)
def test_a_blueprint_has_no_more_fields_than_it_may_have(control, text, told):
    with pytest.raises(ClientError, match=f"ValidationException.*{told}"):
        control.create_blueprint(blueprintName="big", type="DOCUMENT", schema=text)
    control.create_blueprint(blueprintName="as-big-as-can-be", type="DOCUMENT", schema=schema(70, listed=30))


def test_the_synchronous_call_takes_small_blueprints_only(control, bda_emulator, sample_pdf):
    runtime = bda_emulator.client("bedrock-data-automation-runtime")
    arns = [
        control.create_blueprint(blueprintName=f"b-{count}", type="DOCUMENT", schema=schema(count))["blueprint"]
        for count in (15, 16)
    ]
    calls = [
        {
            "inputConfiguration": {"bytes": sample_pdf},
            "dataAutomationProfileArn": PROFILE,
            "blueprints": [{"blueprintArn": made["blueprintArn"]}],
        }
        for made in arns
    ]

    assert runtime.invoke_data_automation(**calls[0])["semanticModality"] == "DOCUMENT"
    assert refusal(runtime.invoke_data_automation, **calls[1]) == ("ValidationException", 400)


def test_a_synchronous_project_has_one_format_of_text(control):
    formats = {"textFormat": {"types": ["MARKDOWN", "HTML"]}, "additionalFileFormat": {"state": "DISABLED"}}
    output = {"document": {"outputFormat": formats}}
    call = control.create_data_automation_project

    with pytest.raises(ClientError, match="cannot have more than 1 document text format types"):
        call(projectName="p", projectType="SYNC", standardOutputConfiguration=output)
    call(projectName="p", projectType="ASYNC", standardOutputConfiguration=output)


def test_a_blueprint_in_use_can_be_deleted_and_its_project_be_changed(control, bda_emulator, sample_pdf):
    kept, deleted = blueprint(control, "kept"), blueprint(control, "deleted")
    arn = project(control, **naming(kept, deleted))
    control.delete_blueprint(blueprintArn=deleted)

    changed = {"projectArn": arn, "standardOutputConfiguration": {}, "projectDescription": "changed"}
    control.update_data_automation_project(**changed, **naming(kept, deleted))
    assert control.get_data_automation_project(projectArn=arn)["project"]["projectDescription"] == "changed"
    job = bda_emulator.client("bedrock-data-automation-runtime").invoke_data_automation_async(
        inputConfiguration={"s3Uri": bda_emulator.upload(sample_pdf, "a.pdf")},
        outputConfiguration={"s3Uri": "s3://bda-test/out"},
        dataAutomationProfileArn=PROFILE,
        dataAutomationConfiguration={"dataAutomationProjectArn": arn},
    )
    assert job["invocationArn"]
    assert bda_emulator.jobs[0].blueprint_arns == (kept,)
    assert refusal(
        control.update_data_automation_project, **changed, **naming(f"{PLACE}:123456789012:blueprint/0123456789ab")
    ) == ("ValidationException", 400)


def test_listings_are_filtered(control):
    first, second = blueprint(control, "first"), blueprint(control, "second")
    library = control.create_data_automation_library(libraryName="words")["libraryArn"]
    using = {"dataAutomationLibraryConfiguration": {"libraries": [{"libraryArn": library}]}}
    arn = project(control, "one", **naming(first), **using)
    project(control, "two", **naming(second))

    def names(answer, kind, name):
        return [each[name] for each in answer[kind]]

    in_project = control.list_blueprints(projectFilter={"projectArn": arn})
    assert names(in_project, "blueprints", "blueprintArn") == [first]
    with_blueprint = control.list_data_automation_projects(blueprintFilter={"blueprintArn": first})
    assert names(with_blueprint, "projects", "projectName") == ["one"]
    with_stage = {"blueprintArn": first, "blueprintStage": "DEVELOPMENT"}
    assert control.list_data_automation_projects(blueprintFilter=with_stage)["projects"] == []
    with_library = control.list_data_automation_projects(libraryFilter={"libraryArn": library})
    assert names(with_library, "projects", "projectName") == ["one"]
    assert control.list_data_automation_projects(projectStageFilter="DEVELOPMENT")["projects"] == []
    used = control.list_data_automation_libraries(projectFilter={"projectArn": arn})
    assert names(used, "libraries", "libraryArn") == [library]


def test_projects_blueprints_and_libraries_have_tags(control):
    tags = [{"key": "team", "value": "a"}]
    arns = [
        project(control, tags=tags),
        blueprint(control, tags=tags),
        control.create_data_automation_library(libraryName="words", tags=tags)["libraryArn"],
    ]
    for arn in arns:
        control.tag_resource(resourceARN=arn, tags=[{"key": "cost", "value": "1"}])
        control.untag_resource(resourceARN=arn, tagKeys=["team", "never-there"])
        assert control.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "cost", "value": "1"}]
    control.delete_data_automation_project(projectArn=arns[0])
    assert refusal(control.list_tags_for_resource, resourceARN=arns[0]) == ("ResourceNotFoundException", 404)
    too_many = [{"key": f"k{number}", "value": ""} for number in range(200)]
    assert refusal(control.tag_resource, resourceARN=arns[1], tags=too_many) == ("ServiceQuotaExceededException", 402)


def test_bedrocks_own_tags_are_still_motos(bda_emulator):
    """Both are called ListTagsForResource, at the same path, with the same signature."""
    bedrock = bda_emulator.client("bedrock")
    arn = f"{PLACE}:123456789012:model-customization-job/amazon.titan-text-express-v1:0:8k/0123456789ab"

    assert refusal(bedrock.list_tags_for_resource, resourceARN=arn)[0] == "ResourceNotFoundException"


def ingest(control, library, payload, operation="UPSERT"):
    job = control.invoke_data_automation_library_ingestion_job(
        libraryArn=library,
        inputConfiguration=payload,
        entityType="VOCABULARY",
        operationType=operation,
        outputConfiguration={"s3Uri": "s3://bda-test/ingested/"},
    )["jobArn"]

    def ended():
        told = control.get_data_automation_library_ingestion_job(libraryArn=library, jobArn=job)["job"]
        return told if told["jobStatus"] != "IN_PROGRESS" else None

    return wait_for(ended)


def test_a_library_is_filled_and_emptied_by_jobs(control, bda_emulator):
    bda_emulator.make_bucket()
    library = control.create_data_automation_library(libraryName="words", libraryDescription="Words")["libraryArn"]
    entity = {"entityId": "greeting", "language": "EN", "phrases": [{"text": "hello"}, {"text": "hi"}]}

    job = ingest(control, library, {"inlinePayload": {"upsertEntitiesInfo": [{"vocabulary": entity}]}})
    assert job["jobStatus"] == "COMPLETED"
    where = {"libraryArn": library, "entityType": "VOCABULARY"}
    (listed,) = control.list_data_automation_library_entities(**where)["entities"]
    assert (listed["vocabulary"]["entityId"], listed["vocabulary"]["numOfPhrases"]) == ("greeting", 2)
    read = control.get_data_automation_library_entity(**where, entityId="greeting")["entity"]["vocabulary"]
    assert read["phrases"] == entity["phrases"]

    lines = json.dumps({"vocabulary": {**entity, "entityId": "again"}}) + "\n" + json.dumps({"vocabulary": {}}) + "\n"
    uri = bda_emulator.upload(lines.encode(), "entities.jsonl")
    assert ingest(control, library, {"s3Object": {"s3Uri": uri}})["jobStatus"] == "COMPLETED_WITH_ERRORS"
    garbage = bda_emulator.upload(b"\xff\xfe", "garbage")
    assert ingest(control, library, {"s3Object": {"s3Uri": garbage}})["jobStatus"] == "FAILED"
    gone = ingest(control, library, {"inlinePayload": {"deleteEntitiesInfo": {"entityIds": ["greeting"]}}}, "DELETE")
    assert gone["jobStatus"] == "COMPLETED"
    assert refusal(control.get_data_automation_library_entity, **where, entityId="greeting")[1] == 404
    assert len(control.list_data_automation_library_ingestion_jobs(libraryArn=library)["jobs"]) == 4
    assert control.delete_data_automation_library(libraryArn=library)["status"] == "DELETING"
    assert refusal(control.get_data_automation_library, libraryArn=library)[1] == 404


def optimize(control, bda_emulator, sample_pdf, truth, **more):
    arn = blueprint(control)
    document = bda_emulator.upload(sample_pdf, "a.pdf")
    expected = bda_emulator.upload(json.dumps(truth).encode(), "truth.json")
    request = {
        "blueprint": {"blueprintArn": arn, "stage": "LIVE"},
        "samples": [{"assetS3Object": {"s3Uri": document}, "groundTruthS3Object": {"s3Uri": expected}}],
        "outputConfiguration": {"s3Object": {"s3Uri": "s3://bda-test/optimized"}},
        "dataAutomationProfileArn": PROFILE,
    }
    return arn, request | more


def ended(control, invocation):
    def ask():
        told = control.get_blueprint_optimization_status(invocationArn=invocation)
        return told if told["status"] not in {"Created", "InProgress"} else None

    return wait_for(ask)


@pytest.mark.parametrize(("expected", "exact"), [("A-17", 1.0), ("B-18", 0.0)])
def test_an_optimization_scores_its_samples(control, bda_emulator, sample_pdf, expected, exact):
    arn, request = optimize(control, bda_emulator, sample_pdf, {"invoice_number": expected})

    status = ended(control, control.invoke_blueprint_optimization_async(**request)["invocationArn"])

    uri = status["outputConfiguration"]["s3Object"]["s3Uri"]
    assert (status["status"], uri) == ("Success", "s3://bda-test/optimized/optimization_results.json")
    stored = bda_emulator.client("s3").get_object(Bucket="bda-test", Key="optimized/optimization_results.json")
    compared = json.load(stored["Body"])["evaluationComparison"]
    assert compared["before"]["schema"] == compared["after"]["schema"] == schema()
    metrics = compared["after"]["aggregateMetrics"]
    assert set(metrics) == {"confidence", "exactMatch", "f1"}
    assert metrics["exactMatch"] == exact
    assert 0 < metrics["confidence"] <= 1
    read = control.get_blueprint(blueprintArn=arn)["blueprint"]
    assert read["optimizationSamples"] == request["samples"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"samples": []}, "ValidationException"),
        ({"blueprint": {"blueprintArn": MANAGED}}, "AccessDeniedException"),
        ({"blueprint": {"blueprintArn": f"{PLACE}:123456789012:blueprint/0123456789ab"}}, "ResourceNotFoundException"),
        ({"dataAutomationProfileArn": PROFILE.replace("us.data", "eu.data")}, "ValidationException"),
        ({"outputConfiguration": {"s3Object": {"s3Uri": "s3://no-such-bucket/x"}}}, "AccessDeniedException"),
    ],
    ids=["no samples", "a managed blueprint", "an unknown blueprint", "another profile", "no bucket"],
)
def test_an_optimization_that_cannot_be_is_refused(control, bda_emulator, sample_pdf, change, code):
    _, request = optimize(control, bda_emulator, sample_pdf, {}, **change)

    assert refusal(control.invoke_blueprint_optimization_async, **request)[0] == code


def test_an_optimization_ends_in_an_error_when_its_samples_cannot_be_read(control, bda_emulator, sample_pdf):
    _, request = optimize(control, bda_emulator, sample_pdf, ["no object"])
    assert (
        ended(control, control.invoke_blueprint_optimization_async(**request)["invocationArn"])["status"]
        == "ClientError"
    )

    bda_emulator.faults.add("failed_job", status="ServiceError", times=1)
    told = ended(control, control.invoke_blueprint_optimization_async(**request)["invocationArn"])
    assert (told["status"], bool(told["errorMessage"])) == ("ServiceError", True)


def test_a_blueprint_is_recommended(control, bda_emulator, sample_pdf):
    """Two calls of the console, which no SDK has: signed by hand, as the workshop does."""
    body = {
        "inputDataConfiguration": {"s3Uri": bda_emulator.upload(sample_pdf, "a.pdf")},
        "dataAutomationProfileArn": PROFILE,
    }

    def call(path, document=None):
        data = json.dumps(document) if document else None
        signed = AWSRequest("POST", f"{bda_emulator.endpoint_url}/{path}", data=data)
        SigV4Auth(bda_emulator.session.get_credentials(), "bedrock", "us-east-1").add_auth(signed)
        return requests.post(signed.url, data=data, headers=dict(signed.headers), timeout=10)

    job = call("invokeBlueprintRecommendationAsync", body).json()["jobId"]
    told = wait_for(
        lambda: found if (found := call(f"getBlueprintRecommendation/{job}/").json()).get("results") else None
    )

    assert told["status"] == "Completed"
    (result,) = told["results"]
    assert result["blueprintRecommendation"]["matchedBlueprint"]["blueprintArn"] == MANAGED
    assert json.loads(result["blueprintRecommendation"]["schema"])["properties"]
    assert call("invokeBlueprintRecommendationAsync", {"inputDataConfiguration": 1}).status_code == 400
    assert call("getBlueprintRecommendation/no-such/").status_code == 404
