"""Reader of pickled numpy arrays, such as flax checkpoints, that executes nothing.

A pickle is a program, and one from outside is hostile. Even a `pickle.Unpickler` whose
`find_class` refuses every class can be made to exhaust memory (one `LONG_BINPUT` with a large
index) or to crash the interpreter (a deeply nested tuple as a dictionary key). So the opcodes are
interpreted here: the few that nested dictionaries of arrays need, on inert values, with an exact
table of the globals that may be named. No global is ever imported or called; an array is made only
from a known dtype, a shape and exactly as many bytes as the two ask for.

Opcodes: `pickletools` in the standard library. Arguments of numpy's globals: `array_reduce`,
`array_setstate` and `arraydescr_reduce` in numpy/_core/src/multiarray.
"""

import math
import pickletools
from dataclasses import dataclass
from enum import Enum, auto
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from lowrankgan.errors import LowRankGANError

_MAX_BYTES = 1 << 28
_MAX_OPCODES = 1 << 16
_MAX_DEPTH = 16
_MAX_DIMENSIONS = 8
_MAX_LINE = 256
_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"}


class _Global(Enum):
    """A global that a pickle of arrays names; a mere token, never the object itself."""

    RECONSTRUCT = auto()
    FROMBUFFER = auto()
    NDARRAY = auto()
    DTYPE = auto()
    ENCODE = auto()


_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"): _Global.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _Global.RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): _Global.FROMBUFFER,  # protocol 5
    ("numpy._core.numeric", "_frombuffer"): _Global.FROMBUFFER,
    ("numpy", "ndarray"): _Global.NDARRAY,
    ("numpy", "dtype"): _Global.DTYPE,
    ("_codecs", "encode"): _Global.ENCODE,  # bytes in protocol 2
}
# fmt: off
_OPERATIONS = {
    "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "SETITEM", "SETITEMS",
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD",
}
# fmt: on
_OPCODES = {op.code.encode("latin1"): op for op in pickletools.opcodes if op.name in _OPERATIONS}
_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_MARK = object()


@dataclass(frozen=True, eq=False)
class _Dtype:
    code: str


@dataclass(eq=False)
class _Array:
    value: np.ndarray[Any, Any] | None = None


