"""Emulated times only: when a job ends by the device's own clock, never when this machine noticed."""

from __future__ import annotations

import pytest

from corntriton.rehearsal.standin.device import Device
from corntriton.rehearsal.standin.lanes import ContinuousLane, Job, Lane
from corntriton.rehearsal.standin.timing import Timing

SLOWER = 0.01


def ends_s(job: Job) -> float:
    """Of the plan, from its beginning to its end on the device."""
    while True:
        at_s, share = job.passed.get(timeout=60)
        if share == 1.0:
            return (at_s - job.began_s) / SLOWER


def test_a_job_that_is_alone_takes_exactly_its_time() -> None:
    device, lane, job = Device(1, SLOWER), Lane(1), Job(3.0)
    device.add(lane)
    device.start(lane, job)
    assert ends_s(job) == pytest.approx(3.0, abs=1e-6)


def test_members_that_work_at_once_halve_each_others_speed() -> None:
    device, lanes, jobs = Device(1, SLOWER), [Lane(1), Lane(1)], [Job(20.0), Job(20.0)]
    for lane in lanes:
        device.add(lane)
    for lane, job in zip(lanes, jobs, strict=True):
        device.start(lane, job)
    lead_s = (jobs[1].began_s - jobs[0].began_s) / SLOWER
    assert ends_s(jobs[0]) == pytest.approx(40.0 - min(lead_s, 20.0), abs=1e-6)


def test_members_on_devices_of_their_own_do_not_slow_each_other() -> None:
    device, lanes, jobs = Device(2, SLOWER), [Lane(1), Lane(1)], [Job(10.0), Job(10.0)]
    for lane, job in zip(lanes, jobs, strict=True):
        device.add(lane)
        device.start(lane, job)
    assert [ends_s(job) for job in jobs] == pytest.approx([10.0, 10.0], abs=1e-6)


def engine(places: int, cache_bytes: float = 1e9) -> ContinuousLane:
    timing = Timing([1.0], [[1.0], [2.0]], [0.1], 0.0)  # two at once take twice as long
    return ContinuousLane(timing, 1, 1, places, cache_bytes, 1.0)


@pytest.mark.parametrize(("places", "cache_bytes"), [(1, 1e9), (2, 5.0)])
def test_an_llm_lets_a_request_wait_for_a_place_and_for_room_in_its_cache(
    places: int, cache_bytes: float
) -> None:
    lane, jobs = engine(places, cache_bytes), [Job(4.0, 4.0), Job(4.0, 4.0)]
    for job in jobs:
        lane.put(job, 0.0, 0.0)
    assert (lane.inside, jobs[1].began_s) == (1, 0.0)
    lane.clock = 4.0
    lane.pop(7.0, due=True)
    assert (lane.inside, jobs[1].began_s) == (1, 7.0)


def test_requests_inside_an_llm_go_on_at_the_speed_of_their_company() -> None:
    lane = engine(2)
    lane.put(Job(1.0, 1.0), 0.0, 0.0)
    assert lane.left() == pytest.approx(1.0)
    lane.put(Job(1.0, 1.0), 0.0, 0.0)
    assert lane.left() == pytest.approx(2.0)


def test_a_request_larger_than_the_cache_is_let_in_alone() -> None:
    lane, job = engine(2, cache_bytes=1.0), Job(4.0, 4.0)
    lane.put(job, 1.0, 0.0)
    assert lane.inside == 1


def test_what_this_machine_took_to_hand_a_batch_over_is_no_part_of_its_time() -> None:
    lane = Lane(1)
    lane.put(Job(2.0), 0.0, owed_s=0.5)
    assert lane.left() == pytest.approx(1.5)


def test_marks_are_told_on_the_way_to_the_end() -> None:
    lane, job = Lane(1), Job(2.0, marks=[(0.5, 0.0), (1.0, 0.5)])
    lane.put(job, 0.0, 0.0)
    lane.clock = 1.0
    lane.pop(3.0, due=False)
    assert [job.passed.get(), job.passed.get()] == [(3.0, 0.0), (3.0, 0.5)]
    assert lane.inside == 1
