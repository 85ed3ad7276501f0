"""What a parser's exception means for the job."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_bda.emulator.documents.assumptions import INVALID_INPUT
from airflow_bda.emulator.documents.contract import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def unreadable_means_input_error(kind: str) -> Iterator[None]:
    """
    Turn whatever a parser raises into an :class:`InputError`.

    A file is hostile until it is read, and parsers raise what they like: KeyError, RecursionError, struct.error.

    :param kind: what the file should have been, for the message.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InputError(INVALID_INPUT, f"The file cannot be read as {kind}; it may be damaged: {reason}") from error
