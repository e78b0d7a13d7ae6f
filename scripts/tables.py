"""Tables: the comparison with the unprojected baseline first, then what it rests on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from captions import CAPTIONS
from job import Job, run
from lowrankgan.metrics.attributes import ATTRIBUTES
from lowrankgan.metrics.names import GARMENT_SCORES, SAME_PERSON
from lowrankgan.tables import compare, movement, summarize, transfer, write_table
from lowrankgan.weights import verify

_CHANGES = ["mse", "lpips_alex"]
_COMPOSITE = ["lpips_alex_composite", "lpips_alex_spill"]
_SCORES = {"landmarks": tuple(ATTRIBUTES), "garments": GARMENT_SCORES}


def main(job: Job) -> None:
    labelled = zip(job.settings["pairs"], job.inputs["metrics"], strict=True)
    metrics = pd.concat(
        pd.read_csv(folder / "metrics.csv").assign(source=source, method=method)
        for (source, method), folder in labelled
    )
    for name, table in _tables(job, metrics[metrics["target"] != "published"]).items():
        caption = CAPTIONS[name].format(**job.settings)
        write_table(table, job.output / name, caption, digits=4)


def _tables(job: Job, matched: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """By name, of the edits at matched change and of what the generalisation tests wrote."""
    s, generalize = job.settings, job.input("generalize")
    changes = [f"{name}_outside" for name in _CHANGES]  # VGG compares methods, not images
    names = [*_CHANGES, *["lpips_vgg"][: s["vgg"]]]
    whole = ["identity", "same_person"] if s["identity"] else []
    if whole:
        known = matched["identity"].notna()
        same = (matched["identity"] < SAME_PERSON).astype(float).where(known)
        matched = matched.assign(same_person=same)
    outside, inside = ([f"{name}_{side}" for name in names] for side in ("outside", "inside"))
    resampling = {key: s[key] for key in ("seed", "resamples", "level")}
    averaged, ranks = matched[matched["source"] == "average"], _ranks(job)
    scores = _SCORES[s["attributes"]]
    matrix = pd.read_csv(generalize / "matrix.csv")
    tables = {
        "comparison": _comparison(compare(averaged, s["baseline"], outside, **resampling)),
        "summary": _measured(
            summarize(matched, [*outside, *inside, *_COMPOSITE, *whole], **resampling)
        ),
        "attributes": summarize(matched, scores, **resampling).merge(
            movement(matched, scores), "left"
        ),
        "ranks": ranks.drop(columns="setting"),
        "generalization": summarize(matrix, changes, **resampling),
        "angles": pd.read_csv(generalize / "angles.csv"),
    }
    if s["transfer"]:
        crossed = pd.read_csv(generalize / "crossed.csv")
        tables["transfer"] = transfer(crossed, changes, **resampling)
    if s["regions"] > 1:
        tables["regions"] = pd.read_csv(generalize / "regions.csv")
    if s["sweep"]:
        tables["sweep"] = swept(job, tables["summary"], ranks)
    if s["classes"]:
        found = matched[matched["source"].isin(["average", *s["classes"]])]
        classes = compare(found, s["baseline"], outside, **resampling)
        tables["classes"] = _measured(classes.rename(columns={"source": "on"}))
    if s["published"]:
        tables["published"] = _published(s, averaged)
    if "distinct" in job.inputs:
        tables["distinct"] = pd.read_csv(job.input("distinct") / "attributes.csv")
    if "linearity" in job.inputs:
        tables["exactness"] = pd.read_csv(job.input("linearity") / "ranks.csv")
    return tables


def swept(job: Job, summary: pd.DataFrame, ranks: pd.DataFrame) -> pd.DataFrame:
    """Summaries of the methods whose rule has several values, with the rank that each gives."""
    columns = ["method", "name", "rule", "value", "relaxation", "source"]
    # Words before they share a column: beside a lambda, a rank of 10 would become 10.0.
    rows = [(*row[:3], str(row[3]), *row[4:]) for row in job.settings["sweep"]]
    methods = pd.DataFrame(rows, columns=columns)
    kept = ranks.loc[ranks["side"] == "outside", ["source", "region", "rule", "setting", "rank"]]
    kept = kept.rename(columns={"setting": "value"})
    methods = methods.merge(kept, on=["source", "rule", "value"])
    methods["kept"] = methods["rank"] - methods["relaxation"]
    averaged = summary[(summary["source"] == "average") & (summary["direction"] == 1)]
    averaged = averaged[averaged["measure"].str.endswith("_outside")]
    chosen = averaged.drop(columns=["source", "direction"])
    return methods.drop(columns=["rank", "source"]).merge(chosen, on=["method", "region"])


def _published(s: Mapping[str, Any], averaged: pd.DataFrame) -> pd.DataFrame:
    """Published changes, then those that were measured at the first target."""
    verify(Path(s["published"]), s["sha256"])
    theirs = pd.read_csv(s["published"]).assign(source="published")
    chosen = averaged[averaged["reached"] & (averaged["direction"] == 1)]
    means = chosen[chosen["target"] == s["target"]].groupby(["method", "region"], sort=False)
    ours = means[["mse_inside", "mse_outside"]].mean().reset_index()
    ours = ours.rename(columns={"mse_inside": "inside", "mse_outside": "outside"})
    rows = pd.concat([theirs, ours.assign(source="measured", generator=s["generator"])])
    rows["inside"], rows["outside"] = 1e3 * rows["inside"], 1e3 * rows["outside"]
    return rows[["source", "method", "generator", "region", "inside", "outside"]]


def _measured(table: pd.DataFrame) -> pd.DataFrame:
    """Without LPIPS by VGG where it is not measured: at equal MSE, and of single images."""
    by_vgg = table["measure"].astype(str).str.startswith("lpips_vgg")
    measured = table["target"].astype(str).str.startswith("lpips")
    if "source" in table:
        measured &= ~table["source"].astype(str).str.startswith("seed")
    return table[~by_vgg | measured]


def _comparison(compared: pd.DataFrame) -> pd.DataFrame:
    """Only what is measured by the measure that was matched: MSE at equal MSE, LPIPS at LPIPS."""
    pairs = zip(compared["measure"].astype(str), compared["target"].astype(str), strict=True)
    same = [measure.startswith(target.split()[0]) for measure, target in pairs]
    return compared[np.array(same, dtype=bool)].drop(columns="source")


def _ranks(job: Job) -> pd.DataFrame:
    """Ranks of every factorization, with the value of the rule as the configuration has it."""
    labelled = zip(job.settings["factors"], job.inputs["factorize"], strict=True)
    return pd.concat(
        pd.read_csv(folder / "ranks.csv").assign(source=source, setting=str(value))
        for (source, _, value), folder in labelled
    )


if __name__ == "__main__":
    run(main)
