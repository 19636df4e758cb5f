"""What the host and its worker process say to each other.

host (Triton's stub)                      worker (the user's code)
  Order ─────────────────────────────────>  loads
  <───────────────────────────────── Loaded | Failure
  Batch(calls) ──────────────────────────>  one call of the component
  <──────────────── Results(dict | Failure per call)
  Start(slot, call) ─────────────────────>  a stream
  <──────── Chunk(slot, outputs)* End(slot, Failure | None, last outputs)
  end of file ───────────────────────────>  unloads and exits
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from corntriton.runtime.tensors import Array

# In the text of every request whose worker ended while it had it; who sent an idempotent one may try again.
PROCESS_ENDED = "its process ended"
# In the text of every call whose input lay in device memory that cannot be read any more; who made the
# input again may try again.
INPUT_LOST = "an input was lost"
# Begins the text of a request that the component itself refused.
INVALID_REQUEST = "invalid request"


class Order(NamedTuple):
    """What to load: the model's version folder, the instance's name and `cpu` or `cuda:N`."""

    folder: Path
    instance: str
    device: str


class Call(NamedTuple):
    """One request as the worker needs it.

    Attributes:
        inputs: Arrays by name, with a batch dimension where the model has one.
        wanted: The outputs to give.
        deadline_ns: On CLOCK_MONOTONIC, which all processes of a machine share.
        owner: Names the orchestrator's live request, to whose life the tensors belong that go by ref.
        sequence: Correlation id, whether it is the first, whether it is the last.
    """

    inputs: dict[str, Array]
    wanted: frozenset[str]
    deadline_ns: int | None = None
    owner: str | None = None
    sequence: tuple[int | str, bool, bool] | None = None


class Failure(NamedTuple):
    """Why a request has no answer.

    Attributes:
        code: A member of pb_utils.TritonError.
        text: For the client, one line.
        trace: For the server's log; empty where the text says it all.
    """

    code: str
    text: str
    trace: str = ""


class Loaded(NamedTuple):
    """The worker takes requests."""


class Batch(NamedTuple):
    """Calls to compute together; call i has cancel flag i."""

    calls: list[Call]


class Results(NamedTuple):
    """The outputs, or the failure, of each call of a batch."""

    results: list[dict[str, Array] | Failure]


class Start(NamedTuple):
    """A stream to start; its slot is also its cancel flag's."""

    slot: int
    call: Call


class Chunk(NamedTuple):
    """Some outputs of a stream."""

    slot: int
    outputs: dict[str, Array]


class End(NamedTuple):
    """The end of a stream, after which its slot is free.

    Attributes:
        slot: The stream's.
        failure: Why it ended, where it should not have.
        outputs: Its last ones, where the worker knew that nothing comes after them; None with a failure.
    """

    slot: int
    failure: Failure | None
    outputs: dict[str, Array] | None = None


Message = Order | Loaded | Failure | Batch | Results | Start | Chunk | End
