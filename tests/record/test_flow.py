from __future__ import annotations

import sys

import pytest

from corntriton.errors import UserError
from corntriton.record.facts import Facts
from corntriton.record.flow import load_flow
from corntriton.record.recording import record

GOOD = """
from corntriton import flow

@flow
def omni(request, c):
    return {"answer": request["topic"]}

def no_flow(request, c):
    return {}
"""


def problem_of(spec, folder):
    with pytest.raises(UserError) as caught:
        load_flow(spec, folder)
    (problem,) = caught.value.problems
    return problem


def test_a_flow_is_loaded_from_its_file(model, tmp_path):
    (tmp_path / "flow.py").write_text(GOOD)
    flow = load_flow("flow.py:omni", tmp_path)
    assert flow.file == str(tmp_path / "flow.py")
    assert record(flow, model, Facts({"topic": (1,)})).guards == ()


def test_two_flows_of_equal_names_do_not_meet(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"NAME = {name!r}\n")
        source = "from corntriton import flow\nimport helper\n@flow\ndef f(request, c): return helper.NAME\n"
        (tmp_path / name / "flow.py").write_text(source)
    flows = [load_flow("flow.py:f", tmp_path / name) for name in ("one", "other")]
    assert [flow(None, None) for flow in flows] == ["one", "other"]


def test_loading_leaves_nothing_behind_in_the_folder_or_on_the_path(tmp_path):
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "flow.py").write_text(f"import helper\n{GOOD}")
    path = [*sys.path]
    load_flow("flow.py:omni", tmp_path)
    assert sys.path == path
    assert "helper" not in sys.modules
    assert sorted(file.name for file in tmp_path.iterdir()) == ["flow.py", "helper.py"]


def test_a_missing_file_is_reported(tmp_path):
    problem = problem_of("flow.py:omni", tmp_path)
    assert problem.file == str(tmp_path / "flow.py")
    assert problem.what == "the file cannot be read: No such file or directory"


@pytest.mark.parametrize("spec", ["flow.py", "flow.py:", "flow:omni", "flow.py:omni()"])
def test_a_spec_that_names_no_function_of_a_file_is_reported(spec, tmp_path):
    assert problem_of(spec, tmp_path).fix == "write it as file.py:function"


def test_a_syntax_error_is_reported_with_its_line(tmp_path):
    (tmp_path / "flow.py").write_text("a = 1\ndef omni(request, c:\n    return {}\n")
    problem = problem_of("flow.py:omni", tmp_path)
    assert problem.path == "line 2"
    assert "it is not Python" in problem.what


def test_an_import_that_fails_is_reported_with_its_line(tmp_path):
    (tmp_path / "flow.py").write_text("import json\nimport no_such_module_anywhere\n")
    problem = problem_of("flow.py:omni", tmp_path)
    assert problem.path == "line 2"
    assert problem.what == (
        "importing it raised ModuleNotFoundError: No module named 'no_such_module_anywhere'"
    )


def test_a_syntax_error_in_a_module_beside_it_names_that_module(tmp_path):
    (tmp_path / "helper.py").write_text("\n\n)\n")
    (tmp_path / "flow.py").write_text(f"import helper\n{GOOD}")
    problem = problem_of("flow.py:omni", tmp_path)
    assert problem.file.endswith("helper.py")
    assert problem.path == "line 3"


def test_an_unknown_function_is_reported_with_the_closest_flow(tmp_path):
    (tmp_path / "flow.py").write_text(GOOD)
    problem = problem_of("flow.py:omi", tmp_path)
    assert problem.what == "there is no flow `omi`"
    assert problem.fix == "name a flow of the file: did you mean `omni`?"


def test_a_function_without_the_decorator_is_reported_with_its_line(tmp_path):
    (tmp_path / "flow.py").write_text(GOOD)
    problem = problem_of("flow.py:no_flow", tmp_path)
    assert problem.path == "line 8"
    assert problem.fix == "write @flow above it"


def test_one_flow_may_call_another(model, tmp_path):
    source = GOOD.replace("def no_flow", "@flow\ndef outer").replace("return {}", "return omni(request, c)")
    (tmp_path / "flow.py").write_text(source)
    flow = load_flow("flow.py:outer", tmp_path)
    assert set(record(flow, model, Facts({"topic": (1,)})).outputs) == {"answer"}
