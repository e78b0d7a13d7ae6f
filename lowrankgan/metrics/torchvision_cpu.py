"""Import of torchvision beside a torch that was built without CUDA.

The wheel of torchvision on PyPI is built against CUDA. Beside a CPU build of torch its library of
operators does not load, which torchvision tolerates, but then it registers gradients and casts of
two of these operators all the same, and the import ends in "operator torchvision::nms does not
exist". LPIPS needs torchvision only for the layers of its trunks and none of these operators.
Declaring them, without an implementation, is enough for the import.
"""

import importlib

import torch

_NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> None:
    """Import torchvision, declaring the operators that its import asks for if they are missing.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: its import fails for another reason.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", _NMS)
        importlib.import_module("torchvision")
