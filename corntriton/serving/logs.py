r"""Reads tritonserver's log: severity, source and text of each line, and why models failed to load.

W1122 00:06:04.258933 7514 pinned_memory_manager.cc:273] "Unable to allocate ..."
I1122 00:06:05.707505 7514 model.py:5] "from a component, through Triton's logger"
a line that a component printed
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from corntriton.serving.machine import has_gpu

_LINE = re.compile(r"([IWEF])\d{4} [\d:.]+ +\d+ ([\w.-]+):\d+\] *(.*)", re.DOTALL)
_SEVERITIES = {"I": "info", "W": "warning", "E": "error", "F": "error"}
# Said at every stop, and on every machine without a GPU.
_NOISE = ("Signal (15) received.",)
_NOISE_WITHOUT_GPU = ("CUDA driver version is insufficient", "CudaDriverHelper has not been initialized")
_FAILED_MODEL = re.compile(r"failed to load '([^']+)' version \S+: (.*)", re.DOTALL)
_REFUSED_MODEL = re.compile(r"Poll failed for model directory '([^']+)': (.*)", re.DOTALL)
_TABLE = re.compile(r"\+[-+]+\+$|\|.*\|$")
_LOADED_MODEL = re.compile(r"successfully loaded '([^']+)'")
_PORT_TAKEN = re.compile(r"failed to start \w+ service: .* already in use")
# Where one module is broken, all models that import it fail at once.
_MODELS_EXPLAINED = 3
_REASON_LINES = 8


@dataclass(frozen=True)
class LogLine:
    """One line.

    Attributes:
        severity: `info`, `warning`, `error`, or `output` for what a component printed.
        source: The source file that logged it; empty for output.
        text: Without the head; its line breaks are real.
    """

    severity: str
    source: str
    text: str

    @property
    def notable(self) -> bool:
        """Worth a user's time: warnings, errors, and whatever components say."""
        noises = _NOISE if has_gpu() else _NOISE + _NOISE_WITHOUT_GPU
        if any(noise in self.text for noise in noises):
            return False
        return self.severity != "info" or self.source.endswith(".py")

    @property
    def loaded_model(self) -> str | None:
        """The model that this line says is loaded."""
        match = _LOADED_MODEL.search(self.text) if self.source.endswith(".cc") else None
        return match[1] if match else None

    @property
    def port_taken(self) -> bool:
        """Another process listens on a port that the server was given."""
        return self.severity == "error" and _PORT_TAKEN.search(self.text) is not None

    def __str__(self) -> str:
        head = "" if self.severity == "output" else f"{self.severity}: "
        return head + self.text.replace("\n", "\n    ")


def parse_line(raw: str) -> LogLine | None:
    """None for what carries nothing: empty lines and the tables that the server draws as it starts."""
    raw = raw.rstrip()
    if not raw or _TABLE.match(raw):
        return None
    match = _LINE.match(raw)
    if match is None:
        return LogLine("output", "", raw)
    text = match[3]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = _unescape(text[1:-1])
    return LogLine(_SEVERITIES[match[1]], match[2], text.rstrip()) if text else None


def explain_failure(lines: Iterable[LogLine]) -> str:
    """Each model that failed with its reason; where no model is to blame, the last errors."""
    lines = list(lines)
    reasons: dict[str, str] = {}
    for line in lines:
        match = _FAILED_MODEL.search(line.text) or _REFUSED_MODEL.search(line.text)
        if line.severity == "error" and match:
            reasons.setdefault(match[1].rpartition("/")[2], match[2].rstrip())
    if reasons:
        told = [f"{name}: {_shorten(text)}" for name, text in [*reasons.items()][:_MODELS_EXPLAINED]]
        others = ", ".join([*reasons][_MODELS_EXPLAINED:])
        return "\n".join([*told, f"also failed: {others}"] if others else told)
    errors = [line for line in lines if line.notable and line.severity in ("error", "output")]
    return "\n".join(line.text for line in errors[-10:]) or "it gave no reason"


def _shorten(reason: str) -> str:
    """The message and the nearest lines of the traceback, without the frames of Python's import system."""
    lines = [line for line in reason.splitlines() if line.strip() and "<frozen importlib" not in line]
    return "\n    ".join(lines[:_REASON_LINES])


def _unescape(text: str) -> str:
    """Undoes the escapes of Triton's logger, which writes JSON strings."""
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda match: escapes.get(match[1], match[1]), text)
