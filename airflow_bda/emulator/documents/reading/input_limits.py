"""
Which inputs are taken: their format, by their first bytes; their limits; and the words for what is wrong with one.

A file's name is not looked at. The formats and the numbers are those of
https://docs.aws.amazon.com/bedrock/latest/userguide/bda-limits.html. The emulator's own limits, below, keep a small
file from taking much memory or time.
"""

from __future__ import annotations

import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from airflow_bda.service.s3 import MODALITIES_OF_EXTENSION, Modality

if TYPE_CHECKING:
    from collections.abc import Iterator

# The service's words for `errorType` are not known. These are ours.
UNSUPPORTED_FORMAT = "UnsupportedFormat"
LIMIT_EXCEEDED = "LimitExceeded"
INVALID_INPUT = "InvalidInput"
MODALITY_DISABLED = "ModalityDisabled"
PASSWORD_PROTECTED = "PasswordProtected"  # noqa: S105 - the word for a locked file, no password

MEGABYTE = 1_000_000
POINTS_PER_INCH = 72

# The emulator's own. A decoded page stays within a few hundred megabytes.
MAX_PAGE_PIXELS = 100_000_000
# A DOCX of many hundred pages of text has less of both; each element takes up to 500 bytes.
MAX_DOCX_UNPACKED_BYTES = 200_000_000
MAX_DOCX_ELEMENTS = 1_000_000
# Characters and paths of a page of a PDF; one of a newspaper has 30,000.
MAX_PAGE_DRAWINGS = 100_000
# Forms of a page of a PDF, each time that one is drawn: a logo, a stamp, a symbol of a map.
MAX_PAGE_FORMS = 10_000
# A page of a newspaper has 5,000.
MAX_PAGE_WORDS = 50_000
MAX_WORDS = 2_000_000
# What a process that reads may take: its libraries and models need a quarter of it.
MAX_MEMORY_BYTES = 2_000_000_000
# The longest step, which is one page with OCR, takes a few. Processor time: a busy machine changes nothing.
MAX_CPU_SECONDS = 20
MAX_CPU_SECONDS_OF_FILE = 3_600


class FileFormat(Enum):
    """A format that BDA takes; the value is the service's word for it and the modalities that it may be of."""

    PDF = "PDF"
    DOCX = "DOCX"
    TIFF = "TIFF"
    PNG = "PNG"
    JPEG = "JPEG"
    WAV = "WAV"
    MP3 = "MP3"
    FLAC = "FLAC"
    OGG = "OGG"
    M4A = "M4A"
    AMR = "AMR"
    MP4 = "MP4"
    MOV = "MOV"
    AVI = "AVI"
    MKV = "MKV"
    WEBM = "WEBM"

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """What an input of this format can be taken for."""
        return MODALITIES_OF_EXTENSION[self.value.lower()]


# A PDF may have some bytes before its mark; readers accept it within the first kilobyte.
_PDF_MARK_WITHIN = 1024
_EBML_HEADER_BYTES = 64
_PREFIXES = (
    (b"\x89PNG\r\n\x1a\n", FileFormat.PNG),
    (b"\xff\xd8\xff", FileFormat.JPEG),
    (b"II*\x00", FileFormat.TIFF),
    (b"MM\x00*", FileFormat.TIFF),
    (b"II+\x00", FileFormat.TIFF),
    (b"MM\x00+", FileFormat.TIFF),
    (b"fLaC", FileFormat.FLAC),
    (b"OggS", FileFormat.OGG),
    (b"#!AMR", FileFormat.AMR),
    (b"ID3", FileFormat.MP3),
)
_RIFF_KINDS = {b"WAVE": FileFormat.WAV, b"AVI ": FileFormat.AVI}
# Pictures in the container of MP4, which BDA does not take: the brands of HEIF (ISO/IEC 23008-12), of MIAF and of AVIF
# that https://www.iana.org/assignments/media-types names.
_HEIF_BRANDS = frozenset(
    {b"mif1", b"mif2", b"msf1", b"miaf", b"MiHB", b"MiHA", b"MiHE", b"heic", b"heix", b"heim", b"heis", b"hevc"}
    | {b"hevx", b"hevm", b"hevs", b"avci", b"avcs", b"jpeg", b"jpgs", b"j2ki", b"j2is", b"avif", b"avis"}
)
# The frame mark of MPEG audio: eleven set bits, then a layer other than 0, which AAC's frames have.
_MPEG_SYNC, _MPEG_LAYER = 0xE0, 0x06


