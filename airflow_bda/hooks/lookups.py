"""One look-up of a connection for all the waits that start together, as a DAG run's mapped tasks do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

# Long enough for a triggerer to start a thousand triggers. A connection that is edited within it is noticed when the
# client is opened: the client's identity is made from the connection as it is then.
_SHARED_SECONDS = 5.0

_Answers = dict["Hashable", tuple[float, "asyncio.Task[str]"]]
_answers_of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Answers] = WeakKeyDictionary()


async def shared_look_up(settings: Hashable, look_up: Callable[[], Awaitable[str]]) -> str:
    """
    Give what *look_up* gives, or gave to another caller with equal settings on this loop a moment ago.

    A look-up that failed is not kept; a caller who is cancelled ends nobody else's.

    :param settings: all that decides what *look_up* will give, but for the connection itself.
    """
    loop = asyncio.get_running_loop()
    answers = _answers_of_loops.setdefault(loop, {})
    for key in [key for key, (until, _) in answers.items() if until <= loop.time()]:
        del answers[key]
    if settings not in answers or _has_failed(answers[settings][1]):
        answers[settings] = (loop.time() + _SHARED_SECONDS, asyncio.ensure_future(_call(look_up)))
    return await asyncio.shield(answers[settings][1])


def _has_failed(look_up: asyncio.Task[str]) -> bool:
    return look_up.done() and (look_up.cancelled() or look_up.exception() is not None)


async def _call(look_up: Callable[[], Awaitable[str]]) -> str:
    return await look_up()
