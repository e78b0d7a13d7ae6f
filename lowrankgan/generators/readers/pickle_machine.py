"""An interpreter of pickles that executes nothing.

A pickle is a program, and one from outside is hostile. Even a `pickle.Unpickler` whose
`find_class` refuses every class can be made to exhaust memory (one `LONG_BINPUT` with a large
index) or to crash the interpreter (a deeply nested tuple as a dictionary key). So the opcodes are
interpreted here, on inert values: plain ones, tokens for the globals of an exact table, and
stand-ins for what their calls would have made. Nothing is imported, no attribute is looked up,
and nothing is called but the functions of that table. `pickle_tree.grow` makes the result final.

Opcodes: `pickletools` in the standard library; those that no pickler of protocol 2 to 5 writes
for weights are refused.
"""

import pickletools
import struct
from collections.abc import Callable
from io import SEEK_END, BytesIO
from typing import Any, TypeAlias

from lowrankgan.generators.readers.pickle_values import (
    AttributedDict,
    Budget,
    Standin,
    Table,
    Token,
)

# fmt: off
_OPERATIONS = {
    "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINSTRING", "BINSTRING",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS",
    "EMPTY_SET", "ADDITEMS", "EMPTY_DICT", "SETITEM", "SETITEMS",
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID",
}
# fmt: on
OPCODES = {op.code.encode("latin1"): op for op in pickletools.opcodes if op.name in _OPERATIONS}
_MAX_LINE = 256
_MAX_KEY_LENGTH = 256
_MAX_BITS = 128  # of an integer: larger ones are no float, or cannot be printed
_MAX_KEY = 1 << 60  # integers beyond the modulus of their hash could all collide
_LITERALS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_MARK = object()


Persistent: TypeAlias = Callable[[Any], Any]


def interpret(
    stream: BytesIO, table: Table, budget: Budget, persistent: Persistent | None = None
) -> Any:
    """Run one pickle from the stream's position on, up to and with its STOP.

    Args:
        stream: bytes in memory.
        table: the globals that may be named.
        budget: what may be spent; shared among the pickles of a file.
        persistent: what a binary persistent id stands for, of any inert value.

    Returns:
        None, bool, int, float, str, bytes, tokens and stand-ins in lists, tuples and dictionaries
        (whose keys are printable text or integers). Anything may be shared or contain itself, and
        sets are lists.

    Raises:
        ValueError: the pickle is truncated, malformed, costs too much, or names what the table
            does not hold; in one line of ASCII.
    """
    start = stream.tell()
    try:
        root = _Machine(table, budget, persistent).run(stream)
    except UnicodeError as error:
        raise ValueError("it holds text that is not UTF-8") from error
    except (LookupError, OverflowError, struct.error) as error:
        raise ValueError("its pickle is malformed") from error
    budget.bytes.spend(stream.tell() - start)
    return root


