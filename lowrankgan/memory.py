"""What an error says of memory that ran out."""

import re

_ASKED = re.compile(r"allocate ([\d.]+ \w+)")  # of numpy, of torch on a CPU and on a GPU


def shortage(error: Exception) -> str | None:
    """How much memory could not be had.

    Args:
        error: any; torch raises a RuntimeError, which on a CPU has no class of its own.

    Returns:
        Such as "2.00 GiB" or "8589934592 bytes", "an unknown amount" where the error does not
        say, None if it is not about memory.
    """
    text = str(error)
    said = any(word in text.lower() for word in ("alloc", "out of memory"))
    if not isinstance(error, MemoryError) and not said:
        return None
    asked = _ASKED.search(text)
    return asked[1] if asked else "an unknown amount"


def shortage_line(error: Exception) -> str:
    """What a person is told of an error in one line.

    Raises:
        Exception: the error itself, which is not about memory and keeps its traceback.
    """
    asked = shortage(error)
    if asked is None:
        raise error
    return f"memory is too small, {asked} more were asked for; use a larger machine"
