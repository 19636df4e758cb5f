"""What NVML tells, here of simulated devices."""

from uuid import UUID

from corntriton.runtime.cuda.nvml import look_up
from tests.runtime.cuda.world import MB


def test_devices_are_named_with_their_free_memory(world):
    gpu = look_up(world.memory.device.uuid)
    assert gpu.name == world.memory.device.model == "Simulated GPU 0"
    assert gpu.total_bytes == 256 * MB
    assert gpu.free_bytes <= 252 * MB
    assert str(gpu).startswith("Simulated GPU 0, 0.2 of 0.2 GiB free")


def test_what_nvml_does_not_know_is_nobody(world):
    assert look_up(UUID(int=5)) is None
