"""
PDF documents.

Text, words and tables come from the file's own text layer; a page without one is drawn and read by OCR.
"""

from __future__ import annotations

import io
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.reading.images import has_ocr, read_words
from airflow_bda.emulator.documents.reading.input_limits import (
    INVALID_INPUT,
    LIMIT_EXCEEDED,
    MAX_PAGE_DRAWINGS,
    MAX_PAGE_FORMS,
    MAX_PDF_SIDE_POINTS,
    PASSWORD_PROTECTED,
    POINTS_PER_INCH,
    STEP_CLOCK,
    DocumentLimits,
    InputError,
    check_range,
    check_words,
    unreadable_means_input_error,
)
from airflow_bda.emulator.documents.reading.layout import Box, Document, Page, Table, Word, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from PIL.Image import Image

# PDFium is not thread-safe.
_pdfium_lock = threading.Lock()
# Sharp enough for small print; the OCR engine shrinks what is bigger than 2000 pixels.
_DOTS_PER_INCH = 200
_MAX_RENDERED_SIDE = 2400
# A page with more lines is a drawing; the search for tables takes the square of them.
_MOST_EDGES = 5_000


def read_pdf(data: bytes, limits: DocumentLimits) -> Document:
    """
    Read a PDF.

    :raises InputError: when it is damaged, locked by a password, empty, or beyond the limits.
    """
    with unreadable_means_input_error("a PDF"):
        import pdfplumber

        try:
            pdf = pdfplumber.open(io.BytesIO(data))
        except Exception as error:
            if _asks_for_password(error):
                raise InputError(
                    PASSWORD_PROTECTED, "The PDF is protected by a password; remove it and send the file again."
                ) from error
            raise
        with pdf:
            count = len(pdf.pages)
            if count == 0:
                raise InputError(INVALID_INPUT, "The PDF has no pages.")
            if count > limits.max_pages:
                raise InputError(
                    LIMIT_EXCEEDED, f"The PDF has {count} pages; this call takes up to {limits.max_pages}."
                )
            return Document("PDF", tuple(_read_pages(pdf.pages, data)))


def _asks_for_password(error: BaseException) -> bool:
    from pdfminer.pdfdocument import PDFEncryptionError, PDFPasswordIncorrect

    # pdfplumber wraps what pdfminer raises.
    causes = (error, *error.args, error.__cause__, error.__context__)
    return any(isinstance(cause, PDFPasswordIncorrect | PDFEncryptionError) for cause in causes)


def _read_pages(pages: Sequence[Any], data: bytes) -> Iterator[Page]:
    total = 0
    for each in pages:
        STEP_CLOCK.restart()
        _check_content(each)
        page = _read_page(each, data)
        total += len(page.words)
        check_words(each.page_number, len(page.words), total)
        yield page


def _check_content(page: Any) -> None:
    """
    Refuse a page that draws too much, before pdfplumber keeps a kilobyte for each character and path of it.

    Its length does not show it: a form that is drawn again and again is written once, and forms that draw each other
    twice double at each level, whether they draw anything else or not.
    """
    from pdfminer.pdfdevice import PDFDevice
    from pdfminer.pdfinterp import PDFPageInterpreter, PDFResourceManager

    drawn: Counter[str] = Counter()

    def count(what: str, number: int, most: int) -> None:
        drawn[what] += number
        if drawn[what] > most:
            message = f"Page {page.page_number} draws more than the {most:,} {what} that the emulator reads."
            raise InputError(LIMIT_EXCEEDED, message)

    class Counting(PDFDevice):
        def render_string(self, _state: Any, parts: Any, *_: Any) -> None:
            letters = sum(len(part) for part in parts if isinstance(part, bytes))
            count("characters and paths", letters, MAX_PAGE_DRAWINGS)

        def paint_path(self, *_: Any) -> None:
            count("characters and paths", 1, MAX_PAGE_DRAWINGS)

        def begin_figure(self, *_: Any) -> None:
            count("forms", 1, MAX_PAGE_FORMS)

    resources = PDFResourceManager()
    PDFPageInterpreter(resources, Counting(resources)).process_page(page.page_obj)


def _read_page(page: Any, data: bytes) -> Page:
    index = page.page_number - 1
    for side in (page.width, page.height):
        check_range(f"side of page {page.page_number}", float(side), 1, MAX_PDF_SIDE_POINTS, "points")
    words = tuple(
        Word(word["text"], _box((word["x0"], word["x1"]), (word["top"], word["bottom"]), page))
        for word in page.extract_words()
        if word["text"].strip()
    )
    scanned = not words
    tables: tuple[Table, ...] = ()
    if scanned:
        STEP_CLOCK.restart()
        # A page with nothing on it need not be drawn to know that nothing is written there.
        words = read_words(_draw(data, index)) if page.objects and has_ocr() else ()
    elif len(page.edges) <= _MOST_EDGES:
        tables = tuple(_table(table, page) for table in page.find_tables())
    try:
        hyperlinks = len(page.hyperlinks)
    except Exception:  # noqa: BLE001 - a broken annotation is no reason to refuse the page
        hyperlinks = 0
    scale = _scale(float(page.width), float(page.height))
    page.close()
    return Page(
        index=index,
        width=float(page.width),
        height=float(page.height),
        lines=lines_of(words),
        tables=tuple(table for table in tables if len(table.rows) > 1),
        was_scanned=scanned,
        pixels=(round(float(page.width) * scale), round(float(page.height) * scale)),
        hyperlinks=hyperlinks,
    )


def _table(table: Any, page: Any) -> Table:
    rows = tuple(tuple((cell or "").replace("\n", " ").strip() for cell in row) for row in table.extract())
    left, top, right, bottom = table.bbox
    return Table(rows, _box((left, right), (top, bottom), page))


def _box(across: tuple[float, float], down: tuple[float, float], page: Any) -> Box:
    left, top, *_ = page.bbox
    x0, x1 = (_ratio(edge - left, page.width) for edge in across)
    y0, y1 = (_ratio(edge - top, page.height) for edge in down)
    return Box(x0, y0, x1 - x0, y1 - y0)


def _ratio(distance: float, whole: float) -> float:
    return min(max(float(distance) / float(whole), 0.0), 1.0)


def _scale(width: float, height: float) -> float:
    return min(_DOTS_PER_INCH / POINTS_PER_INCH, _MAX_RENDERED_SIDE / max(width, height))


def draw_page(data: bytes, index: int) -> bytes:
    """Return a picture of a page as a PNG."""
    file = io.BytesIO()
    _draw(data, index).save(file, "PNG")
    return file.getvalue()


def _draw(data: bytes, index: int) -> Image:
    import pypdfium2

    with _pdfium_lock:
        document = pypdfium2.PdfDocument(data)
        try:
            page = document[index]
            image: Image = page.render(scale=_scale(*page.get_size())).to_pil()
        finally:
            document.close()
    return image
