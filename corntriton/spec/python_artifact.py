"""Looks a python artifact up in its source, without importing it: module and class in, problems out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path as File

from corntriton.spec.files import Spot
from corntriton.spec.validation import choose


def default_code(artifact: str, folder: File) -> str:
    """What `code` is where the user left it out: the artifact's top-level package or module file."""
    top = artifact.partition(":")[0].partition(".")[0]
    return top if (folder / top).is_dir() else f"{top}.py"


def check_class(artifact: str, code: Sequence[File], streaming: bool | None, spot: Spot) -> None:
    """Notes a module or class that is not there, and a class without the method that streaming calls for.

    Args:
        artifact: `module:Class`.
        code: The files and folders that become the top of the import path.
        streaming: As the component declares it; None where that is unknown.
        spot: The artifact's place.
    """
    module, _, name = artifact.partition(":")
    file = _module_file(module, code)
    if file is None:
        tops = ", ".join(entry.name for entry in code)
        spot.note(
            f"there is no module {module} in {tops}", "correct the module's name, or add its folder to code"
        )
        return
    tree = _parse(file, spot)
    if tree is None:
        return
    definition = _definition(tree, name)
    if definition is None and not _is_bound(tree, name):
        classes = [node.name for node in _statements(tree) if isinstance(node, ast.ClassDef)]
        spot.note(
            f"{file.name} has no class {name}", choose(name, classes, f"write a class {name} in {file}")
        )
    elif definition is not None and streaming is not None:
        _check_method(definition, tree, streaming, spot)


def _check_method(definition: ast.ClassDef, tree: ast.Module, streaming: bool, spot: Spot) -> None:
    methods = _methods(definition, tree)
    wanted, other = ("stream", "__call__") if streaming else ("__call__", "stream")
    if methods is None or wanted in methods:
        return
    arguments = "self, item" if streaming else "self, items"
    what = f"{definition.name} has no method {wanted}, which streaming: {str(streaming).lower()} calls for"
    fix = f"write def {wanted}({arguments})"
    if other in methods:
        fix += f", or declare streaming: {str(not streaming).lower()}"
    spot.note(what, fix)


def _module_file(module: str, code: Sequence[File]) -> File | None:
    top, *below = module.split(".")
    for entry in code:
        if entry.is_dir() and entry.name == top:
            inside = entry.joinpath(*below)
            candidates = [inside / "__init__.py", inside.with_name(f"{inside.name}.py")] if below else []
            candidates = candidates or [inside / "__init__.py"]
        else:
            candidates = [entry] if not below and entry.name == f"{top}.py" else []
        for candidate in candidates:
            if candidate.is_file():
                return candidate
    return None


def _parse(file: File, spot: Spot) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except SyntaxError as error:
        what = f"is not valid Python: {error.msg}"
        spot.problems.add(f"{file}:{error.lineno or 1}", f"line {error.lineno or 1}", what, "mend the syntax")
    except (OSError, ValueError, RecursionError) as error:
        spot.note(f"{file} cannot be read as Python: {error}", "mend the file")
    return None


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements of a module's or class's own scope, also those under `if`, `try` and `with`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if isinstance(child, (ast.If, ast.Try, ast.With, ast.ExceptHandler)):
            yield from _statements(child)


def _definition(tree: ast.Module, name: str) -> ast.ClassDef | None:
    found = [node for node in _statements(tree) if isinstance(node, ast.ClassDef) and node.name == name]
    return found[-1] if found else None


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [alias.asname or alias.name for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _is_bound(tree: ast.Module, name: str) -> bool:
    """Whether the name may be there by import or assignment, where its methods cannot be seen."""
    names = {name for node in _statements(tree) for name in _names(node)}
    return name in names or "*" in names


def _methods(definition: ast.ClassDef, tree: ast.Module, below: tuple[str, ...] = ()) -> set[str] | None:
    """Names in the class and its bases; None where a base lies elsewhere or cannot be told."""
    names = {name for node in _statements(definition) for name in _names(node)}
    for base in definition.bases:
        if isinstance(base, ast.Name) and base.id == "object":
            continue
        known = _definition(tree, base.id) if isinstance(base, ast.Name) else None
        if known is None or known.name in below:
            return None
        inherited = _methods(known, tree, (*below, definition.name))
        if inherited is None:
            return None
        names |= inherited
    return names
