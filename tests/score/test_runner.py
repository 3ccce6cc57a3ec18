"""The scoring run: each row once, resumable, bad rows set aside."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from support.datasets import RedScorer, png, sha, write_data
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_bytes, sha256_text
from tastemaker.data.comparison import Comparison
from tastemaker.score.runner import read_scores, score
from tastemaker.score.scores import scores_folder


def compare(number: int, prompt: str, a: int, b: int) -> Comparison:
    return Comparison(f"pair-{number}", prompt, sha(a), sha(b), "a")


COMPARISONS = [compare(0, "cat", 1, 2), compare(1, "cat", 2, 3), compare(2, "a dog", 2, 3), compare(3, "cat", 1, 3)]
DISTINCT = {("cat", 1), ("cat", 2), ("cat", 3), ("a dog", 2), ("a dog", 3)}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path / "data", COMPARISONS, [png(1), png(2), png(3)])


def test_every_distinct_image_and_prompt_is_scored_once(data: Path) -> None:
    scorer = RedScorer()
    summary = score(data, scorer)
    assert sorted(scorer.questions) == sorted(DISTINCT)
    assert {name: summary[name] for name in ("images", "rows", "scored", "quarantined", "reused")} == {
        "images": 3, "rows": 5, "scored": 5, "quarantined": 0, "reused": 0,
    }  # fmt: skip


def test_scores_by_hand(data: Path) -> None:
    """red / 100 + length / 1000: (2, "a dog") → 0.02 + 0.005."""
    score(data, RedScorer())
    scores = read_scores(data, "red@1")
    assert (scores.scorer, scores.calibration, len(scores)) == ("red@1", "identity", 5)
    assert scores[sha(2), sha256_text("a dog")] == pytest.approx(0.025)
    assert scores[sha(3), sha256_text("cat")] == pytest.approx(0.033)
    assert (sha(1), sha256_text("a dog")) not in scores


def test_the_file_is_as_documented(data: Path) -> None:
    score(data, RedScorer())
    file = pq.read_table(scores_folder(data, "red@1") / "scores.parquet")
    assert [(field.name, str(field.type)) for field in file.schema] == [
        ("sha", "string"), ("prompt_sha", "string"), ("raw", "float"),
    ]  # fmt: skip
    assert file.schema.metadata[b"scorer"] == b"red@1"


def test_a_scorer_without_prompts_is_asked_once_an_image(data: Path) -> None:
    scorer = RedScorer(uses_prompt=False)
    score(data, scorer)
    assert sorted(red for _, red in scorer.questions) == [1, 2, 3]
    scores = read_scores(data, "red@1")
    assert len(scores) == 5
    assert scores[sha(2), sha256_text("a dog")] == scores[sha(2), sha256_text("cat")] == pytest.approx(0.02)


@pytest.mark.parametrize(("shard_rows", "batch_size"), [(1, 1), (2, 64), (1024, 2), (3, 3)])
def test_shards_and_batches_change_nothing(tmp_path: Path, data: Path, shard_rows: int, batch_size: int) -> None:
    other = shutil.copytree(data, tmp_path / "other")
    score(data, RedScorer())
    scorer = RedScorer()
    score(other, scorer, shard_rows=shard_rows, batch_size=batch_size)
    assert max(map(len, scorer.asked)) <= batch_size
    assert contents(other) == contents(data)


def test_a_swapped_or_shuffled_dataset_has_the_same_scores(tmp_path: Path, data: Path) -> None:
    swapped = [comparison.swap() for comparison in COMPARISONS[::-1]]
    other = write_data(tmp_path / "other", swapped, [png(3), png(1), png(2)])
    score(data, RedScorer())
    score(other, RedScorer())
    assert contents(other) == contents(data)


def test_a_finished_run_is_left_alone(data: Path) -> None:
    first = score(data, RedScorer())
    scorer = RedScorer()
    assert score(data, scorer, shard_rows=7) == first
    assert scorer.asked == []


def test_new_comparisons_cost_their_own_rows_only(tmp_path: Path, data: Path) -> None:
    score(data, RedScorer())
    more = [*COMPARISONS, compare(4, "cat", 1, 4), compare(5, "a dog", 1, 3)]
    shutil.rmtree(data / "images")
    write_data(data, more, [png(1), png(2), png(3), png(4)])
    scorer = RedScorer()
    summary = score(data, scorer)
    assert sorted(scorer.questions) == [("a dog", 1), ("cat", 4)]
    assert (summary["rows"], summary["reused"]) == (7, 5)
    fresh = write_data(tmp_path / "fresh", more, [png(1), png(2), png(3), png(4)])
    score(fresh, RedScorer())
    assert contents(data) == contents(fresh)


def test_rows_that_are_not_asked_for_any_more_are_left_out(data: Path) -> None:
    score(data, RedScorer())
    write_data(data, COMPARISONS[:1], [png(1), png(2), png(3)])
    assert score(data, RedScorer())["rows"] == 2
    assert len(read_scores(data, "red")) == 2


def test_another_revision_is_another_folder(data: Path) -> None:
    score(data, RedScorer())
    scorer = RedScorer(id="red@2")
    score(data, scorer)
    assert len(scorer.questions) == 5
    assert read_scores(data, "red@1").scorer == "red@1"


def test_a_row_on_which_the_scorer_raises_is_quarantined(data: Path) -> None:
    summary = score(data, RedScorer(broken=frozenset({2})))
    assert (summary["scored"], summary["quarantined"], summary["reasons"]) == (3, 2, {"scorer_raised": 2})
    lines = (scores_folder(data, "red@1") / "quarantine.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"sha": sha(2), "prompt_sha": key, "reason": "scorer_raised", "detail": "RuntimeError: a red rag"}
        for key in sorted(map(sha256_text, ["cat", "a dog"]))
    ]
    assert (sha(2), sha256_text("cat")) not in read_scores(data, "red")


def test_a_clean_run_has_no_quarantine_file(data: Path) -> None:
    score(data, RedScorer())
    assert not (scores_folder(data, "red@1") / "quarantine.jsonl").exists()


def test_images_that_cannot_be_read_are_quarantined(tmp_path: Path) -> None:
    damaged = png(2)[:-30]
    missing = Comparison("pair-1", "cat", sha(1), sha(9), "b")
    broken = Comparison("pair-2", "cat", sha(1), sha256_bytes(damaged), "a")
    data = write_data(tmp_path, [missing, broken], [png(1), damaged])
    summary = score(data, RedScorer())
    assert summary["reasons"] == {"image_damaged": 1, "image_missing": 1}
    assert summary["scored"] == 1


def test_a_scorer_that_fails_everywhere_is_an_error_and_poisons_nothing(data: Path) -> None:
    with pytest.raises(UserError, match=r"red@1: cannot score any of 5 rows: scorer_raised \(RuntimeError: "):
        score(data, RedScorer(broken=frozenset({1, 2, 3})))
    assert score(data, RedScorer())["scored"] == 5


def test_a_scorer_that_breaks_halfway_stops_the_run(tmp_path: Path) -> None:
    """As when another program takes the GPU's memory: what was scored stays, the rest is not quarantined."""
    reds = range(100)
    comparisons = [compare(red, "cat", red, red + 1) for red in reds[:-1]]
    data = write_data(tmp_path, comparisons, [png(red) for red in reds])
    with pytest.raises(UserError, match="cannot score any of 50 rows"):
        score(data, RedScorer(broken=frozenset(reds[50:])), shard_rows=50)
    scorer = RedScorer()
    summary = score(data, scorer, shard_rows=50)
    assert (summary["scored"], summary["reused"], len(scorer.questions)) == (100, 50, 50)


