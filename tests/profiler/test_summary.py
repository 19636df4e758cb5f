from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from corntriton.profiler.reading import Reading
from corntriton.profiler.summary import Summary
from corntriton.profiler.survey import Survey
from corntriton.spec.profiles import Profile, Profiles, Provenance
from tests.profiler.readings import READING
from tests.profiler.test_profile import TIMED, imported


@pytest.fixture(scope="module")
def summary() -> Summary:
    survey = Survey([TIMED], (), (), None, "embedded")
    provenance = {made_up: Provenance(how="measured", source=str(made_up)) for made_up in (False, True)}
    return Summary(survey.subjects, "cpu", provenance, survey.names)


def only(summary: Summary, readings: Iterable[Reading]) -> Profile:
    [profile] = summary.profiles([*readings])
    return profile


def test_an_llms_memory_grows_with_its_work_and_anothers_with_its_batch(summary: Summary) -> None:
    grown = [replace(READING, work=work, batch_bytes=50 + 10 * int(work)) for work in (1.0, 9.0)]
    assert only(summary, grown).memory.item_bytes == 140
    memory = only(summary, [replace(each, component="timed/say") for each in grown]).memory
    assert (memory.item_bytes, memory.work_bytes) == (50, 10)


@pytest.mark.parametrize(
    ("sizes", "fixed", "slope"),
    [
        ({1.0: 12.0, 3.0: 16.0}, 10, 2),
        ({1.0: 7.0}, 7, 0),
        ({1.0: 9.0, 3.0: 7.0}, 8, 0),
        ({1.0: 1.0, 3.0: 9.0}, 0, 2.8),
    ],
)
def test_outputs_lie_on_a_line_that_is_possible(
    summary: Summary, sizes: dict[float, float], fixed: float, slope: float
) -> None:
    readings = [replace(READING, work=work, outputs={"text": size}) for work, size in sizes.items()]
    size = only(summary, readings).outputs["text"]
    assert (size.nbytes, size.nbytes_per_work) == pytest.approx((fixed, slope))


def test_the_weights_of_one_process_are_shared_out_by_what_members_take_alone(summary: Summary) -> None:
    together = (("timed/nap", ("timed/say",)), ("timed/say", ("timed/nap",)))
    readings = [
        replace(READING, weights_bytes=300),
        replace(READING, component="timed/say", weights_bytes=100),
        *(replace(READING, component=name, beside=beside, weights_bytes=200) for name, beside in together),
    ]
    found = {(p.component, p.beside): p.memory.weights_bytes for p in summary.profiles(readings)}
    assert found[("nap", ("say",))] == 150
    assert found[("say", ("nap",))] == 50


def test_a_short_name_and_a_full_one_are_the_same_component(summary: Summary) -> None:
    old = Profiles(profiles=(imported("timed/nap"), imported("ear")))
    new = summary.profiles([READING])
    assert summary.replaced(old, new) == [old.profiles[0]]
    merged = summary.merged(old, new, {"nap": "words"})
    assert [each.component for each in merged.profiles] == ["ear", "nap"]


def test_made_up_inputs_are_said_once_one_reading_has_them(summary: Summary) -> None:
    readings = [READING, replace(READING, batch=2, synthetic=True)]
    assert only(summary, readings).provenance.source == "True"
