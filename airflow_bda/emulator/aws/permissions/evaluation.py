"""
What identity policies say to a call: allowed, denied by a statement, or allowed by none.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

Document = Mapping[str, Any]


class Decision(str, Enum):
    """The outcome, as ``SimulatePrincipalPolicy`` words it."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


@dataclass(frozen=True)
class Question:
    """
    A call, as policies see it.

    :param context: the values of condition keys, as in ``{"kms:ViaService": "s3.us-east-1.amazonaws.com"}``.
    """

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


def decide(documents: Iterable[Document], question: Question) -> Decision:
    """Decide whether policy documents allow a call; one statement that denies is enough to refuse it."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _listed(document["Statement"])
        if _applies(statement, question)
    }
    if "Deny" in effects:
        return Decision.EXPLICIT_DENY
    return Decision.ALLOWED if "Allow" in effects else Decision.IMPLICIT_DENY


def _applies(statement: Mapping[str, Any], question: Question) -> bool:
    # Actions are compared without their case, resources with it.
    return (
        _names(statement, "Action", question.action, re.IGNORECASE)
        and _names(statement, "Resource", question.resource, 0)
        and _conditions_hold(statement.get("Condition", {}), question.context)
    )


def _names(statement: Mapping[str, Any], element: str, value: str, flags: int) -> bool:
    if element in statement:
        return any(_matches(pattern, value, flags) for pattern in _listed(statement[element]))
    return not any(_matches(pattern, value, flags) for pattern in _listed(statement[f"Not{element}"]))


def _matches(pattern: str, value: str, flags: int = 0) -> bool:
    regex = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(regex, value, flags | re.DOTALL) is not None


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _condition_holds(name, known.get(key.lower()), _listed(expected))
        for name, expectations in conditions.items()
        for key, expected in expectations.items()
    )


def _condition_holds(name: str, actual: str | None, expected: list[Any]) -> bool:
    base = name.removesuffix("IfExists")
    if base not in _OPERATORS:
        raise NotImplementedError(f"The emulator's IAM does not know the condition operator {name!r}.")
    compare, is_negated = _OPERATORS[base]
    if actual is None:
        return is_negated or base != name
    return any(compare(str(value), actual) for value in expected) != is_negated


def _equal_in_any_case(expected: str, actual: str) -> bool:
    return expected.lower() == actual.lower()


# Each with whether it asks for the opposite.
_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "ArnEquals": (_matches, False),
    "ArnLike": (_matches, False),
    "ArnNotEquals": (_matches, True),
    "ArnNotLike": (_matches, True),
    "Bool": (_equal_in_any_case, False),
    "StringEquals": (operator.eq, False),
    "StringEqualsIgnoreCase": (_equal_in_any_case, False),
    "StringLike": (_matches, False),
    "StringNotEquals": (operator.eq, True),
    "StringNotLike": (_matches, True),
}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
