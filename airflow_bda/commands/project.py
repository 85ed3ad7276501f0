"""The command ``airflow-bda project apply``: make projects and blueprints follow files."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_bda.commands import options

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from airflow_bda.projects.plan import Applied, Plan

STAGES = ("LIVE", "DEVELOPMENT")
# As `git diff --exit-code` has 1, which means a failure here.
_WOULD_CHANGE = 3


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    apply = actions.add_parser(
        "apply",
        help="create, update, version and promote what files name",
        description=(
            "Create, update, version and promote the projects and blueprints that JSON files name. The plan goes to "
            "standard error, the ARNs to standard output. Nothing is deleted, and a second run changes nothing."
        ),
    )
    apply.add_argument("files", metavar="FILE", nargs="+", help='JSON: {"project": {...}, "blueprints": [{...}]}')
    apply.add_argument("--stage", choices=STAGES, default=STAGES[0], help="the stage to change (%(default)s)")
    apply.add_argument("--dry-run", action="store_true", help="show the plan, and change nothing")
    apply.add_argument(
        "--exit-code", action="store_true", help=f"exit with {_WOULD_CHANGE} where --dry-run finds a change to make"
    )
    apply.add_argument("--no-versions", action="store_true", help="keep no version of a LIVE schema that changes")
    options.add_max_wait(apply, timedelta(minutes=10), "how long to wait for the projects, at most (600)")
    apply.add_argument("--json", action="store_true", help="print JSON")
    options.add_arguments(apply)


def run(args: Namespace) -> int:
    """
    Plan, show the plan, and carry it out.

    :return: 0; with ``--dry-run --exit-code``, 3 where something would change.
    :raises BdaError: for files that are wrong, and for what the service refuses.
    """
    from airflow_bda.projects.files import read_files

    files = read_files(args.files)
    # The hook's context sends what is printed to standard error; ARNs go where it went before.
    out = sys.stdout
    with options.hook_of(args) as hook:
        plan = hook.plan_files(files, stage=args.stage, with_versions=not args.no_versions)
        for line in plan.lines():
            sys.stderr.write(f"{line}\n")
        applied = None if args.dry_run else hook.apply_files(plan, max_wait=args.max_wait)
    count = f"{len(plan.steps)} {'change' if len(plan.steps) == 1 else 'changes'}"
    if applied is None:
        sys.stderr.write(f"{count} to make. Nothing was changed.\n")
        if args.json:
            out.write(f"{json.dumps(_as_json(plan))}\n")
        return _WOULD_CHANGE if args.exit_code and plan.steps else 0
    sys.stderr.write(f"{count} made.\n" if plan.steps else "No changes.\n")
    out.write(f"{json.dumps(applied.to_dict())}\n" if args.json else _lines(applied))
    return 0


def _lines(applied: Applied) -> str:
    lines = [f"blueprint {name} {arn}" for name, arn in sorted(applied.blueprint_arns.items())]
    lines += [f"project {name} {arn}" for name, arn in sorted(applied.project_arns.items())]
    return "".join(f"{line}\n" for line in lines)


def _as_json(plan: Plan) -> dict[str, object]:
    steps = [{"step": str(step), "arn": step.arn, "details": list(step.details)} for step in plan.steps]
    return {"stage": plan.stage, "steps": steps, "unchanged": list(plan.unchanged)}
