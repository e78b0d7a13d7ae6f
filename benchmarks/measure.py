"""Times of both sides of a comparison, taken in turn, and the machine that they were taken on."""

import datetime
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lowrankgan.records import version_of

_PACKAGES = ("torch", "numpy", "scipy", "openvino")


def seconds(
    sides: Mapping[str, Callable[[], object]], repeats: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Time every side `repeats` times after runs that do not count, in turn.

    In turn, so that a machine that slows down slows all of them down.

    Returns:
        Side to its times in seconds.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    for repeat in range(warm_up + repeats):
        for name, side in sides.items():
            _synchronize()
            start = time.perf_counter()
            side()
            _synchronize()
            if repeat >= warm_up:
                found[name].append(time.perf_counter() - start)
    return found


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory() -> float:
    """Largest memory of this process so far in GB: of the GPU if it is used, else resident."""
    if torch.cuda.is_available() and (used := torch.cuda.max_memory_allocated()):
        return used / 1e9
    # Not getrusage's ru_maxrss, which a process takes over from the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


def device_of() -> torch.device:
    """The GPU, if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def machine(device: torch.device) -> dict[str, Any]:
    """What made the numbers: device, its load at the time, versions, date and commit."""
    gpu = torch.cuda.get_device_name() if device.type == "cuda" else None
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "cpu": _cpu(),
        "load": [os.getloadavg()[0]],
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip() or None,
        "python": platform.python_version(),
        "versions": {name: version_of(name) for name in _PACKAGES},
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