def format_of(data: bytes) -> FileFormat | None:
    """Recognise the format of a file; None for one that BDA does not take."""
    for prefix, file_format in _PREFIXES:
        if data.startswith(prefix):
            return file_format
    return _container_format(data) or _searched_format(data)


def _container_format(data: bytes) -> FileFormat | None:
    """Recognise the formats that share one mark with others and tell them apart behind it."""
    if data.startswith(b"RIFF"):
        return _RIFF_KINDS.get(data[8:12])
    if data[4:8] == b"ftyp":
        return _iso_media_format(data[8:12])
    if data.startswith(b"\x1a\x45\xdf\xa3"):
        return FileFormat.WEBM if b"webm" in data[:_EBML_HEADER_BYTES] else FileFormat.MKV
    return None


def _searched_format(data: bytes) -> FileFormat | None:
    """Recognise the formats whose mark is looked for: in a DOCX, the name of one of its parts."""
    if data.startswith(b"PK\x03\x04"):
        return FileFormat.DOCX if b"word/" in data else None
    if len(data) > 1 and data[0] == 0xFF and data[1] & _MPEG_SYNC == _MPEG_SYNC and data[1] & _MPEG_LAYER:  # noqa: PLR2004 - the mark itself
        return FileFormat.MP3
    return FileFormat.PDF if b"%PDF-" in data[:_PDF_MARK_WITHIN] else None


def _iso_media_format(brand: bytes) -> FileFormat | None:
    if brand in _HEIF_BRANDS:
        return None
    if brand.startswith((b"M4A", b"M4B")):
        return FileFormat.M4A
    return FileFormat.MOV if brand == b"qt  " else FileFormat.MP4


class InputError(Exception):
    """
    The input cannot be processed: its job ends in ``ClientError``.

    :param error_type: the word for ``errorType``.
    :param error_message: the sentence for ``errorMessage``.
    """

    def __init__(self, error_type: str, error_message: str) -> None:
        self.error_type = error_type
        self.error_message = error_message
        super().__init__(f"{error_type}: {error_message}")

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.error_type, self.error_message)


@dataclass(frozen=True)
class DocumentLimits:
    """
    The limits for documents.

    :param max_bytes: of the whole file.
    :param max_pages: of the whole file.
    :param formats: what is taken.
    """

    max_bytes: int
    max_pages: int
    formats: frozenset[FileFormat]


_PAGED = frozenset({FileFormat.PDF, FileFormat.TIFF, FileFormat.JPEG, FileFormat.PNG})
ASYNC_DOCUMENT = DocumentLimits(500 * MEGABYTE, 3000, _PAGED | {FileFormat.DOCX})
SYNC_DOCUMENT = DocumentLimits(50 * MEGABYTE, 10, _PAGED)
MAX_PDF_SIDE_POINTS = 9000

MAX_IMAGE_BYTES = 5 * MEGABYTE
MAX_IMAGE_SIDE_PIXELS = 8000

MAX_AUDIO_BYTES = 2048 * MEGABYTE
MIN_AUDIO_MILLIS, MAX_MEDIA_MILLIS = 500, 240 * 60 * 1000
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 8_000, 48_000
MAX_CHANNELS = 2

MAX_VIDEO_BYTES = 10_240 * MEGABYTE
MIN_FRAME_RATE, MAX_FRAME_RATE = 1, 60
MIN_FRAME_SIDE, MAX_FRAME_SIDE = 224, 7680

_MAX_BYTES = {Modality.IMAGE: MAX_IMAGE_BYTES, Modality.AUDIO: MAX_AUDIO_BYTES, Modality.VIDEO: MAX_VIDEO_BYTES}


def document_limits(*, sync: bool) -> DocumentLimits:
    """Return the limits of the synchronous or of the asynchronous call."""
    return SYNC_DOCUMENT if sync else ASYNC_DOCUMENT


