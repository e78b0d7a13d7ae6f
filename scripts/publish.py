"""Gather what people open, under readable names: figures, tables, configuration, index."""

import json
import shutil
from pathlib import Path

import pandas as pd

from job import Job, run


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
    index = pd.DataFrame(job.settings["index"], columns=["stage", "folder", "settings"])
    index["settings"] = index["settings"].map(json.dumps)
    index.to_csv(job.output / "index.csv", index=False)


if __name__ == "__main__":
    run(main)
