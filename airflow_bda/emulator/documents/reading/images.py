"""
Pictures and the text in them: PNG, JPEG and TIFF, a multi-page TIFF being a document of several pages.

Text is read by RapidOCR, whose models come inside its wheel; nothing is downloaded. Where RapidOCR is not installed,
pictures have no text.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.reading.input_limits import (
    LIMIT_EXCEEDED,
    MAX_PAGE_PIXELS,
    STEP_CLOCK,
    DocumentLimits,
    InputError,
    unreadable_means_input_error,
)
from airflow_bda.emulator.documents.reading.layout import Box, Document, Page, Word, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from airflow_bda.emulator.documents.reading.input_limits import FileFormat

_log = logging.getLogger(__name__)

NO_OCR = "Pictures have no text: OCR is not installed. Run: pip install 'airflow-provider-bda[ocr]'"

# The engine keeps state between its steps, so one picture at a time. It also bounds the memory.
_lock = threading.Lock()
# More threads than this make one page hardly faster, and starve the tasks that run beside the emulator.
_THREADS = 2
# The engine shrinks what is bigger than 2000 pixels; shrinking it before spares the memory of some copies.
_MAX_SIDE = 2400
_MODELS = ("det", "rec", "cls")
# What Pillow calls the formats that the emulator takes; no other decoder is tried.
_DECODERS = ("PNG", "JPEG", "TIFF", "MPO")
# Paper: at least this light, in each of the three channels, and with channels no further apart than this.
_PAPER_LIGHT, _PAPER_TINT = 170, 48
_THUMBNAIL = (64, 64)
# A picture is guessed to be a document when this share of its pixels is as light and as grey as paper: only the queue
# needs to know before the text is read.
_PAPER_SHARE = 0.5
# Bigger ones are not decoded for a guess; no image may have a side that gives more with a usual other side.
_MOST_GUESSED_PIXELS = 25_000_000


def has_ocr() -> bool:
    """Whether pictures can be read on this machine."""
    return _engine_parameters() is not None


def read_words(image: Image) -> tuple[Word, ...]:
    """
    Read the words in a picture, in no promised order.

    :param image: of any mode and size.
    :return: the words with their boxes; empty where there are none or no engine is installed.
    """
    if not has_ocr():
        return ()
    import numpy as np

    picture = image.convert("RGB")
    if picture.getcolors(maxcolors=1):
        # One colour all over: nothing is written there.
        return ()
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE))
    # The engine takes OpenCV's order of colours.
    pixels = np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
    try:
        with _lock:
            result = _engine()(pixels, return_word_box=True)
    except Exception:  # noqa: BLE001 - the engine raises what its libraries raise
        # The engine cannot take every shape, such as a strip one pixel high. The picture is sound all the same.
        _log.warning("A picture of %d x %d pixels cannot be read by OCR", *image.size, exc_info=True)
        return ()
    if not result.txts:
        return ()
    return tuple(
        word
        for index, text in enumerate(result.txts)
        for word in _words_of_line(result, index, text, picture.width, picture.height)
    )


@cache
def _engine_parameters() -> dict[str, Any] | None:
    """Name the models in the wheel, so that the engine never looks for them elsewhere."""
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or spec.origin is None:
        _log.warning(NO_OCR)
        return None
    folder = Path(spec.origin).parent / "models"
    models = {kind: next(iter(sorted(folder.glob(f"*_{kind}_*.onnx"))), None) for kind in _MODELS}
    models["cls"] = models["cls"] or next(iter(sorted(folder.glob("*_cls*.onnx"))), None)
    if missing := [kind for kind, path in models.items() if path is None]:
        _log.warning("rapidocr comes without its models %s: pictures have no text. Reinstall it.", ", ".join(missing))
        return None
    return {
        "Global.log_level": "critical",
        "EngineConfig.onnxruntime.intra_op_num_threads": _THREADS,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    } | {f"{kind.capitalize()}.model_path": str(path) for kind, path in models.items()}


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(params=_engine_parameters())


def _words_of_line(result: Any, index: int, text: str, width: int, height: int) -> list[Word]:
    line_box = _box(result.boxes[index], width, height)
    parts = result.word_results[index] if len(result.word_results or ()) == len(result.txts) else ()
    words = [Word(part[0], _box(part[2], width, height), float(part[1])) for part in parts if part and part[0].strip()]
    if "".join(word.text for word in words) == text.replace(" ", ""):
        return words
    return _spread(text, line_box, float(result.scores[index]))


def _spread(text: str, box: Box, confidence: float) -> list[Word]:
    """Place the words of a line by their length, where the engine did not say where they stand."""
    words, position = [], 0
    for part in text.split():
        start = text.index(part, position)
        position = start + len(part)
        left = box.left + box.width * start / len(text)
        words.append(Word(part, Box(left, box.top, box.width * len(part) / len(text), box.height), confidence))
    return words


def _box(corners: Any, width: int, height: int) -> Box:
    columns = [min(max(float(corner[0]) / width, 0.0), 1.0) for corner in corners]
    rows = [min(max(float(corner[1]) / height, 0.0), 1.0) for corner in corners]
    return Box(min(columns), min(rows), max(columns) - min(columns), max(rows) - min(rows))


@dataclass(frozen=True)
class Picture:
    """
    A decoded picture.

    :param page: its text, with boxes.
    """

    encoding: str
    width: int
    height: int
    page: Page


def looks_like_paper(data: bytes) -> bool:
    """Guess, without reading its text, whether a picture shows a document: mostly light and grey pixels."""
    with _opened(data) as image:
        if image.width * image.height > _MOST_GUESSED_PIXELS:
            return True
        image.draft("RGB", _THUMBNAIL)
        small = image.convert("RGB").resize(_THUMBNAIL)
    raw = small.tobytes()
    pixels = list(zip(raw[0::3], raw[1::3], raw[2::3], strict=True))
    light = sum(min(pixel) >= _PAPER_LIGHT and max(pixel) - min(pixel) <= _PAPER_TINT for pixel in pixels)
    return light / len(pixels) >= _PAPER_SHARE


def read_picture(data: bytes, file_format: FileFormat) -> Picture:
    """
    Decode a picture and read its text.

    :raises InputError: when it is damaged or too big to decode.
    """
    from PIL import ImageOps

    with _opened(data) as image:
        image.load()
        # Phones write photos lying on their side, with a note how to turn them.
        upright = ImageOps.exif_transpose(image)
        return Picture(file_format.value, upright.width, upright.height, _page(upright, 0))


def read_tiff(data: bytes, limits: DocumentLimits) -> Document:
    """
    Read each frame of a TIFF as a page.

    :raises InputError: when it is damaged or beyond the limits.
    """
    with _opened(data) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > limits.max_pages:
            raise InputError(LIMIT_EXCEEDED, f"The TIFF has {frames} pages; this call takes up to {limits.max_pages}.")
        pages = []
        for index in range(frames):
            STEP_CLOCK.restart()
            image.seek(index)
            _check_pixels(image)
            pages.append(_page(image, index))
        return Document("TIFF", tuple(pages))


@contextmanager
def _opened(data: bytes) -> Iterator[Image]:
    from PIL import Image

    with unreadable_means_input_error("a picture"):
        try:
            opened = Image.open(io.BytesIO(data), formats=_DECODERS)
        except Image.DecompressionBombError as error:
            # Pillow's own limit is above ours, and it raises before the size can be read.
            raise InputError(LIMIT_EXCEEDED, f"The picture is too big to be decoded: {error}") from error
        with opened as image:
            _check_pixels(image)
            yield image


def _check_pixels(image: Image) -> None:
    """Refuse a decompression bomb: the size stands in the header, before anything is decoded."""
    if image.width * image.height > MAX_PAGE_PIXELS:
        raise InputError(
            LIMIT_EXCEEDED,
            f"The picture has {image.width} x {image.height} pixels; up to {MAX_PAGE_PIXELS:,} are decoded.",
        )


def _page(image: Image, index: int) -> Page:
    lines = lines_of(read_words(image))
    return Page(index, float(image.width), float(image.height), lines, was_scanned=True, pixels=image.size)


def page_picture(data: bytes, index: int) -> bytes:
    """Return a page of a picture file as a PNG, upright."""
    from PIL import ImageOps

    with _opened(data) as image:
        image.seek(index)
        _check_pixels(image)
        file = io.BytesIO()
        ImageOps.exif_transpose(image).save(file, "PNG")
    return file.getvalue()
