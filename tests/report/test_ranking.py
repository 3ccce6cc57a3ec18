"""The section of a ranking: which rows each figure is of, the ends with both scores, columns it does not know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.datasets import RedScorer, png, sha, write_data
from tastemaker.data.comparison import Comparison
from tastemaker.rank.pairs import SCHEMA
from tastemaker.rank.ranking import Cut, rank
from tastemaker.report import ranking
from tastemaker.report.page import Gallery
from tastemaker.report.reporting import report
from tastemaker.score.runner import score

REDS = [20, 40, 60, 90]
PAIRS = [
    Comparison("a", "cat", sha(90), sha(20), "a"),  # 0.9 · (1 − 0.2) = 0.72
    Comparison("b", "dog", sha(60), sha(20), "a"),  # 0.48
    Comparison("d", "cat", sha(40), sha(60), "b"),  # 0.36
    Comparison("c", "cat", sha(20), sha(90), "a"),  # 0.02
    Comparison("e", "cat", sha(20), sha(40), "tie"),
]


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    data = write_data(tmp_path / "data", PAIRS, [png(red) for red in REDS])
    score(data, RedScorer(uses_prompt=False))
    score(data, RedScorer("pink@2", "standardise"))
    rank(data, "red", tmp_path / "ranked", Cut(count=2))
    return {"ranked": tmp_path / "ranked", "data": data}


def rewrite(ranked: Path, name: str, **columns: list[Any]) -> None:
    table = pq.read_table(ranked / f"{name}.parquet")
    for column, values in columns.items():
        if column in table.column_names:
            table = table.drop_columns([column])
        table = table.append_column(column, pa.array(values))
    pq.write_table(table, ranked / f"{name}.parquet")


def captions(ranked: Path) -> list[str]:
    return [part.caption for part in ranking.section(ranked, None).parts]


def test_figures_by_hand(inputs: dict[str, Path]) -> None:
    """Margins 0.7, 0.4, 0.2, −0.7: mean 0.15, one of four below 0; the tie has no Q and is in no figure."""
    margins, quality, prompts = captions(inputs["ranked"])
    assert "In 25.0% of 4 pairs" in margins
    assert "mean difference is +0.150" in margins
    assert "best 2 (50.0%, Q ≥ 0.480) are kept" in quality
    assert "The 2 kept pairs are of 2 of 2 prompts" in prompts
    assert "at most 1 of one prompt (all: 3)" in prompts


def test_other_reasons_count_among_the_prompts_but_not_at_the_cut(inputs: dict[str, Path]) -> None:
    """The best of the two left out by a cap and not by the cut: Q is of three, the prompts of four."""
    rewrite(inputs["ranked"], "discarded", reason=["cap", "cut", "tie"], origin=["label"] * 3)
    margins, quality, prompts = captions(inputs["ranked"])
    assert "of 4 pairs" in margins
    assert "of 3 pairs, best first. The best 2 (66.7%" in quality
    assert "(all: 3)" in prompts


def test_the_ends_have_both_scores(inputs: dict[str, Path]) -> None:
    """Of the ranking's scorer alone the raw score, which is not asked for the prompt here."""
    galleries = [part for part in ranking.section(**inputs).parts if isinstance(part, Gallery)]
    best, worst = galleries
    assert [strip.note for strip in best.strips] == ["Q 0.720", "Q 0.480"]
    assert [strip.note for strip in worst.strips] == ["Q 0.020", "Q 0.360"]
    assert best.strips[0].prompt == "cat"
    assert [picture.lines for picture in best.strips[0].pictures] == [
        ("ψ 0.900", "red 0.900"),
        ("ψ 0.200", "red 0.200"),
    ]
    assert "what the scorer gave it before calibration" in best.caption


def test_several_scorers_of_a_ranking_have_a_raw_score_each(inputs: dict[str, Path]) -> None:
    """pink adds the prompt's length / 1000: 0.9 + 0.003."""
    rows = pq.read_table(inputs["ranked"] / "pairs.parquet").to_pylist()[:1]
    raw = ranking.raw_scores(inputs["data"], ["red@1", "pink@2", "gone@3"], rows)
    assert raw[sha(90), rows[0]["prompt_sha"]] == ("red 0.900", "pink 0.903")
    assert ranking.raw_scores(inputs["data"], [], []) == {}


def test_who_ranked_is_one_or_several(inputs: dict[str, Path]) -> None:
    assert ranking.scorers(inputs["ranked"]) == ["red@1"]
    path = inputs["ranked"] / "pairs.parquet"
    pq.write_table(pq.read_table(path).replace_schema_metadata({"scorer": '["a@1", "b@1"]'}), path)
    assert ranking.scorers(inputs["ranked"]) == ["a@1", "b@1"]
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)
    assert ranking.scorers(inputs["ranked"]) == []


def test_the_scorer_of_the_ranking_comes_first_among_several(inputs: dict[str, Path], tmp_path: Path) -> None:
    report(tmp_path / "r.html", **inputs)
    text = (tmp_path / "r.html").read_text()
    assert "Whether the scorers agree" in text
    assert re.findall(r'<th scope="col"[^>]*>(\w+)', text) == ["ρ", "red", "pink"]
    names = {path.name for path in (tmp_path / "r-data").glob("*.csv")}
    assert names == {"agreement.csv", "margins.csv", "prompts.csv", "quality.csv"}
    report(tmp_path / "d.html", data=inputs["data"])
    assert "Whether the scorers agree" in (tmp_path / "d.html").read_text()


def test_rows_far_down_a_large_file_are_found(tmp_path: Path) -> None:
    """140,000 rows are read in three parts; the second has none of those wanted."""
    n, half = 140_000, 139_000
    numbers = np.arange(n, dtype=np.float32)
    names = [f"{row:06d}" for row in range(n)]
    columns = dict.fromkeys(("pair_id", "prompt", "prompt_sha", "winner", "loser"), names)
    quality = 1 - numbers / n
    columns |= {"strength": quality, "psi_winner": quality, "psi_loser": quality, "quality": quality}
    table = pa.table(columns, SCHEMA)
    pq.write_table(table.slice(0, half), tmp_path / "pairs.parquet")
    left = table.slice(half).append_column("reason", pa.array(["cut"] * (n - half)))
    pq.write_table(left, tmp_path / "discarded.parquet")
    found = ranking.read(tmp_path)
    wanted = [n - 1, 3, 138_000, 139_001]
    assert [row["pair_id"] for row in found.rows(wanted)] == [names[row] for row in wanted]
    assert (found.kept, len(found.quality), found.kind) == (half, n, "pairs")
    assert all(len(figure.wide) < 300_000 for figure in ranking.section(tmp_path, None).parts)
