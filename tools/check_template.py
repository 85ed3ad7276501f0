"""
Have checkov look at the template of `airflow-bda lambda template`. `make lint-template` runs this.

    .venv/bin/python tools/check_template.py

checkov's own pins contradict Airflow's, so it has a virtual environment of its own, at the versions of
constraints/checkov.txt. It looks only at what a template's conditions make, so the template is looked at as it is
printed, and with every option chosen. A third one, spoiled, shows that it would find something.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import own_environment

from airflow_bda.aws_lambda.template import build_template

# Of what checkov looks at, nothing differs from region to region; cfn-lint looks at several.
REGION = "us-east-1"
KEY = "arn:aws:kms:us-east-1:123456789012:key/0123"
EVERY_OPTION = {
    "AlarmTopicArn": "arn:aws:sns:us-east-1:123456789012:alarms",
    "BlueprintArns": "arn:aws:bedrock:us-east-1:123456789012:blueprint/0123456789ab",
    "BucketKeyArns": KEY,
    "CodeBucket": "code",
    "CodeKey": "bda_lambda.zip",
    "DataKeyArn": KEY,
    "Events": "function",
    "Hints": "yes",
    "InputPrefix": "bucket/in",
    "KmsKeyArn": KEY,
    "OutputPrefix": "bucket/out",
    "ProjectArn": "arn:aws:bedrock:us-east-1:123456789012:data-automation-project/0123456789ab",
    "ReservedConcurrency": 5,
    "SecurityGroupIds": "sg-1",
    "SubnetIds": "subnet-1",
}
PRINTED, WITH_EVERYTHING, SPOILED = "printed", "with everything", "spoiled"


def main() -> int:
    """Return 0 when checkov finds nothing wrong, skips nothing, and finds what was spoiled."""
    checkov = own_environment.make("checkov") / "checkov"
    printed = build_template(REGION)
    variants = {
        PRINTED: printed,
        WITH_EVERYTHING: _with_everything(printed),
        SPOILED: _spoiled(_with_everything(printed)),
    }
    results = _look(checkov, variants)
    return max(_judge(name, results) for name in variants)


def _with_everything(template: dict[str, Any]) -> dict[str, Any]:
    chosen = copy.deepcopy(template)
    for name, value in EVERY_OPTION.items():
        chosen["Parameters"][name]["Default"] = value
    return chosen


def _spoiled(template: dict[str, Any]) -> dict[str, Any]:
    role = template["Resources"]["EventRole"]["Properties"]
    role["Policies"][0]["PolicyDocument"]["Statement"][0] |= {"Action": "*", "Resource": "*"}
    return template


def _look(checkov: Path, variants: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return what checkov says, by the word for how a check ended."""
    with tempfile.TemporaryDirectory(prefix="templates-") as folder:
        for name, template in variants.items():
            (Path(folder) / f"{name}.json").write_text(json.dumps(template))
        ended = subprocess.run(
            [
                *(str(checkov), "--directory", folder, "--framework", "cloudformation"),
                # Its checks are in it; it need not ask anybody for others.
                *("--skip-download", "--output", "json"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return dict(json.loads(ended.stdout)["results"])
    except (KeyError, ValueError):
        raise SystemExit(f"checkov said nothing of the templates:\n{ended.stderr}") from None


def _judge(name: str, results: dict[str, list[dict[str, Any]]]) -> int:
    ended = {
        how: [check for check in checks if check["file_path"] == f"/{name}.json"]
        for how, checks in results.items()
        if how.endswith("_checks")
    }
    print(f"{name}:", ", ".join(f"{len(checks)} {how.removesuffix('_checks')}" for how, checks in ended.items()))
    failed = ended["failed_checks"]
    if name == SPOILED:
        return 0 if failed else 1
    for check in failed:
        print(f"  {check['check_id']} {check['resource']}: {check['check_name']}")
    return 0 if ended["passed_checks"] and not (failed or ended["skipped_checks"]) else 1


if __name__ == "__main__":
    sys.exit(main())