def check_format(file_format: FileFormat, limits: DocumentLimits) -> None:
    """
    Refuse a document format that the call does not take.

    :raises InputError: DOCX in a synchronous call.
    """
    if Modality.DOCUMENT in file_format.modalities and file_format not in limits.formats:
        taken = ", ".join(sorted(each.value for each in limits.formats))
        raise InputError(
            UNSUPPORTED_FORMAT,
            f"{file_format.value} is not taken by this call; convert the file to one of {taken}.",
        )


def check_size(size: int, modality: Modality, limits: DocumentLimits) -> None:
    """
    Refuse a file with too many bytes.

    :raises InputError: when it is too big for its modality.
    """
    most = _MAX_BYTES.get(modality, limits.max_bytes)
    if size > most:
        raise InputError(
            LIMIT_EXCEEDED,
            f"The file has {size:,} bytes; a file of modality {modality} may have {most // MEGABYTE} MB.",
        )


def check_image_size(width: int, height: int) -> None:
    """
    Refuse an image with too long a side.

    :raises InputError: naming the side.
    """
    for what, side in (("width", width), ("height", height)):
        check_range(f"image {what}", side, 1, MAX_IMAGE_SIDE_PIXELS, "pixels")


def check_range(what: str, value: float, least: float, most: float, unit: str) -> None:
    """
    Refuse a measure outside its limits.

    :raises InputError: naming the measure, its value and its limits.
    """
    if not least <= value <= most:
        raise InputError(LIMIT_EXCEEDED, f"The {what} is {value:g} {unit}; it must be {least:g} to {most:g} {unit}.")


def check_words(page: int, words: int, total: int) -> None:
    """
    Refuse a document with too many words.

    :param page: the number of the page that was read last, from 1.
    :param words: how many it has.
    :param total: how many were read so far.
    :raises InputError: naming the page or the document.
    """
    if words > MAX_PAGE_WORDS:
        raise InputError(LIMIT_EXCEEDED, f"Page {page} has {words:,} words; the emulator reads {MAX_PAGE_WORDS:,}.")
    if total > MAX_WORDS:
        raise InputError(LIMIT_EXCEEDED, f"The file has more than the {MAX_WORDS:,} words that the emulator reads.")


@contextmanager
def unreadable_means_input_error(kind: str) -> Iterator[None]:
    """
    Turn whatever a parser raises into an :class:`InputError`.

    A file may be damaged or made to do harm, and parsers raise any error: KeyError, RecursionError, struct.error.

    :param kind: what the file should have been, for the message.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InputError(INVALID_INPUT, f"The file cannot be read as {kind}; it may be damaged: {reason}") from error


def limit_memory(size: int) -> None:
    """
    Limit the memory of this process, which reads one input.

    :param size: the bytes of the input, which are held a few times.
    """
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limits
        return
    most = MAX_MEMORY_BYTES + 4 * size
    # What is written to and not shared. The address space would be the wrong measure: libraries reserve far more of it
    # than they use.
    resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))


class StepClock:
    """
    Ends this process when one step of its reading takes more than :data:`MAX_CPU_SECONDS` of processor time.

    It runs only in a process that reads one input at a time; elsewhere, restarting it does nothing.
    """

    def __init__(self) -> None:
        self._runs = False
        self._started_at = 0.0

    def start(self) -> None:
        """Begin the first step."""
        self._runs = True
        self._started_at = time.process_time()
        self.restart()

    def restart(self) -> None:
        """
        Begin another step: the reading of a page, its OCR, or the search for the fields of a page.

        :raises InputError: when the steps took :data:`MAX_CPU_SECONDS_OF_FILE` together.
        """
        if not self._runs:
            return
        if time.process_time() - self._started_at > MAX_CPU_SECONDS_OF_FILE:
            raise InputError(
                LIMIT_EXCEEDED, f"Reading the file took more than {MAX_CPU_SECONDS_OF_FILE:,} s of processor time."
            )
        # Its signal, SIGPROF, ends a process that does not handle it, in whatever library it is.
        signal.setitimer(signal.ITIMER_PROF, MAX_CPU_SECONDS)

    def stop(self) -> None:
        """Wait for the next input without a limit."""
        self._runs = False
        signal.setitimer(signal.ITIMER_PROF, 0)


STEP_CLOCK = StepClock()
