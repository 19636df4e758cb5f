"""The requests of bench_omni.py, and what a right answer is.

Requests are the example's own, those that its components were profiled with. What is right is known in two
steps: the answers of one server are judged by what they have to say and show, and every other answer has to
be equal to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import checks
import demo
import media
import numpy as np
from bench.omni_models import MODEL, Contestant
from tritonclient.grpc.service_pb2 import ModelInferResponse
from tritonclient.utils import deserialize_bytes_tensor

from corntriton.errors import Problems
from corntriton.load.connection import Connection
from corntriton.load.examples import find_examples
from corntriton.load.request import Request, encode
from corntriton.runtime.tensors import Array, as_array
from corntriton.spec.load import LoadedModel

# What each example's answer has to contain, and the digit to show; `speech` is heard again by the model.
# Where speech is an answer and not told here, it has to be the answer.
EXPECTED: Mapping[str, Mapping[str, Any]] = {
    "text_to_text/short": {"answer": "Paris"},
    "text_to_text/long": {"answer": "scatter"},
    "speech_to_text/greeting": {"transcript": "morning"},
    "speech_to_text/opening_hours": {"transcript": "museum is open"},
    "image_and_text_to_text/invoice": {"answer": "is 56.78"},
    "image_and_text_to_text/menu": {"answer": "pie"},
    "video_and_text_to_text/gate": {"answer": "Paris"},
    "text_to_speech/short": {"speech": "Good morning."},
    "text_to_speech/long": {
        "speech": "The museum is open from nine to six on every day but Monday, and tickets cost little."
    },
    "speech_to_speech/question": {"transcript": "capital of France", "answer": "Paris"},
    "speech_to_image/seven": {"transcript": "7", "image": 7},
    "everything_at_once/order": {"transcript": "7", "answer": "is 56.78", "image": 7},
}
_SPEECH_TOLERANCE = 1e-3  # of samples between -1 and 1
Answer = Mapping[str, Any]  # by output: text, PNG bytes or samples


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        name: `request type/example`.
        inputs: Tensors, without a batch dimension.
        outputs: Those that its type wants.
        parameters: Of the request.
    """

    name: str
    inputs: Mapping[str, Array]
    outputs: Sequence[str]
    parameters: Mapping[str, Any]

    def encoded(self, contestant: Contestant) -> Request:
        """As it is sent to a contestant."""
        inputs = {name: array[None] if contestant.batched else array for name, array in self.inputs.items()}
        return encode(MODEL, inputs, self.outputs, self.parameters)


def find_asks(model: LoadedModel) -> dict[str, list[Ask]]:
    """The examples of each request type."""
    problems = Problems()
    examples = find_examples(model, problems)
    problems.raise_if_any()
    ports = model.signature.ports.inputs
    asks = {}
    for name, request_type in model.spec.request_types.items():
        asks[name] = [
            Ask(
                f"{name}/{example.name}",
                {key: as_array(value, ports[key]) for key, value in example.values.items()},
                request_type.outputs,
                request_type.parameters,
            )
            for example in examples[name]
        ]
    return asks


def decoded(raw: bytes) -> Answer:
    """An answer from the bytes of its response."""
    response, answer = ModelInferResponse.FromString(raw), {}
    for output, content in zip(response.outputs, response.raw_output_contents, strict=True):
        if output.datatype == "BYTES":
            value = deserialize_bytes_tensor(content)[0]
            answer[output.name] = value if output.name == "image" else value.decode()
        else:
            answer[output.name] = np.frombuffer(content, np.float32)
    return answer


def same(answer: Answer, right: Answer) -> bool:
    """Whether an answer is the right one: texts and pictures to the byte, speech but for rounding."""
    return answer.keys() == right.keys() and all(_equal(value, right[name]) for name, value in answer.items())


def right_answers(contestant: Contestant, asks: Sequence[Ask]) -> tuple[dict[str, Answer], list[str]]:
    """A server's answers to all requests, and what is wrong with them."""
    return asyncio.run(_judged(contestant, asks))


async def _judged(contestant: Contestant, asks: Sequence[Ask]) -> tuple[dict[str, Answer], list[str]]:
    answers, wrong = {}, []
    async with Connection(contestant.server.grpc_url) as connection:

        async def ask(request: Ask) -> Answer:
            (response,) = await connection.responses(request.encoded(contestant))
            return decoded(response.SerializeToString())

        async def hear(speech: Array) -> str:
            said = await ask(Ask("hear", {"audio": media.as_heard(speech)}, ["transcript"], {}))
            return str(said["transcript"])

        for request in asks:
            answer = answers[request.name] = await ask(request)
            heard = await hear(answer["speech"]) if "speech" in answer else ""
            wrong += [f"{request.name}: {what}" for what in faults(EXPECTED[request.name], answer, heard)]
    return answers, wrong


def faults(expected: Mapping[str, Any], answer: Answer, heard: str) -> list[str]:
    """What an answer does not say or show.

    Args:
        expected: As in EXPECTED.
        answer: The answer.
        heard: What its speech was understood as.
    """
    found = [
        f"{output} is {answer[output]!r}"
        for output in ("transcript", "answer")
        if expected.get(output, "") not in answer.get(output, "")
    ]
    if "speech" in answer and checks.likeness(heard, expected.get("speech") or answer["answer"]) < demo.ALIKE:
        found.append(f"speech is heard as {heard!r}")
    if "image" in answer and checks.digit_in(answer["image"]) != expected["image"]:
        found.append(f"image shows a {checks.digit_in(answer['image'])}")
    return found


def _equal(value: Any, right: Any) -> bool:
    if isinstance(right, np.ndarray):
        return value.shape == right.shape and bool(np.allclose(value, right, atol=_SPEECH_TOLERANCE))
    return bool(value == right)
