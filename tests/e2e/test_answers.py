"""Every request type gets its right answers over every protocol, alone and among 256."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc.aio
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

from corntriton.serving.client import generate_stream, make_request

pytestmark = pytest.mark.server
AUDIO = np.arange(7, dtype=np.float32)
IMAGES = [b"png", b"", b"jpeg", b"a longer image"]
CAPTIONS = " and 3 bytes and 0 bytes and 4 bytes and 14 bytes"

# What a request brings, which outputs it wants, its parameters; the answer it should get.
KNOWN = {
    "text_to_text": ({"text": "über uns"}, ["answer"], {}, "über uns"),
    "speech_to_text": ({"audio": AUDIO}, ["answer"], {}, "21 in 7 samples"),
    "video_to_text": (
        {"text": "frames", "images": IMAGES},
        ["answer"],
        {"loud": True},
        f"frames{CAPTIONS}".upper(),
    ),
    "text_to_speech": ({"text": "a song"}, ["story", "speech"], {}, "a song"),
}
UNSEEN = {
    "everything": (
        {"audio": AUDIO, "images": IMAGES},
        ["answer", "story", "speech"],
        {"loud": True},
        f"21 in 7 samples{CAPTIONS}".upper(),
    ),
    "nothing said": ({"images": IMAGES[:1]}, ["answer"], {}, "nothing and 3 bytes"),
    "many images": ({"images": [b"."] * 100}, ["answer"], {}, "nothing" + " and 1 bytes" * 100),
}


def expected(answer: str, outputs: list[str]) -> dict[str, Any]:
    sentences = [f"It was {answer}.", "Then it was more!", "The end."]
    everything = {
        "answer": [answer.encode()],
        "story": [" ".join(sentences).encode()],
        "speech": [*"".join(sentences).encode()],
    }
    return {name: everything[name] for name in outputs}


def test_a_combination_that_was_not_declared_is_recorded_once(tiny: Any) -> None:
    # Orchestrators report once a second: this is the first test, so no other's path is yet to be counted.
    recorded = tiny.metric("corntriton_recorded_paths_total", orchestrator="tiny")
    with tiny.connect("http") as client:
        for text in "abc":
            got = client.infer("tiny", {"text": text, "images": [text]}, ["story"], {"loud": False})
            assert got["story"].item().decode().startswith(f"It was {text} and 1 bytes.")
    tiny.await_metric("corntriton_recorded_paths_total", recorded + 1, orchestrator="tiny")


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("sort", [*KNOWN, *UNSEEN])
def test_a_request_of_each_type_is_answered(tiny: Any, protocol: str, sort: str) -> None:
    inputs, outputs, parameters, answer = (KNOWN | UNSEEN)[sort]
    with tiny.connect(protocol) as client:
        got = client.infer("tiny", inputs, outputs, parameters)
    assert {name: array.tolist() for name, array in got.items()} == expected(answer, outputs)


def test_an_input_that_the_flow_needs_and_is_not_there_is_explained(tiny: Any) -> None:
    with tiny.connect("grpc") as client, pytest.raises(InferenceServerException, match="colour"):
        client.infer("tiny", {"colour": "red"})


@pytest.mark.parametrize("sort", [*KNOWN, "everything"])
def test_grpc_streams_pieces_that_join_to_the_whole_answer(tiny: Any, sort: str) -> None:
    inputs, outputs, parameters, answer = (KNOWN | UNSEEN)[sort]
    with tiny.connect("grpc") as client:
        pieces = list(client.stream("tiny_stream", inputs, outputs, parameters))
    for name, whole in expected(answer, outputs).items():
        arrays = [piece[name] for piece in pieces if name in piece]
        joined = np.concatenate(arrays).tolist()
        assert ([b"".join(joined)] if name == "story" else joined) == whole
    if "speech" in outputs:
        assert sum("story" in piece for piece in pieces) > 3
        assert sum("speech" in piece for piece in pieces) == 3


def test_http_streams_the_same_pieces_as_events(tiny: Any) -> None:
    fields = {"text": "a song", "loud": True}
    events = list(generate_stream(tiny.server.http_url, "tiny_stream", fields))
    assert (
        "".join(event.get("story", "") for event in events)
        == expected("A SONG", ["story"])["story"][0].decode()
    )
    speech = [sample for event in events for sample in event.get("speech", [])]
    assert speech == expected("A SONG", ["speech"])["speech"]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_one_orchestrator_holds_256_requests_and_answers_all_of_them_right(tiny: Any, protocol: str) -> None:
    [worker] = tiny.workers("tiny__compose")

    async def ask_all() -> list[bytes]:
        async with _connect(tiny, protocol) as client:
            module = getattr(tritonclient, protocol).aio
            requests = (make_request(module, {"text": f"number {i}"}, ["answer"]) for i in range(256))
            asked = asyncio.gather(*(client.infer("tiny", **request) for request in requests))
            in_flight = ("corntriton_requests_in_flight", 256)
            await asyncio.to_thread(tiny.await_metric, *in_flight, orchestrator="tiny")
            os.kill(worker, signal.SIGCONT)
            return [answer.as_numpy("answer").item() for answer in await asked]

    os.kill(worker, signal.SIGSTOP)
    try:
        assert asyncio.run(ask_all()) == [f"number {i}".encode() for i in range(256)]
    finally:
        os.kill(worker, signal.SIGCONT)


def _connect(tiny: Any, protocol: str) -> Any:
    if protocol == "http":
        return tritonclient.http.aio.InferenceServerClient(tiny.server.http_url, conn_limit=256)
    return tritonclient.grpc.aio.InferenceServerClient(tiny.server.grpc_url)
