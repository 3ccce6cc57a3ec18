"""Ranking images that were judged alone: by hand, invariances, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.datasets import RedScorer, png, sha, write_data
from tastemaker.base.errors import UserError
from tastemaker.data.comparison import Comparison
from tastemaker.evaluate.detection import auroc
from tastemaker.rank.kinds import KINDS
from tastemaker.rank.pairs import SCHEMA, Pair, write_pairs
from tastemaker.rank.ranking import Cut, rank, read_pairs
from tastemaker.score.runner import score

IMAGES = [20, 40, 60, 90]  # ψ of `RedScorer` without prompts: 0.2, 0.4, 0.6, 0.9
BROKEN = 7


def judged(pair_id: str, image: int, label: str, prompt: str = "cat") -> Comparison:
    return Comparison(pair_id, prompt, sha(image), None, label)


SINGLES = [
    judged("c", 20, "liked"),  # 0.2
    judged("d", 90, "disliked"),  # 1 − 0.9 = 0.1
    judged("a", 90, "liked", "dog"),  # 0.9
    judged("f", BROKEN, "disliked"),
    judged("bb", 40, "disliked"),  # 1 − 0.4 = 0.6, and float32 makes it less than the next
    judged("g", BROKEN, "liked"),
    judged("b", 60, "liked"),  # 0.6
]
PAIRS = [
    Comparison("x", "cat", sha(20), sha(60), "b"),  # 0.6 · 0.8 = 0.48
    Comparison("y", "cat", sha(20), sha(40), "tie"),
]


def make(folder: Path, comparisons: list[Comparison]) -> Path:
    write_data(folder, comparisons, [png(red) for red in (*IMAGES, BROKEN)])
    score(folder, RedScorer(uses_prompt=False, broken=frozenset({BROKEN})))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make(tmp_path / "data", SINGLES)


def ids(folder: Path) -> list[str]:
    return [pair.pair_id for pair in read_pairs(folder)]


def test_order_by_hand(data: Path, tmp_path: Path) -> None:
    rank(data, "red", tmp_path / "out")
    pairs = read_pairs(tmp_path / "out")
    assert [pair.pair_id for pair in pairs] == ["a", "b", "bb", "c", "d"]
    assert [pair.quality for pair in pairs] == pytest.approx([0.9, 0.6, 0.6, 0.2, 0.1])
    assert [(pair.winner, pair.loser) for pair in pairs[1:3]] == [(sha(60), None), (None, sha(40))]
    psi = [(pair.psi_winner, pair.psi_loser) for pair in pairs[1:3]]
    assert psi == [(np.float32(0.6), None), (None, np.float32(0.4))]
    assert [pair.sign for pair in pairs] == [1, 1, -1, 1, -1]
    assert all(pair.single and len(pair.images) == 1 and pair.strength == 1 for pair in pairs)


def test_cut_discarded_and_summary_by_hand(data: Path, tmp_path: Path) -> None:
    """Liked 0.9, 0.6, 0.2 against disliked 0.9, 0.4: the disliked is above in 0.5 + 1 + 1 + 0 + 0 + 1 of 6."""
    summary = rank(data, "red", tmp_path / "out", Cut(count=2))
    assert ids(tmp_path / "out") == ["a", "b"]
    rows = pq.read_table(tmp_path / "out" / "discarded.parquet").to_pylist()
    assert [row["pair_id"] for row in rows] == ["bb", "c", "d", "f", "g"]
    assert [row["reason"] for row in rows] == ["cut"] * 3 + ["unscored"] * 2
    assert [rows[3][name] for name in ("quality", "psi_winner", "psi_loser", "winner")] == [None] * 4
    assert (summary["images"], summary["liked"], summary["kept"], summary["kept_liked"]) == (7, 4, 2, 2)
    assert summary["share_disliked_above_liked"] == pytest.approx(3.5 / 6)
    assert "pairs" not in summary


def test_the_share_is_one_less_the_area_under_the_roc_curve(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    reds = rng.integers(0, 100, 60)
    labels = np.where(rng.random(60) < 0.4, "liked", "disliked")
    comparisons = [
        judged(f"p{i}", int(red), label, f"p{i}") for i, (red, label) in enumerate(zip(reds, labels, strict=True))
    ]
    data = write_data(tmp_path / "data", comparisons, [png(int(red)) for red in reds])
    score(data, RedScorer(uses_prompt=False))
    found = rank(data, "red", tmp_path / "out")["share_disliked_above_liked"]
    assert found == pytest.approx(1 - auroc(labels == "liked", reds))


def test_one_verdict_only_has_no_share(tmp_path: Path) -> None:
    data = make(tmp_path / "data", [one for one in SINGLES if one.label == "liked"])
    summary = rank(data, "red", tmp_path / "out")
    assert summary["share_disliked_above_liked"] is None
    assert summary["kept_liked"] == summary["kept"] == 3


def test_shuffled_singles_are_ranked_alike(data: Path, tmp_path: Path) -> None:
    other = make(tmp_path / "other", [one.swap() for one in SINGLES[::-1]])
    for source, out in ((data, "one"), (other, "two")):
        rank(source, "red", tmp_path / out, Cut(fraction=0.5))
    for name in ("pairs.parquet", "discarded.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_mixed_data_are_ranked_by_kind(tmp_path: Path) -> None:
    data = make(tmp_path / "data", [*SINGLES, *PAIRS])
    with pytest.raises(UserError, match=r"2 pairs and 7 single images .* say --only pairs, --only singles or --only"):
        rank(data, "red", tmp_path / "all")
    assert not (tmp_path / "all" / "pairs.parquet").exists()
    found = {kind: rank(data, "red", tmp_path / kind, only=kind) for kind in KINDS}
    assert {kind: ids(tmp_path / kind) for kind in KINDS} == {
        "pairs": ["x"],
        "singles": ["a", "b", "bb", "c", "d"],
        "liked": ["a", "b", "c"],
    }
    assert {kind: summary["others"] for kind, summary in found.items()} == {"pairs": 7, "singles": 2, "liked": 5}
    assert found["pairs"]["discarded"]["tie"] == 1
    assert found["pairs"]["share_loser_above_winner"] == 0
    with pytest.raises(UserError, match="other inputs or settings"):
        rank(data, "red", tmp_path / "liked", only="singles")


def test_a_kind_that_is_not_there(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--only pairs: there is none among 0 pairs and 7 single images"):
        rank(data, "red", tmp_path / "out", only="pairs")
    assert rank(data, "red", tmp_path / "singles", only="singles")["others"] == 0


def test_nothing_scored(tmp_path: Path) -> None:
    data = make(tmp_path / "data", [judged("f", BROKEN, "liked"), *PAIRS])
    with pytest.raises(UserError, match="no image with a verdict and a score"):
        rank(data, "red", tmp_path / "out", only="singles")


def test_a_pair_is_no_single() -> None:
    pair = Pair("p", "", "", "w", "l", 1.0, 0.5, 0.8, 0.2)
    assert (pair.single, pair.sign, pair.images) == (False, 1, ("w", "l"))


def test_a_row_without_any_image(tmp_path: Path) -> None:
    row = dict.fromkeys(SCHEMA.names) | {"pair_id": "odd", "prompt": "p", "prompt_sha": "s"}
    write_pairs(tmp_path / "pairs.parquet", pa.Table.from_pylist([row], SCHEMA), {})
    with pytest.raises(UserError, match=r"pairs\.parquet: odd has neither winner nor loser"):
        read_pairs(tmp_path)
