import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from job import Job
from lowrankgan.errors import LowRankGANError
from lowrankgan.tables import compare, movement, summarize, transfer, write_table
from tables import swept

SETTINGS = {"seed": 0, "resamples": 200, "level": 0.95}


def rows(method: str, outside: list[float], reached: list[bool], **other: object) -> pd.DataFrame:
    faces = range(len(outside))
    base = {"source": "average", "region": "eyes", "direction": 1, "target": "mse"} | other
    return pd.DataFrame(
        [
            base | {"method": method, "face": f, "reached": r, "mse_outside": v, "smile": v / 2}
            for f, v, r in zip(faces, outside, reached, strict=True)
        ]
    )


def test_means_are_over_the_faces_that_reached() -> None:
    metrics = rows("ours", [1.0, 2.0, 3.0, 100.0], [True, True, True, False])
    row = summarize(metrics, ["mse_outside"], **SETTINGS).iloc[0]
    assert row["mean"] == pytest.approx(2.0)
    assert (row["faces"], row["reached"], row["counted"]) == (4, 0.75, 3)
    assert 1.0 <= row["low"] < row["mean"] < row["high"] <= 3.0


def test_faces_without_a_value_do_not_count() -> None:
    metrics = rows("ours", [1.0, 3.0, 5.0], [True, True, True])
    metrics.loc[2, "smile"] = np.nan
    table = summarize(metrics, ["mse_outside", "smile"], **SETTINGS).set_index("measure")
    assert table.loc["smile", "mean"] == pytest.approx(1.0)
    assert table["counted"].to_list() == [3, 2]
    assert table["reached"].to_list() == [1.0, 1.0]


def test_a_mouth_that_closes_has_moved_as_far_as_one_that_opens() -> None:
    equal = {"smile": [0.3, -0.1, 0.9], "lpips_alex_outside": [0.1, 0.3, 0.1]}
    metrics = pd.concat(
        rows("ours", [0.01, 0.07, 9.0], [True, True, False], target=target).assign(**equal)
        for target in ("mse", "lpips 0.05")
    )
    table = movement(metrics, ["smile"]).set_index("target")
    assert table["moved"].to_list() == [pytest.approx(0.2)] * 2
    assert table.loc["mse", "per_outside_change"] == pytest.approx(0.2 / 0.04**0.5)
    assert table.loc["lpips 0.05", "per_outside_change"] == pytest.approx(0.2 / 0.2)


def test_an_edit_without_a_score_enters_neither_its_mean_nor_what_that_is_divided_by() -> None:
    scores = {"smile": [0.3, np.nan], "eye_opening": [0.1, 0.2]}
    metrics = rows("ours", [0.01, 0.07], [True, True], target="lpips")
    metrics = metrics.assign(lpips_alex_outside=[0.1, 0.3], **scores)
    table = movement(metrics, list(scores)).set_index("measure")
    assert table.loc["smile", "moved"] == pytest.approx(0.3)
    assert table.loc["smile", "per_outside_change"] == pytest.approx(3.0)
    assert table.loc["eye_opening", "per_outside_change"] == pytest.approx(0.15 / 0.2)


def test_a_direction_that_never_reaches_keeps_its_row() -> None:
    metrics = rows("ours", [1.0, 2.0], [False, False])
    row = summarize(metrics, ["mse_outside"], **SETTINGS).iloc[0]
    assert np.isnan([row["mean"], row["low"], row["high"]]).all()
    assert (row["faces"], row["reached"], row["counted"]) == (2, 0.0, 0)


def test_groups_keep_the_order_of_the_metrics() -> None:
    metrics = pd.concat(
        [
            rows(method, [1.0, 2.0], [True, True], direction=direction, target=target)
            for method in ("zeta", "alpha")
            for direction in (1, 2)
            for target in ("mse", "lpips")
        ]
    )
    table = summarize(metrics, ["mse_outside"], **SETTINGS)
    assert table["method"].to_list() == ["zeta"] * 4 + ["alpha"] * 4
    assert table["target"].to_list() == ["mse", "lpips"] * 4


def test_ratio_is_of_means_over_faces_that_both_reached() -> None:
    metrics = pd.concat(
        [
            rows("ours", [1.0, 2.0, 3.0, 50.0], [True, True, True, False]),
            rows("baseline", [4.0, 8.0, 70.0, 8.0], [True, True, False, True]),
            rows("ours", [9.0] * 4, [True] * 4, direction=2),
        ]
    )
    table = compare(metrics, "baseline", ["mse_outside"], **SETTINGS)
    assert table["method"].to_list() == ["ours"]
    assert table.loc[0, "ratio"] == pytest.approx(3.0 / 12.0)
    assert table.loc[0, "faces"] == 2


def test_interval_of_a_ratio_resamples_pairs() -> None:
    hard = np.random.default_rng(0).lognormal(0, 2, 20)
    metrics = pd.concat(
        [rows("ours", list(hard / 4), [True] * 20), rows("baseline", list(hard), [True] * 20)]
    )
    row = compare(metrics, "baseline", ["mse_outside"], **SETTINGS).iloc[0]
    # Hard faces are hard for both: in pairs the ratio does not vary, face by face it would.
    assert [row["ratio"], row["low"], row["high"]] == pytest.approx([0.25] * 3)


def test_a_method_that_never_reaches_stays_in_the_comparison() -> None:
    metrics = pd.concat(
        [rows("ours", [1.0, 2.0], [False, False]), rows("baseline", [1.0, 2.0], [True, True])]
    )
    row = compare(metrics, "baseline", ["mse_outside"], **SETTINGS).iloc[0]
    assert (row["method"], row["faces"]) == ("ours", 0)
    assert np.isnan(row["ratio"])


