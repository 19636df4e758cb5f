"""Checks a plan against the rules, from plan.json alone and with arithmetic of its own; faults come out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from corntriton.planner.plan import Plan

SLACK = 1e-4  # relative: figures in a plan have nine digits, and noise among routes is left out

Json = dict[str, Any]


def faults(plan: Plan, multiple: float = 1.0) -> list[str]:
    """Everything that is wrong with a plan that has to carry this multiple of its workload."""
    return list(_Check(plan.to_json(), multiple).faults())


class _Check:
    def __init__(self, plan: Json, multiple: float) -> None:
        self.plan = plan
        self.multiple = multiple
        self.executors = {executor["name"]: executor for executor in plan["executors"]}
        self.class_of: dict[str, str] = {}
        for name, nodes in plan["cluster"]["nodes"].items():
            own = nodes["names"] or [f"{name}-{index}" for index in range(nodes["count"])]
            self.class_of.update(dict.fromkeys(own, name))

    def faults(self) -> Iterator[str]:
        yield from self._devices()
        yield from self._memory()
        yield from self._demand()
        yield from self._capacity()
        yield from self._links()
        yield from self._hints()
        yield from self._totals()

    def _devices(self) -> Iterator[str]:
        taken: Counter[tuple[str, str, int]] = Counter()
        for executor in self.plan["executors"]:
            for place in executor["instances"]:
                if len(place["devices"]) != executor["devices_per_instance"]:
                    yield f"{executor['name']} has an instance on {place['devices']}"
                node = self.plan["cluster"]["nodes"][self.class_of[place["node"]]]
                for index in place["devices"]:
                    taken[place["node"], executor["device"], index] += 1
                    if index >= node["devices"].get(executor["device"], 0):
                        yield f"{place['node']} has no {executor['device']} {index}"
        yield from (f"{device} is given out {count} times" for device, count in taken.items() if count > 1)

    def _memory(self) -> Iterator[str]:
        for executor in self.plan["executors"]:
            device = self.plan["cluster"]["devices"][executor["device"]]
            usable = device["memory_gib"] * 2**30 * device["usable"]
            used = 0.0
            for cache in executor["caches"]:
                if not self._profile(executor, cache["component"])["memory"]["resident_work"]:
                    used += cache["nbytes"] / executor["devices_per_instance"]
            for member in executor["members"]:
                memory = self._profile(executor, member["component"])["memory"]
                weights, llm = memory["weights_bytes"], self._is_llm(member["component"])
                work = max(i["work"]["mean"] for _, i in self._invocations(member["component"]))
                item = memory["item_bytes"] + (0 if llm else memory["work_bytes"] * work)
                used += (weights + member["max_batch"] * item) / member["tensor_parallel"]
                if executor["devices_per_instance"] % member["tensor_parallel"]:
                    yield f"{member['component']} does not divide the group of {executor['name']}"
            if used > usable * (1 + SLACK):
                yield f"{executor['name']} takes {used:.0f} of {usable:.0f} bytes on each device"

    def _demand(self) -> Iterator[str]:
        shares: Counter[str] = Counter()
        for route in self.plan["routes"]:
            shares[route["request_type"]] += route["share"]
            for invocation in self._demand_of(route)["invocations"]:
                stop = route["stops"][invocation["id"]]
                executor = self.executors[stop["executor"]]
                if invocation["component"] not in [member["component"] for member in executor["members"]]:
                    yield f"{stop['executor']} does not hold {invocation['component']}"
                if not self._count(stop["executor"], stop["node"]):
                    yield f"{stop['executor']} is not on {stop['node']}"
        for demand in self.plan["demands"]:
            if abs(shares[demand["name"]] - 1) > 1e-6:
                yield f"the routes of {demand['name']} add up to {shares[demand['name']]}"

    def _capacity(self) -> Iterator[str]:
        time: Counter[tuple[str, str]] = Counter()
        cache: Counter[tuple[str, str, str]] = Counter()
        for route in self.plan["routes"]:
            demand = self._demand_of(route)
            rate = demand["rate_hz"] * route["share"] * self.multiple
            for invocation in demand["invocations"]:
                stop = route["stops"][invocation["id"]]
                executor = self.executors[stop["executor"]]
                member = self._member(executor, invocation["component"])
                runs = invocation["elements"] * invocation["chunks"]
                seconds = self._seconds(executor, member, invocation["work"]["mean"])
                share = member["tensor_parallel"] / executor["devices_per_instance"]
                at = (stop["executor"], stop["node"])
                time[at] += rate * runs * seconds / member["max_batch"] * share
                cache[at[0], at[1], invocation["component"]] += (
                    rate * runs * seconds * invocation["work"]["mean"]
                )
        ceiling = self.plan["workload"]["ceiling"]
        for (name, node), busy in time.items():
            if busy > ceiling * self._count(name, node) * (1 + SLACK):
                yield f"{name} on {node} is busy {busy} of {self._count(name, node)}"
        for (name, node, component), held in cache.items():
            for own in self.executors[name]["caches"]:
                room = own["nbytes"] * ceiling * self._count(name, node)
                # The part that each llm of an executor gets of its cache follows its use over all nodes.
                alone = len(self.executors[name]["caches"]) == 1
                if (
                    own["component"] == component
                    and alone
                    and held * own["bytes_per_work"] > room * (1 + SLACK)
                ):
                    yield f"the cache of {component} in {name} on {node} holds {held} of {room}"

    def _links(self) -> Iterator[str]:
        used: dict[tuple[str, str], float] = defaultdict(float)
        for route in self.plan["routes"]:
            demand = self._demand_of(route)
            rate = demand["rate_hz"] * route["share"] * self.multiple
            for edge in demand["edges"]:
                one, other = route["stops"][edge["producer"]], route["stops"][edge["consumer"]]
                if one == other:
                    continue
                if one["node"] == other["node"]:
                    used[one["node"], "local"] += rate * edge["nbytes"]
                else:
                    used[one["node"], "out"] += rate * edge["nbytes"]
                    used[other["node"], "in"] += rate * edge["nbytes"]
        for (node, kind), nbytes in used.items():
            spec = self.plan["cluster"]["nodes"][self.class_of[node]]
            limit = spec["local" if kind == "local" else "nic"]["gbit_s"] * 1e9 / 8
            if nbytes > limit * (1 + SLACK) + 1:
                yield f"{node} {kind} carries {nbytes} of {limit} bytes per second"

    def _hints(self) -> Iterator[str]:
        hints = self.plan["workload"]["hints"]
        for executor in self.plan["executors"]:
            inside = {member["component"] for member in executor["members"]}
            for names in hints["separate"]:
                if len(inside & set(names)) > 1:
                    yield f"{executor['name']} joins {names}, which are to be separate"
            for component in inside & set(hints["pin"]):
                pin = hints["pin"][component]
                if pin["device"] not in (None, executor["device"]):
                    yield f"{component} is on {executor['device']}"
                classes = {self.class_of[place["node"]] for place in executor["instances"]}
                if pin["nodes"] and not classes <= set(pin["nodes"]):
                    yield f"{component} is on {classes}"

    def _totals(self) -> Iterator[str]:
        devices: Counter[str] = Counter()
        for executor in self.plan["executors"]:
            devices[executor["device"]] += len(executor["instances"]) * executor["devices_per_instance"]
        totals, kinds = self.plan["totals"], self.plan["cluster"]["devices"]
        if dict(devices) != totals["devices"]:
            yield f"totals say {totals['devices']}, and it is {dict(devices)}"
        cost = sum(count * kinds[device]["cost_per_hour"] for device, count in devices.items())
        if abs(cost - totals["cost_per_hour"]) > 1e-6:
            yield f"totals say {totals['cost_per_hour']}, and it is {cost}"

    def _profile(self, executor: Json, component: str) -> Json:
        member = self._member(executor, component)
        wanted = (
            component,
            executor["device"],
            member["tensor_parallel"],
            member["precision"],
            member["beside"],
        )
        for profile in self.plan["profiles"]["profiles"]:
            key = ("component", "device", "tensor_parallel", "precision", "beside")
            if tuple(profile[name] for name in key) == wanted:
                return profile
        raise KeyError(wanted)

    def _seconds(self, executor: Json, member: Json, work: float) -> float:
        samples = self._profile(executor, member["component"])["samples"]
        batches = sorted({sample["batch"] for sample in samples})
        times = []
        for batch in batches:
            points = sorted((s["work"], s["latency"]["mean_s"]) for s in samples if s["batch"] == batch)
            if len(points) == 1:
                times.append(points[0][1] * work / points[0][0])
            else:
                times.append(float(np.interp(work, *zip(*points, strict=True))))
        return float(np.interp(member["max_batch"], batches, times))

    def _member(self, executor: Json, component: str) -> Json:
        return next(member for member in executor["members"] if member["component"] == component)

    def _demand_of(self, route: Json) -> Json:
        return next(demand for demand in self.plan["demands"] if demand["name"] == route["request_type"])

    def _invocations(self, component: str) -> list[tuple[Json, Json]]:
        return [(d, i) for d in self.plan["demands"] for i in d["invocations"] if i["component"] == component]

    def _count(self, executor: str, node: str) -> int:
        return sum(place["node"] == node for place in self.executors[executor]["instances"])

    def _is_llm(self, component: str) -> bool:
        return bool(self.plan["components"][component]["kind"] == "llm")
