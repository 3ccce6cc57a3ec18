"""Share and votes: from a cell to the store and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.pictures import contents, jpeg, reasons, row, write_pickapic
from tastemaker.base.errors import UserError
from tastemaker.data import intake, store
from tastemaker.data.comparison import Comparison, label_of, to_share
from tastemaker.data.importing import import_data
from tastemaker.data.readers.row import Preference, Problem, poll, read_preference
from tastemaker.data.store import COLUMNS, read_comparisons, write_comparisons

X, Y, Z = jpeg(1), jpeg(2), jpeg(3)
SHARES = [0.0, 1e-9, 0.1, 1 / 3, 0.5, 0.7, 1 - 1e-9, 1.0, *np.random.default_rng(0).random(200).tolist()]


def pair(share: float | None, votes: int | None = None, label: Any = None) -> Comparison:
    label = label or ("a" if share is None else label_of(share))
    return Comparison("id", "cat", "x", "y", label, share=share, votes=votes)


@pytest.mark.parametrize(("share", "label"), [(0, "b"), (0.49, "b"), (0.5, "tie"), (0.51, "a"), (1, "a")])
def test_the_label_follows_the_share(share: float, label: str) -> None:
    assert label_of(share) == label


def test_a_share_survives_its_file_and_two_swaps(tmp_path: Path) -> None:
    """k·2⁻²⁴ and 1 − k·2⁻²⁴ are float32 numbers, so that nothing is rounded later."""
    rows = [pair(to_share(share), votes) for votes, share in enumerate(SHARES)]
    for one, share in zip(rows, SHARES, strict=True):
        assert abs((one.share or 0) - share) <= 2**-25
        assert one.share == float(np.float32(one.share))
        assert one.swap().swap() == one
        assert one.swap().share == 1 - one.share
        assert one.swap().label == label_of(1 - one.share)
    write_comparisons(tmp_path, [*rows, pair(None)])
    assert read_comparisons(tmp_path) == [*rows, pair(None)]
    schema = pq.read_schema(tmp_path / "comparisons.parquet")
    assert (schema.names[-2:], schema.names) == (["share", "votes"], list(COLUMNS))
    assert (schema.field("share").type, schema.field("votes").type) == (pa.float32(), pa.int32())
    assert (schema.field("share").nullable, schema.field("votes").nullable) == (True, True)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_what_is_no_share(value: float) -> None:
    with pytest.raises(ValueError, match="is no share of the preference"):
        to_share(value)


def test_stores_from_before_there_were_shares(tmp_path: Path) -> None:
    write_comparisons(tmp_path, [pair(0.75, 4), pair(None)])
    path = tmp_path / "comparisons.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["share", "votes"]), path)
    assert read_comparisons(tmp_path) == [pair(None), pair(None)]
    pq.write_table(table.drop_columns("share"), path)
    with pytest.raises(UserError, match="lacks the column share; import the data again"):
        read_comparisons(tmp_path)


@pytest.mark.parametrize(
    ("label", "share"), [("a", 0.25), ("b", 0.75), ("tie", 0.75), ("a", 0.5), ("a", 1.5), ("a", float("nan"))]
)
def test_a_label_that_does_not_fit_its_share(tmp_path: Path, label: str, share: float) -> None:
    write_comparisons(tmp_path, [pair(None), pair(share, label=label)])
    with pytest.raises(UserError, match=f"row 1: label '{label}' with a share of "):
        read_comparisons(tmp_path)


def test_one_image_has_no_share(tmp_path: Path) -> None:
    write_comparisons(tmp_path, [Comparison("id", "cat", "x", None, "liked", share=0.75)])
    with pytest.raises(UserError, match=r"row 0: label 'liked' with a share of 0\.75"):
        read_comparisons(tmp_path)


def test_cells() -> None:
    assert [read_preference(cell, "f") for cell in (1, 0.0, "0.5", "left")] == [
        *map(Preference, ("a", "b", "tie", "a"))
    ]
    assert [read_preference(cell, "f") for cell in (0.75, "0.25")] == [Preference("a", 0.75), Preference("b", 0.25)]
    assert read_preference(1e-12, "f") == Preference("b", 0.0)
    for cell, reason in ((1.5, "label_unknown"), (-1, "label_unknown"), (True, "label_unknown"), (None, "unlabelled")):
        assert getattr(read_preference(cell, "f").label, "reason", "") == reason
    assert getattr(read_preference(0.7, "f", judged=False).label, "reason", "") == "unlabelled"


def test_polls() -> None:
    assert poll(3, 1, "f", 4) == Preference("a", 0.75, 4)
    assert poll(1.5, 4.5, "f") == Preference("b", 0.25)
    assert poll(2, 2, "f", 4) == Preference("tie", 0.5, 4)
    nobody = Preference(Problem("f", "unlabelled", "nobody judged this"))
    assert [poll(*got, "f", 9) for got in ((0, 0), (None, 1), (1, None), (float("nan"), 1))] == [nobody] * 4
    for got in ((-1, 2), (2, -1), (float("inf"), 1)):
        assert getattr(poll(*got, "f").label, "reason", "") == "label_unknown"


def test_pick_a_pic_with_soft_labels(tmp_path: Path) -> None:
    rows = [row("p", X, Y, 0.75), row("q", X, Y, 0.25), row("r", X, Y, 1.0), row("s", X, Y, 0.5)]
    write_pickapic(tmp_path / "in.parquet", rows)
    summary = import_data(str(tmp_path / "in.parquet"), tmp_path / "data")
    found = [(one.label, one.share, one.votes) for one in read_comparisons(tmp_path / "data")]
    assert found == [("a", 0.75, None), ("b", 0.25, None), ("a", None, None), ("tie", None, None)]
    assert (summary["pairs"], summary["ties"], summary["shares"]) == (4, 1, 2)


def test_a_table_with_soft_labels(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "x.jpg").write_bytes(X)
    (source / "y.jpg").write_bytes(Y)
    lines = [{"prompt": "p", "image_a": "x.jpg", "image_b": "y.jpg", "label": label} for label in (0.75, "0.25", 2)]
    (source / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    import_data(str(source), tmp_path / "data")
    assert [(one.label, one.share) for one in read_comparisons(tmp_path / "data")] == [("a", 0.75), ("b", 0.25)]
    assert reasons(tmp_path / "data") == [(3, "label_unknown")]


def test_a_poll_repeats_only_itself(tmp_path: Path) -> None:
    rows = [
        row("p", X, Y, 0.75),  # 0: kept
        row("p", Y, X, 0.25),  # 1: the same, swapped
        row("p", X, Y, 0.7),  # 2: another poll that confirms
        row("p", X, Y, 1.0),  # 3: somebody who only said who won
        row("p", X, Y, 0.25),  # 4: contradicts
        row("p", X, Z, 0.75),  # 5: another question
    ]
    write_pickapic(tmp_path / "in.parquet", rows)
    summary = import_data(str(tmp_path / "in.parquet"), tmp_path / "data")
    assert reasons(tmp_path / "data") == [(1, "repeat_swapped")]
    assert (summary["confirmed"], summary["contradicted"]) == (2, 1)
    assert [one.share for one in read_comparisons(tmp_path / "data")] == [0.75, to_share(0.7), None, 0.25, 0.75]


def test_a_stopped_import_keeps_the_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "WINDOW_ROWS", 1)
    monkeypatch.setattr(store, "SHARD_IMAGES", 2)
    rows = [row(f"p{i}", jpeg(2 * i), jpeg(2 * i + 1), i / 7) for i in range(8)]
    source = str(write_pickapic(tmp_path / "in.parquet", rows))
    import_data(source, tmp_path / "whole")

    def stop(value: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            "tastemaker.data.readers.pickapic.text_cell", lambda *c: stop(c) if c[0] == b"p5" else c[0].decode()
        )
        with pytest.raises(KeyboardInterrupt):
            import_data(source, tmp_path / "data")
    assert not (tmp_path / "data" / "comparisons.parquet").exists()
    import_data(source, tmp_path / "data")
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")
    found = [one.share for one in read_comparisons(tmp_path / "data")]
    assert found == [None, *(to_share(i / 7) for i in range(1, 7)), None]
