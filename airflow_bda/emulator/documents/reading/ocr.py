"""
Text in pictures, read by RapidOCR.

Its models come inside its wheel; nothing is downloaded. Where RapidOCR is not installed, pictures have no text.
"""

from __future__ import annotations

import importlib.util
import logging
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_bda.emulator.documents.reading.layout import Box, Word

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)

NO_OCR = "Pictures have no text: OCR is not installed. Run: pip install 'airflow-provider-bda[ocr]'"

# The engine keeps state between its steps, so one picture at a time. It also bounds the memory.
_lock = threading.Lock()
# More threads than this make one page hardly faster, and starve the tasks that run beside the emulator.
_THREADS = 2
# The engine shrinks what is bigger than 2000 pixels; shrinking it before spares the memory of some copies.
_MAX_SIDE = 2400
_MODELS = ("det", "rec", "cls")


def is_available() -> bool:
    """Whether pictures can be read on this machine."""
    return _engine_parameters() is not None


def read_words(image: Image) -> tuple[Word, ...]:
    """
    Read the words in a picture, in no promised order.

    :param image: of any mode and size.
    :return: the words with their boxes; empty where there are none or no engine is installed.
    """
    if not is_available():
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
