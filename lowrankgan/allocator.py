"""Keeps the C library from returning memory that is asked for again at once."""

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Serve large tensors from memory that was freed before, on glibc; elsewhere do nothing.

    By default glibc maps every tensor of 64 MB anew, and the kernel zeroes it page by page:
    measured on feature maps at 512 px, that took longer than the arithmetic.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
