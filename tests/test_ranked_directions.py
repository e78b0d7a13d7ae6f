"""The step that puts leading directions in the order of what their edits leaked."""

from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from job import Job
from subspace import main


def test_measured_directions_are_ordered_and_others_follow(tmp_path: Path) -> None:
    found, measured, output = (tmp_path / name for name in ("found", "measured", "output"))
    for folder in (found, measured, output):
        folder.mkdir()
    rows = np.eye(5)
    save_file({"eyes": rows, "mouth": rows}, found / "directions.safetensors")
    leaks = {"eyes": (0.3, 0.1, 0.2), "mouth": (0.1, 0.2, 0.3)}
    table = [
        {"region": region, "direction": n, "face": face, "target": "mse", "reached": True}
        | {"mse_outside": leak * face, "lpips_alex_outside": 1.0}
        for region, values in leaks.items()
        for n, leak in enumerate(values, start=1)
        for face in (1, 2)
    ]
    pd.DataFrame(table).to_csv(measured / "metrics.csv", index=False)
    settings = {"solver": "ranked", "leaks": {"mse": "mse_outside"}, "layers": "all"}
    inputs = {"subspace": [found], "metrics": [measured]}
    main(Job(settings | {"directions": 4}, inputs, output))
    directions = load_file(output / "directions.safetensors")
    np.testing.assert_array_equal(directions["eyes"], rows[[1, 2, 0, 3]])
    np.testing.assert_array_equal(directions["mouth"], rows[:4])
    main(Job(settings | {"directions": 1}, inputs, output))
    np.testing.assert_array_equal(load_file(output / "directions.safetensors")["eyes"], rows[[1]])
