"""What the scripts of the Python clients share. It runs on the clients' Python and imports nothing of the project."""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType

ACCOUNT, REGION = "123456789012", "us-east-1"
PROFILE = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:data-automation-profile/us.data-automation-v1"
MANAGED_INVOICE = f"arn:aws:bedrock:{REGION}:aws:blueprint/bedrock-data-automation-public-invoice"
INPUT, INPUT_KEY = "s3://bda-input/invoice.pdf", "invoice.pdf"
SCHEMA = json.dumps(
    {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "class": "invoice",
        "description": "An invoice",
        "type": "object",
        "properties": {
            "invoice_number": {"type": "string", "inferenceType": "explicit", "instruction": "The invoice number"}
        },
    }
)


def check(name, do, *arguments, **more):
    """Do something, report how it went, and return what it returned; None where it raised."""
    try:
        result = do(*arguments, **more)
        outcome = "ok"
    except BaseException as error:
        traceback.print_exc(file=sys.stderr)
        result, outcome = None, f"FAILED: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    with Path(os.environ["REPORT"]).open("a", encoding="utf-8") as report:
        report.write(json.dumps([name, outcome]) + "\n")
    return result


def require(condition, message):
    """Raise unless something holds."""
    if not condition:
        raise AssertionError(message)


def wait_for(client, arn, seconds=60):
    """Wait for a job's end, and return its last status."""
    give_up = time.monotonic() + seconds
    while (answer := client.get_data_automation_status(invocationArn=arn))["status"] in {"Created", "InProgress"}:
        require(time.monotonic() < give_up, f"{arn} did not end")
        time.sleep(0.1)
    require(answer["status"] == "Success", f"{answer}")
    return answer


def stand_in(name, **members):
    """Put a module of what is not here, a library of another service's, into the place that it is imported from."""
    module = ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module
