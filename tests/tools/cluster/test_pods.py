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
SENDER = """
import socket, sys
socket.socket(type=socket.SOCK_DGRAM).sendto(bytes(1000), (sys.argv[1], 9))
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
        sent = [sys.executable, "-c", SENDER, network.address(BACK, 2)]
        start = counters(two, BACK).into
        one.execute(*sent)
        with_link = counters(two, BACK).into
        network.cut(two, BACK)
        one.execute(*sent)
        without_link = counters(two, BACK).into
        network.heal(two, BACK)
        one.execute(*sent)
        assert with_link - start > 1000
        assert without_link == with_link
        while counters(two, BACK).into - without_link < 1000:  # a healed link takes a moment
            one.execute(*sent)
        assert one.shm.stat().st_dev != two.shm.stat().st_dev
    assert network.left() == []
