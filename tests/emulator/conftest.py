"""The emulator without its reading of real files: a processor that a test can steer."""

from __future__ import annotations

import time
from threading import Event, Lock

import boto3
import pytest
from moto import mock_aws

from airflow_bda.emulator import EMULATOR, EmulatorSettings
from airflow_bda.emulator.documents.contract import AssetOutput, ProcessedInput, ProcessingRequest, SegmentOutput
from airflow_bda.emulator.documents.reading.input_limits import InputError
from airflow_bda.service.s3 import MODALITIES_OF_EXTENSION, Modality, extension

BLUEPRINT = "arn:aws:bedrock:us-east-1:123456789012:blueprint/aaaabbbbcccc"
MANAGED_BLUEPRINT = "arn:aws:bedrock:us-east-1:aws:blueprint/bedrock-data-automation-public-invoice"


class SteeredProcessor:
    """
    Gives one segment for each input.

    :param gate: a test that clears it holds all processing until it sets it again.
    """

    def __init__(self) -> None:
        self.requests: list[ProcessingRequest] = []
        self.gate = Event()
        self.gate.set()
        self.most_at_once = 0
        self.finished = 0
        self._at_once = 0
        self._lock = Lock()

    def modality_of(self, key: str, _data: bytes) -> Modality:
        return MODALITIES_OF_EXTENSION.get(extension(key), (Modality.DOCUMENT,))[0]

    def process(self, request: ProcessingRequest) -> ProcessedInput:
        with self._lock:
            self.requests.append(request)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            assert self.gate.wait(10)
            return self._results(request)
        finally:
            with self._lock:
                self._at_once -= 1
                self.finished += 1

    def _results(self, request: ProcessingRequest) -> ProcessedInput:
        if request.data == b"broken":
            raise InputError("BrokenFile", "The file is broken.")
        if request.data == b"bug":
            raise ZeroDivisionError("a bug of the processing")
        custom = {"matched_blueprint": {"arn": request.blueprint_arns[0]}} if request.blueprint_arns else None
        segment = SegmentOutput({"text": request.data.decode(errors="replace")}, custom, "MATCH" if custom else None)
        return ProcessedInput(self.modality_of(request.key, request.data), (AssetOutput((segment,)),))

    def known_blueprint(self, arn: str) -> bool:
        return arn in {BLUEPRINT, MANAGED_BLUEPRINT}

    def blueprints(self, **_place: str) -> tuple[tuple[str, str], ...]:
        return ((BLUEPRINT, "our-form"), (MANAGED_BLUEPRINT, "invoice"))


class Bda:
    """BDA under ``mock_aws``: one client, one bucket for inputs, one for outputs."""

    def __init__(self, processor: SteeredProcessor) -> None:
        self.processor = processor
        self.client = boto3.client("bedrock-data-automation-runtime", region_name="us-east-1")
        self.s3 = boto3.client("s3", region_name="us-east-1")
        for bucket in ("inputs", "outputs"):
            self.s3.create_bucket(Bucket=bucket)
        self.profile = "arn:aws:bedrock:us-east-1:123456789012:data-automation-profile/us.data-automation-v1"

    def upload(self, key: str = "a.pdf", body: bytes = b"hello") -> str:
        self.s3.put_object(Bucket="inputs", Key=key, Body=body)
        return f"s3://inputs/{key}"

    def request(self, **changes):
        return {
            "inputConfiguration": {"s3Uri": self.upload()},
            "outputConfiguration": {"s3Uri": "s3://outputs/results"},
            "dataAutomationProfileArn": self.profile,
        } | changes

    def invoke(self, **changes) -> str:
        return self.client.invoke_data_automation_async(**self.request(**changes))["invocationArn"]

    def status(self, arn: str):
        return self.client.get_data_automation_status(invocationArn=arn)

    def wait(self, arn: str):
        return self.wait_until(arn, "Success", "ClientError", "ServiceError")

    def wait_until(self, arn: str, *statuses: str):
        give_up = time.monotonic() + 10
        while (answer := self.status(arn))["status"] not in statuses:
            assert time.monotonic() < give_up, answer
            time.sleep(0.01)
        return answer

    def result_keys(self) -> list[str]:
        """List what jobs wrote, but for the empty object that each writes when it starts."""
        return [key for key in self.output_keys() if not key.endswith("/.s3_access_check")]

    def output_keys(self) -> list[str]:
        return sorted(found["Key"] for found in self.s3.list_objects_v2(Bucket="outputs").get("Contents", ()))


@pytest.fixture
def bda():
    """Return a BDA in this process whose jobs take no longer than their processing."""
    processor = SteeredProcessor()
    with mock_aws():
        EMULATOR.configure(EmulatorSettings(created_seconds=0, in_progress_seconds=0), processor=processor)
        yield Bda(processor)
        processor.gate.set()
    EMULATOR.configure()


@pytest.fixture
def blueprint() -> str:
    return BLUEPRINT


@pytest.fixture
def steered_emulator(bda_emulator):
    """Return the server, its jobs as quick as can be and without the reading of real files."""
    EMULATOR.configure(EmulatorSettings(created_seconds=0, in_progress_seconds=0), processor=SteeredProcessor())
    return bda_emulator
