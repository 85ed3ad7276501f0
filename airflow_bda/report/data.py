"""
What a report shows of jobs, as plain data for the page's script, with the input's pages as pictures.

Boxes are ratios of a page's width and height, pages are numbered from 1, times are milliseconds. The data of one
document is bounded: words beyond the limit and long JSON are left out with a note, since a browser has to hold them.
PDF pages are drawn by pypdfium2 (the renderer of Chromium, as a wheel without system libraries); pictures and
multi-page TIFFs are read by Pillow. Both come with the extra ``report``.
"""

from __future__ import annotations

import base64
import io
import json
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_bda.service.results.document import DocumentOutput, ImageOutput
from airflow_bda.service.results.media import AudioOutput, VideoOutput
from airflow_bda.service.safe_values import encodable, safe_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow_bda.service.results.custom import ExtractedField
    from airflow_bda.service.results.job_result import JobResult, SegmentResult
    from airflow_bda.service.results.parts import Location, TextSpan

# At least SURE is taken as right, below LOW as likely wrong; between them a person should check.
SURE, LOW = 0.8, 0.5
# A page of dense print has about a thousand words.
_MOST_WORDS_A_PAGE = 3_000
_MOST_CHARACTERS_OF_JSON = 200_000
_MOST_CHARACTERS_OF_TEXT = 2_000_000
# Of the standard output, what fills most of it and is shown elsewhere.
_LONG_MEMBERS = ("pages", "elements", "text_lines", "text_words")
# A page without a picture keeps the shape of a sheet of A4.
_A4 = (1000, 1414)
# Numbers of a box: a ten-thousandth of a page is less than a pixel.
_DIGITS = 4


@dataclass(frozen=True)
class ReportedJob:
    """
    One job to show.

    :param result: as :meth:`airflow_bda.hooks.BdaHook.get_results` returns it.
    :param read_input: returns the bytes of an input document by its URI, to draw its pages; None draws none.
    :param earlier: the result of an earlier run on the same document, to compare with.
    :param most_pages: how many pages are drawn; the others show their text.
    """

    result: JobResult
    read_input: Callable[[str], bytes] | None = None
    earlier: JobResult | None = None
    most_pages: int = 200


def report_data(jobs: Iterable[ReportedJob], *, sure: float = SURE, low: float = LOW) -> dict[str, Any]:
    """
    Return the data of a report's page.

    :param sure: confidences from here on are shown as sure (0 to 1).
    :param low: confidences below are shown as low (0 to 1).
    """
    documents = []
    compared = False
    for job in jobs:
        compared = compared or job.earlier is not None
        documents.append(_document(job))
    return {"sure": sure, "low": low, "compared": compared, "documents": documents}


def _document(job: ReportedJob) -> dict[str, Any]:
    metadata = job.result.metadata
    source = next((asset.input_s3_uri for asset in metadata.assets if asset.input_s3_uri), None)
    pages = _Pages()
    earlier = list(job.earlier.segments) if job.earlier is not None else None
    segments = []
    for number, segment in enumerate(job.result.segments):
        before = earlier[number] if earlier is not None and number < len(earlier) else None
        pages.add(segment)
        segments.append(_segment(number, segment, before, compared=earlier is not None))
    if earlier is not None and len(earlier) != len(segments):
        pages.notes.append(f"The earlier run has {len(earlier)} segments, this one {len(segments)}.")
    pages.draw(job, source)
    return {
        "name": (source or metadata.uri).rpartition("/")[2] or metadata.uri,
        "source": f"{source or 'unknown input'} → {metadata.uri}",
        "notes": pages.notes,
        "pages": pages.to_list(),
        "segments": segments,
    }


@dataclass
class _Page:
    width: int | None = None
    height: int | None = None
    picture: str | None = None
    text: str = ""
    words: list[list[Any]] = field(default_factory=list)


