"""
What the manual takes from the program itself, as Markdown: help texts, options, tables.

Each function reads what the program works with, so that the reference cannot say anything else than the program does.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module
from inspect import cleandoc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# As many as fit into the page beside the menu.
_HELP_COLUMNS = "84"


def commands() -> str:
    """Give the ``--help`` of every command."""
    from airflow_bda.cli import COMMANDS

    os.environ["COLUMNS"] = _HELP_COLUMNS
    parts = [_help("airflow-bda", _parser([]))]
    for command in COMMANDS:
        parser = _sub_parsers(_parser([command.name]))[command.name]
        parts.append(_help(f"airflow-bda {command.name}", parser))
        parts += [_help(sub.prog, sub) for sub in _sub_parsers(parser).values()]
    return "\n".join(parts)


def configuration() -> str:
    """Give the provider's configuration options, as Airflow knows them."""
    from airflow_bda import get_provider_info

    parts = []
    for section, content in get_provider_info()["config"].items():
        parts.append(f"## [{section}]\n\n{content['description']}\n")
        for name, option in content["options"].items():
            variable = f"AIRFLOW__{section.upper()}__{name.upper()}"
            parts.append(
                f"### {name}\n\n{option['description'].strip()}\n\n"
                f"- Type: {option['type']}\n- Default: `{option['default']}`\n- Example: `{option['example']}`\n"
                f"- Environment variable: `{variable}`\n- Since: {option['version_added']}\n"
            )
    return "\n".join(parts)


def connection() -> str:
    """Give the Airflow connection that leads to the emulator."""
    from airflow_bda.emulator.server.server import airflow_connection

    document = json.loads(airflow_connection("http://127.0.0.1:4566", "us-east-1"))
    return f"```json\n{json.dumps(document, indent=2)}\n```\n"


def errors() -> str:
    """Give the table of the errors: when each is raised, and whether Airflow tries again."""
    from airflow_bda import exceptions
    from airflow_bda._compat import AirflowFailException, AirflowSensorTimeout

    names = ("BdaError", *(name for name in exceptions.__all__ if name.startswith("Bda") and name != "BdaError"))
    plain = [getattr(exceptions, name) for name in names]
    in_a_task = {
        error: next((other for other in plain if other is not error and issubclass(other, error)), error)
        for error in plain
    }
    rows = []
    for error, raised in in_a_task.items():
        if issubclass(error, AirflowFailException | AirflowSensorTimeout):
            continue
        final = issubclass(raised, AirflowFailException) and error is not exceptions.BdaError
        again = "no, the task fails at once" if final else "yes, as `retries` says"
        if error is exceptions.BdaTimeoutError:
            again = "yes in an operator, no in a sensor, as Airflow's own time-outs"
        rows.append((f"`{error.__name__}`", _summary(error), again, error.remedy or "its text says"))
    return _table(("error", "what happened", "does Airflow try again?", "what to do"), rows)


def profiles() -> str:
    """Give the table of the regions and their profiles."""
    from airflow_bda.service.arns import DESTINATIONS_OF_REGION, PROFILE_OF_REGION

    rows = [
        (f"`{region}`", f"`{profile}`", ", ".join(DESTINATIONS_OF_REGION[region]).replace("*", "any commercial region"))
        for region, profile in PROFILE_OF_REGION.items()
    ]
    return _table(("call made in", "profile", "may run in"), rows)


def formats() -> str:
    """Give the table of the formats that AWS lists."""
    from airflow_bda.service.s3 import MODALITIES_OF_EXTENSION, Modality

    rows = [
        (
            modality.value.lower(),
            ", ".join(f"`{name}`" for name, modalities in MODALITIES_OF_EXTENSION.items() if modality in modalities),
        )
        for modality in Modality
    ]
    return _table(("modality", "extensions"), rows)


def versions() -> str:
    """Give the table of the versions that the tests run on."""
    from rows import NAMES, ROWS

    rows = [
        ("newest" if row.name == "newest" else f"MWAA {row.name}", *(row.versions()[name] for name in NAMES))
        for row in ROWS
    ]
    short = [
        name.replace("apache-airflow-providers-", "provider ").replace("apache-airflow", "Airflow") for name in NAMES
    ]
    return _table(("row", *short), rows)


def event_payload() -> str:
    """Give the keys of what a DAG run reads in its triggering event."""
    from airflow_bda.service.events import JobEvent
    from airflow_bda.triggers.bda_events import _PAYLOAD

    meanings = _parameters(JobEvent)
    return _table(("key", "meaning"), [(f"`{name}`", meanings.get(name, "")) for name in _PAYLOAD])


def lambda_event() -> str:
    """Give the keys of the function's invoke event and the operator's argument for each."""
    from airflow_bda.service.lambda_interface import ARGUMENT_OF_KEY

    rows = [(f"`{key}`", f"`{argument}`") for key, argument in ARGUMENT_OF_KEY.items()]
    return _table(("key of the event", "argument of `BdaInvokeOperator`"), rows)


def lambda_template() -> str:
    """Give the parameters and the outputs of the CloudFormation template."""
    from airflow_bda.aws_lambda.template import build_template

    template = build_template("us-east-1")
    parameters = [(f"`{name}`", made["Description"], _default(made)) for name, made in template["Parameters"].items()]
    outputs = [(f"`{name}`", output["Description"]) for name, output in template["Outputs"].items()]
    return "\n".join(
        (
            "### Parameters\n",
            _table(("parameter", "meaning", "default"), parameters),
            "### Outputs\n",
            _table(("output", "meaning"), outputs),
        )
    )


def emulator_assumptions() -> str:
    """Give what the emulator assumes where the service's behaviour is not known: its own module, as it stands."""
    module = import_module("airflow_bda.emulator.core.assumptions")
    return cleandoc(module.__doc__ or "").replace("``", "`") + "\n"


FACTS: dict[str, Callable[[], str]] = {
    made.__name__: made
    for made in (
        commands,
        configuration,
        connection,
        emulator_assumptions,
        errors,
        event_payload,
        formats,
        lambda_event,
        lambda_template,
        profiles,
        versions,
    )
}


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    from airflow_bda.cli import _parser as build

    return build(arguments)


def _sub_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001  argparse has no public way
    return dict(actions[0].choices) if actions else {}


def _help(title: str, parser: argparse.ArgumentParser) -> str:
    return f"## {title}\n\n```text\n{parser.format_help().strip()}\n```\n"


def _summary(documented: type) -> str:
    """Give the first paragraph of a docstring."""
    paragraph = cleandoc(documented.__doc__ or "").partition("\n\n")[0]
    return " ".join(paragraph.replace("``", "`").split())


def _parameters(documented: type) -> dict[str, str]:
    """Give the ``:param:`` lines of a docstring."""
    found: dict[str, str] = {}
    for part in cleandoc(documented.__doc__ or "").split(":param ")[1:]:
        name, _, text = part.partition(":")
        found[name] = " ".join(text.partition("\n:")[0].replace("``", "`").split())
    return found


def _default(parameter: dict[str, object]) -> str:
    if "Default" not in parameter:
        return "(required)"
    return f"`{parameter['Default']}`" if parameter["Default"] not in {"", None} else "(empty)"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(head, rows)) + "\n"


def _lines(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
