"""Pickles that no person of good will writes, as opcodes, and why each has to be refused."""

import pickle
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

MARK, TUPLE, REDUCE, BUILD, STOP = b"(", b"t", b"R", b"b", b"."


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def binary(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def number(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8b" + struct.pack("<i", len(raw)) + raw


def tup(*items: bytes) -> bytes:
    return MARK + b"".join(items) + TUPLE


def sizes(*values: int) -> bytes:
    return tup(*map(number, values))


def lst(*items: bytes) -> bytes:
    return b"](" + b"".join(items) + b"e"


def dct(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def dotted(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + tup(*arguments) + REDUCE


def put(index: int) -> bytes:
    return b"r" + struct.pack("<I", index)


def get(index: int) -> bytes:
    return b"j" + struct.pack("<I", index)


def pickled(program: bytes) -> bytes:
    return b"\x80\x02" + program + STOP


SYSTEM = call(name("os", "system"), text("touch canary"))
LOAD = name("torch.storage", "_load_from_bytes")
REBUILD = name("torch._utils", "_rebuild_tensor_v2")
ORDERED = name("collections", "OrderedDict")
FLOATS = name("torch", "FloatStorage")
NAMESPACE = name("argparse", "Namespace") + b")\x81"
NETWORK = name("dnnlib.tflib.network", "Network") + b")\x81"
PERSISTENT = name("torch_utils.persistence", "_reconstruct_persistent_obj")
SYSTEM_INFO = b"}(" + text("little_endian") + b"\x88u"
MAGIC = number(0x1950A86A20F9469CFC6C).replace(b"\x8b\n\0\0\0", b"\x8a\n")


def legacy(
    root: bytes,
    keys: bytes = lst(),
    raw: bytes = b"",
    magic: bytes = MAGIC,
    protocol: bytes = number(1001),
    system: bytes = SYSTEM_INFO,
) -> bytes:
    """A file in PyTorch's legacy format."""
    return b"".join(map(pickled, (magic, protocol, system, root, keys))) + raw


def storage_id(key: str = "0", count: int = 4, kind: bytes = FLOATS, *more: bytes) -> bytes:
    """A storage by persistent id; the legacy format has an item more, None."""
    return tup(text("storage"), kind, text(key), text("cpu"), number(count), *more) + b"Q"


def elements(count: int, data: bytes) -> bytes:
    return struct.pack("<q", count) + data


RAW = elements(4, np.arange(4, dtype="f4").tobytes())


def stored(system: bytes = SYSTEM_INFO) -> bytes:
    """What `_load_from_bytes` takes: four floats in the legacy format."""
    return legacy(storage_id("0", 4, FLOATS, b"N"), lst(text("0")), RAW, system=system)


STORAGE = call(LOAD, binary(stored()))


def tensor(
    offset: bytes = number(0),
    size: bytes = sizes(4),
    stride: bytes = sizes(1),
    storage: bytes = STORAGE,
) -> bytes:
    return call(REBUILD, storage, offset, size, stride, b"\x89", call(ORDERED))


DTYPE = call(name("numpy", "dtype"), text("f4"), b"\x89", b"\x88")
DTYPE_STATE = tup(number(3), text("<"), b"NNN", number(-1), number(-1), number(0))
RECONSTRUCT = call(
    name("numpy.core.multiarray", "_reconstruct"),
    name("numpy", "ndarray"),
    sizes(0),
    binary(b"b"),
)


def array(shape: bytes, data: bytes, dtype: bytes = DTYPE + DTYPE_STATE + BUILD) -> bytes:
    return RECONSTRUCT + tup(number(1), shape, dtype, b"\x89", binary(data)) + BUILD


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def objects() -> bytes:
    array = np.array([Call(eval, "open('canary', 'w')"), None], dtype=object)
    return pickle.dumps(array, 4)[2:-1]


def laughs(empty: bytes, double: Callable[[bytes], bytes]) -> bytes:
    """A value of 2 ** 60 parts in a few bytes."""
    parts = [double(get(index)) + put(index + 1) for index in range(60)]
    return tup(empty + put(0), *parts)


# A program that leaves one value on the stack, and what the refusal has to say.
PROGRAMS: dict[str, tuple[bytes, str]] = {
    "os.system": (SYSTEM, "it needs 'os.system'"),
    "posix.system": (call(name("posix", "system"), text("touch canary")), "needs 'posix.system'"),
    "subprocess": (call(name("subprocess", "Popen"), text("touch canary")), "needs 'subprocess.P"),
    "eval": (call(name("builtins", "eval"), text("open('canary', 'w')")), "needs 'builtins.eval'"),
    "exec": (call(name("__builtin__", "exec"), text("import os")), "it needs '__builtin__.exec'"),
    "import": (call(name("builtins", "__import__"), text("os")), "it needs 'builtins.__import__'"),
    "getattr": (call(name("builtins", "getattr"), FLOATS, text("mro")), "needs 'builtins.getattr"),
    "open": (call(name("io", "open"), text("canary"), text("w")), "it needs 'io.open'"),
    "partial": (call(name("functools", "partial"), FLOATS), "it needs 'functools.partial'"),
    "pickle.loads": (call(name("pickle", "loads"), binary(pickled(SYSTEM))), "needs 'pickle.loads"),
    "torch.load": (call(name("torch", "load"), text("canary")), "it needs 'torch.load'"),
    "the class itself": (name("lowrankgan.generators.readers.pickle_machine", "Token"), "it needs"),
    "a class of a person's own": (
        name("models", "Generator") + b")\x81",
        "needs 'models.Generator",
    ),
    "a line break in a name": (dotted("os", "system\nX"), r"it needs 'os.system\\nX'"),
    "dotted name": (dotted("os", "path.os.system"), "it needs 'os.path.os.system'"),
    "dotted name of the table": (
        dotted("torch._utils", "_rebuild_tensor_v2.__globals__"),
        "_v2.__globals__'",
    ),
    "method of the table": (dotted("collections", "OrderedDict.fromkeys"), "OrderedDict.fromkeys'"),
    "global named by bytes": (binary(b"os") + binary(b"system") + b"\x93", "what is no text"),
    "global named by a token": (FLOATS + FLOATS + b"\x93", "by what is no text"),
    "extension registry 1": (b"\x82\x01", "opcode b'\\\\x82'"),
    "extension registry 2": (b"\x83\x01\x00", "opcode b'\\\\x83'"),
    "extension registry 4": (b"\x84\x01\x00\x00\x00", "opcode b'\\\\x84'"),
    "inst": (MARK + text("touch canary") + b"ios\nsystem\n", "opcode b'i'"),
    "obj": (MARK + name("os", "system") + b"o", "it needs 'os.system'"),
    "obj of the table": (MARK + FLOATS + b"o", "opcode b'o'"),
    "newobj_ex": (FLOATS + b")}\x92", "opcode b'\\\\x92'"),
    "newobj with arguments": (NAMESPACE[:-2] + sizes(1) + b"\x81", "creates an object other"),
    "newobj of a function": (REBUILD + b")\x81", "creates an object other"),
    "next buffer": (b"\x97", "opcode b'\\\\x97'"),
    "text opcodes": (b"S'touch canary'\n", "opcode b'S'"),
    "persistent id as text": (b"Pcanary\n", "opcode b'P'"),
    "persistent id": (text("canary") + b"Q", "persistent id"),
    "persistent module": (
        tup(text("module"), FLOATS, text("canary.py"), text("import os")) + b"Q",
        "persistent id",
    ),
    "persistent id of another kind": (storage_id(kind=ORDERED), "persistent id"),
    "reduce a record": (NAMESPACE + b"}b" + b")R", "calls what is no function"),
    "reduce a class of records": (NAMESPACE[:-2] + b")R", "calls what is no function"),
    "reduce a tensor": (tensor() + b")R", "calls what is no function"),
    "reduce text": (text("os.system") + b")R", "calls what is no function"),
    "reduce with a list": (ORDERED + b"]R", "calls what is no function"),
    "build a class": (NAMESPACE[:-2] + b"}b", "object that takes none"),
    "build a dictionary": (b"}}b", "object that takes none"),
    "build a tensor": (tensor() + b"}b", "object that takes none"),
    "build a storage": (STORAGE + b"}b", "object that takes none"),
    "build an ordered dictionary": (call(ORDERED) + tup(b"N", b"}") + BUILD, "that takes none"),
    "build a persistent object": (call(PERSISTENT, b"}") + b"}b", "persistent twice"),
    "build a record twice": (NAMESPACE + b"}b}b", "state of a Namespace twice"),
    "build a record from slots": (NETWORK + tup(b"N", b"}") + BUILD, "to no attributes"),
    "record without a state": (NETWORK, "a Network without attributes"),
    "attributes that are numbers": (NAMESPACE + b"}K\x01K\x01sb", "Namespace without attributes"),
    "persistent object of text": (call(PERSISTENT, text("x")), "persistent twice, or to no"),
    "persistent object of two": (call(PERSISTENT, b"}", b"}"), "without its description"),
    "class in the result": (ORDERED, "name of a class or function"),
    "storage in the result": (STORAGE, "part of an array"),
    "mark in the result": (MARK, "malformed|class or function|adds items"),
    "mark as a value": (MARK + b"\x85", "name of a class or function"),
    "bytes beyond the file": (b"\x8e" + struct.pack("<Q", 1 << 62), "expected 4611686018427387904"),
    "bytes beyond memory": (b"\x8e" + b"\xff" * 8, "bytes"),
    "bytearray beyond the file": (b"\x96" + struct.pack("<Q", 1 << 62), "expected 46116860184273"),
    "text beyond the file": (b"\x8d" + struct.pack("<Q", 1 << 62), "expected 4611686018427387904"),
    "frame beyond the file": (b"\x95" + struct.pack("<Q", 1 << 62) + b"N", "it is truncated"),
    "number beyond the file": (b"\x8b\xff\xff\xff\x7f", "not enough data"),
    "number of negative length": (b"\x8b\xff\xff\xff\xff", "long4 byte count < 0"),
    "text that is no UTF-8": (b"X\x01\x00\x00\x00\xff", "not UTF-8"),
    "unknown memo": (b"N" + put(0xFFFFFFFF) + get(7), "malformed"),
    "nothing on the stack": (b"}s", "malformed|adds items|a key"),
    "two values": (b"NN", "malformed|adds items|a key"),
    "items of a list": (b"](" + text("a") + b"Nu", "adds items to what has none"),
    "items of a tensor": (tensor() + b"(" + text("a") + b"Nu", "adds items to what has none"),
    "odd items": (b"}(" + text("a") + b"u", "malformed"),
    "tensor as a key": (b"}" + tensor() + b"Ns", "a key that is neither"),
    "colliding keys": (b"}(" + number((1 << 61) - 1) + b"Nu", "a key that is neither"),
    "key that breaks lines": (b"}" + text("a\nb") + b"Ns", "a key that is neither"),
    "key that is long": (b"}" + text("a" * 300) + b"Ns", "a key that is neither"),
    "list in itself": (b"]" + put(0) + get(0) + b"a", "contains itself"),
    "dictionary in itself": (b"}" + put(0) + text("a") + get(0) + b"s", "contains itself"),
    "record in itself": (NAMESPACE + put(0) + dct(a=get(0)) + BUILD, "contains itself"),
    "description in itself": (
        b"}" + put(0) + text("state") + call(PERSISTENT, get(0)) + b"s",
        "contains itself",
    ),
    "wide list in itself": (b"]" + put(0) + MARK + get(0) * 50 + b"e", "contains itself|more than"),
    "array of objects": (objects(), "needs '_?builtins.eval'|something other than numbers"),
    "object array": (array(sizes(1), bytes(8), DTYPE.replace(b"f4", b"O8")), "other than numbers"),
    "array of text": (array(sizes(1), bytes(8), DTYPE.replace(b"f4", b"U2")), "other than numbers"),
    "big-endian array": (
        array(sizes(1), bytes(4), DTYPE + DTYPE_STATE.replace(b"<", b">") + BUILD),
        "another byte order",
    ),
    "array without data": (RECONSTRUCT, "array without data"),
    "array built twice": (array(sizes(1), bytes(4)) + b"}b", "array in no known form"),
    "array of a huge shape": (array(sizes(1 << 30, 1 << 30), bytes(8)), "of shape"),
    "array of a negative shape": (array(sizes(-1), bytes(8)), "shape is no tuple"),
    "array of 64 dimensions": (array(sizes(*[1] * 64), bytes(4)), "shape is no tuple"),
    "array of nothing, hugely": (array(sizes(0, 1 << 70), b""), "shape is no tuple"),
    "scalar of too many bytes": (
        call(name("numpy.core.multiarray", "scalar"), DTYPE, binary(bytes(8))),
        "of shape",
    ),
    "another codec": (call(name("_codecs", "encode"), text("x"), text("zlib")), "encodes text"),
    "tensor beyond its storage": (tensor(size=sizes(5)), "reaches element 4 of a storage of 4"),
    "offset beyond the storage": (tensor(offset=number(1)), "reaches element 4 of a storage of 4"),
    "stride beyond the storage": (tensor(stride=sizes(2)), "reaches element 6 of a storage of 4"),
    "negative offset": (tensor(offset=number(-1)), "no ordinary number"),
    "negative size": (tensor(size=sizes(-4)), "no ordinary number"),
    "negative stride": (tensor(number(3), stride=sizes(-1)), "no ordinary number"),
    "huge stride": (tensor(size=sizes(2), stride=sizes(1 << 63)), "no ordinary number"),
    "huge numbers": (tensor(size=sizes(1 << 80_000), stride=sizes(1 << 80_000)), "than 128 bits"),
    "truth as a size": (tensor(size=tup(b"\x88")), "no ordinary number"),
    "size without a stride": (tensor(stride=sizes()), "do not fit each other"),
    "64 dimensions": (tensor(size=sizes(*[1] * 64), stride=sizes(*[0] * 64)), "do not fit each"),
    "size that overflows": (tensor(size=sizes(0, *[1 << 30] * 7), stride=sizes(*[0] * 8)), "range"),
    "expanded to a terabyte": (tensor(size=sizes(1 << 38), stride=sizes(0)), "asks for more than"),
    "expanded a thousand times": (
        tensor(size=sizes(1 << 18), stride=sizes(0)) + put(0) + lst(*[get(0)] * 1000) + b"\x86",
        "asks for more than",
    ),
    "tensor of text": (tensor(storage=text("x")), "tensor in no known form"),
    "tensor of a list as size": (tensor(size=lst(number(4))), "tensor in no known form"),
    "parameter of text": (
        call(name("torch._utils", "_rebuild_parameter"), text("x"), b"\x89", b"}"),
        "parameter that is no tensor",
    ),
    "sparse tensor": (name("torch._utils", "_rebuild_sparse_tensor"), "needs 'torch._utils._reb"),
    "storage from text": (call(LOAD, text("x")), "bytes that are no storage"),
    "storage from a pickle of code": (call(LOAD, binary(pickled(SYSTEM))), "it needs 'os.system'"),
    "storage from a magic pickle of code": (
        call(LOAD, binary(legacy(SYSTEM))),
        "it needs 'os.system'",
    ),
    "code among the keys": (call(LOAD, binary(legacy(b"N", SYSTEM))), "it needs 'os.system'"),
    "code as the system": (call(LOAD, binary(legacy(b"N", system=SYSTEM))), "needs 'os.system'"),
    "storage in a storage": (call(LOAD, binary(legacy(STORAGE))), "needs 'torch.storage._load_fr"),
    "bytes that are no storage": (call(LOAD, binary(legacy(b"}"))), "bytes that are no storage"),
    "bytes that are a zip": (call(LOAD, binary(b"PK\x03\x04" + bytes(99))), "opcode b'P'"),
    "storage of a negative size": (
        call(LOAD, binary(legacy(storage_id("0", -1, FLOATS, b"N"), lst(text("0")), bytes(8)))),
        "is truncated, or a storage",
    ),
    "storage that claims more": (
        call(LOAD, binary(stored().replace(number(4), number(1 << 40)))),
        "is truncated, or a storage",
    ),
}

# Each uses something large very often: cheap to write, and to be cut short when read.
LARGE = text("x" * 100_000)
MANY = 4_000
BIG = dct(little_endian=b"\x88", other=LARGE)
LONG = dct(little_endian=b"\x88", other=lst(b"N" * 20_000))
BOMBS: dict[str, tuple[bytes, str]] = {
    "nested tuples as a key": (b"})" + b"\x85" * 60_000 + b"Ns", "a key that is neither"),
    "nested lists": (b"]" * 100_000 + b"a" * 99_999, "nested deeper than 64"),
    "nested tuples": (b")" + b"\x85" * 60_000, "nested deeper than 64"),
    "nested dictionaries": ((b"}" + text("a")) * 50_000 + b"N" + b"s" * 50_000, "nested deeper"),
    "nested records": (
        (NAMESPACE + b"}" + text("a")) * 20_000 + b"N" + b"sb" * 20_000,
        "nested deeper than 64",
    ),
    "laughing tuples": (
        laughs(b"N", lambda part: part + part + b"\x86"),
        "counting what is shared",
    ),
    "laughing lists": (laughs(b"N", lambda part: lst(part, part)), "counting what is shared"),
    "laughing dictionaries": (laughs(b"N", lambda part: dct(a=part, b=part)), "what is shared"),
    "laughing records": (
        laughs(b"N", lambda part: NAMESPACE + dct(a=part, b=part) + BUILD),
        "counting what is shared|nested deeper",
    ),
    "laughing tuples as a name": (
        laughs(b")", lambda part: part + part + b"\x86") + text("x") + b"\x93",
        "what is no text",
    ),
    "no end": (b"N" * 3_000_000, "more than 1048576 opcodes"),
    "text encoded again and again": (
        lst(LARGE + put(0), call(name("_codecs", "encode"), get(0), text("latin1")) * MANY),
        "asks for more than",
    ),
    "storages read again and again": (
        lst(binary(stored(BIG)) + put(0), call(LOAD, get(0)) * MANY),
        "asks for more than",
    ),
    "programs run again and again": (
        lst(binary(stored(LONG)) + put(0), call(LOAD, get(0)) * MANY),
        "asks for more than",
    ),
    "one state of many records": (
        lst(
            b"}(" + b"".join(text(f"{i}") + b"N" for i in range(20_000)) + b"u" + put(0),
            (NAMESPACE + get(0) + BUILD) * MANY,
        ),
        "counting what is shared",
    ),
    "one list of many dictionaries": (
        lst(
            lst(*[tup(text(f"{i}"), b"N") for i in range(10_000)]) + put(0),
            call(ORDERED, get(0)) * MANY,
        ),
        "counting what is shared",
    ),
    "one text of many arrays": (
        lst(
            text("x" * 100_000) + put(0),
            (
                RECONSTRUCT
                + tup(number(1), sizes(25_000), DTYPE + DTYPE_STATE + BUILD, b"\x89", get(0))
                + BUILD
            )
            * MANY,
        ),
        "asks for more than",
    ),
}
