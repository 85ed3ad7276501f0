"""Waits that start together look their connection up once, and none gets another's answer."""

from __future__ import annotations

import asyncio

import pytest

from airflow_bda.hooks import connection
from airflow_bda.hooks.connection import shared_look_up


class LookUp:
    """Counts how often it is made; fails as often as it is told."""

    def __init__(self, answer="me", failures=0):
        self.answer, self.failures, self.made = answer, failures, 0

    async def __call__(self):
        self.made += 1
        await asyncio.sleep(0.01)
        if self.made <= self.failures:
            raise OSError("no secrets backend")
        return self.answer


async def test_equal_settings_are_looked_up_once():
    look_up = LookUp()
    assert await asyncio.gather(*(shared_look_up("aws_default", look_up) for _ in range(100))) == ["me"] * 100
    assert look_up.made == 1


async def test_other_settings_are_looked_up_on_their_own():
    one, two = LookUp("one"), LookUp("two")
    assert await asyncio.gather(shared_look_up("one", one), shared_look_up("two", two)) == ["one", "two"]


async def test_an_answer_is_shared_for_a_moment_only(monkeypatch):
    monkeypatch.setattr(connection, "_SHARED_SECONDS", 0.0)
    look_up = LookUp()
    await shared_look_up("aws_default", look_up)
    look_up.answer = "somebody else"
    assert await shared_look_up("aws_default", look_up) == "somebody else"


async def test_a_failure_is_told_to_those_who_waited_for_it_and_not_kept():
    look_up = LookUp(failures=1)
    failures = await asyncio.gather(*(shared_look_up("x", look_up) for _ in range(3)), return_exceptions=True)
    assert [type(failure) for failure in failures] == [OSError] * 3
    assert await shared_look_up("x", look_up) == "me"


async def test_cancelling_one_caller_does_not_affect_others():
    look_up = LookUp()
    first, second = (asyncio.create_task(shared_look_up("x", look_up)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "me"
    with pytest.raises(asyncio.CancelledError):
        await first
    assert look_up.made == 1


def test_loops_do_not_share():
    look_up = LookUp()
    for _ in range(2):
        assert asyncio.run(shared_look_up("x", look_up)) == "me"
    assert look_up.made == 2
