"""A reading, to be varied."""

from corntriton.profiler.reading import Reading

READING = Reading(
    component="timed/nap",
    beside=(),
    batch=1,
    work=1.0,
    times_s=(1.0, 1.0, 1.2),
    cut=1,
    steady=True,
    first_s=(),
    chunks=1.0,
    saturated_s=1.1,
    queue_s=1.0,
    rows=1.0,
    start_up_s=2.0,
    weights_bytes=1000,
    batch_bytes=100,
    outputs={"text": 8.0},
    others=0.0,
    synthetic=False,
)
