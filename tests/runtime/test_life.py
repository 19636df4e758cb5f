"""Who works for a request sees that it is over, in another process too."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from corntriton.runtime.life import is_over, tag_of
from corntriton.runtime.shm.errors import InvalidOwnerError
from corntriton.runtime.shm.memory import SharedMemory


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    memory = SharedMemory(1 << 20, n_requests=1, n_slots=8)
    yield memory
    memory.close()


def test_a_request_is_over_once_it_has_ended_even_if_another_has_its_cell(memory: SharedMemory) -> None:
    first = memory.owner.enter()
    assert not is_over(first.text)
    first.end()
    assert is_over(first.text)
    second = memory.owner.enter()
    assert is_over(first.text)
    assert not is_over(second.text)


def test_a_request_is_over_when_its_client_has_its_answer_though_its_tensors_live_on(
    memory: SharedMemory,
) -> None:
    request = memory.owner.enter()
    with request.invocation():
        request.end()
        assert is_over(request.text)
        assert tag_of(request.text) == request.tag


def test_another_process_sees_it(memory: SharedMemory) -> None:
    ended = memory.owner.enter()
    ended.end()
    living = memory.owner.enter()
    code = "import sys; from corntriton.runtime.life import is_over; print([*map(is_over, sys.argv[1:])])"
    run = subprocess.run(
        [sys.executable, "-c", code, living.text, ended.text], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[False, True]"


@pytest.mark.parametrize("text", [None, "", "no owner"])
def test_a_call_that_names_no_request_is_never_over(text: str | None) -> None:
    assert not is_over(text)


def test_a_request_whose_owner_is_gone_is_over(memory: SharedMemory) -> None:
    text = memory.owner.enter().text
    gone = text.replace(text.split(":")[0].rpartition("-")[2], "0" * 32)
    assert is_over(gone)
    with pytest.raises(InvalidOwnerError, match="no owner's live request"):
        tag_of(gone)
