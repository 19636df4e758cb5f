"""Capsules, given to and taken from libraries that we did not write: in host memory, where they can look."""

import gc

import numpy as np
import pytest
import torch

from corntriton.runtime.cuda.dlpack import CPU, forget_unused, give, take
from corntriton.runtime.cuda.source import source_of
from tests.runtime.cuda.outside import Outsider


class Given:
    """An array by our capsules."""

    def __init__(self, array: np.ndarray, device: tuple[int, int] = (CPU, 0)) -> None:
        self.array = array
        self.device = device

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **_):
        return give(self.array.ctypes.data, self.array.shape, self.array.dtype, self.device, self)


class Claims:
    """An array by somebody's capsules, which says that it lies on a GPU."""

    def __init__(self, tensor: torch.Tensor, copy: object = None) -> None:
        self.tensor = tensor
        if copy is not None:
            self.contiguous = lambda: copy

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, *, stream):
        return self.tensor.__dlpack__()


def _alive() -> int:
    gc.collect()
    return sum(type(one) is Given for one in gc.get_objects())


DTYPES = [
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float16",
    "float32",
]


@pytest.mark.parametrize("dtype", [*DTYPES, "float64"])
def test_what_is_given_is_what_numpy_and_torch_see(dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    for see in (np.from_dlpack, torch.from_dlpack):
        seen = see(Given(array))
        assert str(seen.dtype).endswith(dtype)
        assert np.asarray(seen).tolist() == array.tolist()


def test_scalars_and_empty_arrays_are_given_too():
    assert torch.from_dlpack(Given(np.array(5.0))).shape == ()
    assert torch.from_dlpack(Given(np.zeros((0, 3)))).shape == (0, 3)


def test_the_owner_lives_as_long_as_what_was_made_of_it():
    before = _alive()
    tensor = torch.from_dlpack(Given(np.ones(5)))[1:]
    assert _alive() == before + 1
    del tensor
    assert _alive() == before


def test_a_library_that_refuses_a_capsule_raises_its_own_error_and_holds_nothing_for_long():
    before = _alive()
    for _ in range(3):
        with pytest.raises((BufferError, RuntimeError), match=r"[Dd]evice"):
            np.from_dlpack(Given(np.ones(5), device=(2, 0)))
    assert _alive() <= before + 1
    forget_unused()
    assert _alive() == before


@pytest.mark.parametrize("tensor", [torch.arange(12).reshape(3, 4), torch.ones(2, 2, dtype=torch.bool)])
def test_what_torch_gives_is_taken(tensor):
    taken = take(tensor.__dlpack__())
    assert (taken.pointer, taken.shape, taken.contiguous) == (tensor.data_ptr(), tuple(tensor.shape), True)
    assert taken.dtype == tensor.numpy().dtype
    assert taken.nbytes == tensor.numpy().nbytes
    taken.release()


def test_what_numpy_gives_is_taken():
    array = np.arange(6.0).reshape(2, 3)[:, 1:]
    taken = take(array.__dlpack__())
    assert (taken.pointer, taken.shape, taken.contiguous) == (array.ctypes.data, (2, 2), False)
    taken.release()


def test_what_numpy_has_no_dtype_for_is_taken_without_one():
    taken = take(torch.ones(2, dtype=torch.bfloat16).__dlpack__())
    assert taken.dtype is None
    taken.release()


def test_tensors_of_one_element_in_any_layout_are_contiguous():
    for tensor in (torch.ones(1, 1).t(), torch.ones(0, 3).t(), torch.ones(5)[2:3]):
        taken = take(tensor.__dlpack__())
        assert taken.contiguous
        taken.release()


def test_tensors_with_gaps_are_made_whole_if_their_library_can(world):
    device, stream = world.memory.device, world.stream()
    whole = Outsider(stream, 12)
    taken = source_of(Claims(torch.ones(3, 4).t(), copy=whole), device, stream.handle)
    assert taken.pointer == whole.pointer
    taken.release()
    with pytest.raises(TypeError, match="not contiguous"):
        source_of(Claims(torch.ones(3, 4).t()), device, stream.handle)
    whole.close()


def test_tensors_of_dtypes_that_refs_lack_are_refused(world):
    for tensor in (torch.ones(2, dtype=torch.bfloat16), torch.ones((1,) * 9)):
        with pytest.raises(TypeError, match="dimensions of dtype"):
            source_of(Claims(tensor), world.memory.device, world.stream().handle)


def test_tensors_of_a_graph_and_on_the_host_are_taken_as_arrays(world):
    tensor = torch.ones(3, requires_grad=True) * 2
    source = source_of(tensor, world.memory.device, 1)
    assert isinstance(source, np.ndarray)
    assert source.tolist() == [2, 2, 2]
