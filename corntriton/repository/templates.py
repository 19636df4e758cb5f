"""Renders the texts of the repository from Jinja templates, the user's own first."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any

import jinja2

from corntriton.errors import Problem, UserError
from corntriton.repository import pbtxt
from corntriton.resources import resource_dir


class Templates:
    """The templates of one build.

    A template that lies in the user's folder wins over the shipped one of the same name; it may still
    include or import those. An undefined variable is an error.
    """

    def __init__(self, own: File | None = None) -> None:
        if own is not None and not own.is_dir():
            what = "is not a folder of templates" if own.exists() else "does not exist"
            raise UserError([Problem(str(own), "$", what, "name the folder that holds your templates")])
        folders = [
            folder for folder in (own, resource_dir("model_repository_templates")) if folder is not None
        ]
        self._environment = jinja2.Environment(
            loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader(folder) for folder in folders]),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters["quote"] = pbtxt.quote

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """The text of a template.

        Raises:
            UserError: The template is wrong: syntax, an unknown variable, an exception while it is rendered.
        """
        try:
            return self._environment.get_template(name).render(values)
        except jinja2.TemplateSyntaxError as error:
            raise _fault(error.filename or name, error.lineno, f"is no template: {error.message}") from error
        except Exception as error:  # a template may call anything
            file, line = _where(error, self.file(name))
            raise _fault(file, line, f"could not be rendered: {error}") from error

    def file(self, name: str) -> str:
        """The path of the template that is used for a name."""
        _, path, _ = self._environment.loader.get_source(self._environment, name)  # type: ignore[union-attr]
        return str(path)


def _fault(file: str, line: int, what: str) -> UserError:
    fix = "correct the template; the shipped ones show what variables there are"
    return UserError([Problem(file, f"line {line}", what, fix)])


def _where(error: Exception, file: str) -> tuple[str, int]:
    """The innermost template line that an exception came through: Jinja puts templates into tracebacks."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return (frames[-1].filename, frames[-1].lineno or 1) if frames else (file, 1)
