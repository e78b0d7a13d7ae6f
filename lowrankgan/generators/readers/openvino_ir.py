"""Reader of OpenVINO IR (an XML graph beside a flat file of constants), without OpenVINO.

The file pair is treated as hostile: XML that declares a document type is refused (no entity can
expand), every constant is checked against the size of the weight file before it is touched, and
nothing is executed.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

from lowrankgan.errors import LowRankGANError

_MAX_XML_BYTES = 16 << 20
_MOST_DIGITS, _MOST_DIMENSIONS = 12, 8  # of the numbers and of the shape of a constant
_MAX_SHARE = 4  # of the constants, which may overlap, over the bytes of the weights
_DTYPES: dict[str, np.dtype[Any]] = {
    "f32": np.dtype("<f4"),
    "i32": np.dtype("<i4"),
    "i64": np.dtype("<i8"),
}


@dataclass(frozen=True)
class Node:
    """An operation of the graph.

    Attributes:
        op: operation type as OpenVINO names it, such as `Convolution`.
        name: name that the exporting framework gave it.
        inputs: ids of the nodes that feed it, in port order.
        value: the constant's tensor for `op == "Const"`, else None.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    value: Tensor | None


def read_openvino_ir(xml: Path, binary: Path) -> dict[str, Node]:
    """Read an OpenVINO IR version 10 graph with its constants.

    Args:
        xml: the graph.
        binary: the constants, little-endian, addressed by offset and size.

    Returns:
        Nodes by id, in the file's order, which is a topological one.

    Raises:
        LowRankGANError: a file is missing, too large, not IR version 10, or inconsistent.
    """
    root = _parse(xml)
    try:
        weights = binary.read_bytes()
    except OSError as error:
        raise LowRankGANError(f"{binary}: cannot be read ({error.strerror})") from error
    inputs: dict[str, list[tuple[int, str]]] = {}
    for edge in root.iterfind("edges/edge"):
        number = _attribute(xml, edge, "to-port")
        if not number.isdecimal() or len(number) > 9:
            raise LowRankGANError(f"{xml}: an edge has the port {number!r}, expected a number")
        port = (int(number), _attribute(xml, edge, "from-layer"))
        inputs.setdefault(_attribute(xml, edge, "to-layer"), []).append(port)
    nodes: dict[str, Node] = {}
    held = 0
    for layer in root.iterfind("layers/layer"):
        identity, op = _attribute(xml, layer, "id"), _attribute(xml, layer, "type")
        value = _constant(xml, layer, weights) if op == "Const" else None
        held += value.nbytes if value is not None else 0
        if held > _MAX_SHARE * len(weights):
            raise LowRankGANError(
                f"{xml}: its constants claim over {_MAX_SHARE} times the bytes of {binary}"
            )
        nodes[identity] = Node(
            op=op,
            name=_attribute(xml, layer, "name"),
            inputs=tuple(source for _, source in sorted(inputs.get(identity, []))),
            value=value,
        )
    return nodes


def _parse(xml: Path) -> ElementTree.Element:
    try:
        with xml.open("rb") as file:
            text = file.read(_MAX_XML_BYTES + 1)
    except OSError as error:
        raise LowRankGANError(f"{xml}: cannot be read ({error.strerror})") from error
    if len(text) > _MAX_XML_BYTES:
        raise LowRankGANError(f"{xml}: more than {_MAX_XML_BYTES} bytes of XML")
    # In UTF-16 a declaration would be other bytes.
    if b"\0" in text or re.search(rb"<!(DOCTYPE|ENTITY)", text):
        raise LowRankGANError(
            f"{xml}: is not UTF-8 or declares a document type, as no OpenVINO graph does"
        )
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # or an unknown encoding
        raise LowRankGANError(f"{xml}: is not XML ({error})") from error
    if root.tag != "net" or root.get("version") != "10":
        raise LowRankGANError(f'{xml}: expected an OpenVINO graph (<net version="10">)')
    return root


def _attribute(xml: Path, element: ElementTree.Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise LowRankGANError(f"{xml}: <{element.tag}> lacks the attribute {name!r}")
    return value


def _number(text: str) -> int:
    """A whole number that a file of weights can mean.

    Raises:
        ValueError: it is none, or has more digits.
    """
    if len(text) > _MOST_DIGITS:
        raise ValueError
    return int(text)


def _constant(xml: Path, layer: ElementTree.Element, weights: bytes) -> Tensor:
    name, data = _attribute(xml, layer, "name"), layer.find("data")
    if data is None:
        raise LowRankGANError(f"{xml}: constant {name!r} has no data")
    kind = _attribute(xml, data, "element_type")
    if kind not in _DTYPES:
        raise LowRankGANError(
            f"{xml}: constant {name!r} is {kind}, expected one of {list(_DTYPES)}"
        )
    try:
        shape = [_number(n) for n in _attribute(xml, data, "shape").split(",") if n.strip()]
        offset, size = (_number(_attribute(xml, data, key)) for key in ("offset", "size"))
        if len(shape) > _MOST_DIMENSIONS:
            raise ValueError
    except ValueError as error:
        raise LowRankGANError(f"{xml}: constant {name!r} has a malformed number") from error
    count = math.prod(shape)
    if min([offset, size, *shape]) < 0 or count * _DTYPES[kind].itemsize != size:
        raise LowRankGANError(f"{xml}: constant {name!r} has shape {shape} but {size} bytes")
    if offset + size > len(weights):
        raise LowRankGANError(
            f"{xml}: constant {name!r} ends at byte {offset + size} of a weight file of "
            f"{len(weights)} bytes; fetch the weights again"
        )
    array = np.frombuffer(weights, _DTYPES[kind], count, offset).reshape(shape)
    return torch.from_numpy(array.copy())
