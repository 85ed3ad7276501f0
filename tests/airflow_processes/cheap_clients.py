"""Clients for a fraction of the processor time, where tests make hundreds of them."""

from __future__ import annotations

import functools
import inspect
import sys

import botocore.session


def make_clients_cheap() -> None:
    """
    Do once in this process, and those that it forks, what is usually done for each client.

    botocore's sessions share the files that they have read. The Amazon provider looks through the stack twice for each
    client, to say in its user agent who made it, and Python finds the source of every frame, of which nothing is read.
    """
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    inspect.stack = _stack


def _stack(context: int = 1) -> list[inspect.FrameInfo]:
    frame, found = sys._getframe(1), []
    while frame:
        code = frame.f_code
        found.append(inspect.FrameInfo(frame, code.co_filename, frame.f_lineno, code.co_name, None, None))
        frame = frame.f_back
    return found
