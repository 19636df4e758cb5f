"""A real tritonserver with hand-written model directories: the runtime is tested without the generator."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import tritonclient.grpc as grpc_client
from numpy.typing import NDArray
from tritonclient.utils import np_to_triton_dtype

import corntriton
from corntriton.record.signature import Port
from corntriton.resources import resource_dir
from corntriton.runtime.settings import ComponentSettings
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.serving.deployment import read_deployment
from corntriton.serving.launch import find_launcher
from corntriton.serving.server import Server
from tests.runtime.memory import memory

_PACKAGE = Path(corntriton.__file__).parent
_CODE = Path(__file__).parent / "parts.py"


class Client:
    """Asks components over gRPC in one line."""

    def __init__(self, server: Server, repository: Path) -> None:
        self.server = server
        self.repository = repository
        self.grpc = grpc_client.InferenceServerClient(server.grpc_url)

    def ask(
        self, model: str, inputs: Mapping[str, NDArray], outputs: list[str] | None = None, **request
    ) -> dict[str, NDArray]:
        result = self.grpc.infer(model, tensors(inputs), outputs=requested(outputs), **request)
        return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}

    def log(self) -> str:
        return "\n".join(line.text for line in self.server.log)


def tensors(inputs: Mapping[str, NDArray]) -> list[grpc_client.InferInput]:
    made = []
    for name, array in inputs.items():
        made.append(grpc_client.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
        made[-1].set_data_from_numpy(array)
    return made


def requested(outputs: list[str] | None) -> list[grpc_client.InferRequestedOutput] | None:
    return None if outputs is None else [grpc_client.InferRequestedOutput(name) for name in outputs]


@pytest.fixture(scope="session")
def runtime_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `build` packs into each model directory."""
    file = tmp_path_factory.mktemp("runtime") / "corntriton_runtime.zip"
    with zipfile.ZipFile(file, "w") as packed:
        for pattern in ("__init__.py", "errors.py", "record/*.py", "runtime/*.py", "runtime/*/*.py"):
            for source in sorted(_PACKAGE.glob(pattern)):
                packed.write(source, source.relative_to(_PACKAGE.parent))
    return file


@pytest.fixture(scope="session")
def write_repository(tmp_path_factory: pytest.TempPathFactory, runtime_zip: Path) -> Callable[..., Path]:
    """Writes a model repository for components; further files come beside their code, by name."""

    def write(*components: ComponentSettings, files: Mapping[str, Path] | None = None) -> Path:
        repository = tmp_path_factory.mktemp("repository")
        for settings in components:
            _write_model(repository, settings, runtime_zip, files or {})
        return repository

    return write


@pytest.fixture(scope="module")
def serve(write_repository: Callable[..., Path]) -> Iterator[Callable[..., Client]]:
    """Serves what write_repository writes, until the module's tests are over."""
    with ExitStack() as stack:

        def start(*components: ComponentSettings, files: Mapping[str, Path] | None = None) -> Client:
            repository = write_repository(*components, files=files)
            server = stack.enter_context(Server(read_deployment(repository), find_launcher()))
            return Client(server, repository)

        yield start


def _write_model(
    repository: Path, settings: ComponentSettings, runtime_zip: Path, files: Mapping[str, Path]
) -> None:
    version = repository / settings.name / "1"
    (version / "code").mkdir(parents=True)
    shutil.copy(_CODE, version / "code")
    shutil.copy(runtime_zip, version)
    shutil.copy(resource_dir("python_backends") / "component" / "model.py", version)
    for name, file in files.items():
        shutil.copy(file, version / name)
    settings.save(version / "component.json")
    (version.parent / "config.pbtxt").write_text(_config(settings))


def _config(settings: ComponentSettings) -> str:
    ragged = settings.max_batch_size > 0
    lines = [
        f'name: "{settings.name}"\nbackend: "python"\nmax_batch_size: {settings.max_batch_size}',
        *(_port("input", name, port, ragged) for name, port in settings.signature.inputs.items()),
        *(_port("output", name, port, False) for name, port in settings.signature.outputs.items()),
        "instance_group [{ kind: KIND_CPU count: 1 }]",
    ]
    if settings.signature.streaming:
        lines.append("model_transaction_policy { decoupled: true }")
    if settings.stateful:
        # The direct strategy fills idle places of a batch with null requests.
        lines.append("sequence_batching { oldest { max_candidate_sequences: 16 } }")
    elif ragged:
        lines.append("dynamic_batching { }")
    return "\n".join(lines)


def _port(kind: str, name: str, port: Port, ragged: bool) -> str:
    dtype = "TYPE_STRING" if port.dtype == "BYTES" else f"TYPE_{port.dtype}"
    dims = [*([-1] if port.list else []), *port.dims]
    extra = " allow_ragged_batch: true" * ragged + " optional: true" * (port.optional and kind == "input")
    return f'{kind} [{{ name: "{name}" data_type: {dtype} dims: {dims}{extra} }}]'


@pytest.fixture
def owned() -> Iterator[OwnedRequest]:
    request = memory().owner.enter()
    yield request
    request.end()