def test_a_data_folder_without_comparisons_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"comparisons\.parquet: no such file; make it with: tastemaker import"):
        score(tmp_path / "nowhere", RedScorer())
    assert not (tmp_path / "nowhere").exists()
    write_data(tmp_path / "empty", [], [png(1)])
    with pytest.raises(UserError, match="there are no comparisons here"):
        score(tmp_path / "empty", RedScorer())


@pytest.mark.parametrize("wrong", [{"shard_rows": 0}, {"batch_size": -1}])
def test_sizes_must_be_positive(data: Path, wrong: dict) -> None:
    with pytest.raises(UserError, match="must be at least 1"):
        score(data, RedScorer(), **wrong)


def test_a_damaged_shard_is_named(data: Path) -> None:
    score(data, RedScorer())
    folder = scores_folder(data, "red@1")
    (folder / "summary.json").unlink()
    shard = next(folder.glob("shard-*"))
    shard.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=f"{shard.name}: damaged .* remove it"):
        score(data, RedScorer())
    shard.unlink()
    assert score(data, RedScorer())["scored"] == 5


def test_summary_figures(data: Path) -> None:
    summary = score(data, RedScorer(uses_prompt=False))
    raw = np.array([0.01, 0.02, 0.03, 0.02, 0.03])
    assert summary["raw_mean"] == pytest.approx(raw.mean())
    assert summary["raw_std"] == pytest.approx(raw.std())
    assert (summary["raw_min"], summary["raw_max"]) == pytest.approx((0.01, 0.03))


def contents(data: Path) -> bytes:
    return (scores_folder(data, "red@1") / "scores.parquet").read_bytes()
