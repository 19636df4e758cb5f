"""The pieces of tools/bench_omni.py that need no server: mix, counting, judging, the config by hand."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import bench_omni
import numpy as np
import pytest
from bench import omni_asks, omni_load, omni_models
from bench.omni_asks import Ask
from bench.omni_load import Exchange, Loader, Result
from bench.omni_models import Contestant
from bench.omni_seen import Seen, Work, added
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.grpc.service_pb2 import ModelInferResponse
from tritonclient.utils import serialize_byte_tensor

IDLE = Seen(0.0, 0.0, 0.0, {})


def ask(name):
    return Ask(name, {}, ["answer"], {})


def result_of(rate_hz, time_s):
    seen = Seen(0.5, 0.01, 0.1, {"omni": Work(2, 1, 1, 2)})
    return Result(rate_hz, ("any/a", "any/b"), (time_s, time_s), (), seen)


def response(text):
    raw = serialize_byte_tensor(np.array([text.encode()], object)).item()
    output = ModelInferResponse.InferOutputTensor(name="answer", datatype="BYTES", shape=[1])
    return ModelInferResponse(outputs=[output], raw_output_contents=[raw]).SerializeToString()


def test_a_deck_holds_the_mix_and_examples_take_turns():
    asks = {"often": [ask("often/a"), ask("often/b")], "seldom": [ask("seldom/a")]}
    turns = omni_load.turns(asks, {"often": 20.0, "seldom": 10.0}, np.random.default_rng(0))
    names = [each.name for each in islice(turns, 6)]
    assert names.count("seldom/a") == 2
    assert [name for name in names if name.startswith("often")] == ["often/a", "often/b"] * 2


def test_clients_are_counted_from_half_of_them_on(monkeypatch):
    """Each answer takes 10 ms, one after the other; the first is late."""

    async def late(send):
        turn = asyncio.Lock()

        async def serve(request, due_s):
            async with turn:
                await asyncio.sleep(0.2 if request.name == "0" else 0.01)
            return Exchange(request, due_s, time.perf_counter(), response("yes"))

        return await send(serve)

    monkeypatch.setattr(omni_load, "_watched", lambda contestant, load: (asyncio.run(late(load)), IDLE))
    names = [str(number) for number in range(100)]
    result = Loader({name: {"answer": "yes"} for name in names}).closed(None, map(ask, names), 4, 20)
    assert result.rate_hz == pytest.approx(100, rel=0.5)
    assert not result.wrong
    assert len(result.times_s) == 25  # 2 before the counting, 20, and 3 that were under way


def test_an_answer_that_differs_or_fails_is_wrong(monkeypatch):
    exchanges = [
        Exchange(ask("a"), 0.0, 1.0, response("yes")),
        Exchange(ask("b"), 0.0, 1.0, response("no")),
        Exchange(ask("c"), 0.0, 1.0, b"", "UNAVAILABLE: too late"),
    ]
    monkeypatch.setattr(omni_load, "_watched", lambda contestant, load: (exchanges, IDLE))
    result = Loader({name: {"answer": "yes"} for name in "abc"}).open(None, [], 1.0)
    assert result.wrong == ("b: another answer than the right one", "c: UNAVAILABLE: too late")


def test_speech_may_differ_by_rounding_only():
    right = {"speech": np.zeros(4, np.float32)}
    assert omni_asks.same({"speech": np.full(4, 1e-5, np.float32)}, right)
    assert not omni_asks.same({"speech": np.full(4, 0.1, np.float32)}, right)
    assert not omni_asks.same({"speech": np.zeros(3, np.float32)}, right)
    assert not omni_asks.same({}, right)


def test_answers_are_judged_by_what_they_say_and_how_they_are_heard():
    expected, speech = {"answer": "Paris"}, np.zeros(1)
    assert not omni_asks.faults(expected, {"answer": "It is Paris.", "speech": speech}, "it is paris")
    assert len(omni_asks.faults(expected, {"answer": "It is Rome.", "speech": speech}, "noise")) == 2


def test_every_example_has_an_expectation():
    folder = omni_models.OMNI / "examples"
    found = {f"{path.parent.name}/{path.name}" for path in folder.glob("*/*") if path.is_dir()}
    assert found == {*omni_asks.EXPECTED}


@pytest.mark.parametrize("name", omni_models.MONOLITHS)
def test_the_config_by_hand_is_one(name):
    way = omni_models.MONOLITHS[name]
    config = text_format.Parse(omni_models.config_by_hand(way, Path("/weights")), ModelConfig())
    assert config.instance_group[0].count == way.instances
    assert config.HasField("dynamic_batching") == way.batching
    assert config.parameters["threads"].string_value == str(omni_models.THREADS)
    assert all(port.optional for port in config.input)


def test_a_ratio_above_one_is_in_favour_of_the_plan():
    fast, slow = result_of(2.0, 1.0), result_of(1.0, 3.0)
    results = {"planned": [fast], "planned_here": [slow], "one_each": [slow], "monolith": [slow]}
    ratios = bench_omni.compare(results, results)
    assert ratios["throughput_vs_monolith"] == [2.0]
    assert ratios["p99_vs_one_each"] == ratios["mean_time_vs_one_each"] == [3.0]
    assert ratios["p99_here_vs_monolith"] == [1.0]


def test_work_of_several_windows_is_added_up():
    total = added([{"chat": Work(4, 2, 1.0, 2.0)}, {"chat": Work(2, 1, 1.0, 2.0), "ocr": Work(1, 1, 0, 1)}])
    assert total["chat"] == Work(6, 3, 2.0, 4.0)
    assert total["chat"].batch == 2
    assert total["ocr"].requests == 1


def test_requests_to_a_monolith_have_a_batch_dimension():
    request = Ask("any", {"text": np.array([b"hi"], object)}, ["answer"], {})
    plain, batched = (request.encoded(SimpleNamespace(batched=batched)) for batched in (False, True))
    assert len(batched.body) > len(plain.body)


def test_a_run_keeps_the_best_monolith_and_writes_what_it_found(monkeypatch, tmp_path, capsys):
    rates_hz = {"monolith_1": 1.0, "monolith_1_batching": 3.0, "monolith_2": 2.0, "planned": 6.0}
    stopped, file = [], tmp_path / "found.json"

    @contextmanager
    def pretended(name, folder):
        yield Contestant(name, SimpleNamespace(stop=lambda: stopped.append(name)), False, f"says {name}")

    def result(contestant, *_):
        rate_hz = rates_hz.get(contestant.name, 4.0)
        return result_of(rate_hz, 1 / rate_hz)

    monkeypatch.setattr(bench_omni, "serving", pretended)
    monkeypatch.setattr(bench_omni, "_requests", lambda: ({}, SimpleNamespace(request_types={})))
    monkeypatch.setattr(bench_omni, "right_answers", lambda contestant, asks: ({}, []))
    monkeypatch.setattr(bench_omni.Bed, "closed", lambda bed, *of: result(*of))
    monkeypatch.setattr(bench_omni.Bed, "warm_up", lambda bed, contestants: None)
    monkeypatch.setattr(bench_omni.Bed, "arriving", lambda bed, rate_hz: result)
    monkeypatch.setattr("sys.argv", ["bench_omni.py", "--json", str(file)])
    assert bench_omni.main() == 0
    assert stopped == ["monolith_1", "monolith_2"]
    report = json.loads(file.read_text())
    assert report["ratios"]["throughput_vs_monolith"] == report["ratios"]["p99_vs_monolith"] == 2.0
    assert report["ranges"]["throughput_vs_one_each"] == [1.5, 1.5]
    assert report["rate_hz"] == pytest.approx(0.7 * 3.0)
    assert "throughput_vs_monolith" in capsys.readouterr().out
