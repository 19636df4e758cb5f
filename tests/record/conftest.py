"""A model that the tests' flows may call, and a way to see that a flow is refused at the right line."""

from __future__ import annotations

import linecache
from collections.abc import Callable

import pytest

from corntriton.errors import Problem
from corntriton.record.errors import RecordError
from corntriton.record.facts import Facts
from corntriton.record.flow import Flow
from corntriton.record.recording import record
from corntriton.record.signature import ModelSignature, Port, Signature

Refused = Callable[[Flow], Problem]


@pytest.fixture(scope="session")
def model() -> ModelSignature:
    text, texts, samples = Port("BYTES"), Port("BYTES", list=True), Port("FP32", (-1,))
    maybe_text, maybe_texts = Port("BYTES", optional=True), Port("BYTES", optional=True, list=True)
    return ModelSignature(
        "omni",
        Signature(
            {
                "topic": text,
                "text": maybe_text,
                "audio": Port("FP32", (-1,), optional=True),
                "images": maybe_texts,
                "pages": maybe_texts,
            },
            {"answer": maybe_text, "speech": Port("FP32", (-1,), optional=True), "captions": maybe_texts},
        ),
        {
            "asr_encoder": Signature({"pcm": samples}, {"states": Port("FP32", (1500, 512))}),
            "asr_decoder": Signature({"states": Port("FP32", (1500, 512))}, {"text": text}),
            "vision": Signature({"image": text}, {"caption": text, "score": Port("FP32", optional=True)}),
            "ocr": Signature({"images": texts}, {"lines": texts}),
            "llm": Signature(
                {
                    "prompt": maybe_text,
                    "context": maybe_texts,
                    "temperature": Port("FP32", optional=True),
                    "size": Port("UINT8", (2,), optional=True),
                    "greedy": Port("BOOL", optional=True),
                },
                {"text": text},
                streaming=True,
            ),
            "pair": Signature({"one": text, "other": text}, {"text": text}),
            "tts": Signature({"text": text}, {"pcm": samples}),
            "filter": Signature({"pcm": samples}, {"pcm": samples}),
            "frame": Signature({"pcm": Port("FP32", (480,))}, {"loud": Port("BOOL")}),
            "rate": Signature({"score": Port("FP32")}, {"text": text}),
        },
    )


@pytest.fixture
def everything() -> Facts:
    return Facts(
        {"topic": (1,), "text": (1,), "audio": (16000,)},
        {"images": 3, "pages": 2},
        frozenset({"answer", "speech", "captions"}),
        {"style": "short"},
    )


@pytest.fixture
def refused(model: ModelSignature, everything: Facts) -> Refused:
    """Records a flow that is wrong in the line marked `# here`; gives the problem."""

    def refused(flow: Flow) -> Problem:
        with pytest.raises(RecordError) as caught:
            record(flow, model, everything)
        (problem,) = caught.value.problems
        line = linecache.getline(problem.file, int(problem.path.removeprefix("line ")))
        assert line.rstrip().endswith("# here"), f"{problem} points at: {line}"
        return problem

    return refused
