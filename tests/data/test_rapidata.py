"""Rapidata's sets: votes, or weighted answers to one of three questions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.pictures import jpeg, quarantined
from tastemaker.base.errors import UserError
from tastemaker.data.importing import import_data
from tastemaker.data.readers import parquet as streaming
from tastemaker.data.store import read_comparisons

A, B = jpeg(1), jpeg(2)
IMAGES = {"a": A, "b": B}
STRUCT = pa.struct({"bytes": pa.binary(), "path": pa.string()})

Said = Callable[..., list[tuple[Any, ...]]]


def voted(*votes: tuple[int | None, int | None]) -> dict[str, Any]:
    first, second = ([None if one is None else int(one) for one in side] for side in zip(*votes, strict=True))
    images = [pa.array([{"bytes": image, "path": "x.jpg"}] * len(votes), STRUCT) for image in (A, B)]
    return {
        "prompt": [f"p{number}" for number in range(len(votes))],
        "image1": images[0],
        "image2": images[1],
        "votes_image1": pa.array(first, pa.int64()),
        "votes_image2": pa.array(second, pa.int64()),
        "model1": ["flux"] * len(votes),
        "model2": ["sd3"] * len(votes),
        "detailed_results": ["{}"] * len(votes),
    }


def weighted(**questions: list[tuple[float | None, float | None]]) -> dict[str, Any]:
    rows = len(next(iter(questions.values())))
    columns: dict[str, Any] = {"prompt": [f"p{n}" for n in range(rows)], "image1": [A] * rows, "image2": [B] * rows}
    for question, answers in questions.items():
        for side in (0, 1):
            values = pa.array([one[side] for one in answers], pa.float32())
            columns[f"weighted_results_image{side + 1}_{question}"] = values
    return columns


def test_votes(put: Any, said: Said, resumes: Any, parquet: Any) -> None:
    source = put({"train_0001-00000-of-00001.parquet": parquet(voted((3, 1), (1, 3), (2, 2), (4, 0)))})
    assert said(source, IMAGES) == [
        ("p0", "ab", "a", 0.75, 4),
        ("p1", "ab", "b", 0.25, 4),
        ("p2", "ab", "tie", 0.5, 4),
        ("p3", "ab", "a", 1.0, 4),
    ]
    first, *_ = read_comparisons(source.parent / "data")
    assert (first.model_a, first.model_b, first.judge) == ("flux", "sd3", "")
    assert resumes(source) == resumes(next(source.iterdir())) == 4


def test_weighted_answers_to_a_question(put: Any, said: Said, parquet: Any, tmp_path: Path) -> None:
    table = weighted(preference=[(1.5, 0.5), (1.0, 3.0)], alignment=[(1.0, 3.0), (2.0, 2.0)])
    table["detailed_results_preference"] = [json.dumps([{"votedFor": "x"}] * 24), "no list"]
    source = put({"in.parquet": parquet(table)})
    assert said(source, IMAGES) == [("p0", "ab", "a", 0.75, 24), ("p1", "ab", "b", 0.25, None)]
    import_data(str(source), tmp_path / "other", question="alignment")
    found = [(one.label, one.share, one.votes) for one in read_comparisons(tmp_path / "other")]
    assert found == [("b", 0.25, None), ("tie", 0.5, None)]
    with pytest.raises(UserError, match="other inputs or settings"):
        import_data(str(source), tmp_path / "data", question="alignment")
    with pytest.raises(UserError, match="lacks the column weighted_results_image1_coherence; needs prompt, image1"):
        import_data(str(source), tmp_path / "more", question="coherence")
    with pytest.raises(UserError, match="--question taste: is none of preference, coherence, alignment"):
        import_data(str(source), tmp_path / "more", question="taste")  # type: ignore[arg-type]


def test_a_question_is_not_put_to_votes(put: Any, parquet: Any, tmp_path: Path) -> None:
    """What people were asked stands in the name of the set alone."""
    source = put({"in.parquet": parquet(voted((1, 0)))})
    with pytest.raises(UserError, match="lacks the column weighted_results_image1_alignment"):
        import_data(str(source), tmp_path / "data", question="alignment")


def test_what_is_wrong_with_rows(put: Any, said: Said, resumes: Any, parquet: Any) -> None:
    table = voted((0, 0), (None, 1), (-1, 2), (1, 0), (1, 0), (1, 0))
    table["prompt"][3] = None
    table["image2"] = pa.array([{"bytes": B}] * 4 + [{"bytes": None}, {"bytes": B}], STRUCT)
    source = put({"in.parquet": parquet(table)})
    assert said(source, IMAGES) == [("p5", "ab", "a", 1.0, 1)]
    assert [(line["row"], line["field"], line["reason"]) for line in quarantined(source.parent / "data")] == [
        (0, "votes_image1", "unlabelled"),
        (1, "votes_image1", "unlabelled"),
        (2, "votes_image1", "label_unknown"),
        (3, "prompt", "prompt_missing"),
        (4, "image2", "image_missing"),
    ]
    assert resumes(source) == 6


def test_questions_that_were_not_asked(put: Any, said: Said, parquet: Any) -> None:
    source = put(
        {"in.parquet": parquet(weighted(preference=[(None, None), (float("nan"), 1.0), (0.0, 0.0), (1.0, 0.0)]))}
    )
    assert said(source, IMAGES) == [("p3", "ab", "a", 1.0, None)]
    assert {line["reason"] for line in quarantined(source.parent / "data")} == {"unlabelled"}


def test_splits_by_a_pattern(put: Any, said: Said, resumes: Any, parquet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And rows in small batches are the same."""
    monkeypatch.setattr(streaming, "BATCH_ROWS", 1)
    names = ("train_0002", "train_0001", "test")
    source = put(
        {f"data/{name}-00000-of-00001.parquet": parquet(voted((n, 1), (1, n))) for n, name in enumerate(names)}
    )
    with pytest.raises(UserError, match="holds the splits test, train_0001, train_0002; say which"):
        import_data(str(source), source.parent / "data")
    with pytest.raises(UserError, match=r"has no split 'val\*'"):
        import_data(str(source), source.parent / "data", split="val*")
    assert [share for *_, share, _ in said(source, IMAGES, split="train_*")] == [0.5, 0.5, 0.0, 1.0]
    assert resumes(source, split="train_*") == 4


def test_what_is_no_rapidata(put: Any, parquet: Any, tmp_path: Path) -> None:
    table = voted((1, 0))
    cases = {
        "imageless": (
            {**table, "image1": ["x"]},
            "the column image1 holds string, not bytes; is this a set of Rapidata",
        ),
        "wordy": ({**table, "votes_image1": ["x"]}, "the column votes_image1 holds string, not a number"),
        "bare": ({"prompt": ["p"]}, "lacks the column image1; this is a variant without images"),
    }
    for name, (columns, message) in cases.items():
        source = put({f"{name}.parquet": parquet(columns)}) / f"{name}.parquet"
        with pytest.raises(UserError, match=message):
            import_data(str(source), tmp_path / "data", format="rapidata")
