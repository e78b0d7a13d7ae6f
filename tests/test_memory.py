"""What is said when memory runs out, by the errors that the libraries really raise."""

import numpy as np
import pytest
import torch

from lowrankgan.memory import shortage


def test_how_much_was_asked_for() -> None:
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(1 << 52)
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(1 << 52)
    assert shortage(of_numpy.value) == "32.0 PiB"
    assert shortage(of_torch.value) == "18014398509481984 bytes"
    on_gpu = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has")
    assert shortage(on_gpu) == "2.00 GiB"
    assert shortage(MemoryError()) == "an unknown amount"
    of_cublas = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")
    assert shortage(of_cublas) == "an unknown amount"


def test_other_errors_are_not_about_memory() -> None:
    with pytest.raises(RuntimeError) as shapes:
        torch.ones(2) @ torch.ones(3)
    assert shortage(shapes.value) is None
