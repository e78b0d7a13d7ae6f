"""The one exception that a person is meant to read."""


class LowRankGANError(Exception):
    """Input that cannot be used; its message is one line that says what, where and what to do.

    Commands print the message without a traceback and exit with a non-zero status. Anything
    else that escapes is a defect of this software and keeps its traceback.
    """
