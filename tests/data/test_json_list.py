"""JSON lists of any length, item by item."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from tastemaker.base.errors import UserError
from tastemaker.data.readers import json_list
from tastemaker.data.readers.json_list import items

VALUES: list[Any] = [
    {"a": [1, {"b": "]},["}], "c": 'größe 🐈 \\"'},
    *([], {}, "text", 12345, -1.5e3, None, True, 15e30, [[0]], "x" * 50),
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1 << 16])
@pytest.mark.parametrize("indent", [None, 2])
def test_items_are_those_of_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None
) -> None:
    monkeypatch.setattr(json_list, "CHUNK", chunk)
    path = tmp_path / "list.json"
    for count in range(len(VALUES) + 1):
        path.write_text("\ufeff \n" + json.dumps(VALUES[:count], indent=indent, ensure_ascii=False) + "\n ")
        assert list(items(path)) == VALUES[:count]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a JSON list"),
        ('{"a": 1}', "not a JSON list"),
        ("[", "item 0: not readable as JSON"),
        ('[{"a": 1}, {"b"', "item 1: not readable as JSON"),
        ("[1, 2", "item 2: not readable as JSON .no comma"),
        ("[1 2]", "item 1: not readable as JSON .no comma"),
        ("[1, 2,]", "item 2: not readable as JSON"),
        ("[1] 2", "something behind the list"),
        ("[" * 100_000, "item 0: not readable as JSON"),
    ],
)
def test_what_is_no_whole_list(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(UserError, match=rf"list\.json.*{message}") as caught:
        list(items(tmp_path / "list.json"))
    assert "\n" not in str(caught.value)
    assert "char " not in str(caught.value), "that would count from somewhere in the middle of the file"


def test_an_item_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_list, "LARGEST_ITEM", 1000)
    monkeypatch.setattr(json_list, "CHUNK", 100)
    (tmp_path / "list.json").write_text('[1, "' + "x" * 100_000)
    with pytest.raises(UserError, match="item 1: not readable"):
        list(items(tmp_path / "list.json"))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"list\.json: cannot be read"):
        list(items(tmp_path / "list.json"))


def test_memory_does_not_grow_with_the_list(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"prompt": "x" * 100, "n": n} for n in range(50_000)]))
    tracemalloc.start()
    assert sum(item["n"] for item in items(path)) == 50_000 * 49_999 // 2
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 5
