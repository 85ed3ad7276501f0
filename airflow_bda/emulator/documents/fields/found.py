"""What was found for a blueprint in some pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bda.emulator.documents.fields.blueprints import Field, Rows
    from airflow_bda.emulator.documents.reading.layout import Box, Page

Value = str | float | int | bool


@dataclass(frozen=True)
class Finding:
    """
    A value, and where it stands.

    :param confidence: 0 to 1, see :mod:`~airflow_bda.emulator.documents.fields.field_search`.
    :param boxes: where it stands, one for each line of print.
    :param by_label: whether a printed label led to it; False for what was concluded without one.
    """

    value: Value
    confidence: float
    page: Page
    boxes: tuple[Box, ...]
    by_label: bool = True


@dataclass(frozen=True)
class Findings:
    """
    All values found for one blueprint.

    :param fields: the single fields that were found; others are missing.
    :param tables: the rows of each list of objects, by column; a cell that is empty is missing.
    """

    fields: Mapping[Field, Finding] = field(default_factory=dict)
    tables: Mapping[Rows, tuple[Mapping[Field, Finding], ...]] = field(default_factory=dict)
