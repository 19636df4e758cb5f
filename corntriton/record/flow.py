"""A flow: the user's function that says which components a request visits, and where it was written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path as File
from types import ModuleType
from typing import Any

from corntriton.errors import Problem, UserError
from corntriton.record.errors import RecordError, choose

_serial = count(1)
_IMPORTABLE = "make the file importable: what it imports lies beside it, or is installed where the flow runs"


@dataclass(frozen=True)
class Flow:
    """A function made a flow by the decorator.

    Attributes:
        function: Takes the request and the components, returns the outputs by name.
        file: The file that it was written in, as messages name it.
    """

    function: Callable[[Any, Any], Any]
    file: str

    def __call__(self, request: Any, components: Any) -> Any:
        """Lets one flow call another."""
        return self.function(request, components)

    @property
    def code_file(self) -> str:
        """The file name that Python's own frames carry."""
        return self.function.__code__.co_filename

    @property
    def line(self) -> int:
        """Where the function begins."""
        return self.function.__code__.co_firstlineno


def flow(function: Callable[[Any, Any], Any]) -> Flow:
    """Declares a function of (request, components) as a flow.

    Example:
        ```python
        @flow
        def captioner(request, c):
            captions = [c.vision(image=image).caption for image in request.each("images")]
            return {"answer": c.llm(prompt=request["text"], context=captions).text}
        ```
    """
    return Flow(function, function.__code__.co_filename)


def load_flow(spec: str, folder: File | str) -> Flow:
    """Imports the file of a flow and gives the flow.

    Args:
        spec: `file.py:function`, the file relative to the folder.
        folder: Importable while the file is imported, so that a flow may use modules beside it.

    Raises:
        UserError: There is no such file or function, or the file cannot be imported.
    """
    name, _, function = spec.partition(":")
    file = File(folder) / name
    if not function.isidentifier() or not name.endswith(".py"):
        raise _problem(file, 1, f"`{spec}` names no flow", "write it as file.py:function")
    module = _import(file, File(folder))
    found = getattr(module, function, None)
    if isinstance(found, Flow):
        return Flow(found.function, str(file) if found.code_file == str(file) else found.file)
    if callable(found):
        line = getattr(getattr(found, "__code__", None), "co_firstlineno", 1)
        raise _problem(file, line, f"`{function}` is not a flow", "write @flow above it")
    flows = [each for each, value in vars(module).items() if isinstance(value, Flow)]
    raise _problem(
        file, 1, f"there is no flow `{function}`", f"name a flow of the file: {choose(function, flows)}"
    )


def _import(file: File, folder: File) -> ModuleType:
    try:
        source = file.read_bytes()
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise _problem(file, 1, what, "name an existing file") from error
    module = ModuleType(f"_corntriton_flow_{next(_serial)}")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module
    try:
        with _importable(folder.resolve()):
            exec(compile(source, str(file), "exec", dont_inherit=True), vars(module))
    except SyntaxError as error:
        raise RecordError.at(
            error.filename or str(file),
            error.lineno or 1,
            f"it is not Python: {error.msg}",
            "correct the syntax",
        ) from error
    except (Exception, SystemExit) as error:
        line = line_of(error, str(file)) or 1
        what = f"importing it raised {type(error).__name__}: {error}"
        raise RecordError.at(str(file), line, what, _IMPORTABLE) from error
    return module


@contextmanager
def _importable(folder: File) -> Iterator[None]:
    """Puts the folder on sys.path; forgets its modules afterwards, as another model may have equal names.

    Nothing is written into the folder: it may be part of a model repository.
    """
    known, no_bytecode = set(sys.modules), sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = no_bytecode
        sys.path.remove(str(folder))
        for name in set(sys.modules) - known:
            if _lies_in(folder, name):
                del sys.modules[name]


def _lies_in(folder: File, module: str) -> bool:
    """Whether a module was found in the folder, not in a virtual environment below it."""
    origin, package = getattr(sys.modules[module], "__file__", None), module.partition(".")[0]
    if origin is None or folder not in File(origin).resolve().parents:
        return False
    return File(origin).resolve().relative_to(folder).parts[0] in (package, f"{package}.py")


def line_of(error: BaseException, code_file: str) -> int | None:
    """The innermost line of a file that an exception came through; None when it came through none."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == code_file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _problem(file: File, line: int, what: str, fix: str) -> UserError:
    return UserError([Problem(str(file), f"line {line}", what, fix)])
