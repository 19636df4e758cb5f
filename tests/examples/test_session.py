import numpy as np
import pytest
import session
from prometheus_client.samples import Sample


def text(value):
    return np.array([value.encode()], object)


def test_the_pieces_of_a_streamed_answer_are_put_together():
    pieces = [
        {"answer": text("Good "), "speech": np.zeros(2)},
        {"answer": text("morning.")},
        {"speech": np.ones(1)},
    ]
    answer = session.joined(pieces)
    assert answer["answer"] == "Good morning."
    assert answer["speech"].tolist() == [0, 0, 1]


def test_an_image_stays_bytes():
    assert session.joined([{"image": np.array([b"\x89PNG"], object)}]) == {"image": b"\x89PNG"}


def test_the_work_of_both_orchestrators_is_added_up():
    def counted(name, orchestrator, value):
        return Sample(name, {"component": "chat", "orchestrator": orchestrator}, value)

    samples = [
        counted("corntriton_invocations_total", "omni", 2.0),
        counted("corntriton_invocations_total", "omni_stream", 1.0),
        counted("corntriton_invocation_seconds_total", "omni", 0.5),
        counted("corntriton_invocation_seconds_total", "omni_stream", 0.25),
        Sample("nv_inference_count", {"model": "chat"}, 9.0),
    ]
    assert session.work_in(samples) == {"chat": (3, 0.75)}


def test_work_is_what_lies_between_two_readings():
    spent = session.difference({"chat": (1, 0.5)}, {"chat": (3, 1.5), "voice": (1, 0.25)})
    assert spent == {"chat": (2, 1.0), "voice": (1, 0.25)}


def test_work_comes_in_the_order_of_the_path_also_where_components_live_together():
    work = {"ocr": (0, 0.0), "chat+voice": (1, 2.0), "asr_decoder+asr_encoder": (1, 1.0)}
    path = ["asr_encoder", "asr_decoder", "chat", "voice"]
    assert [*session.in_order(work, path)] == ["asr_decoder+asr_encoder", "chat+voice"]


def test_every_output_is_saved_as_what_it_is(tmp_path):
    answer = {"answer": "Yes.", "image": b"\x89PNG", "speech": np.zeros(24_000, np.float32)}
    exchange = session.Exchange("any", "http", {"images": [b"\x89PNG"]}, answer, {}, 1.0, {})
    assert exchange.save(tmp_path / "1-any") == [
        "answer: Yes.",
        "image: 1-any.image.png",
        "speech: 1.0 s, 1-any.speech.wav",
    ]
    names = ["1-any.answer.txt", "1-any.image.png", "1-any.images.0.png", "1-any.speech.wav"]
    assert sorted(file.name for file in tmp_path.iterdir()) == names


@pytest.mark.parametrize(("verdicts", "right"), [([], True), ([True], True), ([True, False], False)])
def test_an_exchange_is_right_when_all_verdicts_are(verdicts, right):
    exchange = session.Exchange("any", "http", {}, {}, {}, 1.0, {})
    for verdict in verdicts:
        exchange.check(verdict, "it was checked")
    assert exchange.right is right
