from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from corntriton.errors import UserError
from corntriton.serving import find
from corntriton.serving.find import find_tritonserver
from corntriton.serving.interpreter import ask_interpreter


def test_an_interpreter_describes_itself() -> None:
    interpreter = ask_interpreter()
    assert interpreter.version == "{}.{}".format(*sys.version_info[:2])
    assert interpreter.executable.parent == Path(sys.executable).parent
    assert interpreter.numpy is not None


def test_an_interpreter_that_does_not_exist_or_run_is_the_users_fault() -> None:
    for python in ("/no/such/python", "false"):
        with pytest.raises(UserError, match="--python"):
            ask_interpreter(python)


def test_the_server_in_the_interpreters_packages_is_the_embedded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    installation = find_tritonserver(None, ask_interpreter(sys.executable))
    assert installation.embedded
    assert (installation.root / "backends" / "python").is_dir()


def test_path_comes_before_the_wheel_and_the_given_one_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("on_path", "given"):
        (tmp_path / folder / "bin").mkdir(parents=True)
        (tmp_path / folder / "bin" / "tritonserver").write_text("#!/bin/sh\n")
        (tmp_path / folder / "bin" / "tritonserver").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "on_path" / "bin"))
    interpreter = ask_interpreter(sys.executable)
    assert find_tritonserver(None, interpreter).root == tmp_path / "on_path"
    given = find_tritonserver(str(tmp_path / "given" / "bin" / "tritonserver"), interpreter)
    assert given.root == tmp_path / "given"
    assert not given.embedded


def test_where_none_is_found_every_place_and_the_way_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(find.sysconfig, "get_path", lambda name: "/own/packages")
    interpreter = replace(ask_interpreter(sys.executable), site_packages=(tmp_path,))
    with pytest.raises(UserError) as caught:
        find_tritonserver(None, interpreter)
    for word in ("PATH", str(tmp_path), "/own/packages", "corntriton[server]", "--print-command"):
        assert word in str(caught.value)


def test_a_given_server_that_does_not_exist_is_the_users_fault() -> None:
    with pytest.raises(UserError, match="/no/such/tritonserver"):
        find_tritonserver("/no/such/tritonserver", ask_interpreter())
