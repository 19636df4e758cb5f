from __future__ import annotations

from pathlib import Path

import pytest

from corntriton.errors import UserError
from corntriton.planner.task import Task, read_task

FLOW = """
from corntriton import flow

@flow
def film(request, c):
    notes = [c.see(image=image).note for image in request.each("images")]
    answer = c.llm(prompt=request["text"], notes=notes)
    if request.wants("speech"):
        return {"answer": answer.text, "speech": c.say(text=answer.text.chunks("sentence")).pcm}
    return {"answer": answer.text}
"""

PARTS = """
class See:
    def __call__(self, items): return [{} for _ in items]
class Llm:
    def stream(self, item): yield {}
class Say:
    def __call__(self, items): return [{} for _ in items]
"""

MODEL = """
model: film
flow: flow.py:film
inputs:
  text: {dtype: BYTES}
  images: {dtype: BYTES, list: true, optional: true}
outputs:
  answer: {dtype: BYTES}
  speech: {dtype: FP32, dims: [-1], optional: true}
request_types:
  silent: {inputs: {text: {}, images: {count: 3}}, outputs: [answer]}
  spoken: {inputs: {text: {}, images: {count: 3}}, outputs: [answer, speech]}
components:
  see: {kind: encoder, backend: python, artifact: parts:See,
        inputs: {image: {dtype: BYTES}}, outputs: {note: {dtype: FP16, dims: [10, 64]}}}
  llm: {kind: llm, backend: python, artifact: parts:Llm, streaming: true,
        inputs: {prompt: {dtype: BYTES}, notes: {dtype: FP16, dims: [10, 64], list: true}},
        outputs: {text: {dtype: BYTES}}}
  say: {kind: vocoder, backend: python, artifact: parts:Say,
        inputs: {text: {dtype: BYTES}}, outputs: {pcm: {dtype: FP32, dims: [-1]}}}
"""

WORKLOAD = """
rate_hz: 10
request_types:
  silent: {share: 3, work: {llm: {mean: 200, cv: 0.5}}}
  spoken: {share: 1, work: {llm: 300}, chunks: {say: 4}, targets: [{percentile: 95, seconds: 9}]}
"""

CLUSTER = """
devices: {gpu: {memory_gib: 80, cost_per_hour: 4}}
nodes: {big: {count: 2, devices: {gpu: 8}}}
"""

PROFILES = """{"profiles": [
 {"component": "see", "device": "gpu", "samples": [{"batch": 1, "latency": 0.1}],
  "memory": {"weights_bytes": 1}, "provenance": {"how": "measured", "source": "here"}},
 {"component": "film/llm", "device": "gpu",
  "samples": [{"batch": 1, "work": 100, "latency": 1}, {"batch": 1, "work": 400, "latency": 3}],
  "memory": {"weights_bytes": 1}, "outputs": {"text": {"nbytes": 10, "nbytes_per_work": 4}},
  "provenance": {"how": "measured", "source": "here"}},
 {"component": "say", "device": "gpu", "samples": [{"batch": 1, "latency": 0.2}],
  "memory": {"weights_bytes": 1}, "provenance": {"how": "measured", "source": "here"}}
]}"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {
        "flow.py": FLOW, "parts.py": PARTS, "model.yaml": MODEL,
        "workload.yaml": WORKLOAD, "cluster.yaml": CLUSTER, "profiles.json": PROFILES,
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def read(folder: Path) -> Task:
    files = (str(folder / name) for name in ("workload.yaml", "cluster.yaml", "profiles.json"))
    return read_task([folder], *files)


def changed(folder: Path, file: str, old: str, new: str) -> str:
    """Everything that is wrong after a change to a file."""
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    with pytest.raises(UserError) as caught:
        read(folder)
    return str(caught.value)


def test_shares_and_rate_give_each_type_its_rate(folder: Path) -> None:
    rates = {demand.name: demand.rate_hz for demand in read(folder).demands}
    assert rates == {"film/silent": 7.5, "film/spoken": 2.5}


def test_a_mapped_invocation_has_an_element_for_each_item_and_a_chunked_one_its_chunks(folder: Path) -> None:
    spoken = read(folder).demands[1].by_id
    assert (spoken["see"].elements, spoken["see"].chunks) == (3, 1)
    assert (spoken["say"].elements, spoken["say"].chunks) == (1, 4)
    assert spoken["llm"].work.mean == 300


def test_edges_have_the_bytes_of_all_elements_and_know_whether_they_come_in_chunks(folder: Path) -> None:
    edges = {(e.producer, e.consumer): (e.nbytes, e.chunked) for e in read(folder).demands[1].edges}
    assert edges == {("see", "llm"): (3 * 10 * 64 * 2, False), ("llm", "say"): (10 + 4 * 300, True)}


def test_the_answers_are_what_the_client_gets(folder: Path) -> None:
    assert [demand.answers for demand in read(folder).demands] == [("llm",), ("llm", "say")]


def test_names_are_made_whole(folder: Path) -> None:
    task = read(folder)
    assert {profile.component for profile in task.profiles.profiles} == {"film/see", "film/llm", "film/say"}
    assert set(task.workload.request_types) == {"film/silent", "film/spoken"}
    assert task.components["film/llm"].streaming


def test_a_component_without_a_profile_is_named(folder: Path) -> None:
    said = changed(folder, "profiles.json", '"component": "say"', '"component": "sing"')
    assert "hold nothing about film/say at all; To fix: measure it" in said


def test_profiles_for_other_devices_only_are_not_enough(folder: Path) -> None:
    said = changed(folder, "cluster.yaml", "gpu", "tpu")
    assert (
        "hold nothing about film/see for gpu only; To fix: measure it (corntriton profile) on one of tpu"
        in said
    )


def test_work_that_profiles_do_not_settle_has_to_be_given(folder: Path) -> None:
    said = changed(folder, "workload.yaml", "work: {llm: 300}, ", "")
    assert "$.request_types.spoken.work: does not say how much work llm has" in said


def test_unknown_request_types_components_and_outputs_are_named_with_what_was_meant(folder: Path) -> None:
    assert "rename it to `silent`" in changed(folder, "workload.yaml", "silent:", "silnt:")
    assert "rename it to `llm`" in changed(folder, "workload.yaml", "llm: 300", "lm: 300")
    assert "is not an output of film/llm" in changed(folder, "profiles.json", '"text": {"n', '"txt": {"n')


def test_hints_must_name_what_exists_and_agree_with_each_other(folder: Path) -> None:
    with (folder / "workload.yaml").open("a") as file:
        file.write(
            "hints: {colocate: [[see, llm, sayy]], separate: [[llm, see]], pin: {say: {device: cpu}}}\n"
        )
    with pytest.raises(UserError) as caught:
        read(folder)
    said = str(caught.value)
    assert "'sayy' is no component" in said
    assert "want film/llm and film/see both together and apart" in said
    assert "'cpu' is no device type of the cluster" in said


def test_problems_of_all_files_come_at_once(folder: Path) -> None:
    (folder / "cluster.yaml").write_text(CLUSTER.replace("memory_gib: 80", "memory_gib: -1"))
    (folder / "profiles.json").write_text("{}")
    said = changed(folder, "workload.yaml", "rate_hz: 10", "rate_hz: ten")
    assert "workload.yaml:2: $.rate_hz" in said
    assert "cluster.yaml:2: $.devices.gpu.memory_gib" in said
    assert "profiles.json: $.profiles: is missing" in said
