"""Ranking on disk: by hand, invariances, contract, faults."""

from __future__ import annotations

import time
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.datasets import RedScorer, png, sha, write_data
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes, sha256_text
from tastemaker.data.comparison import Comparison
from tastemaker.data.store import read_comparisons
from tastemaker.rank.calibrate import Identity
from tastemaker.rank.judge import Scored, judge
from tastemaker.rank.ranking import Cut, Pair, rank, read_pairs, read_settings
from tastemaker.score.models.jpeg_size import JpegSize
from tastemaker.score.runner import score
from tastemaker.score.scores import Scores, read_scores

IMAGES = [20, 40, 60, 90]  # ψ of `RedScorer` without prompts: 0.2, 0.4, 0.6, 0.9
BROKEN = 7


def compare(pair_id: str, a: int, b: int, label: str, prompt: str = "cat") -> Comparison:
    return Comparison(pair_id, prompt, sha(a), sha(b), label)


COMPARISONS = [
    compare("e", 20, 40, "tie"),
    compare("d", 40, 60, "b"),  # 0.6 · (1 − 0.4) = 0.36
    compare("a", 90, 20, "a"),  # 0.9 · (1 − 0.2) = 0.72
    compare("f", BROKEN, 90, "b"),
    compare("c", 20, 90, "a", "dog"),  # 0.2 · (1 − 0.9) = 0.02
    compare("b", 60, 40, "a", "dog"),  # 0.36 again: b before d
]


def make(folder: Path, comparisons: list[Comparison] = COMPARISONS) -> Path:
    write_data(folder, comparisons, [png(red) for red in (*IMAGES, BROKEN)])
    score(folder, RedScorer(uses_prompt=False, broken=frozenset({BROKEN})))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make(tmp_path / "data")


def ids(pairs: list[Pair]) -> str:
    return "".join(pair.pair_id for pair in pairs)


def discarded(ranked: Path) -> list[dict]:
    return pq.read_table(ranked / "discarded.parquet").to_pylist()


def test_order_by_hand(data: Path, tmp_path: Path) -> None:
    rank(data, "red", tmp_path / "out")
    pairs = read_pairs(tmp_path / "out")
    assert ids(pairs) == "abdc"
    assert [pair.quality for pair in pairs] == pytest.approx([0.72, 0.36, 0.36, 0.02])
    assert pairs[2] == Pair(
        pair_id="d", prompt="cat", prompt_sha=sha256_text("cat"), winner=sha(60), loser=sha(40), strength=1.0,
        quality=pytest.approx(0.36), psi_winner=pytest.approx(0.6), psi_loser=pytest.approx(0.4),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("cut", "kept", "left"),
    [
        (Cut(fraction=0.5), "ab", "dcfe"),
        (Cut(count=1), "a", "bdcfe"),
        (Cut(min_quality=0.03), "abd", "cfe"),
        (Cut(), "abdc", "fe"),
    ],
)
def test_cut_and_discarded_by_hand(data: Path, tmp_path: Path, cut: Cut, kept: str, left: str) -> None:
    """Below the cut comes first, best first; then what has no score, then the ties."""
    summary = rank(data, "red", tmp_path / "out", cut)
    assert ids(read_pairs(tmp_path / "out")) == kept
    rows = discarded(tmp_path / "out")
    assert "".join(row["pair_id"] for row in rows) == left
    assert [row["reason"] for row in rows] == ["cut"] * (len(left) - 2) + ["unscored", "tie"]
    assert (summary["pairs"], summary["kept"]) == (6, len(kept))
    assert summary["discarded"] == {"cut": len(left) - 2, "tie": 1, "unscored": 1}


def test_what_has_no_quality_has_none_written_down(data: Path, tmp_path: Path) -> None:
    rank(data, "red", tmp_path / "out")
    unscored, tie = discarded(tmp_path / "out")
    assert (unscored["quality"], unscored["psi_loser"]) == (None, None)
    assert unscored["psi_winner"] == pytest.approx(0.9)
    assert (tie["quality"], tie["strength"]) == (None, 0.0)
    assert {tie["psi_winner"], tie["psi_loser"]} == {np.float32(0.2), np.float32(0.4)}


