"""Runs the tests of device memory on a real GPU, and measures what tensors take from process to process.

    python tools/gpu_check.py [--simulated] [--only WORD] [--json FILE]

Needs a GPU, numpy and cuda-bindings, and nothing else: no server, no network, no pytest. Checks of torch,
onnxruntime and NVML run where those are. Exit code 0 if all is well, 1 if not, 2 if there is no GPU.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import inspect
import json
import os
import shutil
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
_SUITE = ("test_memory", "test_order", "test_faults", "test_processes", "test_peers")
_LIMIT_S = 180
_SIMULATED = {"SCRATCH_BYTES": "4096", "SCRATCH_FILLS": "10", "SIMULATED_CUDA_BYTES": str(1 << 30)}
_ELSEWHERE = (
    ("injected faults of the driver", "only the simulated one has any; see tests/runtime/cuda"),
    ("device refs between components of a tritonserver", "needs a server"),
    ("beside Triton's own BLS tensors", "needs a server"),
)


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks tensors on GPUs, on this machine's.")
    parser.add_argument(
        "--simulated", action="store_true", help="on the simulated driver: to check the checks"
    )
    parser.add_argument("--only", default="", metavar="WORD", help="checks with this in their names")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that is printed, for machines")
    options = parser.parse_args()
    _make_importable()
    with _driver(options.simulated):
        return _run(options.simulated, options.only.replace(" ", "_"), options.json)


def _run(simulated: bool, only: str, file: Path | None) -> int:
    from corntriton.runtime.cuda.device import Device
    from corntriton.runtime.cuda.errors import NoDeviceError
    from corntriton.runtime.cuda.nvml import look_up

    try:
        device = Device.named("cuda:0")
    except NoDeviceError as error:
        print(f"gpu-check: there is no GPU to check: {error}", file=sys.stderr)
        return 2
    if importlib.util.find_spec("numpy") is None:
        print("gpu-check: needs numpy; To fix: pip install numpy", file=sys.stderr)
        return 2
    print(f"{device.model}, {look_up(device.uuid) or 'unknown to NVML'}")
    if simulated:
        print(
            "This is the SIMULATED DRIVER: its figures are the simulated driver's and say nothing of a GPU."
        )
    results = {name: _checked(name, check) for name, check in _checks() if only in name}
    figures = _figures(simulated) if not only or only in "figures" else []
    for name, reason in _ELSEWHERE:
        _say("not run", name, reason)
    if file is not None:
        record = {"device": device.model, "simulated": simulated, "results": results, "figures": figures}
        file.write_text(json.dumps(record, indent=2))
    n_failed = sum(result.startswith("FAILED") for result in results.values())
    print(f"{len(results)} checks, {n_failed} failed")
    return 1 if n_failed else 0


def _checks() -> Iterator[tuple[str, Callable[..., Any]]]:
    from gpu import libraries

    modules = [importlib.import_module(f"tests.runtime.cuda.{name}") for name in _SUITE]
    for module in [*modules, libraries]:
        for name, check in vars(module).items():
            if name.startswith("test_"):
                yield name.removeprefix("test_"), check


def _checked(name: str, check: Callable[..., Any]) -> str:
    from gpu.libraries import NotHereError

    from tests.runtime.cuda.world import World

    faulthandler.dump_traceback_later(_LIMIT_S, exit=True)
    world = World()
    try:
        check(**_needs(check, world))
        result, details = "ok", ""
    except NotHereError as error:
        result, details = "not run", str(error)
    except Exception:
        result, details = "FAILED", traceback.format_exc()
    try:
        world.close()
    except Exception:
        result, details = "FAILED", details + traceback.format_exc()
    faulthandler.cancel_dump_traceback_later()
    _say(result, name.replace("_", " "), details)
    return f"{result}: {details}" if details else result


def _needs(check: Callable[..., Any], world: Any) -> dict[str, Any]:
    """What the fixtures of the same names give under pytest."""
    from gpu.libraries import NotHereError

    from corntriton.runtime.cuda.device import visible_numbers

    needs: dict[str, Any] = {"world": world}
    if "second_gpu" in inspect.signature(check).parameters:
        peers = [number for number in visible_numbers() if number != world.memory.device.number]
        reached = [visible_numbers()[number] for number in peers if world.memory.device.reaches(number)]
        if not reached:
            raise NotHereError("needs a second GPU, of which this one is a peer")
        needs["second_gpu"] = f"cuda:{reached[0]}"
    return needs


def _figures(simulated: bool) -> list[dict[str, float]]:
    from gpu.figures import measure, show

    faulthandler.dump_traceback_later(2 * _LIMIT_S, exit=True)
    os.environ["SIMULATED_CUDA_DELAY_US"] = "0"
    print("\nFrom one process to another, p50" + (", of the SIMULATED DRIVER:" if simulated else ":"))
    figures = measure()
    show(figures)
    print()
    faulthandler.cancel_dump_traceback_later()
    return [figure._asdict() for figure in figures]


def _say(result: str, name: str, details: str) -> None:
    print(f"{result:<8}{name}" + (f": {details}" if details else ""), flush=True)


def _make_importable() -> None:
    """The checkout's packages, whatever is installed under the names."""
    tests = types.ModuleType("tests")
    tests.__path__ = [str(_ROOT / "tests")]
    sys.modules["tests"] = tests
    sys.path.insert(0, str(_ROOT))


@contextmanager
def _driver(simulated: bool) -> Iterator[None]:
    """The machine's, or the simulated one in this process and all that it starts."""
    if not simulated:
        yield
        return
    from tests.runtime.cuda.simulated import build, environment, load

    folder = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="test-simulated-cuda-"))
    try:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        os.environ.update(_SIMULATED, **environment(build(folder), folder))
        load(folder)
        yield
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
