"""Makes a config.pbtxt: template and values in; the text, and what Triton's protobuf reads in it, out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from corntriton.errors import Problem, Problems, UserError
from corntriton.repository import pbtxt
from corntriton.repository.faults import Surroundings
from corntriton.repository.overrides import override
from corntriton.repository.rules import check
from corntriton.repository.templates import Templates
from corntriton.spec.files import Place, Spot, json_path


@dataclass(frozen=True)
class Config:
    """The config of one Triton model.

    Attributes:
        text: Of its config.pbtxt.
        message: The ModelConfig that the text says.
        template: The file that it was rendered from.
        overrides: The place of the component's `config:`, and what it says; None for models that have none.
    """

    text: str
    message: pbtxt.ModelConfig
    template: str
    overrides: tuple[Spot, Mapping[str, Any]] | None = None


def make_config(
    templates: Templates,
    template: str,
    values: Mapping[str, Any],
    overrides: tuple[Spot, Mapping[str, Any]] | None = None,
) -> Config:
    """Renders, merges what the user overrides, and parses.

    Raises:
        UserError: The template is wrong, or what it gives is no ModelConfig.
    """
    text, file = templates.render(template, values), templates.file(template)
    try:
        message = pbtxt.parse(text)
    except pbtxt.ParseError as error:
        what = f"gives a config of {values['name']} that is no ModelConfig: {error}"
        raise UserError([Problem(file, "$", what, "correct the template")]) from error
    if overrides and overrides[1]:
        text = override(text, overrides[1], overrides[0])
        message = pbtxt.parse(text)
    return Config(text, message, file, overrides)


def check_configs(
    configs: Mapping[str, Config], others: Mapping[str, Config], embedded: bool, problems: Problems
) -> None:
    """Notes every rule that a config breaks, at the place that it comes from.

    Args:
        configs: What to check, by model folder.
        others: All that an ensemble may name, by model folder.
        embedded: For the embedded server.
        problems: Takes the notes.
    """
    messages = {name: config.message for name, config in others.items()}
    for name, config in sorted(configs.items()):
        for fault in check(config.message, Surroundings(name, embedded, messages)):
            place = _place(fault.field)
            if config.overrides and place[0] in config.overrides[1]:
                config.overrides[0].at(*place).note(fault.what, fault.fix)
            else:
                problems.add(config.template, json_path(place), f"{name}: {fault.what}", fault.fix)


def _place(field: str) -> Place:
    """`instance_group[0].gpus` as the steps that lead there."""
    steps = re.findall(r"[^.\[\]]+", field)
    return tuple(int(step) if step.isdigit() else step for step in steps)
