"""
Pages of an input document as pictures that fit into one HTML file.

PDF pages are drawn by pypdfium2 (the renderer of Chromium, as a wheel without system libraries); pictures and
multi-page TIFFs are read by Pillow. Both come with the extra ``report``.
"""

from __future__ import annotations

import base64
import io
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

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
