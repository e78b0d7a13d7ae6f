"""MobileStyleGAN's OpenVINO graphs (mapping and synthesis) as a state dict of its torch module."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError
from lowrankgan.generators.readers.openvino_ir import Node, read_openvino_ir


def read_mobilestylegan(folder: Path) -> dict[str, Tensor]:
    """Read `{Mapping,Synthesis}Network.{xml,bin}` of `folder`, as random-face publishes them.

    Returns:
        Float32 state dict of `lowrankgan.generators.mobilestylegan.MobileStyleGAN` without its
        `w_mean`, which the files do not hold. Every style's constant factor is folded into its
        affine layer.

    Raises:
        LowRankGANError: a file is missing or broken, or the graph is not MobileStyleGAN's.
    """
    state: dict[str, Tensor] = {}
    for part, read in (("MappingNetwork", _read_mapping), ("SynthesisNetwork", _read_synthesis)):
        xml = folder / f"{part}.xml"
        nodes = read_openvino_ir(xml, folder / f"{part}.bin")
        try:
            state |= read(_Graph(nodes))
        except (LookupError, ValueError, TypeError, RuntimeError) as error:
            raise LowRankGANError(
                f"{xml}: is not the graph of a MobileStyleGAN ({error})"
            ) from error
    return state


class _Graph:
    """Nodes with the two look-ups that reading a graph takes: operands and consumers."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes
        self.consumers: dict[str, list[str]] = {}
        for identity, node in nodes.items():
            for source in node.inputs:
                self.consumers.setdefault(source, []).append(identity)

    def of_type(self, op: str) -> list[str]:
        found = [identity for identity, node in self.nodes.items() if node.op == op]
        if not found:
            raise ValueError(f"it has no {op}")
        return found

    def constant(self, identity: str) -> tuple[str, Tensor]:
        """Name and value of the constant that feeds a node."""
        for source in self.nodes[identity].inputs:
            node = self.nodes[source]
            if node.value is not None:
                return node.name, node.value
        raise ValueError(f"{self.nodes[identity].name} has no constant operand")

    def consumer(self, identity: str, op: str) -> str:
        """The one consumer of a node that is of type `op`."""
        (found,) = (c for c in self.consumers.get(identity, []) if self.nodes[c].op == op)
        return found


def _read_mapping(graph: _Graph) -> dict[str, Tensor]:
    state = {}
    for index, product in enumerate(graph.of_type("MatMul")):
        state[f"mapping_layers.{index}.weight"] = graph.constant(product)[1]
        added = graph.nodes[graph.consumer(product, "Add")]
        (reshape,) = (source for source in added.inputs if source != product)
        state[f"mapping_layers.{index}.bias"] = graph.constant(reshape)[1]
    return state


def _read_synthesis(graph: _Graph) -> dict[str, Tensor]:
    state = {}
    for product in graph.of_type("MatMul"):
        name, weight = graph.constant(product)
        added = graph.consumer(product, "Add")
        bias = graph.constant(added)[1].flatten()
        factor = _style_factor(graph, added)
        layer = _layer(name)
        state[f"{layer}.affine.weight"], state[f"{layer}.affine.bias"] = (
            weight * factor,
            bias * factor,
        )
    for node in graph.nodes.values():
        if node.op == "Const" and node.name == "m.input.input" and node.value is not None:
            state["const"] = node.value
    for convolution in graph.of_type("Convolution"):
        state |= _read_convolution(graph, convolution)
    _order_bands(state)
    return state


def _layer(name: str) -> str:
    """`m.layers.6.conv1.conv.modulation.weight` and its kin to `blocks.6.conv1`."""
    parts = name.split(".")
    if parts[1] == "layers":
        return {"to_img": "to_rgb"}.get(parts[3], f"blocks.{int(parts[2])}.{parts[3]}")
    return parts[1]


def _style_factor(graph: _Graph, style: str) -> float:
    """The scalar that a reshaped style is multiplied with; the up layers have none."""
    multiplied = graph.consumers[graph.consumer(style, "Reshape")]
    values = [graph.constant(m)[1] for m in multiplied if _has_constant(graph, m)]
    return float(values[0]) if values else 1.0


def _has_constant(graph: _Graph, identity: str) -> bool:
    return any(graph.nodes[source].value is not None for source in graph.nodes[identity].inputs)


def _read_convolution(graph: _Graph, convolution: str) -> dict[str, Tensor]:
    _, weight = graph.constant(convolution)
    added = graph.consumer(convolution, "Add")
    bias_name, bias = graph.constant(added)
    layer = _layer(bias_name) if bias_name.startswith("m.") else ""
    state = {}
    if not layer:  # the first addition is the noise that was baked in; the bias follows
        noise = bias
        bias_name, bias = graph.constant(graph.consumer(added, "Add"))
        layer = _layer(bias_name)
        state[f"{layer}.noise"] = noise
    for source in graph.nodes[convolution].inputs:
        if graph.nodes[source].op == "GroupConvolution":
            state[f"{layer}.depthwise"] = graph.constant(source)[1].squeeze(1)
    return state | {f"{layer}.weight": weight, f"{layer}.bias": bias.flatten()}


def _order_bands(state: dict[str, Tensor]) -> None:
    """Put each wavelet band's channels side by side, as `inverse_haar` reads them.

    The files hold the approximation, then (vertical, horizontal, diagonal) triples by channel.
    """
    ups = sum(key.endswith(".up.affine.bias") for key in state)
    for index in range(ups + 1):
        before = f"blocks.{index - 1}.conv2" if index else "conv1"
        if index == ups:
            before = "to_rgb"
        names = [f"{before}.weight", f"{before}.bias"]
        if index < ups:
            names += [f"blocks.{index}.up.affine.weight", f"blocks.{index}.up.affine.bias"]
        for name in names:
            quarter = len(state[name]) // 4
            detail = torch.arange(quarter, 4 * quarter).reshape(quarter, 3).T.flatten()
            state[name] = state[name][torch.cat([torch.arange(quarter), detail])]
