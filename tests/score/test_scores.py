"""The scores file: lookup, names, damage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.base.errors import UserError
from tastemaker.base.files import write_json
from tastemaker.score.scores import SCHEMA, find_scorer, read_scores, scores_folder, slug, write_scores

ROWS = [("i2", "p1", 0.5), ("i1", "p2", 2.0), ("i1", "p1", -1.0)]


def write(data: Path, scorer: str, rows: list[tuple[str, str, float]] = ROWS) -> Path:
    folder = scores_folder(data, scorer)
    table = pa.table(dict(zip(SCHEMA.names, map(list, zip(*rows, strict=True)), strict=True)))
    write_scores(folder / "scores.parquet", scorer, "range:0,10", table)
    write_json(folder / "summary.json", {"scorer": scorer})
    return folder / "scores.parquet"


def test_one_and_many_can_be_looked_up(tmp_path: Path) -> None:
    write(tmp_path, "s@1")
    scores = read_scores(tmp_path, "s@1")
    assert (scores.scorer, scores.calibration, len(scores)) == ("s@1", "range:0,10", 3)
    assert scores["i1", "p2"] == 2.0
    assert ("i2", "p2") not in scores
    found = scores.find(pa.array(["i1", "i2", "i2", "i9", "i1"]), pa.array(["p1", "p1", "p2", "p1", "p9"]))
    assert found[:2].tolist() == [-1.0, 0.5]
    assert np.isnan(found[2:]).all()


def test_find_agrees_with_a_dictionary(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    keys = {(f"i{i}", f"p{p}") for i, p in rng.integers(0, 30, (300, 2))}
    rows = [(*key, float(value)) for value, key in enumerate(sorted(keys, key=hash))]
    write(tmp_path, "s@1", rows)
    scores, expected = read_scores(tmp_path, "s@1"), {row[:2]: row[2] for row in rows}
    asked = [(f"i{i}", f"p{p}") for i, p in rng.integers(0, 35, (500, 2))]
    found = scores.find(*(pa.array(column) for column in zip(*asked, strict=True)))
    for key, value in zip(asked, found, strict=True):
        assert value == expected[key] == scores[key] if key in expected else np.isnan(value)


def test_equal_scores_are_equal_bytes_in_whatever_order_they_come(tmp_path: Path) -> None:
    one, other = write(tmp_path / "1", "s@1"), write(tmp_path / "2", "s@1", ROWS[::-1])
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("scorer", ["world@1a2b", "jpeg-size@q95", "a.b_c+d@2"])
def test_a_plain_id_is_its_own_folder(scorer: str) -> None:
    assert slug(scorer) == scorer


def test_odd_ids_are_safe_and_differ() -> None:
    odd = ["org/model@1", "org_model@1", "org\\model@1", "../x@1", ".hidden@1", "x" * 300, "x" * 301, "ψ@1"]
    assert len({slug(scorer) for scorer in odd}) == len(odd)
    assert all("/" not in slug(scorer) and slug(scorer)[0] not in "." and len(slug(scorer)) < 120 for scorer in odd)


def test_a_bare_name_finds_the_only_scorer_of_that_name(tmp_path: Path) -> None:
    write(tmp_path, "world@1")
    write(tmp_path, "world-utility@1")
    assert find_scorer(tmp_path, "world") == find_scorer(tmp_path, "world@1") == "world@1"


def test_a_name_that_two_revisions_share_must_be_said_in_full(tmp_path: Path) -> None:
    write(tmp_path, "world@1")
    write(tmp_path, "world@2")
    assert find_scorer(tmp_path, "world@2") == "world@2"
    with pytest.raises(UserError, match="'world' may be world@1 or world@2; say which"):
        find_scorer(tmp_path, "world")


def test_missing_scores_name_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"done: none.*run: tastemaker score .* --scorer world$"):
        find_scorer(tmp_path, "world@1")
    write(tmp_path, "jpeg-size@q95")
    with pytest.raises(UserError, match=r"done: jpeg-size@q95"):
        read_scores(tmp_path, "world")


def test_unfinished_scores_say_so(tmp_path: Path) -> None:
    scores_folder(tmp_path, "world@1").mkdir(parents=True)
    with pytest.raises(UserError, match="has not finished here; run: tastemaker score"):
        find_scorer(tmp_path, "world@1")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "s@1")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"scores\.parquet: not readable as scores"):
        read_scores(tmp_path, "s")
