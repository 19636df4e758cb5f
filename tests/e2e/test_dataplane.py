"""Large tensors pass through memory that components share: content, batches, limits, and what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from corntriton.serving.server import Server
from corntriton.serving.traces import processes_of, traces_of
from tests.e2e.conftest import Watched

pytestmark = pytest.mark.server
MB = 2**20
TOO_LARGE = 9 * MB


@pytest.fixture(scope="module")
def passing(build_and_serve: Callable[..., Server]) -> Iterator[Watched]:
    with build_and_serve("passing/model.yaml", "passing/spilling.yaml") as server:
        yield Watched(server)
        arenas = arenas_of(server)
    assert traces_of(server.id) == []
    assert arenas
    assert [arena for arena in arenas if arena.exists()] == []


def arenas_of(server: Server) -> list[Path]:
    return [
        path for pid in processes_of(server.id) for path in Path("/dev/shm").glob(f"corntriton-arena-{pid}-*")
    ]


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_images_of_different_sizes_are_computed_in_one_batch(passing: Watched, protocol: str) -> None:
    images = [image(10 * number, 5 + number) for number in range(1, 9)]

    def ask(content: np.ndarray) -> dict[str, np.ndarray]:
        with passing.connect(protocol) as client:
            return client.infer("passing", {"image": content}, ["image", "batch"])

    with ThreadPoolExecutor(len(images)) as pool:
        answers = [*pool.map(ask, images)]
    for answer, content in zip(answers, images, strict=True):
        assert np.array_equal(answer["image"], 255 - content)
    assert {answer["batch"].item() for answer in answers} == {len(images)}


@pytest.mark.parametrize("shape", [(0, 7), (1, 1), (700, 900)])
def test_tensors_of_any_size_come_through_even_empty_ones(passing: Watched, shape: tuple[int, int]) -> None:
    with passing.connect("grpc") as client:
        answer = client.infer("passing", {"image": image(*shape)}, ["image"])
    assert np.array_equal(answer["image"], 255 - image(*shape))


@pytest.mark.parametrize("lines", [[], [b""], [b"one", b"", "zwei über".encode()], [b"x" * MB, b"y"]])
def test_texts_come_through_memory_too(passing: Watched, lines: list[bytes]) -> None:
    with passing.connect("grpc") as client:
        given = np.array(lines, object)
        assert client.infer("passing", {"lines": given}, ["lines"])["lines"].tolist() == lines


def test_triton_itself_does_not_see_the_tensors(passing: Watched) -> None:
    before = regions_bytes(passing)
    with passing.connect("grpc") as client:
        answer = client.infer("passing", {"size": np.array([6 * MB])}, ["total"])
    assert answer["total"].item() == 6 * MB
    assert regions_bytes(passing) == before


def regions_bytes(watched: Watched) -> int:
    return sum(path.stat().st_size for path in Path("/dev/shm").glob(f"{watched.server.id}-*"))


def test_memory_is_used_again_when_requests_have_ended(passing: Watched) -> None:
    with passing.connect("grpc") as client:
        for size in np.random.default_rng(1).integers(1, 8 * MB, 40):
            assert client.infer("passing", {"size": np.array([size])}, ["total"])["total"].item() == size


def test_a_tensor_that_no_arena_could_hold_fails_and_says_what_to_change(passing: Watched) -> None:
    with passing.connect("grpc") as client:
        with pytest.raises(
            InferenceServerException, match=r"component fill: .*To fix: raise arena.max_bytes"
        ):
            client.infer("passing", {"size": np.array([TOO_LARGE])}, ["total"])
        assert client.infer("passing", {"size": np.array([5])}, ["total"])["total"].item() == 5


def test_a_tensor_that_no_arena_could_hold_passes_inline_where_the_model_says_so(passing: Watched) -> None:
    with passing.connect("grpc") as client:
        for size in (5, TOO_LARGE, 6):
            answer = client.infer("spilling", {"size": np.array([size])}, ["total"])
            assert answer["total"].item() == size
        large = image(1000, TOO_LARGE // 3000)
        answer = client.infer("spilling", {"image": large}, ["image"])
        assert np.array_equal(answer["image"], 255 - large)


def test_components_take_and_give_tensors_inline_to_clients_that_call_them_themselves(
    passing: Watched,
) -> None:
    with passing.connect("http") as client:
        answer = client.infer("passing__invert", {"image": image(3, 4)[None]}, ["image"])
        assert np.array_equal(answer["image"][0], 255 - image(3, 4))