def test_summary_by_hand(data: Path, tmp_path: Path) -> None:
    """Distinct and scored: cat with 20, 40, 60, 90, dog with 20, 90, 60, 40. One of the four pairs is reversed."""
    summary = rank(data, "red", tmp_path / "out", Cut(count=3))
    psi = np.array([0.2, 0.4, 0.6, 0.9] * 2)
    assert summary["psi_mean"] == pytest.approx(psi.mean())
    assert summary["psi_std"] == pytest.approx(psi.std())
    assert summary["quality_at_cut"] == pytest.approx(0.36)
    assert summary["share_loser_above_winner"] == 0.25
    assert summary["clipped"] == 0


def test_another_calibration_by_hand(data: Path, tmp_path: Path) -> None:
    """range:0.35,0.65: 0.2 → 0 (clipped), 0.4 → 1/6, 0.6 → 5/6, 0.9 → 1 (clipped); Q of b and d is 25/36."""
    summary = rank(data, "red", tmp_path / "out", calibration="range:0.35,0.65")
    assert ids(read_pairs(tmp_path / "out")) == "abdc"
    assert [pair.quality for pair in read_pairs(tmp_path / "out")] == pytest.approx([1, 25 / 36, 25 / 36, 0], abs=1e-6)
    assert summary["clipped"] == 4
    assert summary["calibration"] == {"kind": "range", "low": 0.35, "high": 0.65}


def test_standardised_over_distinct_images_and_prompts(tmp_path: Path) -> None:
    """A pair that many people judged does not pull the mean: one row for each distinct (image, prompt)."""
    repeated = [compare(f"x{i}", 20, 40, "a") for i in range(10)]
    data = make(tmp_path / "data", [*repeated, compare("y", 60, 90, "b")])
    summary = rank(data, "red", tmp_path / "out", calibration="standardise")
    assert summary["calibration"]["mean"] == pytest.approx(0.525)


def test_files_are_as_documented(data: Path, tmp_path: Path) -> None:
    rank(data, "red", tmp_path / "out", Cut(fraction=0.5))
    text = dict.fromkeys(["pair_id", "prompt", "prompt_sha", "winner", "loser"], "string")
    columns = text | dict.fromkeys(["strength", "psi_winner", "psi_loser", "quality"], "float")
    for name, more in [("pairs.parquet", {}), ("discarded.parquet", {"reason": "string"})]:
        schema = pq.read_schema(tmp_path / "out" / name)
        assert {field.name: str(field.type) for field in schema} == columns | more
    assert read_settings(tmp_path / "out") == {
        "scorer": "red@1",
        "calibration": {"kind": "identity"},
        "cut": {"fraction": 0.5, "count": None, "min_quality": None, "order": "quality", "seed": 0},
        "quality_at_cut": pytest.approx(0.36),
    }


