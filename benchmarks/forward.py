"""One face by OpenVINO, the runtime that the default weights were published for, and by torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openvino
import torch
from torch import Tensor

from benchmarks.measure import seconds
from lowrankgan.generators.base import Generator


def run(
    generator: Generator, w: Tensor, files: Path, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Synthesis of one w [1, d] at full resolution, both in float32 and on as many threads.

    Args:
        generator: of the files.
        w: in every layer.
        files: folder of `SynthesisNetwork.{xml,bin}`.
        settings: how often to repeat.
    """
    model = openvino.Core().read_model(files / "SynthesisNetwork.xml")
    exact = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = openvino.compile_model(model, "CPU", exact | threads)
    images: dict[str, Tensor] = {}

    def reference() -> None:
        (images["openvino"],) = map(torch.from_numpy, compiled([w.numpy()]).values())

    @torch.inference_mode()
    def ours() -> None:
        images["this"] = generator.synthesis(generator.broadcast(w))

    times = seconds({"openvino": reference, "this": ours}, 3 * settings["repeats"])
    expected = images["openvino"].reshape(images["this"].shape)
    difference = (images["this"] - expected).norm() / expected.norm()
    return {
        "resolution": generator.resolution,
        "seconds": times,
        "error": float(difference),
    }
