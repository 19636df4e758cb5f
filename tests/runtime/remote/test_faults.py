from __future__ import annotations

from collections.abc import Callable

import pytest
from tritonclient.utils import InferenceServerException

from corntriton.runtime.failures import CallError, ServerLostError
from corntriton.runtime.remote.faults import told
from corntriton.runtime.remote.loop import LoopThread
from corntriton.runtime.remote.servers import Servers
from tests.runtime.remote.far import FarServer

Start = Callable[..., FarServer]
Known = Callable[..., Servers]


@pytest.fixture
def judge(far: Start, servers_of: Known, loop: LoopThread) -> Callable[..., CallError]:
    """What an error of a call of a server amounts to that is ready, or is not."""

    def failure(text: str, status: str, ready: bool = True) -> CallError:
        one = far()
        server = servers_of(one.port).draw("far")
        one.ready = ready
        found = loop.run(told(server, InferenceServerException(text, f"StatusCode.{status}")))
        assert found.process_died == ("its process ended" in text)
        assert server.up == (ready and not isinstance(found, ServerLostError))
        return found

    return failure


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("component tell: ValueError: no", "INTERNAL", "INTERNAL"),
        ("component tell: the input text: is wrong", "INVALID_ARGUMENT", "INVALID_ARG"),
        ("component tell: its process ended (killed)", "UNAVAILABLE", "UNAVAILABLE"),
        ("component tell: Connection reset by peer", "INTERNAL", "INTERNAL"),
        ("unexpected shape for input 'x'", "INTERNAL", "INVALID_ARG"),
        ("Exceeds maximum queue size", "UNAVAILABLE", "UNAVAILABLE"),
        ("Request for unknown model: 'tell' is not found", "NOT_FOUND", "NOT_FOUND"),
        ("Deadline Exceeded", "DEADLINE_EXCEEDED", "UNAVAILABLE"),
    ],
)
def test_what_a_living_server_says_keeps_its_code_and_text(
    judge: Callable[..., CallError], text: str, status: str, code: str
) -> None:
    failure = judge(text, status)
    assert (type(failure), str(failure), failure.code) == (CallError, text, code)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("failed to connect to all addresses; last error: Connection refused", "UNAVAILABLE"),
        ("Socket closed", "UNAVAILABLE"),
        ("Stream removed", "UNKNOWN"),
        ("Received RST_STREAM with error code 2", "INTERNAL"),
    ],
)
def test_a_connection_that_broke_is_a_server_that_was_lost(
    judge: Callable[..., CallError], text: str, status: str
) -> None:
    failure = judge(text, status)
    assert isinstance(failure, ServerLostError)
    assert failure.code == "UNAVAILABLE"
    assert str(failure).endswith(f" was lost: {text}")


@pytest.mark.parametrize("status", ["UNAVAILABLE", "NOT_FOUND", "CANCELLED"])
def test_a_refusal_of_a_server_that_is_about_to_end_is_its_loss(
    judge: Callable[..., CallError], status: str
) -> None:
    assert isinstance(judge("Request for unknown model: 'tell' has no", status, ready=False), ServerLostError)
