"""The commands ``airflow-bda doctor`` and ``policy``: what is missing for a job, and the policies that allow it."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from airflow_bda.commands import options

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace, _ArgumentGroup
    from collections.abc import Iterable, Sequence

    from airflow_bda.access.permissions import Extras
    from airflow_bda.access.preflight.findings import Subject
    from airflow_bda.access.workload import Workload

# The names of access.policies.POLICIES, which --help need not load.
_OF_JOBS = ("caller", "input-bucket", "output-bucket", "kms", "lambda", "doctor")
KINDS = (*_OF_JOBS, "project")
_KINDS_OF_OPTION = {"batch": ("caller",), "sync": ("caller",), "queue": ("caller", "doctor")}
_BUCKET = re.compile(r"[A-Za-z0-9._-]+")
_STAGES_SHARE = "Both stages of a project have the same ARN: a policy cannot distinguish them.\n"


def add_policy_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument(
        "kind",
        choices=KINDS,
        help=(
            "whose policy: the caller's, a bucket's, a KMS key's, a Lambda function's, or what `doctor` needs to look, "
            "or `project apply` to change projects"
        ),
    )
    job = parser.add_argument_group("what jobs touch")
    add_workload_arguments(job, profile_options=("--profile", "--profile-arn"))
    parser.add_argument("--region", metavar="REGION", help="AWS region (default: the ARNs')")
    parser.add_argument("--account", metavar="ID", help="AWS account (default: the ARNs')")
    parser.add_argument(
        "--principal", metavar="ARN", help="the role or user that makes the calls, for buckets' and keys' policies"
    )
    parser.add_argument("--function", metavar="NAME", default="airflow-bda", help="the Lambda function (%(default)s)")
    parser.add_argument("--batch", action="store_true", help="the caller runs batches too (BdaBatchOperator)")
    parser.add_argument("--sync", action="store_true", help="the caller processes at once too (BdaInvokeSyncOperator)")
    parser.add_argument(
        "--queue",
        action="append",
        default=[],
        metavar="URL",
        help="the caller reads job events from this queue, named by its URL or ARN; may be repeated",
    )
    parser.add_argument("--explain", action="store_true", help="say on standard error why each statement is there")


def add_workload_arguments(parser: ArgumentParser | _ArgumentGroup, *, profile_options: Sequence[str]) -> None:
    """
    Add the options that say what jobs touch; other commands ask for the same.

    :param profile_options: how the data automation profile is asked for: AWS's tools have profiles of another kind.
    """
    parser.add_argument("--project", "--project-arn", metavar="ARN", help="the data automation project")
    parser.add_argument("--stage", "--project-stage", choices=("LIVE", "DEVELOPMENT"), help="the project's stage")
    parser.add_argument("--blueprint", action="append", default=[], metavar="ARN", help="a blueprint; may be repeated")
    parser.add_argument(*profile_options, dest="profile_arn", metavar="ARN", help="the profile (default: the region's)")
    parser.add_argument(
        "--input",
        metavar="URI",
        help="a document, s3://bucket/key, or all below s3://bucket/prefix/",
    )
    parser.add_argument("--output", metavar="URI", help="the prefix for results, s3://bucket/prefix")
    parser.add_argument("--kms-key", "--kms-key-id", metavar="ARN", help="the key that jobs are encrypted with")
    parser.add_argument("--input-kms-key", metavar="ARN", help="the key that encrypts the input's bucket")
    parser.add_argument("--output-kms-key", metavar="ARN", help="the key that encrypts the output's bucket")


def check_uris(args: Namespace, *, are_needed: bool = False) -> None:
    """
    Check the two URIs before anything else, by the names of their options.

    :param are_needed: whether both are required.
    :raises ValueError: names the option, and shows an example.
    """
    for option, uri, example in (
        ("--input", args.input, "s3://bucket/folder/document.pdf"),
        ("--output", args.output, "s3://bucket/results"),
    ):
        if uri is None and are_needed:
            raise ValueError(f"{option} is missing: write a URI such as {example}.")
        bucket = (uri or "").removeprefix("s3://").partition("/")[0]
        if uri is not None and (not uri.startswith("s3://") or not bucket):
            raise ValueError(f"{option} is {uri!r}: write a URI such as {example}.")
        if uri is not None and not _BUCKET.fullmatch(bucket):
            raise ValueError(
                f"{option} is {uri!r}: {bucket!r} is not a bucket's name. Write a URI such as {example}; in a policy a "
                "wildcard would let the identity into the buckets of others."
            )


def run_policy(args: Namespace) -> int:
    """
    Print the policy.

    :return: 0, or 2 for arguments that are missing or not valid.
    """
    from airflow_bda.access.policies import POLICIES, PolicyOptions, explain

    try:
        _check_kind(args)
        if args.kind == "project":
            return _print_policy_of_projects(args)
        check_uris(args, are_needed=True)
        workload = _workload(args)
        policy_options = PolicyOptions(args.principal, args.function, _extras(args, workload))
        document = POLICIES[args.kind](workload, policy_options)
    except ValueError as error:
        sys.stderr.write(f"airflow-bda policy: {error}\n")
        return 2
    for option, uri in (("--input", args.input), ("--output", args.output)):
        if set("*?") & set(uri):
            sys.stderr.write(f"note: {option} is {uri!r}: in a policy * and ? match anything, not themselves\n")
    if args.explain:
        sys.stderr.write(_STAGES_SHARE if args.stage else "")
    _print(document, explain(args.kind, workload, policy_options) if args.explain else ())
    return 0


def _check_kind(args: Namespace) -> None:
    for option, kinds in _KINDS_OF_OPTION.items():
        if getattr(args, option) and args.kind not in kinds:
            whose = " or ".join(f"{kind}'s" for kind in kinds)
            raise ValueError(f"--{option} is for the {whose} policy; the kind is {args.kind}.")


def _extras(args: Namespace, workload: Workload) -> Extras:
    from airflow_bda.access.permissions import Extras
    from airflow_bda.service.arns import Queue

    queues = tuple(Queue.parse(queue).arn_in(workload.region, workload.account) for queue in args.queue)
    return Extras(is_batch=args.batch, is_sync=args.sync, queue_arns=queues)


def _print_policy_of_projects(args: Namespace) -> int:
    from airflow_bda.access.permissions import project_permissions
    from airflow_bda.access.policies import explain_permissions, project_policy
    from airflow_bda.access.workload import find_key_arn, find_place

    place = find_place((args.project, *args.blueprint), region=args.region, account=args.account)
    key = find_key_arn(args.kms_key, place.region, place.account)
    _print(project_policy(place, key), explain_permissions(project_permissions(place, key)) if args.explain else ())
    return 0


def _print(document: dict[str, Any], reasons: Iterable[str]) -> None:
    sys.stderr.write("".join(f"{line}\n" for line in reasons))
    sys.stdout.write(f"{json.dumps(document, indent=2)}\n")


def _workload(args: Namespace) -> Workload:
    from airflow_bda.access.workload import plan_workload

    return plan_workload(**_what_jobs_touch(args), region=args.region, account=args.account)


def _what_jobs_touch(args: Namespace) -> dict[str, Any]:
    """Return the options of :func:`add_workload_arguments` by the names that workloads and subjects have for them."""
    return {
        "input_uri": args.input,
        "output_uri": args.output,
        "project_arn": args.project,
        "blueprint_arns": tuple(args.blueprint),
        "profile_arn": args.profile_arn,
        "kms_key": args.kms_key,
        "input_key": args.input_kms_key,
        "output_key": args.output_kms_key,
    }


def add_doctor_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    job = parser.add_argument_group("what jobs touch")
    add_workload_arguments(job, profile_options=("--profile-arn",))
    parser.add_argument(
        "--write-probe", action="store_true", help="write an empty object below the output, and delete it again"
    )
    parser.add_argument("--batch", action="store_true", help="look at what batches need, too (BdaBatchOperator)")
    job.add_argument(
        "--jobs-at-once",
        type=int,
        metavar="N",
        help="how many jobs may be open at once, such as the slots of their pool, to compare with the quotas",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    options.add_arguments(parser)


def run_doctor(args: Namespace) -> int:
    """
    Look, and print what was found.

    :return: 0, or 1 where jobs would fail, or 2 for URIs that are not valid.
    """
    with options.hook_of(args) as hook:
        try:
            check_uris(args)
            subject = _subject(args)
        except ValueError as error:
            sys.stderr.write(f"airflow-bda doctor: {error}\n")
            return 2
        report = hook.preflight(subject)
    lines = [json.dumps(report.to_json(), indent=2)] if args.json else [str(check) for check in report.checks]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    # Where both go to one file, the counts come last.
    sys.stdout.flush()
    counts = [(len(report.faults), "fault"), (len(report.hints), "hint")]
    found = ", ".join(f"{number} {noun}" if number == 1 else f"{number} {noun}s" for number, noun in counts)
    sys.stderr.write(f"{len(report.checks)} checks: {found}\n")
    return 1 if report.faults else 0


def _subject(args: Namespace) -> Subject:
    from airflow_bda.access.preflight.findings import Subject

    return Subject(
        **_what_jobs_touch(args),
        stage=args.stage,
        write_probe=args.write_probe,
        is_batch=args.batch,
        jobs_at_once=args.jobs_at_once,
    )
