"""Several GPUs of a node."""

from tests.runtime.cuda.outside import Outsider


def test_a_gpu_reads_from_its_peers(world, second_gpu):
    consumer, request = world.process(device=second_gpu), world.shared.owner.enter()
    stream = world.stream()
    for fill in (1, 2, 3):
        source = Outsider(stream, 1000)
        stream.keep_busy()
        source.fill(fill)
        packed = world.memory.put(source, request.tag)
        assert consumer.ask("read", packed.hex(), fill, True) == "right"
        source.close()
    assert world.memory.shares
