"""The names a user may give: what Triton, Python and the rule `<model>__<component>` leave free."""

from __future__ import annotations

import keyword
import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from corntriton.spec.validation import fault

_NAME = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
_PORT = r"^[A-Za-z_][^\s\"\\]*$"
_RESERVED_ENDINGS = ("_stream", "_ready")


def component_model(model: str, component: str) -> str:
    """The Triton model that serves a component."""
    return f"{model}__{component}"


def orchestrator_models(model: str) -> tuple[str, str, str]:
    """The Triton models that a model may take besides its components': unary, streaming, readiness probe."""
    return model, f"{model}_stream", f"{model}_ready"


def _name(text: str) -> str:
    if not re.match(_NAME, text):
        fix = "use lower-case letters, digits and single underscores, a letter first and no underscore last"
        raise fault(f"{text!r} is not a valid name", fix)
    if keyword.iskeyword(text):
        raise fault(f"{text!r} is a word of Python, which a flow could not write", f"rename it to {text}_1")
    return text


def _model_name(text: str) -> str:
    for ending in _RESERVED_ENDINGS:
        if text.endswith(ending):
            what = f"{text!r} ends with {ending}, which is how corntriton names models it adds itself"
            raise fault(what, f"rename the model, for instance to {text[: -len(ending)] or 'model'!r}")
    return _name(text)


def _port_name(text: str) -> str:
    if not re.match(_PORT, text):
        fix = "begin with a letter or an underscore, and leave out blanks, quotes and backslashes"
        raise fault(f"{text!r} is not a valid name of an input or output", fix)
    if text.startswith("corntriton_"):
        fix = f"rename it to {text.removeprefix('corntriton_') or 'x'!r}"
        raise fault(
            f"{text!r} starts with corntriton_, which names what components tell the orchestrator", fix
        )
    for suffix in ("__ref", "__dref"):
        if text.endswith(suffix):
            what = f"{text!r} ends with {suffix}, which names the reference to a tensor"
            raise fault(what, f"rename it to {text.removesuffix(suffix) or 'x'!r}")
    return text


Name = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema({"type": "string", "pattern": _NAME, "examples": ["asr_encoder"]}),
]
ModelName = Annotated[
    str,
    AfterValidator(_model_name),
    WithJsonSchema({"type": "string", "pattern": _NAME, "examples": ["omni"]}),
]
PortName = Annotated[
    str, AfterValidator(_port_name), WithJsonSchema({"type": "string", "pattern": _PORT, "examples": ["pcm"]})
]
