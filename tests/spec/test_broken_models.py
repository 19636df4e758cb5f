"""Every sort of broken model.yaml and flow: the place, what is wrong, and a fix; one problem each, no echo."""

# ruff: noqa: E501 - a table reads best with one case a line

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path as File

import pytest

from corntriton.errors import Problem, UserError
from corntriton.spec.load import load_models


@dataclass(frozen=True)
class Case:
    """A change to the sample that breaks it, and the one problem that has to come of it."""

    sort: str
    old: str
    new: str
    path: str
    what: str
    fix: str
    file: str = "model.yaml"


CASES = [
    Case("yaml syntax", "deadline_s: 30", "deadline_s: [30", "$", "is not valid YAML: ", "mend the syntax"),
    Case("tab", "deadline_s: 30", "deadline_s:\n\t30", "$", "'\\t' that cannot start any token", "mend the syntax"),
    Case("duplicate key", "deadline_s: 30", "model: two", "$.model", "given twice, first in line 1", "keep one"),
    Case("unquoted key", "deadline_s: 30", "no: 30", "$", "has the key no", "put it in quotes"),
    Case("odd tag", "max_new_tokens: 40", "max_new_tokens: !!binary aGk=", "$.components.llm.settings.max_new_tokens", "tag", "a number"),
    Case("misspelt top key", "deadline_s:", "dedline_s:", "$.dedline_s", "not a known key", "`deadline_s`"),
    Case(
        "misspelt key of a component",
        "kind: vocoder",
        "kind: vocoder\n    watchdog: 3",
        "$.components.tts.watchdog",
        "not a known key",
        "rename it to `watchdog_s`",
    ),
    Case("missing key", "model: omni\n", "", "$.model", "is missing", 'such as "omni"'),
    Case("wrong type", "deadline_s: 30", "deadline_s: soon", "$.deadline_s", 'is "soon"', "a number, above 0"),
    Case("number out of range", "deadline_s: 30", "deadline_s: -1", "$.deadline_s", "is -1", "above 0"),
    Case("text for a number", "size: 4}", 'size: "4"}', "$.components.vision.batching.max_batch_size", '"4"', "whole"),
    Case("bad enum", "kind: vocoder", "kind: voice", "$.components.tts.kind", '"voice"', "encoder, llm, generator"),
    Case(
        "list for a mapping", "{image: {dtype: BYTES}}", "[image]", "$.components.vision.inputs", "a list", "a mapping"
    ),
    Case("bad dtype", "{text: {dtype: BYTES}}\n  tts", "{text: {dtype: STRING}}\n  tts", "$.components.llm.outputs.text.dtype", "'STRING' is not a dtype", "BYTES"),
    Case("bad dims", "dims: [1500, 512]}}\n    batching", "dims: [0, 512]}}\n    batching", "$.components.asr_encoder.outputs.states.dims[0]", "0 is not", "-1 where it varies"),
    Case("bad component name", "  tts:", "  text__to:", "$.components.text__to", "'text__to' is not a valid name", "lower-case"),
    Case("keyword as a name", "  tts:", "  lambda:", "$.components.lambda", "word of Python", "rename"),
    Case("reserved model name", "model: omni", "model: omni_stream", "$.model", "ends with _stream", "'omni'"),
    Case("reserved port name", "{image: {dtype", "{image__ref: {dtype", "$.components.vision.inputs.image__ref", "ends with __ref", "'image'"),
    Case("reserved port name on GPUs", "{image: {dtype", "{image__dref: {dtype", "$.components.vision.inputs.image__dref", "ends with __dref", "'image'"),
    Case("memory of a model's port", "text: {dtype: BYTES, optional", "text: {memory: device, dtype: BYTES, optional", "$.inputs.text.memory", "not a known key", "remove it"),
    Case("device memory on the cpu", "512]}}\n    batching", "512], memory: device}}\n    batching", "$.components.asr_encoder.outputs.states.memory", "runs on the cpu", "device: gpu"),
    Case("device memory for texts", "{image: {dtype: BYTES}}", "{image: {dtype: BYTES, memory: device}}\n    device: gpu", "$.components.vision.inputs.image.memory", "BYTES always lie on the host", "leave memory out"),
    Case("port name of ours", "{image: {dtype", "{corntriton_image: {dtype", "$.components.vision.inputs.corntriton_image", "starts with corntriton_", "'image'"),
    Case("flow without a function", "flow.py:omni", "flow.py", "$.flow", "does not name a function", "flow.py:omni"),
    Case("missing flow file", "flow.py:omni", "flows.py:omni", "$.flow", "does not exist", "flow.py, which is there"),
    Case("missing weights", "weights: weights", "weights: wieghts", "$.components.asr_decoder.files.weights", "does not exist", "write weights"),
    Case("unset variable", "weights: weights", "weights: '${NOT_SET_HERE}/x'", "$.components.asr_decoder.files.weights", "$NOT_SET_HERE", "export NOT_SET_HERE"),
    Case("missing code", "artifact: parts:Vision", "artifact: parts:Vision\n    code: [lib]", "$.components.vision.code[0]", "does not exist", "put it there"),
    Case("missing module", "parts:Vision", "partz:Vision", "$.components.vision.artifact", "partz.py does not exist", "parts.py"),
    Case("module beside the code", "artifact: parts:Vision", "artifact: parts.deep:Vision\n    code: [parts.py]", "$.components.vision.artifact", "no module parts.deep", "add its folder to code"),
    Case("missing class", "parts:Vision", "parts:Visoin", "$.components.vision.artifact", "no class Visoin", "`Vision`"),
    Case("path for a module", "parts:Vision", "parts.py", "$.components.vision.artifact", "does not name a class", "module:Class"),
    Case("no stream method", "kind: vocoder", "kind: vocoder\n    streaming: true", "$.components.tts.artifact", "no method stream", "def stream(self, item), or declare streaming: false"),
    Case("no call method", "streaming: true\n", "streaming: false\n", "$.components.llm.artifact", "no method __call__", "streaming: true"),
    Case("preferred above the maximum", "[4, 8]", "[4, 16]", "$.components.asr_encoder.batching.preferred[1]", "larger than max_batch_size", "at most 8"),
    Case("delay without batches", "{max_batch_size: 4}", "{max_queue_delay_us: 9}", "$.components.vision.batching.max_queue_delay_us", "none can join", "raise"),
    Case("stream with a batcher", "streaming: true", "streaming: true\n    batching: {max_batch_size: 4, preferred: [4]}", "$.components.llm.batching.preferred", "each stream begins on its own", "leave preferred out"),
    Case("python without batches", "{max_batch_size: 4}", "{max_batch_size: 0}", "$.components.vision.batching.max_batch_size", "list of items", "write 1"),
    Case("stateful and idempotent", "kind: vocoder", "kind: vocoder\n    stateful: true\n    idempotent: true", "$.components.tts.idempotent", "count a repeated call twice", "false"),
    Case("stateful with a batcher", "max_batch_size: 4}", "max_batch_size: 4, preferred: [2]}\n    stateful: true", "$.components.vision.batching.preferred", "sequence batcher", "leave preferred out"),
    Case("no ports", "    inputs: {image: {dtype: BYTES}}\n", "", "$.components.vision.inputs", "empty or missing", "list the inputs"),
    Case("request type with an unknown input", "{text: {}}", "{txt: {}}", "$.request_types.text_to_text.inputs.txt", "not an input of the model", "`text`"),
    Case("request type with an unknown output", "outputs: [answer, speech]", "outputs: [answer, voice]", "$.request_types.speech_to_speech.outputs[1]", "'voice' is not an output", "speech"),
    Case("count of what is no list", "audio: {shape: [16000]}", "audio: {count: 2}", "$.request_types.speech_to_speech.inputs.audio.count", "not a list", "list: true"),
    Case("shape of another rank", "[16000]", "[1, 16000]", "$.request_types.speech_to_speech.inputs.audio.shape", "does not fit dims [-1]", "rank"),
    Case("required input left out", "text: {dtype: BYTES, optional: true}\n  audio", "text: {dtype: BYTES}\n  audio", "$.request_types.speech_to_speech.inputs", "lacks text", "$.inputs.text"),
    Case("parameter that is no scalar", "style: short", "style: [short]", "$.request_types.video_to_text.parameters.style", "a list", "a text"),
    Case("flow syntax", "    return {\"answer\": answer}\n", "    return {\n", "line 13", "not Python", "syntax", "flow.py"),
    Case("flow without decorator", "@flow\n", "", "line 4", "not a flow", "@flow", "flow.py"),
    Case("flow that looks into a result", "    if request.wants", "    if answer: pass\n    if request.wants", "line 11", "", "", "flow.py"),
    Case("flow with an unknown component", "c.tts(", "c.ttts(", "line 12", "ttts", "tts", "flow.py"),
    Case("flow with an unknown argument", "c.vision(image=", "c.vision(img=", "line 9", "img", "image", "flow.py"),
    Case("flow with an unknown output", "c.llm(prompt=prompt, context=captions).text", "c.llm(prompt=prompt, context=captions).txt", "line 10", "txt", "text", "flow.py"),
    Case("flow that raises", "    if request.wants", "    1 / 0\n    if request.wants", "line 11", "ZeroDivisionError", "", "flow.py"),
    Case("flow file that ends the process", "@flow", "raise SystemExit(0)\n@flow", "line 4", "SystemExit", "importable", "flow.py"),
    Case("flow that ends the process", "    if request.wants", "    raise SystemExit(0)\n    if request.wants", "line 11", "SystemExit", "", "flow.py"),
    Case("component syntax", "class Vision(Base):", "class Vision(Base:", "line 17", "not valid Python", "mend", "parts.py"),
]  # fmt: skip