class _Pages:
    """The pages of one document, by number, from its segments."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._pages: dict[int, _Page] = {}

    def add(self, segment: SegmentResult) -> None:
        """Take over the pages and the words of a segment."""
        standard = segment.standard
        if isinstance(standard, DocumentOutput):
            for page in standard.pages:
                mine = self._page((page.index or 0) + 1)
                mine.width, mine.height = page.width_pixels or mine.width, page.height_pixels or mine.height
                mine.text = encodable(page.representation.best or "")[:_MOST_CHARACTERS_OF_TEXT]
            self._add_words(standard.text_words)
        elif isinstance(standard, ImageOutput):
            mine = self._page(1)
            mine.width, mine.height, mine.text = standard.width_pixels, standard.height_pixels, standard.text or ""
            self._add_words(standard.text_words or standard.text_lines)
        for extracted in segment.fields():
            for location in extracted.locations:
                if location.page is not None:
                    self._page(location.page)

    def _page(self, number: int) -> _Page:
        return self._pages.setdefault(number, _Page())

    def _add_words(self, words: Iterable[TextSpan]) -> None:
        for word in words:
            for location in word.locations:
                page = self._page(location.page or (word.page_index or 0) + 1)
                if location.box is not None and len(page.words) < _MOST_WORDS_A_PAGE:
                    page.words.append([encodable(word.text), *_box(location), safe_number(word.confidence)])

    def draw(self, job: ReportedJob, source: str | None) -> None:
        """Draw the pages' pictures, where that can be done; a note says why not."""
        numbers = frozenset(islice(sorted(self._pages), job.most_pages))
        if not numbers or job.read_input is None or source is None:
            return
        if len(self._pages) > len(numbers):
            self.notes.append(f"{len(numbers)} of {len(self._pages)} pages have pictures; the others show their text.")
        try:
            for picture in draw_pages(job.read_input(source), numbers):
                self._take(picture)
        except NoPicturesError as error:
            self.notes.append(f"The pages have no pictures. {encodable(str(error))}")
        except Exception as error:  # noqa: BLE001  read_input may raise anything: a report without pictures is better than none
            self.notes.append(f"The pages have no pictures: {source} cannot be read ({type(error).__name__}).")

    def _take(self, picture: Picture) -> None:
        page = self._page(picture.number)
        page.picture, page.width, page.height = picture.data_uri, picture.width, picture.height

    def to_list(self) -> list[dict[str, Any]]:
        """Return the pages in order; the text of a page is sent only where there is no picture."""
        return [
            {
                "number": number,
                "width": page.width or _A4[0],
                "height": page.height or _A4[1],
                "picture": page.picture,
                "text": "" if page.picture else page.text,
                "words": page.words,
            }
            for number, page in sorted(self._pages.items())
        ]


def _segment(number: int, segment: SegmentResult, before: SegmentResult | None, *, compared: bool) -> dict[str, Any]:
    custom = segment.custom
    blueprint = custom.matched_blueprint if custom else None
    fields = segment.fields()
    confidences = [one.confidence for one in fields if one.found and one.confidence is not None]
    return {
        "label": f"Segment {number + 1}",
        "modality": str(segment.modality or "unknown modality"),
        "pages": f"{segment.pages} {'page' if segment.pages == 1 else 'pages'}" if segment.pages else None,
        "status": segment.custom_status,
        "blueprint": _blueprint_text(blueprint.name, blueprint.confidence) if blueprint and blueprint.name else None,
        "confidence": [min(confidences), sum(confidences) / len(confidences)] if confidences else None,
        "summary": encodable(segment.standard.summary or "") if segment.standard else "",
        "text": encodable(segment.text or "")[:_MOST_CHARACTERS_OF_TEXT],
        "fields": _compared(fields, before.fields() if before else ()) if compared else [_field(one) for one in fields],
        "media": _media(segment),
        "json": list(_sources(segment)),
    }


def _blueprint_text(name: str, confidence: float | None) -> str:
    return encodable(name if confidence is None else f"{name} {confidence:.2f}")


