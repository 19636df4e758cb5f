"""The generated files of examples/published: current, sourced, and what their README says of them."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path as File

import pytest

from corntriton.planner.latency import unloaded
from corntriton.planner.limits import fastest_stages
from corntriton.planner.task import Task, read_task

PUBLISHED = File(__file__).parents[2] / "examples" / "published"
sys.path.insert(0, str(PUBLISHED))
# By its file: examples/paper has a generate.py, too.
_spec = spec_from_file_location("published_generate", PUBLISHED / "generate.py")
assert _spec is not None
assert _spec.loader is not None
generate = sys.modules["published_generate"] = module_from_spec(_spec)
_spec.loader.exec_module(generate)

from parts import ASSUMED, COMPONENTS, MEASURED  # noqa: E402

WORKLOADS = sorted(str(path.relative_to(PUBLISHED)) for path in PUBLISHED.glob("*/workload*.yaml"))


def task(workload: str, cluster: str = "8") -> Task:
    folder = (PUBLISHED / workload).parent
    clusters = PUBLISHED.parent / "paper" / f"cluster-{cluster}.yaml"
    return read_task([folder], str(PUBLISHED / workload), str(clusters), str(folder / "profiles.json"))


def test_the_generated_files_are_current() -> None:
    texts = generate.generated()
    assert set(texts) == {*WORKLOADS, *(str(p.relative_to(PUBLISHED)) for p in PUBLISHED.glob("*/*.json"))}
    for path, text in texts.items():
        assert (PUBLISHED / path).read_text(encoding="utf-8") == text, f"{path}: run generate.py"


@pytest.mark.parametrize("workload", WORKLOADS)
def test_targets_are_five_times_the_unloaded_time(workload: str) -> None:
    read = task(workload)
    for demand in read.demands:
        _, done_s = unloaded(demand, fastest_stages(demand, read.library))
        assert demand.targets[0].seconds == pytest.approx(5 * done_s, rel=1e-3)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_profile_names_entries_with_their_addresses(workload: str) -> None:
    for profile in task(workload).profiles.profiles:
        part = COMPONENTS[profile.component.partition("/")[2]]()
        assert part.entries
        for name in part.entries:
            assert MEASURED[name]["source"] in profile.provenance.source
        for gap in part.gaps:
            assert ASSUMED["gaps"][gap]["why"] in profile.provenance.source
        assert profile.provenance.how == ("assumed" if part.guessed else "imported")


def test_everything_in_the_data_is_used_and_everything_used_is_there() -> None:
    parts = [make() for make in COMPONENTS.values()]
    assert {name for part in parts for name in part.entries} == set(MEASURED)
    assert {part.name for part in parts} == set(ASSUMED["shapes"])
    of_requests = {"omni_media"}
    assert {gap for part in parts for gap in part.gaps} | of_requests == set(ASSUMED["gaps"])


def test_every_figure_has_a_source_or_a_reason() -> None:
    assert all(entry["source"].startswith("http") and entry["samples"] for entry in MEASURED.values())
    assert all(shape["source"] for shape in ASSUMED["shapes"].values())
    assert all(gap["why"] for gap in ASSUMED["gaps"].values())


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_larger_batches_take_longer_and_are_worth_it(name: str) -> None:
    seconds = COMPONENTS[name]().seconds
    for work in {work for _, work in seconds}:
        points = sorted((batch, taken) for (batch, at), taken in seconds.items() if at == work)
        assert all(one[1] < other[1] for one, other in pairwise(points))
        # What was published wobbles: for 256 images the vision encoder is slower than for 128.
        assert all(other[0] / other[1] > 0.97 * one[0] / one[1] for one, other in pairwise(points))


def test_times_are_the_published_ones() -> None:
    """Read off the pages named as sources, not off the code."""
    llm, vision, image = COMPONENTS["llm"](), COMPONENTS["vision_encoder"](), COMPONENTS["denoiser"]()
    assert 64 * 128 / llm.seconds[64, 256] == pytest.approx(3024.07)
    assert 16 * 128 / llm.seconds[16, 2176] == pytest.approx(348.87)
    assert vision.seconds[16, 16.0] == pytest.approx(0.53897)
    rest = COMPONENTS["vae_decoder"]().seconds[8, 1.0] + COMPONENTS["text_encoder"]().seconds[8, 1.0]
    assert image.seconds[8, 1.0] + rest == pytest.approx(7.49281, rel=1e-3)
    assert COMPONENTS["vocoder"]().seconds[2, 1.0] == pytest.approx(0.082)
    assert 26 / 16 * COMPONENTS["talker"]().seconds[16, 25 * 170 / 26] == pytest.approx(2.01)


def test_a_token_in_the_cache_takes_what_the_architecture_says() -> None:
    assert COMPONENTS["llm"]().memory["work_bytes"] == 32 * 32 * 128 * 2 * 2
    assert COMPONENTS["talker"]().memory["work_bytes"] == 24 * 2 * 64 * 2 * 2


def test_the_readme_has_no_file_that_is_not_there() -> None:
    text = (PUBLISHED / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`(examples/published/[\w/.-]+)`", text):
        assert (PUBLISHED.parents[1] / name).exists()
