"""
Which blueprint fits which pages.

The score of a blueprint for some pages is

    0.4 x how clearly they name the blueprint's class + 0.6 x the share of its labelled fields that were found

where the class counts fully in a short line or high print, and half in running text. Below the threshold, and with
fewer than two fields found, a blueprint does not fit. The best-fitting one wins.

With several blueprints asked for, pages are split: a new segment starts at each page that by itself names the class of
a blueprint, fits it, and fits it best, when the pages before it belong to another one. Pages that fit nothing stay
with the pages before them. Two documents of one blueprint in a row are not told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.fields.field_search import FieldSearch, choose
from airflow_bda.emulator.documents.fields.grid import Finding, Findings, Grid
from airflow_bda.emulator.documents.fields.labels import LabelIndex, normalise, words_of_name
from airflow_bda.emulator.documents.fields.table_rows import find_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_bda.emulator.documents.fields.blueprints import Blueprint, Field, Rows
    from airflow_bda.emulator.documents.fields.field_search import Candidate
    from airflow_bda.emulator.documents.reading.layout import Page

_CLASS_SHARE, _FIELDS_SHARE = 0.4, 0.6
_NAMED_IN_TITLE, _NAMED_IN_TEXT = 1.0, 0.5
_TITLE_WORDS = 6
_LEAST_FIELDS = 2
# A document below this score fits no blueprint. The service's own measure is not known.
_MATCH_THRESHOLD = 0.4
_OTHER_CLASS_NAMES = {
    "invoice": ("invoice", "bill", "pro forma", "proforma"),
    "receipt": ("receipt", "sales slip", "till slip", "cash sale"),
    "payslip": ("payslip", "pay slip", "paystub", "pay stub", "earnings statement", "pay statement", "pay advice"),
    "bank statement": ("bank statement", "account statement", "statement of account", "checking statement"),
    "driver license": ("driver license", "drivers license", "driver s license", "driving licence"),
}
_GENERAL_CLASS_WORDS = frozenset({"us", "document", "form", "standard", "custom", "general", "the", "of"})


@dataclass(frozen=True)
class Match:
    """
    A blueprint that was tried, and what was found for it.

    :param fits: whether its score and the number of fields that were found suffice.
    """

    blueprint: Blueprint
    score: float
    findings: Findings
    fits: bool = True


@dataclass(frozen=True)
class Segment:
    """
    Pages that are one document, and the blueprint that was applied to them, if one was.

    :param fell_back: whether none fitted, and the blueprint is the project's fallback.
    """

    pages: tuple[Page, ...]
    match: Match | None
    fell_back: bool = False


@dataclass(frozen=True)
class Candidates:
    """
    The blueprints that documents may be matched with.

    :param blueprints: what was asked for; nothing matches when it is empty.
    :param fallback: what is applied where none fits.
    :param is_forced: whether the only blueprint is applied whether it fits or not.
    """

    blueprints: tuple[Blueprint, ...] = ()
    fallback: Blueprint | None = None
    is_forced: bool = False


def match_segments(pages: Sequence[Page], candidates: Candidates, *, split: bool) -> tuple[Segment, ...]:
    """
    Split pages into documents and find the blueprint of each.

    :param split: whether several documents are looked for.
    :return: at least one segment.
    """
    pages = tuple(pages)
    grids = [Grid(page) for page in pages] if candidates != Candidates() else []
    trials = [_Trial(blueprint, grids) for blueprint in candidates.blueprints]
    fallback = _Trial(candidates.fallback, grids) if candidates.fallback else None
    starts = _starts(trials, len(pages)) if split and len(trials) > 1 else [0]
    segments = []
    for start, end in zip(starts, [*starts[1:], len(pages)], strict=True):
        match, fell_back = _best(trials, start, end), False
        if match is None and candidates.is_forced and trials:
            match = trials[0].apply(start, end)
        if match is None and fallback is not None:
            match, fell_back = fallback.apply(start, end), True
        segments.append(Segment(pages[start:end], match, fell_back))
    return tuple(segments)


def _best(trials: Sequence[_Trial], start: int, end: int) -> Match | None:
    matches = [match for trial in trials if (match := trial.apply(start, end)).fits]
    return max(matches, key=lambda match: match.score, default=None)


def _starts(trials: Sequence[_Trial], pages: int) -> list[int]:
    starts, current = [0], None
    for page in range(pages):
        named = [trial for trial in trials if trial.class_evidence(page, page + 1) >= _NAMED_IN_TITLE]
        match = _best(named, page, page + 1)
        if match is None or match.blueprint == current:
            continue
        if page > 0:
            starts.append(page)
        current = match.blueprint
    return starts


class _Trial:
    """One blueprint tried on the pages of one input; what it finds on a page is found once."""

    def __init__(self, blueprint: Blueprint, grids: Sequence[Grid]) -> None:
        self._blueprint = blueprint
        self._grids = grids
        self._scalars = LabelIndex(blueprint.fields, blueprint.document_class)
        self._columns = {rows: LabelIndex(rows.columns, blueprint.document_class) for rows in blueprint.tables}

    def class_evidence(self, start: int, end: int) -> float:
        """Return how clearly some pages name the blueprint's class, 0 to 1."""
        return max(self._named[start:end], default=0.0)

    def apply(self, start: int, end: int) -> Match:
        """Return what was found on some pages, whether the blueprint fits them or not."""
        pages = self._found[start:end]
        fields = choose(candidate for candidates, _ in pages for candidate in candidates)
        tables = {name: tuple(row for _, rows in pages for row in rows[name]) for name in self._blueprint.tables}
        found = len(fields) + sum(1 for rows in tables.values() if rows)
        wanted = len(self._blueprint.fields) + len(self._blueprint.tables)
        score = _CLASS_SHARE * self.class_evidence(start, end) + _FIELDS_SHARE * found / wanted
        fits = score >= _MATCH_THRESHOLD and found >= min(_LEAST_FIELDS, wanted)
        return Match(self._blueprint, score, Findings(fields, tables), fits)

    @cached_property
    def _found(self) -> list[tuple[list[Candidate], dict[Rows, tuple[Mapping[Field, Finding], ...]]]]:
        found = []
        for grid in self._grids:
            tables = {rows: find_rows(grid, self._scalars, index) for rows, index in self._columns.items()}
            taken = frozenset(place for table in tables.values() for place in table.places)
            rows = {each: table.rows for each, table in tables.items()}
            found.append((list(FieldSearch(grid, self._scalars, taken).candidates()), rows))
        return found

    @cached_property
    def _named(self) -> list[float]:
        names = _class_names(self._blueprint.document_class)
        return [_class_evidence(grid, names) for grid in self._grids]


def _class_names(document_class: str) -> tuple[str, ...]:
    name = " ".join(word for word in words_of_name(document_class).split() if word not in _GENERAL_CLASS_WORDS)
    names = {name, name.removesuffix("s")}
    for general, others in _OTHER_CLASS_NAMES.items():
        if f" {general} " in f" {name.removesuffix('s')} ":
            names.update(others)
    return tuple(f" {each} " for each in names if each)


def _class_evidence(grid: Grid, names: Sequence[str]) -> float:
    evidence = 0.0
    for line in grid.lines:
        for phrase in line:
            text = f" {normalise(phrase.text)} "
            if any(name in text for name in names):
                evidence = max(evidence, _NAMED_IN_TITLE if len(phrase) <= _TITLE_WORDS else _NAMED_IN_TEXT)
    return evidence
