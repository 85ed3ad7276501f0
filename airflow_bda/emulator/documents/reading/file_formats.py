"""
Which format some bytes are in, by their first ones; a file's name is not believed.

The formats are those of https://docs.aws.amazon.com/bedrock/latest/userguide/bda-limits.html.
"""

from __future__ import annotations

from enum import Enum

from airflow_bda.service.formats import MODALITIES_OF_EXTENSION, Modality


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
