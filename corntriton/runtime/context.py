"""What a component is told when it is loaded."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from corntriton.runtime.settings import ComponentSettings


@dataclass(frozen=True)
class Context:
    """Handed to `load`.

    Attributes:
        name: The component's name.
        settings: The user's own settings, from model.yaml.
        device: `cpu`, or `cuda:N`.
        instance: Triton's name of this instance.
    """

    name: str
    settings: Mapping[str, Any]
    device: str
    instance: str
    _files: Mapping[str, Path]

    @classmethod
    def of(cls, settings: ComponentSettings, folder: Path, instance: str, device: str) -> Context:
        """For the component whose version folder this is."""
        files = {name: folder / path for name, path in settings.files.items()}
        return cls(settings.name, MappingProxyType(dict(settings.settings)), device, instance, files)

    def file(self, name: str) -> Path:
        """The file or folder that model.yaml lists under this name.

        Raises:
            KeyError: It lists none.
        """
        if name not in self._files:
            known = ", ".join(sorted(self._files)) or "none"
            raise KeyError(f"component {self.name} has no file {name!r}, model.yaml lists {known}")
        return self._files[name]

    def log(self, message: str) -> None:
        """Writes a line to the server's log."""
        print(f"{self.instance}: {message}", file=sys.stderr, flush=True)