class _Machine:
    """A stack and a memo. Whatever it does not expect is an error."""

    def __init__(self, table: Table, budget: Budget, persistent: Persistent | None) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.table, self.budget, self.persistent = table, budget, persistent

    def run(self, stream: BytesIO) -> Any:
        while True:
            self.budget.opcodes.spend(1)
            code = stream.read(1)
            opcode = OPCODES.get(code)
            if opcode is None:
                raise ValueError(f"its pickle has opcode {code!r}" if code else "it is truncated")
            if opcode.name == "STOP":
                break
            if opcode.name == "GLOBAL":  # pickletools would interpret escapes, and warn of them
                lines = [stream.readline(_MAX_LINE).rstrip(b"\n").decode() for _ in range(2)]
                self.stack.append(self._find(*lines))
                continue
            argument: Any = opcode.arg.reader(stream) if opcode.arg else None
            if opcode.name == "FRAME":
                _check_frame(stream, argument)
            self._step(opcode.name, argument)
        if len(self.stack) != 1:
            raise ValueError("its pickle is malformed")
        return self.stack[0]

    def _step(self, name: str, argument: Any) -> None:
        match name:
            case "PROTO" | "FRAME":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                self.stack.append(_LITERALS[name])
            case "EMPTY_DICT":
                self.stack.append({})
            case "EMPTY_LIST" | "EMPTY_SET":  # nothing is hashed; the order is the file's
                self.stack.append([])
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
                self.stack.append(self.memo[argument])
            case "APPEND" | "APPENDS" | "ADDITEMS" | "SETITEM" | "SETITEMS":
                self._extend(name)
            case "STACK_GLOBAL" | "REDUCE" | "NEWOBJ" | "BUILD" | "BINPERSID":
                self._compose(name)
            case _:  # a number, a string or bytes
                if isinstance(argument, int) and argument.bit_length() > _MAX_BITS:
                    raise ValueError(f"it has an integer of more than {_MAX_BITS} bits")
                self.stack.append(bytes(argument) if name == "BYTEARRAY8" else argument)

    def _extend(self, name: str) -> None:
        """Opcodes that add to a list or a dictionary on the stack."""
        match name:
            case "APPEND":
                items = [self.stack.pop()]
            case "SETITEM":
                items = [self.stack.pop(), self.stack.pop()][::-1]
            case _:
                items = self._pop_to_mark()
        target = self.stack[-1]
        if not isinstance(target, dict if name.startswith("SETITEM") else list):
            raise ValueError("it adds items to what has none")
        if isinstance(target, list):
            target.extend(items)
        elif len(items) % 2:
            raise ValueError("its pickle is malformed")
        else:
            target.update(pairs(zip(items[::2], items[1::2], strict=True)))

    def _compose(self, name: str) -> None:
        """Opcodes that make or change an object out of what lies on the stack."""
        top = self.stack.pop()
        match name:
            case "STACK_GLOBAL":
                self.stack.append(self._find(self.stack.pop(), top))
            case "REDUCE":
                function = self.stack.pop()
                if not (isinstance(function, Token) and function.call and type(top) is tuple):
                    raise ValueError("it calls what is no function of weights")
                self.stack.append(function.call(top, self.budget))
            case "NEWOBJ":
                cls = self.stack.pop()
                if not (isinstance(cls, Token) and cls.new and type(top) is tuple and not top):
                    raise ValueError("it creates an object other than those of weights")
                self.stack.append(cls.new())
            case "BUILD":
                self._build(self.stack[-1], top)
            case "BINPERSID":
                if self.persistent is None:
                    raise ValueError("it has a persistent id where nothing can be meant")
                self.stack.append(self.persistent(top))

    def _build(self, target: Any, state: Any) -> None:
        match target:
            case Standin():
                target.build(state, self.budget)
            case AttributedDict() if isinstance(state, dict):
                pass
            case _:
                raise ValueError("it sets the state of an object that takes none")

    def _pop_to_mark(self) -> list[Any]:
        items = []
        while (item := self.stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]

    def _find(self, module: Any, name: Any) -> Token:
        # Nothing but strings is ever hashed, compared or printed: nested tuples could overflow
        # the C stack or, sharing their parts, take exponential time.
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("it names a global by what is no text")
        if (module, name) not in self.table:
            raise ValueError(f"it needs {f'{module:.60}.{name:.60}'!a}")
        return self.table[module, name]


def _check_frame(stream: BytesIO, size: int) -> None:
    start = stream.tell()
    end = stream.seek(0, SEEK_END)
    if size > end - start:
        raise ValueError("it is truncated")
    stream.seek(start)


def pairs(items: Any) -> dict[Any, Any]:
    """A dictionary of (key, value) pairs.

    Raises:
        ValueError: a key is neither short printable text nor an integer of ordinary size.
    """
    found = {}
    for key, value in items:
        if not _is_key(key):
            raise ValueError("it has a key that is neither short printable text nor an integer")
        found[key] = value
    return found


def _is_key(key: Any) -> bool:
    if type(key) is str:
        return len(key) <= _MAX_KEY_LENGTH and key.isprintable()
    return type(key) is int and abs(key) <= _MAX_KEY
