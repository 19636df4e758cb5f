from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from corntriton.errors import UserError
from corntriton.serving.embedded import check_embedded, prepare_backends
from corntriton.serving.find import Installation, find_tritonserver
from corntriton.serving.interpreter import Interpreter, ask_interpreter


@pytest.fixture(scope="module")
def interpreter() -> Interpreter:
    return ask_interpreter()


@pytest.fixture(scope="module")
def installation(interpreter: Interpreter) -> Installation:
    return find_tritonserver(None, interpreter)


def test_this_environment_passes(installation: Installation, interpreter: Interpreter) -> None:
    check_embedded(installation, interpreter)


@pytest.mark.parametrize(("numpy", "reason"), [("2.1.3", "corrupts tensors"), (None, "has no numpy")])
def test_an_interpreter_with_numpy_2_or_none_is_refused_with_the_reason(
    installation: Installation, interpreter: Interpreter, numpy: str | None, reason: str
) -> None:
    with pytest.raises(UserError, match=reason) as caught:
        check_embedded(installation, replace(interpreter, numpy=numpy))
    assert "pip install 'numpy<2'" in str(caught.value)


def test_a_python_without_a_stub_is_refused_together_with_its_numpy(
    installation: Installation, interpreter: Interpreter
) -> None:
    with pytest.raises(UserError, match=r"3\.9, 3\.10, 3\.11") as caught:
        check_embedded(installation, replace(interpreter, version="3.7", numpy="2.0.0"))
    assert len(caught.value.problems) == 2


def test_many_may_prepare_the_backends_at_once(
    installation: Installation, interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: prepare_backends(installation, interpreter), range(8)))
    [folder] = folders
    assert {link.name for link in (folder / "python").iterdir()} == {
        "libtriton_python.so",
        "triton_python_backend_stub",
        "triton_python_backend_utils.py",
    }
    assert all(link.exists() for link in (folder / "python").iterdir())
    assert os.listdir(folder.parent) == [folder.name]


def test_a_cache_that_cannot_be_written_is_the_users_fault(
    installation: Installation, interpreter: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        prepare_backends(installation, interpreter)
