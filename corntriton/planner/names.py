"""Finds components and request types by the names that people give them: short names in, full ones out."""

from __future__ import annotations

from collections.abc import Sequence

from corntriton.errors import Problems
from corntriton.planner.demand import ComponentFacts
from corntriton.record.signature import Signature
from corntriton.spec.cluster import Cluster
from corntriton.spec.load import LoadedModel
from corntriton.spec.profiles import Profile, Profiles
from corntriton.spec.validation import choose
from corntriton.spec.workload import Hints, Pin


class Names:
    """The full names, by every name that can be used for them.

    A component is `model/component`; one that several models share has its first model's name, as when it
    is served. The model may be left out where only one thing has that name.

    Attributes:
        component: Full names of components.
        type: Full names of request types.
        signature: Of components, by full name.
        facts: Of components, by full name.
    """

    def __init__(self, models: Sequence[LoadedModel]) -> None:
        owners: dict[str, str] = {}
        self.component: dict[str, str] = {}
        self.signature: dict[str, Signature] = {}
        self.facts: dict[str, ComponentFacts] = {}
        for model in sorted(models, key=lambda model: model.name):
            for name, part in sorted(model.components.items()):
                owner = owners.setdefault(part.key, f"{model.name}/{name}")
                self.component[f"{model.name}/{name}"] = owner
                self.signature[owner] = part.signature
                self.facts[owner] = ComponentFacts(part.spec.kind, part.spec.streaming)
        self.type = {
            f"{model.name}/{name}": f"{model.name}/{name}" for model in models for name in model.paths
        }
        _add_short(self.component)
        _add_short(self.type)


def _add_short(names: dict[str, str]) -> None:
    means: dict[str, set[str]] = {}
    for name, meant in names.items():
        means.setdefault(name.partition("/")[2], set()).add(meant)
    names.update({short: meant.pop() for short, meant in means.items() if len(meant) == 1})


def named_profiles(profiles: Profiles, names: Names, file: str, problems: Problems) -> Profiles:
    """The profiles of known components, under full names; others may serve another model and are left out."""
    known = names.component
    kept: list[Profile] = []
    for index, profile in enumerate(profiles.profiles):
        if profile.component not in known or any(name not in known for name in profile.beside):
            continue
        component = known[profile.component]
        ports = names.signature[component].outputs
        for name in profile.outputs:
            if name not in ports:
                place = f"$.profiles[{index}].outputs.{name}"
                problems.add(
                    file, place, f"is not an output of {component}", choose(name, ports, "remove it")
                )
        beside = tuple(sorted(known[name] for name in profile.beside))
        kept.append(profile.model_copy(update={"component": component, "beside": beside}))
    units = {known[name]: unit for name, unit in profiles.work_units.items() if name in known}
    return profiles.model_copy(update={"work_units": units, "profiles": tuple(kept)})


def named_hints(hints: Hints, names: Names, cluster: Cluster, file: str, problems: Problems) -> Hints:
    """The hints under full names; what they name has to exist, and they may not contradict each other."""

    def find(name: str, place: str) -> str | None:
        if name not in names.component:
            fix = choose(name, names.component, "declare it in model.yaml")
            problems.add(file, place, f"{name!r} is no component, or one of several models", fix)
        return names.component.get(name)

    def sets(kind: str, given: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        found = [{find(name, f"$.hints.{kind}[{k}]") for name in group} for k, group in enumerate(given)]
        return tuple(tuple(sorted(name for name in group if name)) for group in found)

    pins: dict[str, Pin] = {}
    for name, pin in hints.pin.items():
        component = find(name, f"$.hints.pin.{name}")
        _check_pin(pin, f"$.hints.pin.{name}", cluster, file, problems)
        pins.update({component: pin} if component else {})
    named = Hints(
        colocate=sets("colocate", hints.colocate), separate=sets("separate", hints.separate), pin=pins
    )
    for both in (set(one) & set(other) for one in named.colocate for other in named.separate):
        if len(both) > 1:
            what = f"want {' and '.join(sorted(both))} both together and apart"
            problems.add(file, "$.hints", what, "remove one of the two hints")
    return named


def _check_pin(pin: Pin, place: str, cluster: Cluster, file: str, problems: Problems) -> None:
    if pin.device is not None and pin.device not in cluster.devices:
        fix = choose(pin.device, cluster.devices, "remove it")
        problems.add(file, f"{place}.device", f"{pin.device!r} is no device type of the cluster", fix)
    for node in pin.nodes:
        if node not in cluster.nodes:
            fix = choose(node, cluster.nodes, "remove it")
            problems.add(file, f"{place}.nodes", f"{node!r} is no node class of the cluster", fix)
