"""
Choices of the emulator where nobody has written down what the service does.

Each is a stand-in: a test that relies on one of these proves something about the emulator, not about BDA.
"""

from __future__ import annotations

# The service's words for `errorType` are not known. These are ours.
UNSUPPORTED_FORMAT = "UnsupportedFormat"
LIMIT_EXCEEDED = "LimitExceeded"
INVALID_INPUT = "InvalidInput"
MODALITY_DISABLED = "ModalityDisabled"
PASSWORD_PROTECTED = "PasswordProtected"  # noqa: S105 - the word for a locked file, no password

# A JPEG or PNG is a document or an image "by content"; the service's rule is not known. Ours: this many words read
# in it make it a document.
DOCUMENT_WORDS = 12

# Before the text is read, only the queue needs to know the modality. A picture is guessed to be a document when this
# share of its pixels is as light and as grey as paper.
PAPER_SHARE = 0.5

# A document below this score fits no blueprint. How the score is made stands in extraction/matching.py.
MATCH_THRESHOLD = 0.4

# The splitter's size limit for a picture of a page that is not of the modality IMAGE is not known. Ours keeps the
# decoded page within a few hundred megabytes.
MAX_PAGE_PIXELS = 100_000_000

# The service converts a DOCX to a PDF and counts its pages. Without a layout engine, a page is what lies between two
# page breaks, and this is the most text that one may unpack to.
MAX_DOCX_UNPACKED_BYTES = 200_000_000
