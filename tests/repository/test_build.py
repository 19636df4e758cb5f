"""What a build holds, read with Triton's protobuf and with the runtime's own readers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corntriton.errors import UserError
from corntriton.repository import pbtxt
from corntriton.repository.build import build
from corntriton.repository.manifest import Manifest, hashes
from corntriton.runtime.settings import ComponentSettings, OrchestratorSettings
from corntriton.spec.load import load_models

Build = Callable[..., Manifest]
Write = Callable[..., Path]


def config(folder: Path, model: str) -> Any:
    return pbtxt.parse(text(folder, model))


def text(folder: Path, model: str) -> str:
    return (folder / "out" / "model_repository" / model / "config.pbtxt").read_text()


def version(folder: Path, model: str) -> Path:
    return folder / "out" / "model_repository" / model / "1"


def test_there_is_a_model_per_component_and_compiled_path_an_orchestrator_twice_and_a_probe(
    build_studio: Build, tmp_path: Path
) -> None:
    manifest = build_studio()
    parts = [f"studio__{part}" for part in ("double", "numbers__path", "scale", "shift", "sing", "speak")]
    assert [model.name for model in manifest.models] == [
        *("studio", "studio.numbers", *parts, "studio_ready", "studio_ready_gate", "studio_stream")
    ]
    kinds = {model.name: model.kind for model in manifest.models}
    assert (kinds["studio.numbers"], kinds["studio__numbers__path"]) == ("ensemble", "path")
    assert manifest.endpoints == ("studio", "studio.numbers", "studio_stream")
    assert manifest.probes == ("studio_ready",)
    for model in manifest.models:
        assert config(tmp_path, model.name).name == model.name
        assert version(tmp_path, model.name).is_dir()


def test_where_nothing_streams_there_is_no_second_orchestrator(build_studio: Build) -> None:
    def unary(spec: dict[str, Any]) -> None:
        del spec["request_types"]["song"]
        for name in ("speak", "sing"):
            del spec["components"][name]

    assert build_studio(unary).endpoints == ("studio", "studio.numbers")


def test_the_manifest_tells_what_was_built(build_studio: Build, tmp_path: Path) -> None:
    manifest = build_studio()
    data = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert data == json.loads(manifest.to_json())
    assert data["format"] == 1
    for model in manifest.models:
        assert model.files == hashes(tmp_path / "out" / "model_repository" / model.name)
    assert data["requirements"] == ["pillow>=10"]
    assert {(w["model"], w["path"], w["source"]) for w in data["weights"]} == {
        ("studio__double", "1/files/wait", "wait.txt"),
        ("studio__scale", "1/model.onnx", "scale.onnx"),
        ("studio__shift", "1/model.pt", "shift.pt"),
    }
    assert "studio__double: gpu asked for, mapped to KIND_CPU because --backends embedded" in data["notes"]
    assert data["tritonserver_flags"][0].startswith("--backend-config=python,thread-pool-size=")
    assert "--cache-config=local,size=67108864" in data["tritonserver_flags"]


def test_configs_say_what_the_components_declare(build_studio: Build, tmp_path: Path) -> None:
    build_studio()
    double = config(tmp_path, "studio__double")
    assert double.max_batch_size == 8
    assert double.HasField("dynamic_batching")
    assert double.input[0].allow_ragged_batch
    speak = config(tmp_path, "studio__speak")
    assert speak.model_transaction_policy.decoupled
    assert not speak.HasField("dynamic_batching")
    sing = config(tmp_path, "studio__sing")
    assert sing.sequence_batching.max_sequence_idle_microseconds == 60_000_000
    assert config(tmp_path, "studio__scale").response_cache.enable
    for name in ("studio", "studio_stream"):
        assert config(tmp_path, name).max_batch_size == 0
        assert all(tensor.optional for tensor in config(tmp_path, name).input)
    assert config(tmp_path, "studio_stream").model_transaction_policy.decoupled


def test_numbers_are_explained(build_studio: Build, tmp_path: Path) -> None:
    build_studio()
    assert "# gpu asked for, mapped to KIND_CPU because --backends embedded." in text(
        tmp_path, "studio__double"
    )
    assert "# No dynamic_batching: there is nothing to join" in text(tmp_path, "studio__speak")
    assert "# One instance holds up to 1024 requests" in text(tmp_path, "studio")


def test_the_runtime_reads_what_was_written(build_studio: Build, tmp_path: Path) -> None:
    build_studio()
    [model] = load_models([tmp_path / "studio"])
    settings = OrchestratorSettings.load(version(tmp_path, "studio") / "orchestrator.json")
    assert settings.model == model.signature
    assert settings.paths == model.paths
    assert settings.targets["sing"].stateful
    assert not settings.targets["sing"].idempotent
    assert settings.targets["double"].max_in_flight == 16
    assert (version(tmp_path, "studio") / "code" / settings.flow.partition(":")[0]).is_file()
    hosted = ComponentSettings.load(version(tmp_path, "studio__double") / "component.json")
    assert (hosted.host, hosted.artifact, hosted.files) == ("python", "parts:Double", {"wait": "files/wait"})
    assert hosted.isolated
    hosted = ComponentSettings.load(version(tmp_path, "studio__scale") / "component.json")
    assert (version(tmp_path, "studio__scale") / hosted.artifact).is_file()


def test_a_component_may_do_without_a_process_of_its_own(build_studio: Build, tmp_path: Path) -> None:
    build_studio(lambda spec: spec["components"]["double"].update(isolation="none"))
    assert not ComponentSettings.load(version(tmp_path, "studio__double") / "component.json").isolated


def everything(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_the_same_input_gives_the_same_bytes_wherever_it_lies(write_studio: Write, tmp_path: Path) -> None:
    for place in ("here", "there/below"):
        folder = write_studio(tmp_path / place / "studio")
        build(load_models([folder]), tmp_path / place / "out")
    here, there = everything(tmp_path / "here" / "out"), everything(tmp_path / "there" / "below" / "out")
    assert here == there
    assert not [name for name, content in here.items() if str(tmp_path).encode() in content]


def test_the_order_of_models_does_not_matter(write_studio: Write, tmp_path: Path) -> None:
    folders = [
        write_studio(tmp_path / name, lambda spec, name=name: spec.update(model=name)) for name in ("a", "b")
    ]
    for name, order in (("one", folders), ("other", folders[::-1])):
        build(load_models(order), tmp_path / name)
    assert everything(tmp_path / "one") == everything(tmp_path / "other")


def test_weights_can_be_linked_for_development(build_studio: Build, tmp_path: Path) -> None:
    manifest = build_studio(link=True)
    file = version(tmp_path, "studio__scale") / "model.onnx"
    assert file.readlink() == tmp_path / "studio" / "scale.onnx"
    assert all(weights.linked for weights in manifest.weights)


def test_a_build_replaces_an_earlier_one_as_a_whole(build_studio: Build, tmp_path: Path) -> None:
    build_studio()
    shutil.rmtree(tmp_path / "studio")
    build_studio(lambda spec: spec.update(model="other", flow="flow.py:studio"))
    assert not version(tmp_path, "studio").exists()
    assert version(tmp_path, "other").is_dir()


def test_a_template_of_the_users_is_used_and_checked(build_studio: Build, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "orchestrator.config.pbtxt.j2").write_text(
        '{% from "tensors.pbtxt.j2" import side %}\n'
        'name: {{ name | quote }} backend: "python"\n'
        '{{ side("input", inputs) }}{{ side("output", outputs) }}\n'
        "dynamic_batching { }\n"
    )
    with pytest.raises(UserError) as caught:
        build_studio(templates=own)
    assert {problem.file for problem in caught.value.problems} == {str(own / "orchestrator.config.pbtxt.j2")}
    assert {problem.path for problem in caught.value.problems} == {"$.dynamic_batching"}
    (own / "orchestrator.config.pbtxt.j2").write_text("name: {{ name }}")
    shutil.rmtree(tmp_path / "studio")
    with pytest.raises(UserError, match="is no ModelConfig: 1:7"):
        build_studio(templates=own)
    assert not (tmp_path / "out").exists()


def test_all_problems_of_overrides_are_reported_with_their_lines(build_studio: Build, tmp_path: Path) -> None:
    def spoil(spec: dict[str, Any]) -> None:
        spec["components"]["double"]["config"] = {"dynamic_batchin": {}, "max_batch_size": "x"}
        spec["components"]["sing"]["config"] = {"instance_group": [{"kind": "KIND_CPUU"}]}

    with pytest.raises(UserError) as caught:
        build_studio(spoil)
    places = [(problem.path.removeprefix("$.components."), problem.file) for problem in caught.value.problems]
    assert [path for path, _ in places] == [
        *(
            "double.config.dynamic_batchin",
            "double.config.max_batch_size",
            "sing.config.instance_group[0].kind",
        )
    ]
    lines = (tmp_path / "studio" / "model.yaml").read_text().splitlines()
    assert "dynamic_batchin:" in lines[int(places[0][1].rpartition(":")[2]) - 1]


def test_an_override_that_breaks_a_rule_is_reported_at_its_place(build_studio: Build) -> None:
    def spoil(spec: dict[str, Any]) -> None:
        spec["components"]["double"]["config"] = {"dynamic_batching": {"preferred_batch_size": [64]}}
        spec["components"]["shift"]["config"] = {"name": "other"}

    with pytest.raises(UserError) as caught:
        build_studio(spoil)
    assert [problem.path for problem in caught.value.problems] == [
        "$.components.double.config.dynamic_batching.preferred_batch_size",
        "$.components.shift.config.name",
    ]


def test_a_flow_that_needs_a_file_beside_it_is_refused(write_studio: Write, tmp_path: Path) -> None:
    folder = write_studio(tmp_path / "studio")
    (folder / "helpers.py").write_text("")
    flow = folder / "flow.py"
    flow.write_text("import json\nimport helpers\n" + flow.read_text())
    with pytest.raises(UserError, match=r"flow.py: line 2: imports helpers, which lies beside it"):
        build(load_models([folder]), tmp_path / "out")


def test_models_of_the_same_triton_name_are_refused(write_studio: Write, tmp_path: Path) -> None:
    folders = [
        write_studio(tmp_path / str(number), lambda spec, name=name: spec.update(model=name))
        for number, name in enumerate(("studio", "studio_ready_gate"))
    ]
    with pytest.raises(UserError, match="the Triton model studio_ready_gate is also needed by"):
        build(load_models(folders), tmp_path / "out")


def test_equal_components_of_several_models_are_served_once(write_studio: Write, tmp_path: Path) -> None:
    first = write_studio(tmp_path / "first")
    second = tmp_path / "first" / "second.yaml"

    def change(old: str) -> str:
        return old.replace("model: studio", "model: atelier").replace("stop: .", "stop: '!'")

    second.write_text(change((first / "model.yaml").read_text()))
    manifest = build(load_models([first, second]), tmp_path / "out")
    components = {model.name: model.serves for model in manifest.models if model.kind == "component"}
    assert components["atelier__scale"] == ("atelier.scale", "studio.scale")
    assert components["atelier__speak"] == ("atelier.speak",)
    assert components["studio__speak"] == ("studio.speak",)
    assert "studio__scale" not in components
    settings = OrchestratorSettings.load(version(tmp_path, "studio") / "orchestrator.json")
    assert settings.targets["scale"].model_name == "atelier__scale"