def read_numpy_pickle(path: Path) -> dict[str, Any]:
    """Read a pickle (protocol 2 to 5) of nested dictionaries of numeric numpy arrays.

    Args:
        path: the pickle, at most 256 MiB.

    Returns:
        Nested dictionaries with string keys; their leaves are little-endian integer or floating
        arrays (read-only, on the file's bytes), int and float.

    Raises:
        LowRankGANError: the file cannot be read, is too large, truncated or malformed, or names
            or holds anything else than the above.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise LowRankGANError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > _MAX_BYTES:
        raise LowRankGANError(f"{path}: larger than {_MAX_BYTES} bytes, not a file of weights")
    try:
        root = _plain(_Machine(len(data)).run(data), _MAX_DEPTH)
        if not isinstance(root, dict):
            raise ValueError("the pickle is not a dictionary")
    except (ValueError, OverflowError, LookupError, MemoryError) as error:
        reason = f"{type(error).__name__}: {error}"[:200]
        raise LowRankGANError(
            f"{path}: expected a pickle of numeric numpy arrays only, got {reason!r}; "
            "fetch the file again from its source"
        ) from error
    return root


class _Machine:
    """The pickle machine: a stack and a memo. Whatever it does not expect is a ValueError."""

    def __init__(self, budget: int) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.budget = budget  # bytes that may still be encoded: no more than the file has

    def run(self, data: bytes) -> Any:
        file = BytesIO(data)
        for _ in range(_MAX_OPCODES):
            code = file.read(1)
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"opcode {code!r}" if code else "the file is truncated")
            if opcode.name == "STOP":
                return self.stack.pop()
            if opcode.name == "GLOBAL":  # pickletools would interpret escapes, and warn of them
                lines = [file.readline(_MAX_LINE).rstrip(b"\n").decode() for _ in range(2)]
                self.stack.append(_find(*lines))
                continue
            self._step(opcode.name, opcode.arg.reader(file) if opcode.arg else None)
        raise ValueError(f"more than {_MAX_OPCODES} opcodes")

    def _step(self, name: str, argument: Any) -> None:
        match name:
            case "PROTO" | "FRAME":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                self.stack.append(_LITERALS[name])
            case "EMPTY_DICT":
                self.stack.append({})
            case "MARK":
                self.stack.append(_MARK)
            case "TUPLE":
                self.stack.append(tuple(self._pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                self.stack.append(tuple([self.stack.pop() for _ in range(int(name[-1]))][::-1]))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = self.stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = self.stack[-1]
            case "BINGET" | "LONG_BINGET":
                self._get(argument)
            case "STACK_GLOBAL" | "REDUCE" | "BUILD" | "SETITEM" | "SETITEMS":
                self._compose(name)
            case _:  # a number, a string or bytes
                self.stack.append(bytes(argument) if name == "BYTEARRAY8" else argument)

    def _compose(self, name: str) -> None:
        """Opcodes that build something out of what lies on the stack."""
        match name:
            case "STACK_GLOBAL":
                attribute, module = self.stack.pop(), self.stack.pop()
                self.stack.append(_find(module, attribute))
            case "REDUCE":
                arguments, function = self.stack.pop(), self.stack.pop()
                self.stack.append(self._reduce(function, arguments))
            case "BUILD":
                state = self.stack.pop()
                _build(self.stack[-1], state)
            case "SETITEM":
                value, key = self.stack.pop(), self.stack.pop()
                _set_items(self.stack[-1], [key, value])
            case "SETITEMS":
                items = self._pop_to_mark()
                _set_items(self.stack[-1], items)

    def _pop_to_mark(self) -> list[Any]:
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _get(self, index: int) -> None:
        value = self.memo[index]
        if isinstance(value, dict):
            raise ValueError("a dictionary is used twice")  # so the result is a tree, never a loop
        self.stack.append(value)

    def _reduce(self, function: Any, arguments: Any) -> Any:
        match function, arguments:
            case _Global.DTYPE, (str(code), False, True) if code in _DTYPES:
                return _Dtype(code)
            case _Global.RECONSTRUCT, (_Global.NDARRAY, (0,), b"b"):
                return _Array()
            case _Global.FROMBUFFER, (bytes(data), _Dtype(code), shape, "C" | "F" as order):
                return _Array(_array(data, code, shape, order == "F"))
            case _Global.ENCODE, (str(text), "latin1") if len(text) <= self.budget:
                self.budget -= len(text)
                return text.encode("latin1")
        raise ValueError("a call other than those that make an array")


def _find(module: Any, name: Any) -> _Global:
    # Nothing but strings is ever hashed, compared or printed: nested tuples could overflow the C
    # stack or, sharing their parts, take exponential time.
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("a global whose name is not a string")
    if (module, name) not in _GLOBALS:
        raise ValueError(f"global {module:.50}.{name:.50}")
    return _GLOBALS[module, name]


def _build(target: Any, state: Any) -> None:
    match target, state:
        case _Dtype(), (3, "<" | "|", None, None, None, -1, -1, 0):
            return
        case _Array(value=None), (1, shape, _Dtype(code), bool(fortran), bytes(data)):
            target.value = _array(data, code, shape, fortran)
            return
    raise ValueError("unexpected state of an array or dtype")


def _array(data: bytes, code: str, shape: Any, fortran: bool) -> np.ndarray[Any, Any]:
    dtype = np.dtype(f"<{code}")
    if not (isinstance(shape, tuple) and all(type(n) is int and n > 0 for n in shape)):
        raise ValueError("a shape is not a tuple of positive integers")
    if len(shape) > _MAX_DIMENSIONS or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"an array of shape {shape} and dtype {code} has {len(data)} bytes")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _set_items(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict) or len(items) % 2:
        raise ValueError("items are set on what is no dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str) or type(value) not in (dict, _Array, int, float):
            raise ValueError(f"an item of type {type(value).__name__} at a {type(key).__name__}")
        target[key] = value


def _plain(value: Any, depth: int) -> Any:
    """Replace stand-ins by their arrays."""
    match value:
        case dict() if depth:
            return {key: _plain(item, depth - 1) for key, item in value.items()}
        case dict():
            raise ValueError(f"dictionaries are nested deeper than {_MAX_DEPTH}")
        case _Array(value=None):
            raise ValueError("an array without data")
        case _Array():
            return value.value
    return value
