"""The whole command on the real server, with components whose times and memory are known beforehand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from corntriton.cli import app
from corntriton.profiler import profile as profiling
from corntriton.profiler.survey import Survey
from corntriton.serving.launch import find_launcher
from corntriton.spec.profiles import Latency, Memory, Profile, Profiles, Provenance, Sample

TIMED = Path(__file__).parent / "models" / "timed"
BATCH_S, WORD_S, FIRST_S, SAID_S = 0.02, 0.01, 0.03, 0.005
WEIGHTS_BYTES, ITEM_BYTES = 64 << 20, 16 << 20
IMPORTED = Provenance(how="imported", source="a publication")


def imported(component: str) -> Profile:
    samples = (Sample(batch=1, latency=Latency(mean_s=1.0)),)
    return Profile(
        component=component,
        device="cpu",
        samples=samples,
        memory=Memory(weights_bytes=1),
        provenance=IMPORTED,
    )


@pytest.fixture(scope="module", autouse=True)
def _short_points() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiling, "_POINT_S", 1.0)
        yield


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("profile") / "profiles.json"
    old = Profiles(work_units={"ear": "ears"}, profiles=(imported("ear"), imported("say")))
    file.write_text(old.model_dump_json(exclude_defaults=True))
    return file


@pytest.fixture(scope="module")
def said(output: Path) -> Any:
    """What `--json` says."""
    words = ["profile", str(TIMED), "-o", str(output), "--together", "nap,say", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def readings(said: Any, component: str, beside: bool = False) -> dict[tuple[int, float], Any]:
    return {
        (each["batch"], each["work"]): each
        for each in said["readings"]
        if each["component"] == component and bool(each["beside"]) == beside
    }


def test_the_sweep_covers_batch_sizes_and_the_works_of_the_examples(said: Any) -> None:
    assert set(readings(said, "timed/nap")) == {(b, w) for b in (1, 2, 4) for w in (1.0, 8.0)}
    assert set(readings(said, "timed/say")) == {(b, w) for b in (1, 2) for w in (1.0, 8.0)}
    assert set(readings(said, "timed/nap", beside=True)) == {(b, w) for b in (1, 4) for w in (1.0, 8.0)}


def test_no_execution_is_shorter_than_its_sleep_and_the_medians_rise_with_it(said: Any) -> None:
    found = readings(said, "timed/nap")
    for (batch, work), reading in found.items():
        assert min(reading["times_s"]) >= BATCH_S + WORD_S * batch * work
    median = {key: sorted(each["times_s"])[len(each["times_s"]) // 2] for key, each in found.items()}
    assert median[4, 8.0] > 4 * median[1, 1.0]


def test_what_a_request_waits_is_no_part_of_what_its_batch_takes(said: Any) -> None:
    """At saturation a request waits for the batch before its own, at least for a part of its sleep."""
    reading = readings(said, "timed/nap")[1, 8.0]
    saturated, compute_s = reading["saturated"], min(reading["times_s"])
    assert saturated["queue_s"] > 0.5 * (BATCH_S + 8 * WORD_S)
    assert compute_s < saturated["queue_s"] + saturated["batch_s"]
    assert readings(said, "timed/nap")[4, 1.0]["saturated"]["rows"] > 1


def test_a_stream_has_times_to_its_first_chunk_and_to_its_end(said: Any) -> None:
    for (_, work), reading in readings(said, "timed/say").items():
        assert reading["chunks"] == work
        assert min(reading["first_chunk_s"]) >= FIRST_S
        assert min(reading["times_s"]) >= FIRST_S + work * SAID_S


def test_members_of_one_process_are_measured_batch_by_batch(said: Any) -> None:
    found = readings(said, "timed/nap", beside=True)
    assert sum(found[4, 8.0]["times_s"]) > 2 * sum(found[1, 1.0]["times_s"][: len(found[4, 8.0]["times_s"])])
    assert found[1, 1.0]["beside"] == ["timed/say"]


def test_profiles_hold_spread_counts_memory_sizes_and_where_they_are_from(said: Any, output: Path) -> None:
    found = Profiles.model_validate_json(output.read_text())
    assert found.work_units == {"ear": "ears", "nap": "words of input text", "say": "chunks"}
    [nap] = [each for each in found.profiles if each.component == "nap" and not each.beside]
    for sample in nap.samples:
        assert sample.count
        assert sample.saturated_s
        latency = sample.latency
        assert latency.p50_s
        assert latency.p99_s
        assert latency.max_s
        assert latency.p50_s <= latency.p99_s <= latency.max_s
    assert nap.memory.weights_bytes > WEIGHTS_BYTES
    assert nap.memory.item_bytes > ITEM_BYTES / 2
    assert nap.outputs["text"].nbytes_per_work > 3
    assert nap.start_up_s
    assert nap.provenance.how == "measured"
    assert "inputs from the model's examples" in nap.provenance.source
    assert " cores of " in nap.provenance.source


def test_imported_profiles_stay_unless_they_were_measured_now(said: Any, output: Path) -> None:
    found = Profiles.model_validate_json(output.read_text()).profiles
    assert [each.component for each in found if each.provenance.how == "imported"] == ["ear"]
    assert said["replaced"] == ["say"]


def test_nothing_is_left_behind_when_all_is_measured(said: Any, output: Path) -> None:
    assert not profiling.partial_file(output).exists()
    assert (said["left"], said["failures"], said["missing"]) == (0, [], [])


class _Interrupting(profiling.Progress):
    def done(self) -> None:
        raise KeyboardInterrupt


def test_what_was_measured_before_an_interrupt_is_not_measured_again(tmp_path: Path) -> None:
    output = tmp_path / "profiles.json"
    survey = Survey([TIMED], (), ["say"], None, "embedded")
    options, launcher = profiling.Options(works=1), find_launcher()
    with pytest.raises(KeyboardInterrupt):
        profiling.profile(survey, output, launcher, options, _Interrupting())
    assert len(profiling.partial_file(output).read_text().splitlines()) == 1
    result = profiling.profile(survey, output, launcher, options)
    assert (len(result.readings), result.measured) == (2, 1)
    assert not profiling.partial_file(output).exists()


def test_what_a_budget_leaves_out_is_said_and_kept_for_later(tmp_path: Path) -> None:
    output = tmp_path / "profiles.json"
    words = ["profile", str(TIMED), "-o", str(output), "--works", "1", "--budget", "0.001", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert said["left"]
    assert said["missing"] == ["timed/say"]
    assert profiling.partial_file(output).exists()
    assert json.loads(output.read_text())["profiles"]


def test_without_examples_inputs_are_made_up_and_the_profile_says_so(tmp_path: Path) -> None:
    shutil.copytree(TIMED, tmp_path / "timed", ignore=shutil.ignore_patterns("examples"))
    survey = Survey([tmp_path / "timed"], (), ["say"], None, "embedded")
    result = profiling.profile(
        survey, tmp_path / "profiles.json", find_launcher(), profiling.Options(works=1)
    )
    assert result.profiles
    assert "made-up inputs" in result.profiles.profiles[0].provenance.source


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--together", "nap,sey"], "is no component of the models; To fix: rename it to `say`"),
        (["--together", "nap"], "names fewer than two components"),
        (["--only", "listen"], "is no component of the models; To fix: use one of"),
        (["--workload", "absent.yaml"], "does not exist"),
        (["--tritonserver", "/absent"], "there is no such program"),
    ],
)
def test_bad_options_are_explained_with_code_2(tmp_path: Path, options: list[str], fault: str) -> None:
    words = ["profile", str(TIMED), "-o", str(tmp_path / "profiles.json"), *options]
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert fault in result.output


def test_an_output_that_holds_something_else_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "profiles.json").write_text('{"precious": 1}')
    result = CliRunner().invoke(app, ["profile", str(TIMED), "-o", str(tmp_path / "profiles.json")])
    assert result.exit_code == 2
    assert "precious" in (tmp_path / "profiles.json").read_text()
