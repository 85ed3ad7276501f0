"""What a poller asks for next: what is due in its order, the likely first, and nothing is ever left out."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bda.engine.agenda import Agenda, Durations, LifeTable, Way

ages = st.floats(min_value=0.0, max_value=1e6)


@dataclass(eq=False)
class Entry:
    name: int
    born: float = 0.0
    due: float = inf


def filled(number: int, promise=lambda entry: 0.0) -> tuple[Agenda[Entry], list[Entry]]:
    agenda = Agenda(promise)
    entries = [Entry(each, born=float(each)) for each in range(number)]
    for entry in entries:
        agenda.put(entry, due=float(entry.name))
    return agenda, entries


def test_what_can_all_be_asked_goes_in_the_order_in_which_it_is_due():
    agenda, _ = filled(10, promise=lambda entry: entry.name)
    assert agenda.next_due(-5.0) == 0.0
    assert [agenda.take(20.0, at_once=10)[0].name for _ in range(10)] == list(range(10))
    assert agenda.next_due(20.0) == inf


def test_an_entry_that_is_moved_or_dropped_is_due_at_no_other_time():
    agenda, (first, second, third) = filled(3)
    agenda.put(first, 100.0)
    agenda.drop(second)
    assert agenda.next_due(0.0) == 2.0
    assert agenda.take(2.0, 1)[0] is third
    assert agenda.next_due(2.0) == 100.0
    agenda.put(first, 50.0)
    assert agenda.next_due(2.0) == 50.0


def test_the_most_promising_come_first_when_not_all_can():
    agenda, _ = filled(100, promise=lambda entry: entry.name)
    agenda.next_due(1000.0)
    taken = [agenda.take(1000.0, at_once=20) for _ in range(20)]
    by_promise = [entry.name for entry, way in taken if way is Way.BY_PROMISE]
    assert len(by_promise) >= 13
    assert by_promise == sorted(by_promise, reverse=True)
    assert min(by_promise) > 80


@given(seed=st.integers(0, 2**32), number=st.integers(2, 60), at_once=st.integers(1, 20))
def test_whatever_is_promised_every_entry_has_its_turn(seed, number, at_once):
    """Promises at random, which also lie about what is worth it: no entry waits for more than four turns for each."""
    chance = Random(seed)  # noqa: S311  makes test data, keeps no secret
    favourites = {each for each in range(number) if chance.random() < 0.5}
    agenda, entries = filled(number, promise=lambda entry: chance.random() + (entry.name in favourites))
    now = float(number)
    last_turn = dict.fromkeys(entries, 0)
    for turn in range(1, 12 * number):
        entry, way = agenda.take(now, at_once)
        assert turn - last_turn[entry] <= 4 * number + 4
        last_turn[entry] = turn
        agenda.learn(way, was_worth_it=chance.random() < 0.5)
        now += 1.0 / at_once
        agenda.put(entry, now)
    assert all(12 * number - turn <= 4 * number + 4 for turn in last_turn.values())


def test_the_order_of_a_queue_is_learned():
    """Promises say nothing, and the oldest is what is worth it: most turns go to the oldest before long."""
    agenda, _ = filled(500)
    agenda.next_due(1000.0)
    ways = []
    for turn in range(400):
        now = 1000.0 + turn / 10
        entry, way = agenda.take(now, at_once=10)
        agenda.learn(way, was_worth_it=way is Way.BY_AGE)
        ways.append(way)
        agenda.put(entry, now + 500.0)
    assert ways[200:].count(Way.BY_AGE) > 120
    assert Way.BY_PROMISE in ways[300:], "and the other way is tried now and then"


# -- durations


def looks(table: LifeTable, lengths: list[float], every: float) -> None:
    for length in lengths:
        since = 0.0
        while since < length:
            until = since + every
            table.learn(since, until, ended=until >= length)
            since = until


def test_before_anything_is_learned_only_proportion_counts():
    table = LifeTable()
    near = table.risk(100.0, 150.0)
    assert near == pytest.approx(table.risk(1000.0, 1500.0), rel=0.2)
    assert table.risk(100.0, 200.0) > near


def test_a_likely_length_is_learned():
    chance = Random(3)  # noqa: S311  makes test data, keeps no secret
    table = LifeTable()
    looks(table, [chance.gauss(60.0, 4.0) for _ in range(100)], every=5.0)
    assert table.risk(50.0, 70.0) > 20 * table.risk(10.0, 40.0)
    assert 1 - exp(-table.risk(30.0, 80.0)) > 0.9


def test_the_share_that_ends_is_learned_without_bias():
    """A tenth of the jobs that are left ends in each second: whenever one looks, that is what is found."""
    chance = Random(4)  # noqa: S311  makes test data, keeps no secret
    table = LifeTable()
    looks(table, [chance.expovariate(0.1) for _ in range(2000)], every=3.0)
    for since, until in ((4.0, 8.0), (10.0, 20.0), (5.0, 15.0)):
        assert table.risk(since, until) == pytest.approx(0.1 * (until - since), rel=0.35)


def test_what_was_long_ago_is_outweighed():
    table = LifeTable()
    looks(table, [20.0] * 300, every=4.0)
    looks(table, [200.0] * 100, every=20.0)
    assert table.risk(10.0, 30.0) < table.risk(180.0, 230.0) / 3


def test_states_are_learned_apart():
    durations = Durations()
    for _ in range(200):
        durations.learn("Created", 10.0, 20.0, ended=False)
        durations.learn("InProgress", 10.0, 20.0, ended=True)
    assert durations.risk("InProgress", 10.0, 15.0) > 50 * durations.risk("Created", 10.0, 15.0)


@given(st.lists(st.tuples(ages, ages, st.booleans()), max_size=60), ages, ages, ages)
def test_any_looks_leave_a_table_of_the_same_size_in_which_risk_grows_with_time(seen, first, second, third):
    table = LifeTable()
    size = len(table._ends)
    for since, later, ended in seen:
        table.learn(min(since, later), max(since, later), ended=ended)
    first, second, third = sorted((first, second, third))
    assert 0.0 <= table.risk(first, second) <= table.risk(first, third) < inf
    assert len(table._ends) == len(table._watched) == size


def test_a_hundred_thousand_looks_keep_the_table_in_bounds():
    table = LifeTable()
    for number in range(100_000):
        table.learn(1.0, 2.0, ended=number % 2 == 0)
    assert 0.0 < table.risk(1.0, 2.0) < 5.0
    assert 0.0 < table.risk(100.0, 200.0) < 5.0
    assert max(table._watched) < 1e13


def test_durations_keep_one_table_for_each_state():
    durations = Durations()
    for state in ("Created", "InProgress", None) * 100:
        durations.learn(state, 1.0, 2.0, ended=False)
    assert len(durations._tables) == 3
