"""Gather what people open, under readable names: figures, tables, configuration, index."""

import json
import shutil
from pathlib import Path

import pandas as pd

from job import Job, run
from lowrankgan.manifest import MANIFEST, manifest_of
from lowrankgan.tables import write_table


def main(job: Job) -> None:
    figures, tables = job.output / "figures", job.output / "tables"
    figures.mkdir()
    tables.mkdir()
    for name, folder in job.settings["figures"].items():
        for kind in ("png", "pdf"):
            shutil.copyfile(Path(folder) / f"figure.{kind}", figures / f"{name}.{kind}")
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
    cost = pd.DataFrame(manifest["steps"], columns=["stage", "seconds", "max_rss_mb"])
    table = cost.groupby("stage", sort=False).agg(
        jobs=("seconds", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        max_rss_mb=("max_rss_mb", "max"),
    )
    write_table(table.reset_index(), job.output / "cost", "Time and memory of each stage.", 3)


if __name__ == "__main__":
    run(main)
