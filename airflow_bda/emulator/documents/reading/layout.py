"""Pages, lines and words with the boxes that they stand in, and how results write boxes and ids."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Words belong to one line when their middles are closer than this share of the smaller height.
SAME_LINE = 0.5
# A gap wider than this many line heights ends a phrase: a blank is about a quarter of the height.
PHRASE_GAP = 0.9
# Some files have words of no height at all; gaps are measured in heights.
LEAST_HEIGHT = 1e-4
_PLACES = 6
# Ids are made from the place that they name, so that the same input gives the same result.
_NAMESPACE = uuid.UUID("2d0d6a4e-3b57-5b0c-9a3e-6b8f4f0c9d11")


@dataclass(frozen=True)
class Box:
    """A rectangle in ratios of its page, 0 to 1, from the top left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    @property
    def middle(self) -> float:
        """Half way between top and bottom."""
        return self.top + self.height / 2

    @property
    def centre(self) -> float:
        """Half way between left and right."""
        return self.left + self.width / 2

    def overlap(self, other: Box) -> float:
        """Return the width that both cover; zero or less where they stand apart."""
        return min(self.right, other.right) - max(self.left, other.left)

    def contains(self, other: Box) -> bool:
        """Whether the other's centre lies inside."""
        return self.left <= other.centre <= self.right and self.top <= other.middle <= self.bottom

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box:
        """Return the smallest box that holds all of them."""
        boxes = tuple(boxes)
        left, top = min(box.left for box in boxes), min(box.top for box in boxes)
        return cls(left, top, max(box.right for box in boxes) - left, max(box.bottom for box in boxes) - top)


@dataclass(frozen=True)
class Word:
    """
    One word.

    :param confidence: 1 where the text was read from the file itself; what the OCR says elsewhere.
    """

    text: str
    box: Box
    confidence: float = 1.0


@dataclass(frozen=True)
class Run:
    """Words in reading order: a line, or a phrase in one."""

    words: tuple[Word, ...]

    @cached_property
    def text(self) -> str:
        """The words with single blanks between them."""
        return " ".join(word.text for word in self.words)

    @cached_property
    def box(self) -> Box:
        """The box around all words."""
        return Box.around(word.box for word in self.words)

    @cached_property
    def confidence(self) -> float:
        """The mean of the words' confidences."""
        return sum(word.confidence for word in self.words) / len(self.words)

    @cached_property
    def height(self) -> float:
        """The usual height of a word, as a ratio of the page."""
        return max(median(word.box.height for word in self.words), LEAST_HEIGHT)


@dataclass(frozen=True)
class Table:
    """A table that the file itself draws: rows of cells, an empty text for an empty cell."""

    rows: tuple[tuple[str, ...], ...]
    box: Box


@dataclass(frozen=True)
class Page:
    """
    One page.

    :param index: from 0.
    :param width: in points or pixels; with *height* it tells how ratios compare.
    :param lines: from the top down.
    :param has_geometry: False where the boxes are only an order of ours, as for DOCX, and must not be shown.
    :param was_scanned: whether the text comes from OCR.
    :param pixels: width and height of its picture.
    :param hyperlinks: how many there are.
    """

    index: int
    width: float
    height: float
    lines: tuple[Run, ...]
    tables: tuple[Table, ...] = ()
    has_geometry: bool = True
    was_scanned: bool = False
    # A letter at the 200 dots per inch of AWS's examples.
    pixels: tuple[int, int] = (1700, 2200)
    hyperlinks: int = 0

    @cached_property
    def text(self) -> str:
        """The lines, one below the other."""
        return "\n".join(line.text for line in self.lines)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """All words in reading order."""
        return tuple(word for line in self.lines for word in line.words)

    def phrases(self, line: Run) -> tuple[Run, ...]:
        """Split a line of this page where a wide gap shows that another column begins."""
        widest_blank = PHRASE_GAP * line.height * self.height / self.width
        phrases: list[list[Word]] = [[line.words[0]]]
        for before, word in zip(line.words, line.words[1:], strict=False):
            if word.box.left - before.box.right > widest_blank:
                phrases.append([])
            phrases[-1].append(word)
        return tuple(Run(tuple(words)) for words in phrases)


@dataclass(frozen=True)
class Document:
    """
    What was read of a document.

    :param file_type: the service's word for the format: ``PDF``, ``DOCX``, ``TIFF``, ``PNG``, ``JPEG``.
    """

    file_type: str
    pages: tuple[Page, ...]


def lines_of(words: Sequence[Word]) -> tuple[Run, ...]:
    """Group words into lines from the top down, each read from the left."""
    lines: list[list[Word]] = []
    for word in sorted(words, key=lambda word: (word.box.middle, word.box.left)):
        for line in reversed(lines[-3:]):
            nearest = min(line, key=lambda other: abs(other.box.centre - word.box.centre))
            if abs(nearest.box.middle - word.box.middle) < SAME_LINE * min(nearest.box.height, word.box.height):
                line.append(word)
                break
        else:
            lines.append([word])
    runs = (Run(tuple(sorted(line, key=lambda word: word.box.left))) for line in lines)
    return tuple(sorted(runs, key=lambda run: run.box.middle))


def stable_id(*parts: object) -> str:
    """Return the id of an element that stands at this place; the same on every run."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(str(part) for part in parts)))


def bounding_box(box: Box) -> dict[str, float]:
    """Return a box in ratios of the page."""
    return {
        "left": round(box.left, _PLACES),
        "top": round(box.top, _PLACES),
        "width": round(box.width, _PLACES),
        "height": round(box.height, _PLACES),
    }


def corners(box: Box) -> list[dict[str, float]]:
    """Return the four corners of a box, clockwise from the top left."""
    left, top, right, bottom = (round(side, _PLACES) for side in (box.left, box.top, box.right, box.bottom))
    return [{"x": left, "y": top}, {"x": right, "y": top}, {"x": right, "y": bottom}, {"x": left, "y": bottom}]
