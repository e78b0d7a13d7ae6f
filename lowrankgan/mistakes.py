"""What is often saved in place of a file of weights, by its first bytes."""

# How it starts, what it is, what to do.
_MISTAKES = (
    (b"version https://git-lfs", "a Git LFS pointer", "fetch the file itself with `git lfs pull`"),
    (b"<", "a web page", "open its address in a browser and download the file that it offers"),
    (b"{", "JSON text", "download the file of weights that belongs to it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x89HDF", "an HDF5 file", "convert it to safetensors or a PyTorch state dict first"),
)


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file of so many bytes starts as safetensors: the length of its JSON, then that."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8


def mistaken(head: bytes, size: int) -> str | None:
    """What a file of so many bytes is and what to do, None if it may be one of weights."""
    if is_safetensors(head, size):
        return None
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for start, what, advice in _MISTAKES:
        if text.startswith(start):
            return f"is {what}, not a file of weights; {advice}"
    return None
