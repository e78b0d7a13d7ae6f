"""Gather what people open, under readable names: figures, tables, configuration, index."""

import json
import shutil
from pathlib import Path

import pandas as pd

from job import Job, run
from lowrankgan.manifest import MANIFEST, manifest_of
from lowrankgan.tables import write_table

# Column of the cost by method to its stages. Weights are fetched once, whatever the method.
_COSTS = {
    "jacobian": ("jacobian",),
    "directions": ("factorize", "candidates", "channels", "styles", "restrict", "subspace"),
    "measurement": ("metrics",),
}


def main(job: Job) -> None:
    figures, tables = job.output / "figures", job.output / "tables"
    figures.mkdir()
    tables.mkdir()
    for name, drawn in job.settings["figures"].items():
        for kind in ("png", "pdf"):
            shutil.copyfile(f"{drawn}.{kind}", figures / f"{name}.{kind}")
    for name in job.settings["tables"]:
        for kind in ("csv", "md", "tex"):
            shutil.copyfile(job.input("tables") / f"{name}.{kind}", tables / f"{name}.{kind}")
        shown = pd.read_csv(tables / f"{name}.csv")
        shown.to_html(tables / f"{name}.html", index=False, float_format="{:.4g}".format, na_rep="")
    (job.output / "configuration.yaml").write_text(job.settings["configuration"])
    steps = [Path(folder) for folder in job.settings["steps"]]
    manifest = manifest_of(job.output, steps, Path(__file__).resolve().parent.parent)
    (job.output / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    index = pd.DataFrame(manifest["steps"], columns=["stage", "settings"])
    index.insert(1, "folder", [str(folder) for folder in steps])
    index["settings"] = index["settings"].map(json.dumps)
    index.to_csv(job.output / "index.csv", index=False)
    cost = pd.DataFrame(manifest["steps"], columns=["stage", "seconds", "max_rss_mb"], index=steps)
    by_stage = cost.groupby("stage", sort=False).agg(
        jobs=("seconds", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        max_rss_mb=("max_rss_mb", "max"),
    )
    caption = "Time and memory of each stage."
    write_table(by_stage.reset_index(), job.output / "cost", caption, 3)
    methods = [
        {"method": label} | _cost(cost.loc[[Path(folder) for folder in folders]])
        for label, folders in job.settings["methods"]
    ]
    caption = "Time and memory of each method alone; what methods have in common is made once."
    write_table(pd.DataFrame(methods), job.output / "cost_methods", caption, 3)


def _cost(steps: pd.DataFrame) -> dict[str, float]:
    seconds = steps.groupby("stage")["seconds"].sum()
    found: dict[str, float] = {
        f"{name}_seconds": sum(seconds.get(stage, 0.0) for stage in stages)
        for name, stages in _COSTS.items()
    }
    of_interest = steps["stage"].isin([stage for stages in _COSTS.values() for stage in stages])
    return found | {"max_rss_mb": steps.loc[of_interest, "max_rss_mb"].max()}


if __name__ == "__main__":
    run(main)
