"""What there is to score, and its blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from support.datasets import png, sha, write_data
from tastemaker.base.errors import UserError
from tastemaker.base.files import sha256_text
from tastemaker.data.comparison import Comparison
from tastemaker.score.blocks import blocks_of
from tastemaker.score.work import Work, wanted


def compare(number: int, prompt: str, a: int, b: int | None) -> Comparison:
    return Comparison(f"pair-{number}", prompt, sha(a), None if b is None else sha(b), "a" if b else "liked")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    comparisons = [
        compare(0, "dog", 5, 2),
        compare(1, "cat", 2, None),
        compare(2, "dog", 2, 5),
        compare(3, "cat", 3, 5),
    ]
    return wanted(write_data(tmp_path, comparisons, [png(red) for red in (2, 3, 5)]))


def test_rows_by_hand(work: Work) -> None:
    """Images and prompts in the order in which they are met, each (image, prompt) once, sorted."""
    assert work.images.to_pylist() == [sha(5), sha(2), sha(3)]
    assert work.prompts == ["dog", "cat"]
    assert work.prompt_shas.to_pylist() == [sha256_text("dog"), sha256_text("cat")]
    assert list(zip(work.image, work.prompt, strict=True)) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1)]


def test_find(work: Work) -> None:
    asked = [(sha(2), "cat"), (sha(3), "dog"), (sha(9), "cat"), (sha(5), "cow"), (sha(3), "cat")]
    shas = pa.chunked_array([[image for image, _ in asked]])
    prompts = pa.chunked_array([[sha256_text(prompt) for _, prompt in asked]])
    assert work.find(shas, prompts).tolist() == [3, -1, -1, -1, 4]


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [2, 2, 1]), (2, [2, 2, 1]), (3, [4, 1]), (4, [4, 1]), (5, [5]), (9, [5])]
)
def test_blocks_keep_an_images_prompts_together(work: Work, rows: int, sizes: list[int]) -> None:
    blocks = list(work.blocks(rows))
    assert [block.stop - block.start for block in blocks] == sizes
    assert np.concatenate([np.arange(5)[block] for block in blocks]).tolist() == [0, 1, 2, 3, 4]


def test_a_block_asks_for_what_is_left_only(work: Work) -> None:
    done = {"a@1": np.array([True, True, True, False, True]), "b@1": np.array([True, True, True, True, False])}
    (first, second) = blocks_of(work, 3, done)
    assert (first.number, first.images, first.rows) == (0, (sha(2),), 1)
    assert {name: rows.tolist() for name, rows in first.asked.items()} == {"a@1": [True]}
    assert first.prompt.tolist() == [1]
    assert (second.number, second.images) == (1, (sha(3),))
    assert {name: rows.tolist() for name, rows in second.asked.items()} == {"b@1": [True]}
    assert list(blocks_of(work, 3, {"a@1": np.ones(5, bool)})) == []


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "comparisons.parquet").write_bytes(b"no")
    with pytest.raises(UserError, match=r"comparisons\.parquet: damaged .* import the data again"):
        wanted(tmp_path)
