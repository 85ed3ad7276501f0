"""The words of a page as phrases that know their neighbours, and what was found among them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.reading.layout import Box, Page, Run, Word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_bda.emulator.documents.fields.blueprints import Field, Rows

# Where a word stands: its line on the page, and its place in the line.
Place = tuple[int, int]

# What is printed, or read by OCR, without a blank between label and value: "Date:2026-01-05".
_GLUED = re.compile(r"(?P<label>[^\W\d_][^:/]*:)(?P<value>[^\s:/].*)")
# The value below a label is no further away than this many line heights.
_MAX_DROP = 2.5
# Left edges this near, in line heights, are one edge.
_ALIGNED = 0.7


@dataclass(frozen=True)
class Phrase:
    """
    Words of one line without a wide gap between them.

    :param line: the number of its line on the page.
    :param start: the place of its first word in that line.
    """

    line: int
    start: int
    run: Run

    def __len__(self) -> int:
        return len(self.run.words)

    @property
    def text(self) -> str:
        """The words with single blanks between them."""
        return self.run.text

    @property
    def box(self) -> Box:
        """The box around all words."""
        return self.run.box

    @cached_property
    def places(self) -> frozenset[Place]:
        """Where the words stand."""
        return frozenset((self.line, self.start + offset) for offset in range(len(self)))

    def part(self, start: int, end: int) -> Phrase:
        """Return some of the words."""
        return Phrase(self.line, self.start + start, Run(self.run.words[start:end]))

    def between(self, start: int, end: int) -> Phrase:
        """Return the words that hold these characters of the text."""
        position, covered = 0, []
        for number, word in enumerate(self.run.words):
            if position < end and position + len(word.text) > start:
                covered.append(number)
            position += len(word.text) + 1
        return self.part(covered[0], covered[-1] + 1)


class Grid:
    """
    A page's lines, each split into phrases.

    :param page: where the words come from.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.lines: list[list[Phrase]] = []
        for number, line in enumerate(page.lines):
            whole = Run(tuple(part for word in line.words for part in _unglued(word)))
            phrases, start = [], 0
            for run in page.phrases(whole):
                phrases.append(Phrase(number, start, run))
                start += len(run.words)
            self.lines.append(phrases)

    @cached_property
    def phrases(self) -> list[Phrase]:
        """All phrases in reading order."""
        return [phrase for line in self.lines for phrase in line]

    def right_of(self, phrase: Phrase) -> Phrase | None:
        """Return the next phrase in the line."""
        return next((each for each in self.lines[phrase.line] if each.start >= phrase.start + len(phrase)), None)

    def below(self, phrase: Phrase, *, max_drop: float = _MAX_DROP) -> Phrase | None:
        """Return the nearest phrase below that stands in the same column."""
        for line in self.lines[phrase.line + 1 :]:
            drop = (line[0].box.top - phrase.box.bottom) / phrase.run.height
            if drop > max_drop:
                return None
            under = [
                each
                for each in line
                if drop > -1 and (phrase.box.overlap(each.box) > 0 or self._left_aligned(phrase, each))
            ]
            if under:
                return max(under, key=lambda each: phrase.box.overlap(each.box))
        return None

    def is_header(self, line: int) -> bool:
        """Whether each phrase of a line has its own phrase in the line below it: a row of labels over values."""
        phrases = self.lines[line]
        if len(phrases) < 2 or any(":" in each.text or re.search(r"\d", each.text) for each in phrases):  # noqa: PLR2004 - one phrase is no row
            return False
        under = [self.below(each) for each in phrases]
        distinct = {each.start for each in under if each is not None}
        return None not in under and len(distinct) == len(phrases) and any(re.search(r"\d", u.text) for u in under if u)

    def column_below(self, first: Phrase, *, most: int, max_drop: float) -> list[Phrase]:
        """Return a phrase and those that follow closely below it with the same left edge."""
        block = [first]
        while len(block) < most:
            following = self.below(block[-1], max_drop=max_drop)
            if following is None or not self._left_aligned(block[0], following):
                break
            block.append(following)
        return block

    def _left_aligned(self, one: Phrase, other: Phrase) -> bool:
        near = _ALIGNED * one.run.height * self.page.height / self.page.width
        return abs(one.box.left - other.box.left) <= near


def _unglued(word: Word) -> Sequence[Word]:
    match = _GLUED.fullmatch(word.text)
    if match is None:
        return (word,)
    share = len(match["label"]) / len(word.text)
    box = word.box
    return (
        replace(word, text=match["label"], box=replace(box, width=box.width * share)),
        replace(
            word,
            text=match["value"],
            box=Box(box.left + box.width * share, box.top, box.width * (1 - share), box.height),
        ),
    )


Value = str | float | int | bool


@dataclass(frozen=True)
class Finding:
    """
    A value, and where it stands.

    :param confidence: 0 to 1, see :mod:`~airflow_bda.emulator.documents.fields.field_search`.
    :param boxes: where it stands, one for each line of print.
    """

    value: Value
    confidence: float
    page: Page
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Findings:
    """
    All values found for one blueprint.

    :param fields: the single fields that were found; others are missing.
    :param tables: the rows of each list of objects, by column; a cell that is empty is missing.
    """

    fields: Mapping[Field, Finding] = dataclass_field(default_factory=dict)
    tables: Mapping[Rows, tuple[Mapping[Field, Finding], ...]] = dataclass_field(default_factory=dict)
