"""
The ``airflow-bda`` command.

Data goes to standard output, messages to standard error. The exit status is 0, 1 for a failure and 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from airflow_bda import __version__
from airflow_bda.service.errors import BdaError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Command:
    """
    A sub-command.

    :param module: has ``add_arguments(parser)`` and ``run(args)``, which returns the exit status; where it has several
        commands, ``add_<name>_arguments`` and ``run_<name>`` for each.
    :param summary: what it does, in half a line.
    """

    name: str
    module: str
    summary: str


COMMANDS = (
    Command("demo", "airflow_bda.demo.command", "run documents through Airflow on this machine, without AWS"),
    Command("emulator", "airflow_bda.emulator.server.command", "serve BDA on this machine, for tests and trials"),
    Command("invoke", "airflow_bda.commands.jobs", "start a job for one document"),
    Command("batch", "airflow_bda.commands.batch", "start a job for every document under a prefix"),
    Command("status", "airflow_bda.commands.jobs", "show how a job stands"),
    Command("results", "airflow_bda.commands.jobs", "show what a job found"),
    Command("report", "airflow_bda.commands.jobs", "show what jobs found as one HTML page"),
    Command("project", "airflow_bda.commands.project", "make projects and blueprints follow files"),
    Command("doctor", "airflow_bda.commands.doctor", "find what would make jobs fail, before the first of them"),
    Command("policy", "airflow_bda.commands.doctor", "print the policies that let jobs run, filled in"),
    Command("lambda", "airflow_bda.aws_lambda.package", "make what runs the same jobs from AWS Lambda"),
    Command("mwaa", "airflow_bda.mwaa", "make the two files that put this package on Amazon MWAA"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    :param argv: the arguments; None takes the process's own.
    :return: the exit status.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(arguments)
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.print_help()
        return 0
    try:
        status: int = parsed.run(parsed)
        # A closed pipe shows here, and not when the interpreter ends.
        sys.stdout.flush()
    except BdaError as error:
        sys.stderr.write(f"airflow-bda {parsed.command}: {error}\n")
        return 1
    except BrokenPipeError:
        # The reader has seen enough; what the interpreter flushes at its end must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"airflow-bda {parsed.command}: interrupted\n")
        return 1
    return status


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    """Build the parser; only the command that is asked for is imported."""
    parser = argparse.ArgumentParser(
        prog="airflow-bda", description="Run Amazon Bedrock Data Automation (BDA) from Apache Airflow."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    # The options above take no values, so the first word is the command.
    asked_for = next((argument for argument in arguments if not argument.startswith("-")), None)
    for command in COMMANDS:
        own = commands.add_parser(
            command.name, help=command.summary, description=f"{command.summary[0].upper()}{command.summary[1:]}."
        )
        if command.name == asked_for:
            own_functions = vars(import_module(command.module))
            add_arguments = own_functions.get(f"add_{command.name}_arguments") or own_functions["add_arguments"]
            add_arguments(own)
            own.set_defaults(run=own_functions.get(f"run_{command.name}") or own_functions["run"])
    return parser


if __name__ == "__main__":
    sys.exit(main())
