"""Tensors by ref on both sides of a call: what an orchestrator sends, a component gets, and the way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from corntriton.record.signature import Port, Signature
from corntriton.runtime.answer import Ports
from corntriton.runtime.batch import BatchRunner
from corntriton.runtime.compiled import Constant
from corntriton.runtime.context import Context
from corntriton.runtime.messages import Call, Failure
from corntriton.runtime.refs import Refs
from corntriton.runtime.shm.memory import SharedMemory
from corntriton.runtime.shm.owner import OwnedRequest
from corntriton.runtime.values import RefValue, TensorValue
from tests.runtime.memory import memory

IMAGE, IMAGES = Port("UINT8", (-1, -1)), Port("UINT8", (-1, -1), list=True)
TEXTS = Port("BYTES", (-1,))
SIGNATURE = Signature({"image": IMAGE}, {"image": IMAGE, "images": IMAGES})
SMALL, LARGE = np.arange(6, dtype=np.uint8).reshape(2, 3), np.arange(200, dtype=np.uint8).reshape(10, 20)


class Tensor:
    """As the server gives them."""

    def __init__(self, array: Any) -> None:
        self._array = array

    def as_numpy(self) -> Any:
        return self._array


@pytest.fixture
def refs(owned: OwnedRequest) -> Refs:
    return Refs(memory(), owned.tag, 0)


def flip(items: Any) -> Any:
    return [{"image": 255 - item["image"], "images": [item["image"], item["image"].T]} for item in items]


def run(call: Call, component: Any = flip, shared: SharedMemory | None = None, spills: bool = False) -> Any:
    ports = Ports(SIGNATURE, batched=True, memory=shared or memory(), spills=spills)
    return BatchRunner(component, ports, repeatable=True).run([call], bytes(1))[0]


def call_of(owned: OwnedRequest | None, inputs: Any, *wanted: str, deadline_ns: int | None = None) -> Call:
    return Call(inputs, frozenset(wanted), deadline_ns, owned and owned.text)


def test_a_value_that_lies_in_shared_memory_is_only_named(refs: Refs) -> None:
    packed = refs.pack(SMALL, IMAGE)
    value = refs.unpack(packed)
    assert isinstance(value, RefValue)
    assert refs.pack(value, IMAGE).tobytes() == packed.tobytes()
    assert (value.item == SMALL).all()


def test_a_request_s_tensor_is_copied_once_however_many_components_want_it(refs: Refs) -> None:
    value = TensorValue(Tensor(SMALL), batched=False)
    assert refs.pack(value, IMAGE).tobytes() == refs.pack(value, IMAGE).tobytes()


def test_the_elements_of_a_list_have_refs_of_their_own_whatever_their_shapes(refs: Refs) -> None:
    first = refs.unpack(refs.pack(SMALL, IMAGE))
    packed = refs.pack([first, LARGE], IMAGES)
    assert packed.shape == (2, 192)
    read = refs.unpack(packed)
    assert isinstance(read, list)
    assert [each.item.tolist() for each in read] == [SMALL.tolist(), LARGE.tolist()]


def test_texts_and_constants_pass_by_ref_too(refs: Refs) -> None:
    texts = refs.unpack(refs.pack(np.array([b"a", b""], object), TEXTS))
    constant = refs.unpack(refs.pack(Constant(["\u00e9"]), TEXTS))
    assert isinstance(texts, RefValue)
    assert isinstance(constant, RefValue)
    assert texts.item.tolist() == [b"a", b""]
    assert constant.item.tolist() == ["\u00e9".encode()]


def test_images_of_different_size_are_one_batch(owned: OwnedRequest, refs: Refs) -> None:
    sizes = []

    def component(items: Any) -> Any:
        sizes.append([item["image"].shape for item in items])
        return flip(items)

    rows = np.stack([refs.pack(SMALL, IMAGE), refs.pack(LARGE, IMAGE)])
    outputs = run(call_of(owned, {"image__ref": rows}, "image__ref"), component)
    assert sizes == [[SMALL.shape, LARGE.shape]]
    assert [(255 - refs.unpack(row).item).tolist() for row in outputs["image__ref"]] == [
        SMALL.tolist(),
        LARGE.tolist(),
    ]


def test_outputs_come_inline_by_ref_or_both_as_they_are_asked_for(owned: OwnedRequest, refs: Refs) -> None:
    for wanted in ({"image"}, {"image__ref"}, {"image", "image__ref"}, {"images__ref", "image"}):
        outputs = run(call_of(owned, {"image": SMALL[None]}, *wanted))
        assert outputs.keys() == wanted
    assert outputs["images__ref"].shape == (1, 2, 192)
    assert [each.item.shape for each in refs.unpack(outputs["images__ref"][0])] == [(2, 3), (3, 2)]


def test_memory_that_a_component_asked_for_is_not_copied(owned: OwnedRequest, refs: Refs) -> None:
    context = Context("c", {}, "cpu", "c_0", {}, memory())
    made = []

    def component(items: Any) -> Any:
        array = context.empty((100, 200), np.uint8)
        array[:] = 1
        made.append(array)
        return [{"image": array}]

    outputs = run(call_of(owned, {"image": SMALL[None]}, "image__ref"), component)
    made[0][0, 0] = 77  # what its ref names is this very memory
    assert refs.unpack(outputs["image__ref"][0]).item[0, 0] == 77


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({"image__ref": np.zeros((1, 192), np.uint8)}, "the input image__ref: these bytes are no ref"),
        ({"image__ref": np.zeros((1, 100), np.uint8)}, "has shape [100], which no refs have"),
        ({"image__ref": np.zeros((1, 192), np.float32)}, "which no refs have"),
        ({"image": SMALL[None], "image__ref": np.zeros((1, 192), np.uint8)}, "is given twice"),
        ({}, "the input image is missing"),
    ],
)
def test_inputs_that_are_no_refs_are_refused(owned: OwnedRequest, inputs: Any, text: str) -> None:
    failure = run(call_of(owned, inputs, "image"))
    assert isinstance(failure, Failure)
    assert failure.code == "INVALID_ARG"
    assert text in failure.text


def test_a_ref_to_a_tensor_of_another_sort_is_refused(owned: OwnedRequest, refs: Refs) -> None:
    wrong = refs.pack(np.zeros((2, 3), np.float32), Port("FP32", (-1, -1)))
    failure = run(call_of(owned, {"image__ref": wrong[None]}, "image"))
    assert (failure.code, failure.text) == (
        "INVALID_ARG",
        "the input image__ref names a tensor of float32 [2, 3], not UINT8 [-1, -1]",
    )


def test_nobody_gets_a_ref_who_does_not_name_a_live_request() -> None:
    ended = memory().owner.enter()
    ended.end()
    made_up = ended.text[:-1] + ("0" if ended.text[-1] != "0" else "1")
    calls = [Call({"image": SMALL[None]}, frozenset({"image__ref"}), None, owner) for owner in (None, "x")]
    calls += [
        Call({"image": SMALL[None]}, frozenset({"image"}), None, owner) for owner in (ended.text, made_up)
    ]
    for call in calls:
        failure = run(call)
        assert isinstance(failure, Failure)
        assert failure.code == "INVALID_ARG"
        assert "owner" in failure.text or "own it" in failure.text


@pytest.fixture
def tiny() -> Iterator[SharedMemory]:
    small = SharedMemory(1 << 16, n_slots=8)
    yield small
    small.close()


def huge(items: Any) -> Any:
    return [{"image": np.zeros((1 << 9, 1 << 9), np.uint8), "images": []} for _ in items]


def test_a_tensor_larger_than_the_arena_fails_with_the_setting_that_helps(
    owned: OwnedRequest, tiny: SharedMemory
) -> None:
    failure = run(call_of(owned, {"image": SMALL[None]}, "image__ref"), huge, tiny)
    assert failure.code == "INTERNAL"
    assert "larger than its arena may be, 65536; To fix: raise arena.max_bytes" in failure.text


def test_or_it_passes_inline_where_that_is_wanted(owned: OwnedRequest, tiny: SharedMemory) -> None:
    call = call_of(owned, {"image": SMALL[None]}, "image__ref", "image")
    assert run(call, huge, tiny, spills=True).keys() == {"image"}
    assert run(call, flip, tiny, spills=True).keys() == {"image__ref"}


def test_a_full_arena_makes_a_call_wait_until_its_deadline(owned: OwnedRequest, tiny: SharedMemory) -> None:
    def fill(items: Any) -> Any:
        return [{"image": np.zeros((1 << 8, 1 << 7), np.uint8)} for _ in items]

    for _ in range(2):
        kept = run(call_of(owned, {"image": SMALL[None]}, "image__ref"), fill, tiny)
        assert kept.keys() == {"image__ref"}
    soon_ns = time.monotonic_ns() + 50_000_000
    failure = run(call_of(owned, {"image": SMALL[None]}, "image__ref", deadline_ns=soon_ns), fill, tiny)
    assert time.monotonic_ns() >= soon_ns
    assert (failure.code, failure.text) == (
        "UNAVAILABLE",
        "its arena of 65536 bytes has no room for 32768 more",
    )