def problems_of(*models: File) -> tuple[Problem, ...]:
    with pytest.raises(UserError) as raised:
        load_models(models)
    return raised.value.problems


def spoil(folder: File, old: str, new: str, file: str = "model.yaml") -> None:
    text = (folder / file).read_text()
    assert old in text, f"the sample has changed: {old!r} is gone"
    (folder / file).write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("case", CASES, ids=[case.sort for case in CASES])
def test_a_broken_model_gives_one_problem_with_place_reason_and_fix(case: Case, sample: File) -> None:
    spoil(sample, case.old, case.new, case.file)
    (problem,) = problems_of(sample)
    assert problem.path == case.path
    assert case.what in problem.what
    assert case.fix in problem.fix
    assert problem.fix
    assert problem.file.startswith(str(sample / case.file))


def test_problems_name_the_line(sample: File) -> None:
    spoil(sample, "max_batch_size: 4}", "max_batch_size: many}")
    (problem,) = problems_of(sample)
    text = (sample / "model.yaml").read_text().splitlines()
    line = int(problem.file.rpartition(":")[2])
    assert "many" in text[line - 1]


def test_problems_of_several_files_are_reported_together(sample: File, tmp_path: File) -> None:
    spoil(sample, "deadline_s: 30", "dedline_s: 30")
    spoil(sample, "preferred: [4, 8]", "preferred: [4, 16]")
    spoil(sample, "weights: weights", "weights: nowhere")
    spoil(sample, "{text: {}}", "{txt: {}}")
    spoil(sample, "c.tts(", "c.ttts(", "flow.py")
    spoil(sample, "class Vision", "class Sight", "parts.py")
    other = File(shutil.copytree(File(__file__).parent / "sample", tmp_path / "other"))
    spoil(other, "kind: vocoder", "kind: voice")
    (tmp_path / "third.yaml").write_text("model: [\n")
    problems = problems_of(sample, other, tmp_path / "third.yaml", tmp_path / "fourth.yaml")
    found = {
        (File(problem.file.partition(":")[0]).relative_to(tmp_path).as_posix(), problem.path)
        for problem in problems
    }
    assert found == {
        ("sample/model.yaml", "$.dedline_s"),
        ("sample/model.yaml", "$.components.asr_encoder.batching.preferred[1]"),
        ("sample/model.yaml", "$.components.asr_decoder.files.weights"),
        ("sample/model.yaml", "$.components.vision.artifact"),
        ("sample/model.yaml", "$.request_types.text_to_text.inputs.txt"),
        ("sample/flow.py", "line 12"),
        ("other/model.yaml", "$.components.tts.kind"),
        ("other/model.yaml", "$.model"),
        ("third.yaml", "$"),
        ("fourth.yaml", "$"),
    }


def test_two_models_of_the_same_name_are_refused(sample: File, tmp_path: File) -> None:
    other = File(shutil.copytree(sample, tmp_path / "other"))
    (problem,) = problems_of(sample, other)
    assert problem.file.startswith(str(other))
    assert problem.path == "$.model"
    assert "rename" in problem.fix


@pytest.mark.parametrize(
    "text", ["", "just text", "[1, 2]", "a: &a [*a]", "\x00", "x: '\\ud800'", "? [a]\n: b", "<<: 3"]
)
def test_files_that_are_no_description_are_reported(text: str, tmp_path: File) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(text)
    assert problems_of(file)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"[" * 2000])
def test_files_that_are_no_yaml_are_reported(content: bytes, tmp_path: File) -> None:
    file = tmp_path / "model.yaml"
    file.write_bytes(content)
    (problem,) = problems_of(file)
    assert problem.path == "$"
