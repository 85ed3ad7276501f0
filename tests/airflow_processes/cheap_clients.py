"""Clients for a fraction of the processor time, where tests make hundreds of them."""

from __future__ import annotations

import functools
import inspect

import botocore.session


def make_clients_cheap() -> None:
    """
    Do once in this process, and those that it forks, what is usually done for each client.

    botocore's sessions share the files that they have read. The Amazon provider looks through the stack twice for each
    client, to say in its user agent who made it, and has Python find the source of every frame, of which it reads
    nothing.
    """
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    inspect.stack = functools.partial(inspect.stack, 0)
