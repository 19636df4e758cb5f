"""The components of the omni example. Their weights lie in local folders; no hub is asked for anything."""

import os

os.environ.update(
    HF_HUB_OFFLINE="1",
    TQDM_DISABLE="1",  # a server's log is no place for progress bars
    OMP_WAIT_POLICY="PASSIVE",  # the components share the cores, so threads that wait must not spin
)