def test_a_source_without_the_baseline_stays_in_the_comparison() -> None:
    metrics = pd.concat(
        [
            rows("ours", [1.0, 2.0], [True, True]),
            rows("baseline", [1.0, 2.0], [True, True], source="seed 0"),
        ]
    )
    row = compare(metrics, "baseline", ["mse_outside"], **SETTINGS).iloc[0]
    assert (row["source"], row["faces"]) == ("average", 0)


def test_an_unknown_baseline_is_named() -> None:
    with pytest.raises(LowRankGANError, match="'absent' is not among the methods: ours"):
        compare(rows("ours", [1.0], [True]), "absent", ["mse_outside"], **SETTINGS)


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": ["left_eye & 50%", "pursuit λ"],
            "mean": [0.000012345678, -1 / 3],
            "low": [np.nan, 100.0],
            "faces": [8, 0],
        }
    )


def test_all_formats_hold_the_same_numbers(table: pd.DataFrame, tmp_path: Path) -> None:
    write_table(table, tmp_path / "eyes_0.98", "Change of 5 % & more", 3)
    exact = pd.read_csv(tmp_path / "eyes_0.98.csv")
    pd.testing.assert_frame_equal(exact, table, check_exact=True)

    lines = (tmp_path / "eyes_0.98.md").read_text().splitlines()
    assert lines[0] == "Change of 5 % & more"
    markdown = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[4:]]
    expected = [["1.23e-05", "–", "8"], ["-0.333", "100", "0"]]
    assert [row[1:] for row in markdown] == expected

    latex = (tmp_path / "eyes_0.98.tex").read_text()
    body = latex.split("\\midrule\n")[1].split("\n\\bottomrule")[0].splitlines()
    cells = [line.removesuffix(r" \\").split(" & ") for line in body]
    assert cells[0] == [r"left\_eye \& 50\%", r"$1.23 \times 10^{-5}$", "--", "$8$"]
    assert cells[1] == [r"pursuit $\lambda$", "$-0.333$", "$100$", "$0$"]


def test_latex_escapes_and_balances(table: pd.DataFrame, tmp_path: Path) -> None:
    write_table(table.rename(columns={"mean": "a_b"}), tmp_path / "t", "5 % & {x} ~ \\", 3)
    latex = (tmp_path / "t.tex").read_text()
    assert r"\caption{5 \% \& \{x\} \textasciitilde{} \textbackslash{}}" in latex
    assert r"method & a\_b & low & faces \\" in latex
    assert r"\begin{tabular}{lrrr}" in latex
    assert len(re.findall(r"\\begin", latex)) == len(re.findall(r"\\end", latex)) == 2


def test_what_is_true_or_false_is_a_word_in_every_format(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"distinct": [True, False]}), tmp_path / "t", "Caption", 3)
    body = (tmp_path / "t.tex").read_text().split("\\midrule\n")[1].splitlines()
    assert body[:2] == [r"True \\", r"False \\"]


def test_files_are_deterministic_and_leave_nothing_behind(
    table: pd.DataFrame, tmp_path: Path
) -> None:
    for folder in ("a", "b"):
        write_table(table, tmp_path / folder / "t", "Caption", 3)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["t.csv", "t.md", "t.tex"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_csv_of_a_summary_reads_back(tmp_path: Path) -> None:
    summary = summarize(rows("ours", [0.1, 0.2], [True, True]), ["mse_outside"], **SETTINGS)
    write_table(summary, tmp_path / "t", "Caption", 3)
    with (tmp_path / "t.csv").open() as file:
        record = next(csv.DictReader(file))
    assert float(record["mean"]) == summary.loc[0, "mean"]


def test_transfer_is_the_others_over_ones_own() -> None:
    metrics = pd.concat(
        rows(
            "ours", [float(1 + (source != face)) * (face + 1) for face in range(3)], [True] * 3
        ).assign(source=f"seed {source}")
        for source in range(3)
    )
    row = transfer(metrics, ["mse_outside"], **SETTINGS).iloc[0]
    assert row["own"] == pytest.approx(2.0)
    assert row["others"] == pytest.approx(4.0)
    assert row[["ratio", "low", "high"]].to_list() == pytest.approx([2.0] * 3)
    assert row["faces"] == 3


def test_a_face_that_its_own_direction_does_not_reach_enters_no_ratio() -> None:
    metrics = pd.concat(
        rows("ours", [1.0, 1.0], [source != 0, True]).assign(source=f"seed {source}")
        for source in range(2)
    )
    row = transfer(metrics, ["mse_outside"], **SETTINGS).iloc[0]
    assert row["faces"] == 1


def test_a_sweep_of_ranks_stands_beside_one_of_lambdas(tmp_path) -> None:
    sweep = [
        ["pursuit 0.02", "pursuit", "pursuit", 0.02, 0, "pursuit 0.02"],  # of a J of its own
        ["cut 10", "cut", "rank", 10, 2, "average"],
    ]
    ranks = pd.DataFrame(
        {"side": "outside", "region": "eyes", "rule": ["pursuit", "pursuit", "rank"]}
        | {"source": ["average", "pursuit 0.02", "average"]}
        | {"setting": ["0.02", "0.02", "10"], "value": [0.02, 0.02, 10], "rank": [99, 33, 10]}
    )
    summary = pd.DataFrame(
        {"source": "average", "method": ["pursuit 0.02", "cut 10"], "region": "eyes"}
        | {"direction": 1, "measure": "mse_outside", "mean": [0.1, 0.2]}
    )
    found = swept(Job({"sweep": sweep}, {}, tmp_path), summary, ranks).set_index("method")
    assert found["kept"].to_dict() == {"pursuit 0.02": 33, "cut 10": 8}
    assert found["mean"].to_dict() == {"pursuit 0.02": 0.1, "cut 10": 0.2}
