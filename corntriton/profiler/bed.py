"""A tritonserver to measure on: nothing is loaded but what is being measured."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path as File
from types import TracebackType

import tritonclient.grpc
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig
from tritonclient.utils import InferenceServerException

from corntriton.errors import CorntritonError
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import Launcher
from corntriton.serving.logs import explain_failure
from corntriton.serving.server import Server
from corntriton.serving.traces import processes_of

_UNLOAD_S, _POLL_S = 60.0, 0.02
_EXIT_S = 5.0


class Bed:
    """One server with one repository, whose models are loaded on demand.

    Args:
        build: What `corntriton build` wrote.
        launcher: The server.
    """

    def __init__(self, build: File, launcher: Launcher) -> None:
        deployment = read_deployment(build)
        self._kinds = deployment.models
        self.repository = deployment.repository
        flags = (*deployment.flags, "--model-control-mode=explicit")
        deployment = replace(deployment, flags=flags, probes=())
        self._server = Server(deployment, launcher, exit_timeout_s=_EXIT_S)
        self._loaded: set[str] = set()

    def __enter__(self) -> Bed:
        self._server.start()
        self._client = tritonclient.grpc.InferenceServerClient(self._server.grpc_url)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()
        self._server.stop()

    @property
    def address(self) -> str:
        """`host:port` of its gRPC."""
        return self._server.grpc_url

    @property
    def version(self) -> str:
        """Of tritonserver."""
        return str(self._client.get_server_metadata().version)

    @property
    def executor(self) -> str:
        """The Triton model of several components, of a build that has one."""
        return next(name for name, kind in self._kinds.items() if kind == "executor")

    def pids(self) -> list[int]:
        """Its processes: tritonserver, and what it started."""
        return processes_of(self._server.id)

    def load(self, model: str, max_batch: int | None = None) -> float:
        """Loads a model, perhaps with a lower batch limit.

        Returns:
            How many seconds it took.

        Raises:
            CorntritonError: It did not load; the message says why, from the server's log.
        """
        config = None if max_batch is None else self._limited(model, max_batch)
        began_s = time.perf_counter()
        try:
            self._client.load_model(model, config=config)
        except InferenceServerException as error:
            reason = explain_failure(self._server.log) or error.message()
            raise CorntritonError(f"{model} did not load: {reason}") from None
        self._loaded.add(model)
        return time.perf_counter() - began_s

    def ensure(self, model: str) -> None:
        """Loads a model beside others, or instead of them where all do not fit."""
        if model in self._loaded:
            return
        try:
            self.load(model)
        except CorntritonError:
            if not self._loaded:
                raise
            self.clear()
            self.load(model)

    def clear(self) -> None:
        """Unloads everything; returns when its processes have ended."""
        for model in self._loaded:
            self._client.unload_model(model)
        give_up_s = time.monotonic() + _UNLOAD_S
        while self._loaded and time.monotonic() < give_up_s:
            index = self._client.get_model_repository_index().models
            going = {entry.name for entry in index if entry.state in ("READY", "UNLOADING")}
            self._loaded &= going
            time.sleep(_POLL_S)
        if self._loaded:
            raise CorntritonError(f"{', '.join(sorted(self._loaded))} did not unload in {_UNLOAD_S:g} s")

    def _limited(self, model: str, max_batch: int) -> str:
        """Its config as Triton's load takes it, with a batch limit."""
        config = text_format.Parse(
            (self.repository / model / "config.pbtxt").read_text(encoding="utf-8"), ModelConfig()
        )
        if config.max_batch_size:
            config.max_batch_size = max_batch
            preferred = [size for size in config.dynamic_batching.preferred_batch_size if size <= max_batch]
            if config.HasField("dynamic_batching"):
                config.dynamic_batching.ClearField("preferred_batch_size")
                config.dynamic_batching.preferred_batch_size.extend(preferred)
        return json.dumps(json_format.MessageToDict(config, preserving_proto_field_name=True))