def _field(one: ExtractedField) -> dict[str, Any]:
    return {
        "path": encodable(one.path),
        "value": _plain(one.value),
        "confidence": safe_number(one.confidence),
        "found": one.found,
        "places": [[location.page, *_box(location)] for location in one.locations if location.page and location.box],
    }


def _compared(fields: Sequence[ExtractedField], before: Sequence[ExtractedField]) -> list[dict[str, Any]]:
    """Return the fields, each with how it differs from the earlier run; fields of that run alone come last."""
    earlier = {one.path: one for one in before}
    rows = []
    for one in fields:
        old = earlier.pop(one.path, None)
        change = "added" if old is None else "same" if old.value == one.value else "changed"
        rows.append({**_field(one), "change": change, "before": _plain(old.value) if old else None})
    # Its places are those of the earlier run: the page is the same document's.
    return rows + [{**_field(old), "change": "removed", "before": None} for old in earlier.values()]


def _box(location: Location) -> list[float]:
    box = location.box
    assert box is not None  # noqa: S101  the callers have looked
    return [round(number, _DIGITS) for number in (box.left, box.top, box.width, box.height)]


def _media(segment: SegmentResult) -> dict[str, Any] | None:
    standard = segment.standard
    if isinstance(standard, AudioOutput):
        tracks = {
            "Topics": [
                _item(one.start_millis, one.end_millis, f"Topic {place}", one.summary)
                for place, one in enumerate(standard.topics, start=1)
            ],
            "Transcript": [_item(one.start_millis, one.end_millis, one.speaker, one.text) for one in standard.segments],
            "Moderation": [
                _item(one.start_millis, one.end_millis, one.name, None) for one in standard.content_moderation
            ],
        }
    elif isinstance(standard, VideoOutput):
        chapters = standard.chapters
        tracks = {
            "Chapters": [
                _item(one.start_millis, one.end_millis, f"Chapter {place}", one.summary)
                for place, one in enumerate(chapters, start=1)
            ],
            "Shots": [
                _item(one.start_millis, one.end_millis, f"Shot {place}", None)
                for place, one in enumerate(standard.shots, start=1)
            ],
            "Transcript": [
                _item(one.start_millis, one.end_millis, one.speaker, one.text)
                for chapter in chapters
                for one in chapter.audio_segments
            ],
        }
    else:
        return None
    whole = [_item(None, None, None, standard.text)] if standard.text and not tracks["Transcript"] else []
    tracks["Transcript"] += whole
    return {
        "millis": standard.duration_millis,
        "tracks": [{"name": name, "items": items} for name, items in tracks.items() if items],
    }


def _item(start: int | None, end: int | None, label: str | None, text: str | None) -> dict[str, Any]:
    return {"start": start, "end": end, "label": encodable(label or ""), "text": encodable(text or "")}


def _sources(segment: SegmentResult) -> Iterator[tuple[str, str]]:
    """Return the outputs as JSON to read; of the standard output what is neither words nor lines nor elements."""
    if segment.custom_source is not None:
        yield f"custom output: {segment.paths.custom_output_uri}", _json(segment.custom_source)
    source = segment.standard_source
    if source is not None:
        left_out = [name for name in _LONG_MEMBERS if name in source]
        more = f" (without {', '.join(left_out)})" if left_out else ""
        # By name: of a file that is read lazily, what is left out is not decoded.
        parts = {name: source[name] for name in source if name not in left_out}
        yield f"standard output{more}: {segment.paths.standard_output_uri}", _json(parts)


