"""docs/results/reproduce-world: its tables are those of the committed scores, and the page about it quotes them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
WORLD = RESULTS / "reproduce-world"
TABLES = ("table1", "table2", "table3", "table4", "dde", "steps")


@pytest.fixture(scope="module")
def means() -> dict[tuple[str, str], float]:
    """Arm and judge → mean over seeds and prompts."""
    table = pq.read_table(WORLD / "scores.parquet")
    judges = table.column_names[4:]
    grouped = table.group_by("arm").aggregate([(judge, "mean") for judge in judges]).to_pylist()
    return {(row["arm"], judge): row[f"{judge}_mean"] for row in grouped for judge in judges}


@pytest.mark.parametrize("name", TABLES)
def test_means_are_those_of_the_committed_scores(name: str, means: dict[tuple[str, str], float]) -> None:
    rows = [row for row in csv.DictReader((WORLD / f"{name}.csv").open()) if row["figure"] == "mean"]
    page = (WORLD / "README.md").read_text(encoding="utf-8")
    assert len(rows) >= 16
    for row in rows:
        assert float(row["value"]) == pytest.approx(means[row["arm"], row["judge"]], abs=1e-5)
        assert f"| {means[row['arm'], row['judge']]:.3f}" in page


def test_every_arm_of_a_sentence_has_five_seeds_or_more() -> None:
    table = pq.read_table(WORLD / "scores.parquet", columns=["arm", "seed"]).to_pylist()
    seeds: dict[str, set[int]] = {}
    for row in table:
        seeds.setdefault(row["arm"], set()).add(row["seed"])
    told = {row["arm"] for name in TABLES for row in csv.DictReader((WORLD / f"{name}.csv").open()) if row.get("arm")}
    assert {len(seeds[arm]) for arm in told if not arm.endswith("base")} <= {5, 6}


def test_the_differences_that_are_told_stand_on_the_page() -> None:
    """Each "+0.058 (+0.032 to +0.085)" of the tables."""
    text = (RESULTS / "reproduce.md").read_text(encoding="utf-8")
    page = (WORLD / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"\| (\+0\.\d{3} \(\+0\.\d{3} to \+0\.\d{3}\)) \|", text)
    assert len(told) >= 4
    assert [figure for figure in told if figure not in page] == []


def test_the_means_of_the_heat_map_stand_on_the_page() -> None:
    """Rows of three, of all pairs, the best and the random ones."""
    text = (RESULTS / "reproduce.md").read_text(encoding="utf-8")
    page = (WORLD / "README.md").read_text(encoding="utf-8")
    told = re.findall(r"(\| [+−]0\.\d{3} \| [+−]0\.\d{3} \| [+−]0\.\d{3} \|)$", text, re.MULTILINE)
    assert len(told) == 16
    assert [row for row in told if row.replace("−", "-") not in page] == []