@pytest.mark.parametrize("cut", [Cut(fraction=0.5), Cut(count=2, order="random", seed=4)])
def test_a_swapped_and_shuffled_dataset_is_ranked_alike(data: Path, tmp_path: Path, cut: Cut) -> None:
    other = make(tmp_path / "other", [comparison.swap() for comparison in COMPARISONS[::-1]])
    rank(data, "red", tmp_path / "one", cut)
    rank(other, "red", tmp_path / "two", cut)
    for name in ("pairs.parquet", "discarded.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_ranking_reads_the_label_and_not_the_score(data: Path, tmp_path: Path) -> None:
    """The scorer orders lessons; who won is the people's word alone."""
    rank(data, "red", tmp_path / "out")
    said = {one.pair_id: one.image_a if one.label == "a" else one.image_b for one in read_comparisons(data)}
    assert all(pair.winner == said[pair.pair_id] for pair in read_pairs(tmp_path / "out"))


def test_the_random_control_has_the_same_pairs_in_another_order(data: Path, tmp_path: Path) -> None:
    rank(data, "red", tmp_path / "out", Cut(order="random", seed=1))
    again = rank(data, "red", tmp_path / "again", Cut(order="random", seed=1))
    assert sorted(ids(read_pairs(tmp_path / "out"))) == list("abcd")
    assert read_pairs(tmp_path / "out") == read_pairs(tmp_path / "again")
    assert again["kept"] == 4


def test_a_finished_ranking_is_left_alone(data: Path, tmp_path: Path) -> None:
    first = rank(data, "red", tmp_path / "out", Cut(count=2))
    written = (tmp_path / "out" / "pairs.parquet").stat().st_mtime_ns
    assert rank(data, "red@1", tmp_path / "out", Cut(count=2)) == first
    assert (tmp_path / "out" / "pairs.parquet").stat().st_mtime_ns == written


def test_other_settings_want_another_folder(data: Path, tmp_path: Path) -> None:
    rank(data, "red", tmp_path / "out", Cut(count=2))
    with pytest.raises(UserError, match="other inputs or settings; choose another --out"):
        rank(data, "red", tmp_path / "out", Cut(count=3))
    assert len(read_pairs(tmp_path / "out")) == 2


def test_missing_scores_name_the_command(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", COMPARISONS, [png(20)])
    with pytest.raises(UserError, match=r"'world' has not scored here .* run: tastemaker score .*data --scorer world"):
        rank(data, "world", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_comparisons_that_came_after_the_scores_are_counted(data: Path, tmp_path: Path) -> None:
    write_data(data, [*COMPARISONS, compare("g", 20, 60, "b", "bird")], [png(red) for red in (*IMAGES, BROKEN)])
    assert rank(data, "red", tmp_path / "out")["discarded"]["unscored"] == 2


def test_only_ties_is_an_error(tmp_path: Path) -> None:
    data = make(tmp_path / "data", [compare("e", 20, 40, "tie")])
    with pytest.raises(UserError, match="no pair with a winner and both scores"):
        rank(data, "red", tmp_path / "out")
    assert not (tmp_path / "out" / "pairs.parquet").exists()


def test_reading_what_is_not_there_or_damaged(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"pairs\.parquet: no such file; make it with: tastemaker rank"):
        read_pairs(tmp_path)
    rank(data, "red", tmp_path / "out")
    (tmp_path / "out" / "pairs.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(UserError, match=r"pairs\.parquet: not readable as ranked pairs"):
        read_pairs(tmp_path / "out")
    (data / "comparisons.parquet").write_bytes(b"PAR1 half")
    with pytest.raises(UserError, match=r"comparisons\.parquet: damaged or not a Parquet file"):
        rank(data, "red", tmp_path / "more")
    (data / "comparisons.parquet").unlink()
    with pytest.raises(UserError, match=r"comparisons\.parquet: no such file"):
        rank(data, "red", tmp_path / "more")


def test_speed_of_the_join() -> None:
    """200 k comparisons of 300 k distinct images: looked up, oriented and weighed by column."""
    n, rng = 200_000, np.random.default_rng(0)
    image = np.array([f"{i:064x}" for i in range(300_000)])
    prompt = np.array([f"{i:064x}" for i in range(20_000)])
    a, b, p = rng.integers(0, 300_000, n), rng.integers(0, 300_000, n), rng.integers(0, 20_000, n)
    names = ["pair_id", "prompt", "prompt_sha", "image_a", "image_b", "label"]
    columns = [image[:n], prompt[p], prompt[p], image[a], image[b], np.array(["a", "b", "tie"])[rng.integers(0, 3, n)]]
    comparisons = pa.table(dict(zip(names, columns, strict=True)))
    keys = np.unique(np.concatenate([a * 20_000 + p, b * 20_000 + p]))
    raw = rng.random(len(keys), np.float32)
    scores = Scores("s@1", "identity", pa.array(image[keys // 20_000]), pa.array(prompt[keys % 20_000]), raw)
    started = time.process_time()
    judged = judge(comparisons, [Scored(scores, Identity())])
    assert time.process_time() - started < 3
    assert judged.rankable.sum() == (np.asarray(columns[5]) != "tie").sum()


def test_the_real_images_and_their_human_ranking(shared_data: Path, tmp_path: Path) -> None:
    """ImageReward's four samples, six pairs: JPEG size orders them by its own taste, people's labels stay."""
    images = [(shared_data / "imagereward" / f"{place}.webp").read_bytes() for place in (1, 2, 3, 4)]
    names = [sha256_bytes(image) for image in images]
    prompt = "a painting of an ocean"
    comparisons = [Comparison(f"{w}{lo}", prompt, names[w], names[lo], "a") for w, lo in combinations(range(4), 2)]
    data = write_data(tmp_path / "data", comparisons, images)
    score(data, JpegSize())
    rank(data, "jpeg-size", tmp_path / "out")
    scores = read_scores(data, "jpeg-size")
    raw = np.array([scores[name, sha256_text(prompt)] for name in names], np.float64)
    psi = dict(zip(names, (np.clip((raw - raw.mean()) / raw.std(), -3, 3) + 3) / 6, strict=True))
    expected = sorted((psi[one.image_a] * (1 - psi[one.image_b]) for one in comparisons), reverse=True)
    assert [pair.quality for pair in read_pairs(tmp_path / "out")] == pytest.approx(expected)
