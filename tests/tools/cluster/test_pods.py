"""Pods on this machine: what they have of their own, and what is left when whoever made them is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster.network import BACK, Network, counters
from cluster.pod import Pod, why_no_pods

TOOLS = Path(__file__).parents[3] / "tools"
MAKER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from cluster.network import Network
from cluster.pod import Pod, why_no_pods
if why_no_pods():
    print(why_no_pods(), flush=True)
else:
    with Network({}) as network, Pod("one", 1, ["sleep", "1000"]) as pod:
        network.join(pod)
        pod.run()
        print(pod.pid, flush=True)
        time.sleep(1000)
"""


def test_nothing_of_a_pod_is_left_when_its_maker_is_killed() -> None:
    maker = subprocess.Popen([sys.executable, "-c", MAKER, TOOLS], stdout=subprocess.PIPE, text=True)
    assert maker.stdout is not None
    said = maker.stdout.readline().strip()
    maker.send_signal(signal.SIGKILL)
    maker.communicate()
    if not said.isdecimal():  # a machine without pods says why
        assert said == why_no_pods()
        return
    while Path(f"/proc/{said}").exists():  # pytest's timeout bounds it
        time.sleep(0.05)


def test_what_pods_send_each_other_is_counted_and_can_be_cut() -> None:
    if why_no_pods():  # there are no links then, as Cluster says
        return
    with Network({BACK: 0.1}) as network, Pod("one", 1) as one, Pod("two", 2) as two:
        for pod in (one, two):
            network.join(pod)
        before = counters(two, BACK)
        one.execute("ping", "-c", "1", "-s", "1000", "-W", "5", network.address(BACK, 2))
        assert (counters(two, BACK) - before).into > 1000
        network.cut(two, BACK)
        command = ["nsenter", f"--net=/proc/{one.pid}/ns/net", "ping", "-c", "1", "-W", "1"]
        assert subprocess.run([*command, network.address(BACK, 2)], capture_output=True).returncode != 0
        network.heal(two, BACK)
        one.execute("ping", "-c", "1", "-W", "5", network.address(BACK, 2))
        assert one.shm.stat().st_dev != two.shm.stat().st_dev
    assert network.left() == []
