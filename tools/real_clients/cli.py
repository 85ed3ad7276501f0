"""The AWS command line: every subcommand of both of BDA's services, as in steps.json. Argument: the command `aws`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from checks import INPUT, MANAGED_INVOICE, PROFILE, SCHEMA, check, require

SERVICES = {"control": "bedrock-data-automation", "runtime": "bedrock-data-automation-runtime"}
TRUTH = "s3://bda-input/truth.json"


def main(command):
    """Walk the steps."""
    Path("truth.json").write_text('{"invoice_number": "A-17"}', encoding="utf-8")
    check("s3 cp", run, command, "s3", "cp", "truth.json", TRUTH)
    known = {"schema": SCHEMA, "profile": PROFILE, "managed": MANAGED_INVOICE, "input": INPUT, "truth": TRUTH}
    for step in json.loads(Path(__file__).with_name("steps.json").read_text(encoding="utf-8")):
        subcommand = re.sub(r"(?<!^)(?=[A-Z])", "-", step["operation"]).lower()
        check(f"{SERVICES[step['service']]} {subcommand}", take, command, step, subcommand, known)


def take(command, step, subcommand, known):
    """Take one step, again until its answer is as it should be."""
    params = json.dumps(resolve(step["params"], known))
    give_up = time.monotonic() + 60
    while True:
        said = run(command, SERVICES[step["service"]], subcommand, "--cli-input-json", params, "--output", "json")
        answer = json.loads(said) if said.strip() else {}
        path, wanted = step.get("until", (None, None))
        if path is None or dig(answer, path) == wanted:
            break
        require(time.monotonic() < give_up, f"{path} is {dig(answer, path)}")
    known.update({name: dig(answer, path) for name, path in step.get("save", {}).items()})


def resolve(value, known):
    """Put what is known in the place of its name."""
    if isinstance(value, dict):
        return {name: resolve(member, known) for name, member in value.items()}
    if isinstance(value, list):
        return [resolve(member, known) for member in value]
    return known[value[1:]] if isinstance(value, str) and value.startswith("$") else value


def dig(value, path):
    """Take a member by its path."""
    for name in path.split("."):
        value = value[name]
    return value


def run(command, *arguments):
    """Run the command, and return what it printed."""
    ended = subprocess.run([command, *arguments], capture_output=True, text=True, timeout=120, check=False)
    require(ended.returncode == 0, ended.stderr or ended.stdout)
    return ended.stdout


main(sys.argv[1])
