"""The samples of D3PO's code, and people's ratings of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.pictures import encoded, noise, quarantined
from tastemaker.base.errors import UserError
from tastemaker.data.importing import import_data
from tastemaker.data.store import read_comparisons

IMAGES = {name: encoded(noise(number)) for number, name in enumerate("abcdef")}
FILES: dict[str, Any] = {f"images/{number:05}.png": image for number, image in enumerate(IMAGES.values())}
FILES["prompt.json"] = ["cat", "dog"]

Said = Callable[..., list[tuple[Any, ...]]]


def test_one_person(put: Any, said: Said, resumes: Any) -> None:
    """Three images a prompt; the higher the better."""
    source = put({**FILES, "me.json": [[1, 0, 1], [0.5, 2, -1]]})
    assert said(source, IMAGES) == [
        ("cat", "ab", "a", 1.0, 1),
        ("cat", "ac", "tie", 0.5, 1),
        ("cat", "bc", "b", 0.0, 1),
        ("dog", "de", "b", 0.0, 1),
        ("dog", "df", "a", 1.0, 1),
        ("dog", "ef", "a", 1.0, 1),
    ]
    assert {one.source for one in read_comparisons(source.parent / "data")} == {"prompt.json"}
    assert resumes(source) == 6


def test_several_people(put: Any, said: Said) -> None:
    """Whoever uses a wide scale has one vote all the same; who has not got so far has none, nor who gives null."""
    ratings = {
        "one.json": [[9, 0, 0], [1, 2, None]],
        "people/two.json": [[0, 1, 0]],
        "people/three.json": [[0, 1, 0], [1, 2, 3]],
    }
    source = put({**FILES, **ratings, "prompt0.json": ["cat"], "images/notes.txt": "no image"})
    third = round(1 / 3 * 2**24) / 2**24
    assert said(source, IMAGES) == [
        ("cat", "ab", "b", third, 3),  # 9 > 0, 0 < 1, 0 < 1
        ("cat", "ac", "a", 1 - third, 3),  # 9 > 0, 0 = 0, 0 = 0: two of three
        ("cat", "bc", "a", round(2.5 / 3 * 2**24) / 2**24, 3),
        ("dog", "de", "b", 0.0, 2),
        ("dog", "df", "b", 0.0, 1),
        ("dog", "ef", "b", 0.0, 1),
    ]


def test_what_is_wrong_with_ratings(put: Any, said: Said, resumes: Any) -> None:
    prompts = ["cat", "dog", 3, "cow", "owl"]
    ratings = [[1, 2], [1, "2"], [1, 2], [1, 2, 3], [2, 1]]
    images = {**FILES, "prompt.json": prompts, "me.json": ratings, "you.json": [[2, 1], [2, 1]]}
    source = put({**images, **{f"images/{n:05}.png": encoded(noise(90 + n)) for n in (6, 7)}})
    assert said(source, IMAGES) == [("cat", "ab", "tie", 0.5, 2)]
    found = [(line["row"], line["field"], line["reason"]) for line in quarantined(source.parent / "data")]
    assert found == [
        (1, "me.json", "label_unknown"),
        (2, "prompt", "prompt_missing"),
        (3, "me.json", "label_unknown"),
        (4, "images[0]", "image_missing"),
        (4, "images[1]", "image_missing"),
    ]
    assert resumes(source) == 5


def test_prompts_that_nobody_rated(put: Any, said: Said) -> None:
    source = put({**FILES, "me.json": [[1, 0, 1]]})
    assert len(said(source, IMAGES)) == 3
    assert [(line["row"], line["reason"]) for line in quarantined(source.parent / "data")] == [(1, "unlabelled")] * 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no ratings; put each person's .*json beside prompt.json"),
        ({"me.json": [[1, 0]] * 3}, r"me\.json: rates 3 prompts, and prompt\.json has 2"),
        ({"me.json": [[1], [2]]}, "no ratings of two images or more"),
        ({"me.json": {"0": [1, 0]}}, r"me\.json: not a JSON list"),
        ({"me.json": "[[1"}, r"me\.json: not readable as JSON"),
        ({"me.json": [[1, 0, 1]], "prompt.json": "{}"}, r"prompt\.json: not a JSON list"),
    ],
)
def test_folders_that_cannot_be_read(put: Any, tmp_path: Path, files: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        import_data(str(put({**FILES, **files})), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_another_rating_is_another_source(put: Any, tmp_path: Path) -> None:
    source = put({**FILES, "me.json": [[1, 0, 1]]})
    import_data(str(source), tmp_path / "data")
    put({"me.json": [[1, 0, 2]]})
    with pytest.raises(UserError, match="other inputs or settings"):
        import_data(str(source), tmp_path / "data")
    (source / "prompt.json").unlink()
    with pytest.raises(UserError, match=r"needs prompt\.json and the folder images"):
        import_data(str(source), tmp_path / "data", format="d3po")
