"""Hosts a stand-in that answers each request once, and takes requests in while others are under way.

The worker runs it as a stream of one chunk (its component.json says so, see rehearsal/roles.py); to Triton it
is a plain model, so the chunk has to leave together with the end.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "corntriton_runtime.zip"))

import triton_python_backend_utils as pb_utils  # noqa: E402

from corntriton.runtime import host  # noqa: E402
from corntriton.runtime.messages import Failure  # noqa: E402
from corntriton.runtime.requests import write_failure, write_response  # noqa: E402
from corntriton.runtime.stream_host import StreamHost  # noqa: E402

_FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class AnsweringOnce(StreamHost):
    """Keeps the one chunk until its stream ends."""

    def __init__(self, settings, keeper):
        self._kept = {}
        super().__init__(settings, keeper)

    def _pass_on(self, chunk):
        self._kept[chunk.slot] = chunk.outputs

    def _end(self, slot, failure, outputs=None):
        outputs, stream = self._kept.pop(slot, None), self._open.pop(slot)
        self._free.put(slot)
        if failure is None and outputs is not None:
            stream.sender.send(write_response(outputs), flags=_FINAL)
        else:
            self._finish(stream, failure or Failure("INTERNAL", "it answered nothing"))

    def _finish(self, stream, failure):
        stream.sender.send(write_failure(self._settings.name, failure), flags=_FINAL)


host.StreamHost = AnsweringOnce


class TritonPythonModel(host.ComponentHost):
    """What the backend looks for."""

    folder = HERE
