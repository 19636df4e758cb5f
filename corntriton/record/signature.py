"""What goes into and comes out of a component or a model: names, dtypes and dims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

DTYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "BF16", "FP32", "FP64", "BYTES",
)  # fmt: skip


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        dtype: A name of the inference protocol: FP32, INT64, BYTES, ...
        dims: The shape of one item, without the batch dimension; -1 where it varies.
        optional: An input that a call may leave out; an output that a response may lack.
        list: The value is a list of such items, of any length.
    """

    dtype: str
    dims: tuple[int, ...] = (1,)
    optional: bool = False
    list: bool = False

    def to_json(self) -> dict[str, object]:
        """Plain data; defaults are written out."""
        return {"dtype": self.dtype, "dims": [*self.dims], "optional": self.optional, "list": self.list}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Port:
        """The inverse of to_json."""
        dims = data["dims"]
        assert isinstance(dims, list)  # written by to_json
        return cls(str(data["dtype"]), tuple(dims), bool(data["optional"]), bool(data["list"]))


@dataclass(frozen=True)
class Signature:
    """The ports of a component, or of a whole model.

    Attributes:
        inputs: Ports by name.
        outputs: Ports by name.
        streaming: Outputs come in chunks. The value of a whole output is its chunks joined: texts
            (BYTES) are concatenated element by element, numeric arrays along their first dimension.
    """

    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    streaming: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", MappingProxyType(dict(self.inputs)))
        object.__setattr__(self, "outputs", MappingProxyType(dict(self.outputs)))

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "inputs": {name: port.to_json() for name, port in self.inputs.items()},
            "outputs": {name: port.to_json() for name, port in self.outputs.items()},
            "streaming": self.streaming,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Signature:
        """The inverse of to_json."""
        inputs, outputs = data["inputs"], data["outputs"]
        assert isinstance(inputs, dict)  # written by to_json
        assert isinstance(outputs, dict)
        return cls(
            {name: Port.from_json(port) for name, port in inputs.items()},
            {name: Port.from_json(port) for name, port in outputs.items()},
            bool(data["streaming"]),
        )


@dataclass(frozen=True)
class ModelSignature:
    """What a flow may see: the request's inputs, outputs and parameters, and the components it may call."""

    name: str
    ports: Signature
    components: Mapping[str, Signature]

    def __post_init__(self) -> None:
        object.__setattr__(self, "components", MappingProxyType(dict(self.components)))

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        components = {name: signature.to_json() for name, signature in self.components.items()}
        return {"name": self.name, "ports": self.ports.to_json(), "components": components}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> ModelSignature:
        """The inverse of to_json."""
        ports, components = data["ports"], data["components"]
        assert isinstance(ports, dict)  # written by to_json
        assert isinstance(components, dict)
        signatures = {name: Signature.from_json(signature) for name, signature in components.items()}
        return cls(str(data["name"]), Signature.from_json(ports), signatures)
