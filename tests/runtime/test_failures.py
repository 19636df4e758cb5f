from __future__ import annotations

import pytest

from corntriton.errors import Problem
from corntriton.record.errors import RecordError
from corntriton.runtime.failures import CallError, DeadlineError, as_failure, message
from corntriton.runtime.messages import PROCESS_ENDED
from corntriton.runtime.tensors import BadValueError


@pytest.mark.parametrize(
    ("text", "code", "outcome", "died"),
    [
        ("component llm: ValueError: no", "INTERNAL", "error", False),
        ("component llm: the input pcm is float64, not FP32", "INVALID_ARG", "error", False),
        ("component llm: the deadline passed before it was started", "UNAVAILABLE", "deadline", False),
        (f"component llm: {PROCESS_ENDED} (signal 9)", "UNAVAILABLE", "error", True),
        ("... message: Stub process 'm_0_0' is not healthy.", "UNAVAILABLE", "error", True),
        ("[request id: 1] Request timeout expired", "UNAVAILABLE", "deadline", False),
        ("unexpected shape for input 'pcm' for model 'm'", "INVALID_ARG", "error", False),
    ],
)
def test_what_the_server_and_the_host_write_tells_the_sort_of_failure(
    text: str, code: str, outcome: str, died: bool
) -> None:
    error = CallError(text, "INTERNAL")
    assert (error.code, error.outcome, error.process_died) == (code, outcome, died)


def test_a_code_that_came_through_is_believed() -> None:
    assert CallError("component llm: whatever", "CANCELLED").code == "CANCELLED"


def test_a_flow_that_cannot_be_recorded_is_told_without_the_folder_of_the_server() -> None:
    problem = Problem("/models/omni/1/code/flow.py", "line 7", "the flow compares text", "ask a parameter")
    failure = as_failure(RecordError([problem]))
    assert failure.code == "INVALID_ARG"
    assert str(failure) == "flow.py: line 7: the flow compares text; To fix: ask a parameter"


def test_any_other_error_has_a_code_and_a_text() -> None:
    assert as_failure(BadValueError("texts has elements of different shapes")).code == "INVALID_ARG"
    assert (as_failure(KeyError("x")).code, str(as_failure(KeyError("x")))) == ("INTERNAL", "KeyError: 'x'")
    late = DeadlineError("the deadline passed")
    assert as_failure(late) is late
    assert message("omni", None, None, late) == "model omni: the deadline passed"
