"""What a pickle consists of here: inert values, and limits on what making them may cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias


class Allowance:
    """So many of something that reading one file may take, however its pickles are nested."""

    def __init__(self, limit: int, what: str) -> None:
        self.limit, self.left, self.what = limit, limit, what

    def spend(self, amount: int) -> None:
        """Take some.

        Raises:
            ValueError: not enough is left.
        """
        self.left -= amount
        if self.left < 0:
            raise ValueError(f"it asks for more than {self.limit} {self.what}")


class Budget:
    """What reading one file may cost, given the number of bytes that it holds (unpacked).

    A pickle can use what it made once any number of times, so whatever takes longer or more
    memory the larger a value is has to be paid for at each use.
    """

    def __init__(self, size: int) -> None:
        self.opcodes = Allowance(1 << 20, "opcodes")
        self.nodes = Allowance(1 << 20, "values, counting what is shared as often as it is used")
        self.bytes = Allowance(4 * size + (1 << 22), "bytes, several times what the file holds")


@dataclass(frozen=True, eq=False)
class Token:
    """What a global that a file may name stands for; never the object itself.

    Attributes:
        call: of the arguments of REDUCE and the budget, raising ValueError if they are not those
            of weights.
        new: of NEWOBJ without arguments.
    """

    call: Callable[[tuple[Any, ...], Budget], Any] | None = None
    new: Callable[[], Any] | None = None


Table: TypeAlias = Mapping[tuple[str, str], Token]


class Standin:
    """Base of what stands for an object until the pickle has ended."""

    def build(self, state: Any, budget: Budget) -> None:
        """Take the state that BUILD sets.

        Raises:
            ValueError: the object takes none, or not this one.
        """
        raise ValueError("it sets the state of an object that takes none")

    def final(self, budget: Budget) -> Any:
        """What it stands for.

        Raises:
            ValueError: it is incomplete, or of no use by itself.
        """
        raise ValueError("it holds a part of an array instead of an array")


class AttributedDict(dict[Any, Any]):
    """A dictionary of which attributes may be set, such as a state dict's `_metadata`; dropped."""
