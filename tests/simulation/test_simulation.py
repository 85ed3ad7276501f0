"""Batches under schedules of faults, in simulated time; `make simulate` runs many more."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from types import SimpleNamespace

import pytest
from batch_model import EPOCH, Model
from schedules import run_seed

SEEDS_A_TEST = 25


@pytest.mark.parametrize("first", range(0, 200, SEEDS_A_TEST))
def test_every_document_has_one_job_and_one_row(first):
    """Whatever is killed, lost, throttled, doubled or cleared; `make simulate SEED=n` replays one."""
    broken = {
        result.seed: result.violations
        for result in map(run_seed, range(first, first + SEEDS_A_TEST))
        if result.violations
    }

    assert not broken


@pytest.mark.parametrize("seed", [3, 4], ids=["one job a task", "a batch"])
def test_a_seed_decides_everything(seed):
    first, again = run_seed(seed), run_seed(seed)

    assert first.jobs > 0
    assert (first.story, first.calls, first.jobs) == (again.story, again.calls, again.jobs)


def test_the_schedules_hold_what_they_are_for():
    """A simulation in which nothing goes wrong proves nothing."""
    stories = "\n".join("\n".join(run_seed(seed).story) for seed in range(60))

    for what in (
        "is killed at step",
        "the event is lost",
        "the clock jumps",
        "starts over: force=True",
        "starts over: tags changed",
        "created again",
        "Resuming the batch",
        "has taken over the batch",
        "goes on after its stall: TakenOverError",
        "Starting fewer jobs",
        "clears the task while triggerer",
        "deletes the run, and creates it again",
        "clears another task of the run",
    ):
        assert what in stories, what


def test_a_process_that_stood_still_past_its_deadline_starts_no_batch_over():
    """In this seed's story one wakes hours after later tries have done the work, with the request of its time."""
    assert run_seed(2164).violations == []


def test_lateness_is_time_that_passes_not_what_a_clock_that_jumps_shows():
    """In this seed's story the clock jumps by an hour twice while a round concludes, seconds after its deadline."""
    assert run_seed(1185).violations == []


def test_a_job_whose_answer_was_lost_at_a_deadline_is_followed_by_the_next_round():
    """In this seed's story a clear's only job is unknown to its round; the next clear reports it alone."""
    assert run_seed(11956).violations == []


def test_a_request_that_changes_in_two_lives_of_a_run_changes_twice():
    """In this seed's story the run is created again between the two, so that the numbers of the tries are the same."""
    assert run_seed(19578).violations == []


def test_a_clock_that_is_set_back_puts_the_deadline_off():
    """In this seed's story it is set back twice by half a minute before the deadline, and a job is started then."""
    assert run_seed(10397).violations == []


@pytest.mark.parametrize(
    ("jumps", "moment", "passed"),
    [
        ([], 60.0, 40.0),
        ([], 160.0, -60.0),
        ([(80.0, 3600.0)], 60.0, 40.0),
        ([(80.0, 3600.0)], 3000.0, 20.0),
        ([(80.0, 3600.0), (90.0, 0.0)], 3000.0, 20.0),
        ([(50.0, -30.0)], 40.0, 60.0),
        ([(50.0, -30.0)], 60.0, 10.0),
    ],
)
def test_the_seconds_since_the_clock_showed_a_moment(jumps, moment, passed):
    loop = SimpleNamespace(time=lambda: 100.0)
    model = Model(Random(0), loop, jumps=jumps)  # noqa: S311  nothing is drawn

    assert model.seconds_since(EPOCH + timedelta(seconds=moment)) == passed


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(3203, id="a process wakes up while it stores its intent"),
        pytest.param(3563, id="the same, for a job that failed"),
        pytest.param(4441, id="a process of before a clear wakes up after the batch has ended"),
        pytest.param(16056, id="a process of before the run was created again wakes up after the batch has ended"),
    ],
)
def test_a_process_that_airflow_gave_up_starts_no_second_job(seed):
    assert run_seed(seed).violations == []