def _json(source: Mapping[str, Any]) -> str:
    text = encodable(json.dumps(_plain(source), indent=2, ensure_ascii=False))
    if len(text) <= _MOST_CHARACTERS_OF_JSON:
        return text
    return (
        f"{text[:_MOST_CHARACTERS_OF_JSON]}\n... ({len(text) - _MOST_CHARACTERS_OF_JSON} more characters in the file)"
    )


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: finite numbers, texts that UTF-8 can encode."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return safe_number(value)
    if isinstance(value, dict):
        return {encodable(str(name)): _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else _plain(dict(value))


# Enough to read small print on a screen; a page of text then takes about 100 KB.
_DOTS_PER_INCH = 110
_POINTS_PER_INCH = 72
# A4 at 110 dots per inch is 910 by 1286. Larger pages (plans, photographs) are scaled down to this longest side.
_LONGEST_SIDE = 1600
_QUALITY = 60
# A page that was drawn by a program has few colours, most of them the grey edges of letters. Kept without loss, it is
# sharper and smaller than as a photograph; with 64 of its colours, nobody sees the difference.
_FEW_COLOURS, _KEPT_COLOURS = 1024, 64
# Pillow refuses pictures of more pixels than this as a bomb: a scan of A3 at 600 dots per inch has 70 million.
_MOST_PIXELS = 120_000_000


class NoPicturesError(Exception):
    """The document cannot be drawn; the text says why."""


@dataclass(frozen=True)
class Picture:
    """
    One page.

    :param number: of the page in the document, from 1.
    :param width: in pixels.
    :param height: in pixels.
    :param data_uri: the picture as WebP.
    """

    number: int
    width: int
    height: int
    data_uri: str


def draw_pages(document: bytes, numbers: frozenset[int]) -> Iterator[Picture]:
    """
    Draw pages of a document, one after the other.

    :param document: the bytes of a PDF, PNG, JPEG, WebP or TIFF.
    :param numbers: which pages, from 1.
    :raises NoPicturesError: where the document cannot be drawn, or the libraries are missing.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise NoPicturesError(
            f"{error}: pages are drawn with the libraries of: pip install 'airflow-provider-bda[report]'"
        ) from None
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    pages = (
        _pages_of_pdf(document, numbers) if document[:1024].lstrip().startswith(b"%PDF") else _frames(document, numbers)
    )
    try:
        yield from pages
    except NoPicturesError:
        raise
    except Exception as error:  # a parser's own errors, on a file from outside
        raise NoPicturesError(f"The document cannot be drawn: {type(error).__name__}: {error}") from error


def _pages_of_pdf(document: bytes, numbers: frozenset[int]) -> Iterator[Picture]:
    try:
        import pypdfium2
    except ModuleNotFoundError as error:
        raise NoPicturesError(
            f"{error}: PDF pages are drawn with: pip install 'airflow-provider-bda[report]'"
        ) from None
    with closing(pypdfium2.PdfDocument(document)) as pdf:
        for number in sorted(numbers):
            if number > len(pdf):
                return
            page = pdf[number - 1]
            scale = min(_DOTS_PER_INCH / _POINTS_PER_INCH, _LONGEST_SIDE / max(*page.get_size(), 1))
            bitmap = page.render(scale=scale)
            yield _picture(number, bitmap.to_pil())
            bitmap.close()
            page.close()


def _frames(document: bytes, numbers: frozenset[int]) -> Iterator[Picture]:
    from PIL import Image, ImageOps, ImageSequence

    with Image.open(io.BytesIO(document)) as picture:
        for number, frame in enumerate(ImageSequence.Iterator(picture), start=1):
            if number in numbers:
                yield _picture(number, ImageOps.exif_transpose(frame))


def _picture(number: int, image: Any) -> Picture:
    image = image.convert("RGB")
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    encoded = io.BytesIO()
    if image.getcolors(_FEW_COLOURS) is None:
        image.save(encoded, "WEBP", quality=_QUALITY, method=2)
    else:
        # Without dithering: its dots would be noise, which takes space. The quality is how hard to look for savings.
        few = image.quantize(_KEPT_COLOURS, dither=0).convert("RGB")
        few.save(encoded, "WEBP", lossless=True, quality=20, method=2)
    content = base64.b64encode(encoded.getvalue()).decode()
    return Picture(number, image.width, image.height, f"data:image/webp;base64,{content}")
