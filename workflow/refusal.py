"""What is wrong with a configuration, in one line."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError


def problem_of(error: ValidationError, values: Any) -> str:
    """The first problem as `key: value, what was expected`."""
    problem = error.errors()[0]
    key = ".".join(_path(problem["loc"], values))
    expected = problem["msg"].removeprefix("Value error, ")
    if isinstance(problem["input"], dict | list):
        return f"{key}: {expected}" if key else expected
    return f"{key}: {problem['input']!r}, {expected[0].lower()}{expected[1:]}"


def _path(parts: Sequence[str | int], values: Any) -> Iterator[str]:
    """Keys as the user wrote them: pydantic adds the kind of what may be of several kinds."""
    for position, part in enumerate(parts, start=1):
        listed = isinstance(values, list) and isinstance(part, int)
        if listed or (isinstance(values, dict) and part in values):
            values = values[part]
        elif position < len(parts):
            continue
        yield str(part)
