"""Files of projects and blueprints, and an account in the emulator that they are applied to."""

from __future__ import annotations

import json
from collections import Counter

from airflow_bda.projects.account import Account
from airflow_bda.projects.apply import carry_out
from airflow_bda.projects.files import read_files
from airflow_bda.projects.plan import make_plan

STANDARD = {
    "document": {"extraction": {"granularity": {"types": ["PAGE", "DOCUMENT"]}, "boundingBox": {"state": "ENABLED"}}}
}
MANAGED = "bedrock-data-automation-public-payslip"
WRITES = ("Create", "Update", "Copy", "Tag", "Delete", "Untag")


def schema(**fields):
    properties = {
        name: {"type": "string", "inferenceType": "explicit", "instruction": instruction}
        for name, instruction in fields.items()
    }
    return {"class": "invoice", "description": "an invoice", "properties": properties}


def blueprint(name="order", **more):
    return {"blueprintName": name, "type": "DOCUMENT", "schema": schema(number="The order's number"), **more}


def project(*names, **more):
    named = {"customOutputConfiguration": {"blueprints": [{"blueprintName": name} for name in names]}} if names else {}
    return {"projectName": "orders", "standardOutputConfiguration": STANDARD, **named, **more}


class Repository:
    """A folder with files, and the account that they are applied to."""

    def __init__(self, folder, emulator):
        self.folder, self.emulator = folder, emulator
        self.calls = Counter()
        self.client = emulator.client("bedrock-data-automation")
        self.client.meta.events.register("before-call", lambda model, **_: self.calls.update([model.name]))

    @property
    def writes(self):
        """How many calls have changed, or tried to change, the account."""
        return sum(count for name, count in self.calls.items() if name.startswith(WRITES))

    def write(self, name="bda.json", **content):
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path

    def plan(self, *paths, client=None, **options):
        return make_plan(read_files(paths), Account(client or self.client), **options)

    def apply(self, *paths, client=None, tell=lambda line: None, max_wait=None, **options):
        plan = self.plan(*paths, client=client, **options)
        waiting = {} if max_wait is None else {"max_wait": max_wait}
        return carry_out(plan, Account(client or self.client), tell=tell, **waiting)

    def stage_of(self, arn, stage="LIVE"):
        return self.client.get_data_automation_project(projectArn=arn, projectStage=stage)["project"]

    def schema_of(self, arn, **which):
        return json.loads(self.client.get_blueprint(blueprintArn=arn, **which)["blueprint"]["schema"])
