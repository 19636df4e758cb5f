"""The ways that requests of a recorded path go: an orchestrator's settings in, targets by invocation out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from corntriton.record.path import (
    Argument,
    Chunks,
    Const,
    Element,
    Input,
    Invocation,
    Items,
    Output,
    Path,
    Spread,
)
from corntriton.record.signature import ModelSignature, Port
from corntriton.runtime.routing import stops_of
from corntriton.runtime.settings import OrchestratorSettings, Route, Target


@dataclass(frozen=True)
class Way:
    """A recorded path on one of its routes.

    Attributes:
        share: Of the path's requests.
        path: As recorded.
        model: The ports.
        stops: By invocation, the name of the target that runs it; none for what this server does not have.
        targets: By name.
    """

    share: float
    path: Path
    model: ModelSignature
    stops: Mapping[str, str]
    targets: Mapping[str, Target]

    def target(self, invocation: str) -> Target:
        """What runs an invocation."""
        return self.targets[self.stops[invocation]]

    @property
    def is_here(self) -> bool:
        """Whether this server alone runs it."""
        return not any(self.targets[name].server for name in self.stops.values())

    def is_pulled(self, output: Output, invocation: Invocation) -> bool:
        """Whether an output and the invocation that takes it are on servers of different roles."""
        return self.target(output.invocation).server != self.target(invocation.id).server

    def takes_by_ref(self, invocation: Invocation, name: str) -> bool:
        """Whether an input can be given by ref."""
        return name in self.target(invocation.id).ref_inputs

    def gives_by_ref(self, output: Output) -> bool:
        """Whether an output can be taken by ref."""
        return output.name in self.target(output.invocation).ref_outputs

    def passes_on_device(self, output: Output, invocation: Invocation, name: str) -> bool:
        """Whether an output is given, and this input takes it, as a ref to the memory of a GPU.

        What comes in pieces, from a component that is called once per chunk, may have to be joined.
        """
        [producer] = [each for each in self.path.invocations if each.id == output.invocation]
        return (
            output.name in self.target(output.invocation).dref_outputs
            and name in self.target(invocation.id).dref_inputs
            and not any(isinstance(argument, Chunks) for argument in producer.inputs.values())
        )

    def input_port(self, invocation: Invocation, name: str) -> Port:
        """An input of an invocation's component."""
        return self.model.components[invocation.component].inputs[name]

    def source_port(self, source: Input | Element | Output) -> Port:
        """What a value comes from; an element of a list counts as one value.

        A path that takes a request's input is only for requests that bring it.
        """
        if isinstance(source, Output):
            [invocation] = [each for each in self.path.invocations if each.id == source.invocation]
            return self.model.components[invocation.component].outputs[source.name]
        port = self.model.ports.inputs[source.name if isinstance(source, Input) else source.list]
        return replace(port, optional=False, list=port.list and isinstance(source, Input))


@dataclass(frozen=True)
class Use:
    """One use of a value that is no constant.

    Attributes:
        source: The value.
        chunked: It is taken chunk by chunk.
        listed: It is an element of a list that the flow put together.
        over: The list input for each element of which there is one such use, if there is.
    """

    source: Input | Element | Output
    chunked: bool = False
    listed: bool = False
    over: str | None = None


def ways(settings: OrchestratorSettings, name: str) -> list[Way]:
    """The ways of a recorded path, in the order of its routes; one where no plan was given."""
    path = settings.paths[name]
    routes = settings.routes.get(name) or [Route(1.0, {})]
    return [
        Way(route.share, path, settings.model, stops_of(settings, path, route), settings.targets)
        for route in routes
    ]


def uses_of(argument: Argument, over: str | None = None) -> Iterator[Use]:
    """The uses of values in an argument.

    Args:
        argument: Of a recorded path.
        over: What the invocation is mapped over that takes it.
    """
    if isinstance(argument, Chunks):
        yield from (Use(use.source, True, use.listed, over) for use in uses_of(argument.source))
    elif isinstance(argument, Items):
        for item in argument.items:
            inner = item.items if isinstance(item, Spread) else (item,)
            of = item.over if isinstance(item, Spread) else over
            yield from (Use(source, False, True, of) for source in inner if not isinstance(source, Const))
    elif not isinstance(argument, Const):
        yield Use(argument, over=over)
