"""What `airflow-bda policy project` prints is enough for files, and none of it is too much: IAM is enforced."""

from __future__ import annotations

import json

import pytest

from airflow_bda.access.permissions import project_permissions
from airflow_bda.access.policies import project_policy
from airflow_bda.access.workload import Place
from airflow_bda.cli import main
from airflow_bda.exceptions import BdaPermissionError
from airflow_bda.projects.files import read_files
from airflow_bda.service.model import CONTROL_SERVICE, service_model

ACCOUNT = "123456789012"
PLACE = Place("us-east-1", ACCOUNT)
STANDARD = {"document": {"extraction": {"granularity": {"types": ["PAGE"]}, "boundingBox": {"state": "DISABLED"}}}}


def write(folder, instruction="The number", tag="billing", description="orders"):
    tags = [{"key": "team", "value": tag}]
    schema = {
        "class": "order",
        "properties": {"number": {"type": "string", "inferenceType": "explicit", "instruction": instruction}},
    }
    content = {
        "project": {
            "projectName": "orders",
            "projectDescription": description,
            "standardOutputConfiguration": STANDARD,
            "customOutputConfiguration": {"blueprints": [{"blueprintName": "order"}]},
            "tags": tags,
        },
        "blueprints": [{"blueprintName": "order", "type": "DOCUMENT", "schema": schema, "tags": tags}],
    }
    path = folder / "bda.json"
    path.write_text(json.dumps(content))
    return path


def flow(hook, folder):
    """Make, change, try, promote and tag: every call that there is."""
    apply(hook, write(folder))
    apply(hook, write(folder, instruction="Another number", tag="ops"))
    better = write(folder, instruction="The best number", tag="ops", description="all orders")
    apply(hook, better, stage="DEVELOPMENT")
    apply(hook, better)


def apply(hook, path, **options):
    hook.apply_files(hook.plan_files(read_files([path]), **options))


def test_the_printed_policy_is_enough(guarded, tmp_path, capsys):
    assert main(["policy", "project", "--region", PLACE.region, "--account", ACCOUNT]) == 0
    policy = json.loads(capsys.readouterr().out)

    flow(guarded.hook(policy), tmp_path)

    assert policy == project_policy(PLACE)


ACTIONS = [(each.sid, action) for each in project_permissions(PLACE) for action in each.actions]
# An older botocore does not have all of them, and changes the stage itself then.
USED = [
    (sid, action)
    for sid, action in ACTIONS
    if action.partition(":")[2] in service_model(CONTROL_SERVICE).operation_names
]


@pytest.mark.parametrize(("sid", "action"), USED)
def test_nothing_of_it_can_be_left_out(guarded, tmp_path, sid, action):
    policy = project_policy(PLACE)
    (statement,) = (each for each in policy["Statement"] if each["Sid"] == sid)
    statement["Action"] = [each for each in statement["Action"] if each != action]

    with pytest.raises(BdaPermissionError) as denied:
        flow(guarded.hook(policy), tmp_path)

    assert f"Allow {action}." in str(denied.value)
    assert "airflow-bda policy project" in str(denied.value)


def test_nothing_of_it_deletes():
    assert not [action for _, action in ACTIONS if "Delete" in action or "Untag" in action]


def test_the_key_of_the_files_is_used_through_bda(capsys):
    key = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234abcd"
    main(["policy", "project", "--region", "us-east-1", "--account", ACCOUNT, "--kms-key", key, "--explain"])

    out, err = capsys.readouterr()
    (statement,) = (each for each in json.loads(out)["Statement"] if each["Sid"] == "UseProjectKeyThroughBda")
    assert statement["Resource"] == key
    assert statement["Condition"] == {"StringEquals": {"kms:ViaService": "bedrock.us-east-1.amazonaws.com"}}
    assert "UseProjectKeyThroughBda: " in err
