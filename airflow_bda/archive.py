"""Build zip files that have the same bytes for the same contents."""

from __future__ import annotations

import io
import stat
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# The earliest time that a zip can store; a real one would change the bytes.
_TIME = (1980, 1, 1, 0, 0, 0)
_PERMISSIONS = stat.S_IFREG | 0o644
_UNIX = 3


def build_zip(files: Mapping[str, bytes]) -> bytes:
    """
    Make a zip in memory.

    :param files: what is in it, by path.
    """
    buffer = io.BytesIO()
    # Stored, not compressed: how well something is compressed depends on the machine's library, and so would the bytes.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            archive.writestr(_entry(path), files[path])
    return buffer.getvalue()


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _TIME)
    entry.external_attr = _PERMISSIONS << 16
    entry.create_system = _UNIX
    return entry
