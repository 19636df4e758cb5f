"""What Triton's stub runs for a component, or an executor of several: passes requests to a worker process.

Triton ── execute(requests) ──> ComponentHost ── calls ──> worker process: load, __call__ / stream
                                 (this process stays          (may hang, crash, be killed:
                                  healthy, always)              is replaced)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

from corntriton.runtime.batch_host import BatchHost
from corntriton.runtime.inline import InlineWorker
from corntriton.runtime.keeper import Died, Keeper
from corntriton.runtime.messages import Order
from corntriton.runtime.numpy_check import numpy_problem
from corntriton.runtime.process import WorkerProcess
from corntriton.runtime.settings import ComponentSettings, ExecutorSettings
from corntriton.runtime.stream_host import StreamHost


class ComponentHost:
    """A TritonPythonModel; the shim says which folder it is for."""

    folder: Path

    def initialize(self, args: Mapping[str, str]) -> None:
        """Starts the worker and waits until it has loaded the component.

        Raises:
            pb_utils.TritonModelException: It did not load; its traceback is in the log.
        """
        settings = _settings(self.folder)
        problem = numpy_problem()
        if problem is not None:
            raise pb_utils.TritonModelException(f"component {settings.name}: {problem}")
        order = Order(self.folder, args["model_instance_name"], _device(args))
        worker = WorkerProcess if settings.isolated else InlineWorker
        keeper = Keeper(lambda: worker(order, settings.slots))
        _await_first_load(settings.name, keeper)
        self._host: StreamHost | BatchHost
        if isinstance(settings, ExecutorSettings) or settings.signature.streaming:
            self._host = StreamHost(settings, keeper)
        else:
            self._host = BatchHost(settings, keeper)

    def execute(self, requests: Sequence[Any]) -> list[Any] | None:
        """Responses, or None where they come through the requests' response senders."""
        return self._host.execute(requests)

    def finalize(self) -> None:
        """Unloads the component and ends the worker."""
        self._host.stop()


def _settings(folder: Path) -> ComponentSettings | ExecutorSettings:
    executor = folder / "executor.json"
    return (
        ExecutorSettings.load(executor)
        if executor.exists()
        else ComponentSettings.load(folder / "component.json")
    )


def _device(args: Mapping[str, str]) -> str:
    return f"cuda:{args['model_instance_device_id']}" if args["model_instance_kind"] == "GPU" else "cpu"


def _await_first_load(name: str, keeper: Keeper) -> None:
    while not keeper.loaded.is_set():
        if isinstance(keeper.step(timeout_s=1.0), Died) and keeper.load_failure is not None:
            failure = keeper.load_failure
            if failure.trace:
                pb_utils.Logger.log_error(f"component {name} did not load\n{failure.trace}")
            raise pb_utils.TritonModelException(f"component {name} did not load: {failure.text}")
